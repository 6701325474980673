//! Completion, hints and inspection.

use super::Bench;

/// What Tab offers at the end of the text: the labels.
fn offers(bench: &Bench, text: &str) -> Vec<String> {
    let completions = bench.session.complete(text, text.len());
    completions
        .candidates
        .into_iter()
        .map(|candidate| candidate.label)
        .collect()
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.check("let model_map = #{rate: 0.1, inner: #{deep: 1}};", "");
    bench.check("let stream = rng(1);", "");
    bench.check("let list = [\"text\"];", "");
    bench.check(
        "/// Doubles.\nfn double(amount, times) { amount * times }",
        "",
    );
    bench
}

#[test]
fn names_members_keys_and_choices() {
    let bench = bench();
    let check =
        |text: &str, expected: &[&str]| assert_eq!(offers(&bench, text), expected, "{text}");
    check("let x = mod", &["model_map"]);
    check("doub", &["double(amount, times)"]);
    check("rn", &["rng(seed: int | string) -> Stream"]);
    check("stream.be", &["below(n: int) -> int"]);
    check("rng(7).sh", &["shuffle(items: array) -> array"]);
    check(
        "model_map.r",
        &[
            "rate",
            "remove(property: string) -> any",
            "retain(filter: function) -> map",
        ],
    );
    check("model_map.inner.dee", &["deep"]);
    check("model_map[\"", &["inner", "rate"]);
    check("list[0].to_up", &["to_upper() -> string"]);
    check("json(1, #{", &["pretty: bool = false"]);
    check("json(1, #{pretty: tru", &["true"]);
    check("whi", &["while"]);
    check("// rn", &[]);
}

#[test]
fn paths_inside_strings() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    for file in ["a.json", "b.txt", ".hidden"] {
        std::fs::write(folder.path().join(file), "").unwrap();
    }
    let base = folder.path().display().to_string();
    let bench = bench();
    let check =
        |text: &str, expected: &[&str]| assert_eq!(offers(&bench, text), expected, "{text}");
    check(&format!("read_text(\"{base}/"), &["a.json", "b.txt", "sub"]);
    check(&format!("read_json(\"{base}/"), &["a.json", "sub"]);
    check(&format!("read_text(\"{base}/b"), &["b.txt"]);
}

#[test]
fn the_call_under_the_cursor_is_hinted() {
    let bench = bench();
    let check = |text: &str, expected: Option<&str>| {
        assert_eq!(bench.session.call_hint(text).as_deref(), expected, "{text}")
    };
    check("format(", Some("x: float, digits: int)"));
    check("format(1", Some(", digits: int)"));
    check("format(1, ", Some("digits: int)"));
    check("format(1, 2", Some(")"));
    check("double(", Some("amount, times)"));
    check("stream.below(", Some("n: int)"));
    check("1 + 1", None);
    check("format(\"(", None);
}

#[test]
fn names_are_told_about() {
    let bench = bench();
    let check = |name: &str, words: &[&str]| {
        let text = bench
            .session
            .inspect(name)
            .unwrap_or_else(|error| error.to_string());
        assert!(
            words.iter().all(|word| text.contains(word)),
            "{name}:\n{text}"
        );
    };
    check("stream", &["stream: Stream", "below(n: int)"]);
    check("stream.below", &["Stream.below(n: int) -> int"]);
    check(
        "double",
        &[
            "defined in In [4]",
            "Doubles.",
            "fn double(amount, times) { amount * times }",
        ],
    );
    check("list.push", &["push(", "array"]);
    check("random", &["random() -> float", "Topic random"]);
    check("Stream", &["A reproducible random stream."]);
    check("randm", &["unknown name", "did you mean \"random\"?"]);
}

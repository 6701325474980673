//! Completion, hints and inspection.

use super::Bench;
use crate::session::Source;

/// What Tab offers at the `^` in the text: the labels.
fn offers(bench: &Bench, marked: &str) -> Vec<String> {
    let at = marked.find('^').expect("a cursor");
    let completions = bench.session.complete(&marked.replacen('^', "", 1), at);
    let candidates = completions.candidates.into_iter();
    candidates.map(|candidate| candidate.label).collect()
}

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.check("let model_map = #{rate: 0.1, inner: #{deep: 1}};", "");
    bench.check("let stream = rng(1);", "");
    bench.check(
        "let list = [\"text\"]; let rows = [#{loss: 0.5, reward: 1.0}];",
        "",
    );
    bench.check(
        "/// Doubles.\nfn double(amount, times) { amount * times }",
        "",
    );
    bench
}

/// Each text offers exactly this.
fn check(bench: &Bench, table: &[(&str, &[&str])]) {
    for (marked, expected) in table {
        assert_eq!(offers(bench, marked), *expected, "{marked}");
    }
}

/// Each text offers this first.
fn check_first(bench: &Bench, table: &[(&str, &[&str])]) {
    for (marked, expected) in table {
        let mut found = offers(bench, marked);
        found.truncate(expected.len());
        assert_eq!(found, *expected, "{marked}");
    }
}

#[test]
fn names() {
    let bench = bench();
    check(
        &bench,
        &[
            ("let x = mod^", &["model_map"]),
            ("doub^", &["double(amount, times)"]),
            ("rng^", &["rng(seed: int | string) -> Stream"]),
            ("whi^", &["while"]),
            ("// rn^", &[]),
            ("sqr^", &["sqrt(x: float) -> float"]),
            ("let local = 1; loc^", &["local"]),
            ("if x { let local = 1; } loca^", &[]),
            ("fn f(first) { let second = 1; fir^ }", &["first"]),
            ("lat^; fn later(a) { }", &["later(a)"]),
        ],
    );
}

#[test]
fn members() {
    let bench = bench();
    check(
        &bench,
        &[
            ("stream.be^", &["below(n: int) -> int"]),
            ("rng(7).sh^", &["shuffle(items: array) -> array"]),
            (
                "model_map.r^",
                &[
                    "rate",
                    "remove(property: string) -> any",
                    "retain(filter: function) -> map",
                ],
            ),
            ("model_map.inner.dee^", &["deep"]),
            ("model_map[\"^", &["inner", "rate"]),
            (
                "model_map[\"inner\"].d^",
                &[
                    "deep",
                    "debug() -> string",
                    "drain(filter: function) -> map",
                ],
            ),
            ("list[0].to_up^", &["to_upper() -> string"]),
            (
                "rows[0].re^",
                &[
                    "reward",
                    "remove(property: string) -> any",
                    "retain(filter: function) -> map",
                ],
            ),
            ("rows.map(|row| row.lo^", &["loss"]),
            ("for row in rows { row.lo^", &["loss"]),
            ("load(\"x\").tok^", &["tokenize(text: string) -> array"]),
            (
                "let m = load(\"x\"); m.forw^",
                &["forward(text: string | array) -> Logits"],
            ),
            ("let m = load(\"x\"); let n = m; n.nam^", &["name: string"]),
            (
                "load(\"x\").forward(\"y\").to^",
                &["top(k?: int, #{..}) -> Table"],
            ),
            ("grpo(1, 2, 3).step().rew^", &["reward", "reward_std"]),
            (
                "let h = grpo(1, 2, 3).run(5); h.map(|m| m.rewar^",
                &["reward", "reward_std"],
            ),
            ("load(\"x\").generate(\"y\").compl^", &["completion"]),
            ("load(\"x\").generate([\"y\"])[0].compl^", &["completion"]),
            ("load(\"x\").name.to_up^", &["to_upper() -> string"]),
        ],
    );
    check_first(
        &bench,
        &[("let c = #{rate: 1, \"steps\": 2}; c.^", &["rate", "steps"])],
    );
}

/// Names of metrics: what a trainer tells, what a run has logged and what others call theirs.
#[test]
fn metrics() {
    let mut bench = bench();
    bench.check(
        "let run = start_run(\"try\"); run.log(0, #{mine: 1, kl: 2});",
        "",
    );
    check(
        &bench,
        &[
            (
                "sft(1, 2).run(9, #{on_step: |m| print(m.per^",
                &["perplexity"],
            ),
            (
                "t.run(9, #{label: \"x\", on_step: |m| { m.gra^",
                &["grad_norm"],
            ),
            (
                "let t = sft(1, 2); t.run(9, #{on_step: |m| m[\"clip_ratio/l^",
                &["clip_ratio/low_mean"],
            ),
            ("run.log(1, #{mi^", &["mine"]),
            ("run.log(1, #{mine: 2, perp^", &["perplexity"]),
            ("run.log(1, #{kl: 1, kl^", &[]),
            ("run.log(1, #{\"rewards/c^", &["rewards/chosen"]),
        ],
    );
    check_first(
        &bench,
        &[
            ("run.log(1, #{^", &["kl", "mine", "loss"]),
            ("start_run(\"x\").log(1, #{^", &["loss", "learning_rate"]),
        ],
    );
    let offered = |marked: &str| {
        let found = bench.session.complete(marked, marked.len()).candidates;
        let first = &found[0];
        format!("{} - {}", first.text, first.summary)
    };
    for (text, expected) in [
        (
            "run.log(1, #{reward_",
            "reward_std: - Of grpo: the mean deviation inside of a group.",
        ),
        (
            "run.log(1, #{rewards",
            "\"rewards/missing\": - Of grpo: samples without a verdict.",
        ),
        (
            "t.run(2, #{on_step: |m| m.grad",
            "grad_norm - The length of the gradient.",
        ),
    ] {
        assert_eq!(offered(text).replace(":  ", ": "), expected, "{text}");
    }
}

#[test]
fn options() {
    let bench = bench();
    check(
        &bench,
        &[
            ("json(1, #{^", &["pretty: bool = false"]),
            ("json(1, #{pretty: tru^", &["true"]),
            ("load(\"x\", #{de^", &["device: string = \"cpu\""]),
            ("load(\"x\", #{device: \"cpu\", de^", &[]),
            (
                "load(\"x\", #{passes: [\"rotary\", \"pack^",
                &["packed", "packed_rows"],
            ),
            ("load(\"x\", #{engine: \"^", &["portable", "apple"]),
            ("load(\"x\", #{engine: \"a^", &["apple"]),
            ("load(\"x\", #{device: \"m^", &["metal"]),
            (
                "load(\"x\", #{compute_units: \"cpu+^",
                &["cpu+gpu", "cpu+ane"],
            ),
            (
                "convert(\"x\", #{quantize: \"pal^",
                &["palette4", "palette6", "palette8"],
            ),
            (
                "load(\"x\").quantize(\"q\", #{min_e^",
                &["min_elements: int = 2048"],
            ),
        ],
    );
    check_first(
        &bench,
        &[
            ("load(\"x\", #{engine: ^", &["portable", "apple"]),
            ("json(1, #{pretty: ^", &["true", "false"]),
        ],
    );
}

#[test]
fn letters_in_order_are_the_fallback() {
    let bench = bench();
    check(
        &bench,
        &[
            ("DOUB^", &["double(amount, times)"]),
            ("model_map.inr^", &["inner"]),
            (
                "load(\"x\", #{cu^",
                &["compute_units: \"cpu\" | \"cpu+gpu\" | \"cpu+ane\" | \"all\" = \"all\""],
            ),
            ("load(\"x\", #{engine: \"ble^", &["portable"]),
        ],
    );
}

#[test]
fn modules() {
    let mut bench = bench();
    let file = bench.session.host().resolve("lib.rhai");
    std::fs::write(
        &file,
        "/// Adds one.\nfn more(n) { n + 1 }\nprivate fn hidden() {}\nexport const LIMIT = 3;",
    )
    .unwrap();
    let expected: &[&str] = &["more(n)", "LIMIT"];
    check(&bench, &[("import \"lib\" as m; m::^", expected)]);
    check(&bench, &[("import \"li^", &["lib.rhai"])]);
    bench.check("import \"lib\" as live;", "");
    check(
        &bench,
        &[("live::^", &["LIMIT", "more(n)"]), ("liv^", &["live"])],
    );
}

#[test]
fn models_and_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::create_dir(folder.path().join("m.mlpackage")).unwrap();
    for file in ["a.json", "b.txt", ".hidden"] {
        std::fs::write(folder.path().join(file), "").unwrap();
    }
    let base = folder.path().display().to_string();
    let bench = bench();
    let check =
        |text: &str, expected: &[&str]| assert_eq!(offers(&bench, text), expected, "{text}");
    check(
        &format!("read_text(\"{base}/^"),
        &["a.json", "b.txt", "m.mlpackage", "sub"],
    );
    check(
        &format!("read_json(\"{base}/^"),
        &["a.json", "m.mlpackage", "sub"],
    );
    check(&format!("read_text(\"{base}/b^"), &["b.txt"]);
    check(&format!("load(\"{base}/^"), &["m.mlpackage", "sub"]);
    check("load(\"^", &["embedded:student", "embedded:judge"]);
    check("load(\"emb^", &["embedded:student", "embedded:judge"]);
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
    check("double", &["defined in In [4]", "Doubles."]);
    check("list.push", &["push(", "array"]);
    let source = "fn double(amount, times) { amount * times }";
    assert!(!bench.session.inspect("double").unwrap().contains(source));
    assert!(
        bench
            .session
            .inspect_fully("double")
            .unwrap()
            .contains(source)
    );
    check("push", &["push("]);
    check("perplexities", &["it is spoken of in", "Model.quantize"]);
    check("random", &["random() -> float", "Topic random"]);
    check("Stream", &["A reproducible random stream."]);
    check("randm", &["unknown name", "did you mean \"random\"?"]);
}

/// Wherever the cursor stands, there is an answer, which begins before it.
#[test]
fn every_cursor_is_answered() {
    let bench = bench();
    let text = "f(`a${list[0]}é${`b${1}`}\"`, \"é\\\"\", 'x'); r#\"raw\"#; #{\"a b\": `x`, c: |v| v.\n} /* é /* */ */\n\
                import `m` as é; é::f(#{k: 1}, [`${\n}`])?.x ?? (); // 😀";
    for (at, c) in text.char_indices() {
        let source = |text| Source { file: None, text };
        for whole in [&text[..at + c.len_utf8()], text] {
            let at = at + c.len_utf8();
            let start = bench.session.complete(whole, at).start;
            assert!(start <= at && whole.is_char_boundary(start), "{at}");
            bench.session.hover(source(whole), at);
            bench.session.signature(source(whole), at);
            bench.session.definition(source(whole), at);
        }
    }
}

//! The table of script functions is in order, and its examples show what they say.

use std::collections::BTreeSet;

use super::Bench;
use crate::host::function::Form;
use crate::host::options::Default;

#[test]
fn every_example_shows_what_it_says() {
    let functions = Bench::new().session.host().registry().functions.clone();
    for function in functions {
        // What `exit` shows is the end of the program.
        assert!(
            !function.examples.is_empty() || function.name == "exit",
            "{} has no example",
            function.name
        );
        for example in &function.examples {
            let shown = Bench::new().shows(example.code);
            assert_eq!(
                shown.trim_end(),
                example.shows.trim_end(),
                "{}: {}",
                function.name,
                example.code
            );
        }
    }
}

#[test]
fn the_table_is_in_order() {
    let bench = Bench::new();
    let registry = bench.session.host().registry();
    let snake = |name: &str| {
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let sentence =
        |text: &str| text.ends_with('.') && text.starts_with(|c: char| !c.is_lowercase());
    let mut seen = Vec::new();
    for function in &registry.functions {
        let name = function.name;
        let operator = matches!(function.form, Form::Operator | Form::Index);
        assert!(operator || snake(name), "{name} is not snake_case");
        assert!(
            sentence(function.summary),
            "{name}: \"{}\" is not a sentence",
            function.summary
        );
        for param in &function.params {
            assert!(
                snake(param.name) && sentence(param.summary),
                "{name}: parameter {}",
                param.name
            );
        }
        for key in &function.keys {
            assert!(
                snake(key.name) && sentence(key.summary),
                "{name}: option {}",
                key.name
            );
        }
        let first_optional = function
            .params
            .iter()
            .position(|p| p.optional)
            .unwrap_or(function.params.len());
        assert!(
            function.params[first_optional..].iter().all(|p| p.optional),
            "{name}: optional ones come last"
        );
        let identity = (function.receiver.map(|r| r.id), name, function.form);
        assert!(
            operator || !seen.contains(&identity),
            "{name} is defined twice"
        );
        seen.push(identity);
    }
    for entry in &registry.types {
        assert!(sentence(entry.summary), "{}", entry.name);
    }
}

#[test]
fn defaults_of_options_fit_their_kinds() {
    for function in &Bench::new().session.host().registry().functions {
        for key in function
            .keys
            .iter()
            .filter(|key| key.default != Default::Required)
        {
            let value = key.default_value();
            assert!(key.check(&value).is_ok(), "{}: {}", function.name, key.name);
        }
    }
}

/// Each function that tells the keys of its result, with code that gives one, and keys that are only there when
/// they are asked for or by another method.
const RESULTS: &[(&str, &str)] = &[
    (
        "Model.generate",
        "load(\"embedded:student\").generate(\"tea\", #{max_new_tokens: 1, top_logprobs: 1})",
    ),
    (
        "Student.generate",
        "student(load(\"embedded:student\"), #{rank: 1}).generate([\"tea\"], #{max_new_tokens: 1, top_logprobs: 1})",
    ),
    (
        "ChatTemplate.encode",
        "load(\"embedded:student\").template().encode(\"hi\")",
    ),
    (
        "Trace.rows",
        "trace(load(\"embedded:student\"), \"tea\").rows()",
    ),
    (
        "Judge.compare",
        "judge(load(\"embedded:judge\")).compare(\"the soup was\", \"good\", \"bad\")",
    ),
    (
        "Judge.compare_all",
        "let a = [#{prompt: \"a\", completion: \"b\"}]; judge(load(\"embedded:judge\")).compare_all(a, a)",
    ),
    (
        "Judge.usage",
        "judge_remote(\"http://localhost:9\", #{model: \"m\"}).usage",
    ),
    ("win_rate", "win_rate([1.0])"),
    (
        "Verification.data",
        "let m = load(\"embedded:student\"); verify(m, m, #{text: \"the soup was good\"}).data()",
    ),
    (
        "Trainer.step",
        "let s = student(load(\"embedded:student\"), #{rank: 1}); sft(s, [\"tea\"], #{batch: 1}).step()",
    ),
    (
        "Trainer.step",
        "let s = student(load(\"embedded:student\"), #{rank: 1}); grpo(s, [\"tea\"], |all| all.map(|a| 1.0), #{group: 2, prompts_per_step: 1, max_new_tokens: 2}).step()",
    ),
    (
        "Trainer.run",
        "let s = student(load(\"embedded:student\"), #{rank: 1}); sft(s, [\"tea\"], #{batch: 1}).run(1)",
    ),
];

#[test]
fn results_have_the_keys_that_are_told() {
    let bench = Bench::new();
    for function in &bench.session.host().registry().functions {
        let owner = function
            .receiver
            .map_or(String::new(), |r| format!("{}.", r.name));
        let name = format!("{owner}{}", function.name);
        let told: BTreeSet<&str> = function.fields.iter().map(|(key, _)| *key).collect();
        let mut given = BTreeSet::new();
        for (_, code) in RESULTS.iter().filter(|(known, _)| *known == name) {
            let keys = format!(
                "let r = {{ {code} }}; let m = if type_of(r) == \"array\" {{ r[0] }} else {{ r }}; m.keys()"
            );
            let keys = Bench::new()
                .session
                .eval(&keys)
                .value
                .into_typed_array::<String>();
            given.extend(keys.unwrap());
        }
        let unknown: Vec<&String> = given
            .iter()
            .filter(|key| !told.contains(key.as_str()))
            .collect();
        assert!(unknown.is_empty(), "{name} gives {unknown:?} too");
        let only_by_others = matches!(name.as_str(), "Trainer.run" | "Trace.first_bad");
        let missing: Vec<&&str> = told.iter().filter(|key| !given.contains(**key)).collect();
        assert!(
            only_by_others || missing.is_empty(),
            "{name} does not give {missing:?}"
        );
    }
}

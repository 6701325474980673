//! The table of script functions is in order, and its examples show what they say.

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

//! What help finds.

use super::*;
use crate::host::function::Form;

#[test]
fn words_are_found_names_first() {
    let registry = Registry::new();
    let found = |word: &str| -> Vec<String> {
        let found = search(&registry, &[], word).into_iter();
        found
            .map(|found| {
                found
                    .signature
                    .split(['(', ':', ' '])
                    .next()
                    .unwrap_or("")
                    .to_string()
            })
            .collect()
    };
    assert_eq!(found("quantize")[0], "Model.quantize");
    assert!(found("PERPLEXITIES").contains(&"Model.quantize".to_string()));
    assert!(found("learning_rate").contains(&"grpo".to_string()));
    assert!(found("").is_empty() && found("xyzzy").is_empty());
}

#[test]
fn a_word_that_is_no_name_tells_where_it_stands() {
    let registry = Registry::new();
    let told = about(&registry, &[], "bonus", Depth::Full).unwrap();
    assert!(
        told.starts_with("Nothing is called \"bonus\"; it is spoken of in\n\n  grpo("),
        "{told}"
    );
    let error = about(&registry, &[], "laod", Depth::Full).unwrap_err();
    assert_eq!(error.hint_text(), Some("did you mean \"load\"?"));
    let error = about(&registry, &[], "xyzzy", Depth::Full).unwrap_err();
    assert_eq!(error.hint_text(), Some("help() lists what there is"));
}

#[test]
fn short_help_leaves_details_out() {
    let registry = Registry::new();
    let short = about(&registry, &[], "Model.generate", Depth::Short).unwrap();
    let full = about(&registry, &[], "Model.generate", Depth::Full).unwrap();
    assert!(
        short.contains("max_new_tokens") && short.ends_with("generate?? tells more."),
        "{short}"
    );
    assert!(
        full.contains("Each is a map") && full.len() > short.len(),
        "{full}"
    );
}

#[test]
fn the_overview_has_every_topic_and_function() {
    let registry = Registry::new();
    let text = overview(&registry);
    let words: Vec<&str> = text.split([' ', ',', '\n']).collect();
    for function in registry
        .functions
        .iter()
        .filter(|f| f.form == Form::Function)
    {
        assert!(words.contains(&function.name), "{}", function.name);
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

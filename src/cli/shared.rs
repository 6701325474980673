//! Sentences that options of the command line share with those of the script functions.

use std::sync::OnceLock;

use crate::host::{Key, Kind, Registry};

/// What the option of a script function is for, and what it may be.
pub(super) fn help(function: &str, option: &str) -> String {
    let Some(key) = key(function, option) else {
        return String::new();
    };
    let summary = key.summary.to_string();
    match key.kind {
        Kind::Choice(words) if !summary.contains(words[0]) => {
            format!("{}: {}", summary.trim_end_matches('.'), words.join(", "))
        }
        _ => summary,
    }
}

/// The same, with the default that the command line leaves to the function.
pub(super) fn help_and_default(function: &str, option: &str) -> String {
    let default = key(function, option).map_or(String::new(), |key| key.default_text());
    format!("{} [default: {default}]", help(function, option))
}

fn key(function: &str, option: &str) -> Option<Key> {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    let registry = REGISTRY.get_or_init(Registry::new);
    let mut keys = registry.named(function).flat_map(|function| &function.keys);
    keys.find(|key| key.name == option).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_come_from_the_functions() {
        let told = help("convert", "quantize");
        assert!(
            told.starts_with("Make the matrices smaller: int8, "),
            "{told}"
        );
        let told = help_and_default("quantize", "keep");
        assert_eq!(
            told,
            "The part of the elements that a sparse matrix keeps. [default: 0.5]"
        );
        assert_eq!(help("fetch", "nothing"), "");
    }
}

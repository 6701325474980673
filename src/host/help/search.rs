//! The search for a word in names, sentences, options.

use crate::host::builtins::Builtin;
use crate::host::function::ScriptFn;
use crate::host::registry::Registry;

/// Where a word stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub signature: String,
    pub summary: String,
}

/// Functions and types whose names, sentences or options have the word, in any letter case: names first.
pub fn search(registry: &Registry, builtins: &[Builtin], word: &str) -> Vec<Found> {
    let word = word.trim().to_lowercase();
    if word.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<(u8, Found)> = Vec::new();
    for function in &registry.functions {
        if let Some(rank) = rank(&word, function.name, &texts(function)) {
            let summary = function.summary.to_string();
            let signature = function.signature();
            found.push((rank, Found { signature, summary }));
        }
    }
    for entry in &registry.types {
        if let Some(rank) = rank(&word, entry.name, &[entry.summary]) {
            let (signature, summary) = (entry.name.to_string(), entry.summary.to_string());
            found.push((rank, Found { signature, summary }));
        }
    }
    for builtin in builtins {
        // The language's own come after ours.
        if let Some(rank) = rank(&word, &builtin.name, &[&builtin.text]) {
            let (signature, summary) = (builtin.signature.clone(), builtin.summary().to_string());
            found.push((rank + 3, Found { signature, summary }));
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    let mut found: Vec<Found> = found.into_iter().map(|(_, found)| found).collect();
    found.dedup();
    found
}

fn texts(function: &ScriptFn) -> Vec<&str> {
    let mut texts = vec![function.summary, function.details, function.topic];
    texts.extend(function.params.iter().flat_map(|p| [p.name, p.summary]));
    texts.extend(function.keys.iter().flat_map(|k| [k.name, k.summary]));
    texts.extend(
        function
            .fields
            .iter()
            .flat_map(|(name, summary)| [*name, *summary]),
    );
    texts
}

/// 0 for the name itself, 1 for a part of the name, 2 for the texts.
fn rank(word: &str, name: &str, texts: &[&str]) -> Option<u8> {
    let name = name.to_lowercase();
    if name == word {
        return Some(0);
    }
    if name.contains(word) {
        return Some(1);
    }
    let stands = |text: &&str| text.to_lowercase().contains(word);
    texts.iter().any(stands).then_some(2)
}

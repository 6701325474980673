//! Candidates of completion, made from functions, option keys, files.

use std::path::Path;

use super::builtins::Builtin;
use crate::host::Key;
use crate::host::function::{Form, ScriptFn};

/// One thing that could stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What is inserted.
    pub text: String,
    /// Signature, or the name alone.
    pub label: String,
    /// One sentence, or the value of a variable.
    pub summary: String,
}

impl Candidate {
    pub(super) fn new(
        text: impl Into<String>,
        label: impl Into<String>,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            text: text.into(),
            label: label.into(),
            summary: summary.into(),
        }
    }

    /// A word that stands for itself.
    pub(super) fn word(text: &str) -> Self {
        Self::new(text, text, "")
    }

    pub(super) fn of_function(function: &ScriptFn) -> Self {
        let name = function.name;
        let text = match (function.form, function.arity()) {
            (Form::Property, _) => name.to_string(),
            (_, (_, 0)) => format!("{name}()"),
            _ => format!("{name}("),
        };
        let signature = function.signature();
        let owner = function.receiver.map_or("", |receiver| receiver.name);
        let label = signature.strip_prefix(owner).unwrap_or(&signature);
        Self::new(text, label.trim_start_matches('.'), function.summary)
    }

    /// A function of the language, called as a method: its first parameter stands before the dot.
    pub(super) fn of_builtin(builtin: &Builtin) -> Self {
        let (name, rest) = builtin
            .signature
            .split_once('(')
            .unwrap_or((&builtin.signature, ")"));
        let rest = match rest.split_once(", ") {
            Some((_, rest)) => rest,
            None => rest.find(')').map_or("", |at| &rest[at..]),
        };
        let end = if rest.starts_with(')') { "()" } else { "(" };
        Self::new(
            format!("{name}{end}"),
            format!("{name}({rest}"),
            builtin.summary(),
        )
    }

    pub(super) fn of_key(key: &Key) -> Self {
        let default = match key.default_text() {
            text if text.is_empty() => String::new(),
            text => format!(" = {text}"),
        };
        let label = format!("{}: {}{default}", key.name, key.kind.name());
        Self::new(format!("{}: ", key.name), label, key.summary)
    }
}

/// The entries of `folder` that begin with `start`: folders, and files with one of the endings, or all.
/// A folder with such an ending is a bundle, and closes the string as a file does.
pub(super) fn entries(folder: &Path, start: &str, endings: &[&str]) -> Vec<Candidate> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let ending = |file: &str| {
        endings
            .iter()
            .any(|ending| file.ends_with(&format!(".{ending}")))
    };
    let mut found: Vec<Candidate> = entries
        .flatten()
        .filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            let hidden = file.starts_with('.') && !start.starts_with('.');
            let is_folder = entry.path().is_dir();
            let closes = ending(&file) || (endings.is_empty() && !is_folder);
            if hidden || !file.starts_with(start) || !(closes || is_folder) {
                return None;
            }
            let end = if closes { '"' } else { '/' };
            Some(Candidate::new(format!("{file}{end}"), file, ""))
        })
        .collect();
    found.sort_by(|a, b| a.text.cmp(&b.text));
    found
}

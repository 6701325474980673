//! Candidates of completion, made from functions, option keys, files.

use std::path::Path;

use super::matching::Fit;
use crate::host::Key;
use crate::host::builtins::Builtin;
use crate::host::function::{Form, ScriptFn};

/// What a candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    Variable,
    Function,
    Method,
    Property,
    /// A key of an option map, or of a map.
    Key,
    /// A value of an option.
    Value,
    /// A file or folder.
    File,
    Module,
    Keyword,
}

/// One thing that could stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What is inserted.
    pub text: String,
    /// Signature, or the name alone.
    pub label: String,
    /// One sentence, or the value of a variable.
    pub summary: String,
    pub thing: Thing,
}

impl Candidate {
    pub(super) fn new(
        thing: Thing,
        text: impl Into<String>,
        label: impl Into<String>,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            text: text.into(),
            label: label.into(),
            summary: summary.into(),
            thing,
        }
    }

    /// A word that stands for itself.
    pub(super) fn word(text: &str) -> Self {
        Self::new(Thing::Keyword, text, text, "")
    }

    /// A key of a map with what is known of its value.
    pub(super) fn of_field(name: &str, summary: &str) -> Self {
        Self::new(Thing::Key, name, name, summary)
    }

    /// A key of a map that is being written.
    pub(super) fn of_entry(name: &str, summary: &str) -> Self {
        let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let text = match plain {
            true => format!("{name}: "),
            false => format!("\"{name}\": "),
        };
        Self::new(Thing::Key, text, name, summary)
    }

    /// A string, to be closed where it was opened.
    pub(super) fn quoted(text: &str, open: bool, summary: &str) -> Self {
        let inserted = match open {
            true => format!("{text}\""),
            false => format!("\"{text}\""),
        };
        Self::new(Thing::Value, inserted, text, summary)
    }

    /// A function of a script.
    pub(super) fn of_script(name: &str, params: &[&str], summary: &str) -> Self {
        let end = if params.is_empty() { "()" } else { "(" };
        let label = format!("{name}({})", params.join(", "));
        Self::new(Thing::Function, format!("{name}{end}"), label, summary)
    }

    pub(super) fn of_function(function: &ScriptFn) -> Self {
        let name = function.name;
        let (thing, text) = match (function.form, function.arity()) {
            (Form::Property, _) => (Thing::Property, name.to_string()),
            (_, (_, 0)) => (Thing::Function, format!("{name}()")),
            _ => (Thing::Function, format!("{name}(")),
        };
        let thing = match function.form {
            Form::Method => Thing::Method,
            _ => thing,
        };
        let signature = function.signature();
        let owner = function.receiver.map_or("", |receiver| receiver.name);
        let label = signature.strip_prefix(owner).unwrap_or(&signature);
        Self::new(thing, text, label.trim_start_matches('.'), function.summary)
    }

    /// A function of the language.
    pub(super) fn of_builtin(builtin: &Builtin) -> Self {
        let end = if builtin.arity == 0 { "()" } else { "(" };
        let text = format!("{}{end}", builtin.name);
        Self::new(Thing::Function, text, &builtin.signature, builtin.summary())
    }

    /// A function of the language, called as a method: its first parameter stands before the dot.
    pub(super) fn of_builtin_method(builtin: &Builtin) -> Self {
        if builtin.property {
            let name = &builtin.name;
            return Self::new(Thing::Property, name, name, builtin.summary());
        }
        let (name, rest) = builtin
            .signature
            .split_once('(')
            .unwrap_or((&builtin.signature, ")"));
        let rest = match rest.split_once(", ") {
            Some((_, rest)) => rest,
            None => rest.find(')').map_or("", |at| &rest[at..]),
        };
        let end = if rest.starts_with(')') { "()" } else { "(" };
        let (text, label) = (format!("{name}{end}"), format!("{name}({rest}"));
        Self::new(Thing::Method, text, label, builtin.summary())
    }

    pub(super) fn of_key(key: &Key) -> Self {
        let default = match key.default_text() {
            text if text.is_empty() || text == "()" => String::new(),
            text => format!(" = {text}"),
        };
        let label = format!("{}: {}{default}", key.name, key.kind.name());
        Self::new(Thing::Key, format!("{}: ", key.name), label, key.summary)
    }
}

/// The entries of `folder` that fit what is typed: folders, and files with one of the endings, or all.
/// A folder with such an ending is a bundle, and closes the string as a file does.
pub(super) fn entries(folder: &Path, fit: Fit, hidden: bool, endings: &[&str]) -> Vec<Candidate> {
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
            let seen = hidden || !file.starts_with('.');
            let is_folder = entry.path().is_dir();
            let closes = ending(&file) || (endings.is_empty() && !is_folder);
            if !seen || !fit.fits(&file) || !(closes || is_folder) {
                return None;
            }
            let end = if closes { '"' } else { '/' };
            Some(Candidate::new(
                Thing::File,
                format!("{file}{end}"),
                file,
                "",
            ))
        })
        .collect();
    found.sort_by(|a, b| a.text.cmp(&b.text));
    found
}

//! Help as plain text.

use std::fmt::Write as _;

use super::{Depth, Found};
use crate::host::builtins::Builtin;
use crate::host::function::ScriptFn;
use crate::host::options::Key;

/// The help of one function.
pub(super) fn function(function: &ScriptFn, depth: Depth) -> String {
    let full = depth == Depth::Full;
    let signature = wrapped(&function.signature(), 0, 4);
    let mut text = format!("{signature}{}", wrapped(function.summary, 2, 2).trim_end());
    if full && !function.details.is_empty() {
        let _ = write!(text, "\n\n{}", paragraphs(function.details));
    }
    let params = function
        .params
        .iter()
        .map(|p| (p.name, p.summary.to_string()));
    text += &section("Parameters", params.collect());
    let keys = function.keys.iter().map(|key| (key.name, option(key)));
    text += &section("Options", keys.collect());
    let fields = function
        .fields
        .iter()
        .map(|(name, summary)| (*name, summary.to_string()));
    let of = if function.result == "array" {
        "Each result"
    } else {
        "The result"
    };
    text += &section(of, fields.collect());
    let most = if full { usize::MAX } else { 1 };
    if !function.examples.is_empty() {
        text.push_str(if function.examples.len().min(most) == 1 {
            "\n\nExample:"
        } else {
            "\n\nExamples:"
        });
    }
    for example in function.examples.iter().take(most) {
        let _ = write!(text, "\n  > {}", example.code.replace('\n', "\n  > "));
        if !example.shows.is_empty() {
            let _ = write!(text, "\n  {}", example.shows.replace('\n', "\n  "));
        }
    }
    if !full && (function.examples.len() > 1 || !function.details.is_empty()) {
        let _ = write!(text, "\n\n{}?? tells more.", function.name);
    }
    text
}

/// The sentence of an option with its kind and default.
pub(super) fn option(key: &Key) -> String {
    match key.default_text() {
        text if text.is_empty() => format!("{} ({}, required)", key.summary, key.kind.name()),
        text if text == "()" => format!("{} ({})", key.summary, key.kind.name()),
        text => format!("{} ({}, default {text})", key.summary, key.kind.name()),
    }
}

fn section(title: &str, rows: Vec<(&str, String)>) -> String {
    let Some(width) = rows.iter().map(|(name, _)| name.len()).max() else {
        return String::new();
    };
    let line = |(name, summary): &(&str, String)| {
        let told = wrapped(summary, width + 4, width + 4);
        format!("\n  {name:<width$}  {}", told.trim())
    };
    format!("\n\n{title}:{}", rows.iter().map(line).collect::<String>())
}

/// A function of the language.
pub(crate) fn builtin(builtin: &Builtin) -> String {
    format!(
        "{}\n  {}",
        builtin.signature,
        builtin.text.replace('\n', "\n  ")
    )
}

/// Signatures and sentences, a line each.
pub(super) fn list(functions: &[&ScriptFn]) -> String {
    rows(
        functions
            .iter()
            .map(|f| (f.signature(), f.summary))
            .collect(),
    )
}

pub(super) fn found(found: &[Found]) -> String {
    rows(
        found
            .iter()
            .map(|f| (f.signature.clone(), f.summary.as_str()))
            .collect(),
    )
}

/// Sentences beside their signatures, or below those that are long.
pub(crate) fn rows(rows: Vec<(String, &str)>) -> String {
    const WIDE: usize = 30;
    let lengths = rows.iter().map(|(signature, _)| signature.chars().count());
    let width = lengths.filter(|length| *length <= WIDE).max().unwrap_or(0);
    let row = |(signature, summary): &(String, &str)| {
        let column = width + 4;
        let told = wrapped(summary, column, column);
        match signature.chars().count() <= width {
            true => format!("  {signature:<width$}  {}", told.trim_start()),
            false => wrapped(signature, 2, 6) + told.as_str(),
        }
    };
    let rows: String = rows.iter().map(row).collect();
    format!("\n{}", rows.trim_end_matches('\n'))
}

/// Columns of help texts.
const WIDTH: usize = 80;

/// The text in lines that begin at a column, the first at another.
pub(super) fn wrapped(text: &str, first: usize, column: usize) -> String {
    let mut lines = String::new();
    let mut line = " ".repeat(first);
    for word in text.split(' ') {
        if line.chars().count() + word.chars().count() > WIDTH && !line.trim().is_empty() {
            let _ = writeln!(lines, "{}", line.trim_end());
            line = " ".repeat(column);
        }
        line += &format!("{word} ");
    }
    let _ = writeln!(lines, "{}", line.trim_end());
    lines
}

/// Paragraphs two columns deep.
fn paragraphs(text: &str) -> String {
    let lines = text.lines().map(|line| wrapped(line, 2, 2));
    lines.collect::<String>().trim_end().to_string()
}

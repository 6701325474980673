//! Help out of the registry: one function, one type, one topic, everything.

use std::fmt::Write as _;

use super::function::{Form, ScriptFn};
use super::functions::TOPICS;
use super::registry::Registry;
use crate::diag::{Error, Result};

/// The topics and how to go on.
pub fn overview(registry: &Registry) -> String {
    let mut text = String::from("Topics:\n");
    for topic in TOPICS {
        let _ = writeln!(text, "  {:<12} {}", topic.name, topic.summary);
    }
    let mut names: Vec<&str> = registry
        .functions
        .iter()
        .filter(|f| f.form == Form::Function)
        .map(|f| f.name)
        .collect();
    names.sort_unstable();
    let _ = write!(
        text,
        "\nFunctions: {}\n\nhelp(\"name\") or name? tells about a function, type or topic.",
        names.join(", ")
    );
    text
}

/// What is known of a function, method, type or topic.
///
/// # Errors
/// Nothing has that name; the nearest name is the hint.
pub fn about(registry: &Registry, name: &str) -> Result<String> {
    let name = name.trim().trim_end_matches("()");
    let (owner, member) = match name.split_once('.') {
        Some((owner, member)) => (Some(owner), member),
        None => (None, name),
    };
    let mut found: Vec<String> = registry
        .named(member)
        .filter(|f| owner.is_none_or(|o| f.receiver.is_some_and(|r| r.name == o)))
        .map(function)
        .collect();
    if let Some(entry) = registry.types.iter().find(|t| t.name == name) {
        let members: Vec<&ScriptFn> = registry.members(entry.id).collect();
        found.push(format!(
            "{}: {}\n{}",
            entry.name,
            entry.summary,
            list(&members)
        ));
    }
    if let Some(topic) = TOPICS.iter().find(|t| t.name == name) {
        let of_topic = |f: &&ScriptFn| f.topic == name;
        let members: Vec<&ScriptFn> = registry
            .functions
            .iter()
            .map(|f| &**f)
            .filter(of_topic)
            .collect();
        found.push(format!(
            "Topic {}: {}\n{}",
            topic.name,
            topic.summary,
            list(&members)
        ));
    }
    if !found.is_empty() {
        return Ok(found.join("\n\n"));
    }
    let types = registry.types.iter().map(|t| t.name);
    let topics = TOPICS.iter().map(|t| t.name);
    let known = registry
        .functions
        .iter()
        .map(|f| f.name)
        .chain(types)
        .chain(topics);
    let error = Error::unknown("name", name, known.clone());
    match crate::diag::nearest(name, &known.collect::<Vec<_>>()) {
        Some(_) => Err(error),
        None => Err(error.hint("help() lists what there is")),
    }
}

fn list(functions: &[&ScriptFn]) -> String {
    let width = functions
        .iter()
        .map(|f| f.signature().len())
        .max()
        .unwrap_or(0)
        .min(48);
    let mut text = String::new();
    for function in functions {
        let _ = write!(
            text,
            "\n  {:<width$}  {}",
            function.signature(),
            function.summary
        );
    }
    text
}

/// The whole help of one function.
pub fn function(function: &ScriptFn) -> String {
    let mut text = format!("{}\n  {}", function.signature(), function.summary);
    if !function.details.is_empty() {
        let _ = write!(text, "\n\n  {}", function.details.replace('\n', "\n  "));
    }
    let width = function
        .params
        .iter()
        .map(|p| p.name.len())
        .chain(function.keys.iter().map(|k| k.name.len()))
        .max()
        .unwrap_or(0);
    if !function.params.is_empty() {
        text.push_str("\n\nParameters:");
    }
    for param in &function.params {
        let _ = write!(text, "\n  {:<width$}  {}", param.name, param.summary);
    }
    if function.has_options() {
        text.push_str("\n\nOptions:");
    }
    for key in &function.keys {
        let default = match key.default_text() {
            text if text.is_empty() => "required".to_string(),
            text => format!("{}, default {text}", key.kind.name()),
        };
        let _ = write!(
            text,
            "\n  {:<width$}  {} ({default})",
            key.name, key.summary
        );
    }
    if !function.examples.is_empty() {
        text.push_str("\n\nExamples:");
    }
    for example in &function.examples {
        let _ = write!(text, "\n  > {}", example.code.replace('\n', "\n  > "));
        let _ = write!(text, "\n  {}", example.shows.replace('\n', "\n  "));
    }
    text
}

/// Everything, as Markdown.
pub fn reference(registry: &Registry) -> String {
    let mut text = String::from("# Script functions\n");
    for topic in TOPICS {
        let _ = write!(text, "\n## {}\n\n{}\n", topic.name, topic.summary);
        for entry in registry.functions.iter().filter(|f| f.topic == topic.name) {
            let _ = write!(text, "\n```text\n{}\n```\n", function(entry));
        }
    }
    text
}

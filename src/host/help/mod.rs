//! Help out of the registry: one function, one type, one topic, everything, and the search for words.

mod search;
mod text;

use std::fmt::Write as _;

pub use search::{Found, search};

use super::builtins::Builtin;
use super::function::ScriptFn;
use super::functions::TOPICS;
use super::registry::{Registry, Topic};
use crate::diag::{Error, Result, nearest};

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What a call needs, and one example.
    Short,
    /// All that is known.
    Full,
}

/// The topics, in the order of the help.
pub fn topics() -> &'static [Topic] {
    TOPICS
}

/// The functions and methods of a topic.
pub fn of_topic<'a>(registry: &'a Registry, topic: &str) -> Vec<&'a ScriptFn> {
    let all = registry.functions.iter().map(|f| &**f);
    all.filter(|f| f.topic == topic).collect()
}

/// The topics with their functions, and how to go on.
pub fn overview(registry: &Registry) -> String {
    let mut text = String::new();
    for topic in TOPICS {
        let _ = writeln!(text, "{:<12} {}", topic.name, topic.summary);
        let members = of_topic(registry, topic.name).into_iter();
        let names = members.filter_map(ScriptFn::listed);
        let names: Vec<String> = names.collect();
        text += &text::wrapped(&names.join(" "), 13, 13);
    }
    text + "\nhelp(\"models\") tells about a topic, help(\"load\") or load? about a name, load?? all of it;\n\
            help(\"any word\") looks for a word. %magics lists the commands of the prompt."
}

/// What is known of a function, method, type or topic; of another word, where it is spoken of.
///
/// # Errors
/// Nothing has that name or speaks of it; the nearest name is the hint.
pub fn about(
    registry: &Registry,
    builtins: &[Builtin],
    name: &str,
    depth: Depth,
) -> Result<String> {
    let name = name.trim().trim_end_matches("()");
    let (owner, member) = match name.split_once('.') {
        Some((owner, member)) => (Some(owner).filter(|o| !o.is_empty()), member),
        None => (None, name),
    };
    let mut found: Vec<String> = registry
        .named(member)
        .filter(|f| owner.is_none_or(|o| f.receiver.is_some_and(|r| r.name == o)))
        .map(|f| text::function(f, depth))
        .collect();
    if let Some(entry) = registry.types.iter().find(|t| t.name == name) {
        let members: Vec<&ScriptFn> = registry.members(entry.id).collect();
        found.push(format!(
            "{}: {}\n{}",
            entry.name,
            entry.summary,
            text::list(&members)
        ));
    }
    if let Some(topic) = TOPICS.iter().find(|t| t.name == name) {
        found.push(format!(
            "Topic {}: {}\n{}",
            topic.name,
            topic.summary,
            text::list(&of_topic(registry, name))
        ));
    }
    if found.is_empty() {
        let same = builtins
            .iter()
            .filter(|b| b.name == member && owner.is_none());
        found.extend(same.map(text::builtin));
    }
    match found.is_empty() {
        true => spoken_of(registry, builtins, name),
        false => Ok(found.join("\n\n")),
    }
}

/// Where a word stands that is no name.
fn spoken_of(registry: &Registry, builtins: &[Builtin], word: &str) -> Result<String> {
    let types = registry.types.iter().map(|t| t.name);
    let topics = TOPICS.iter().map(|t| t.name);
    let names = registry.functions.iter().map(|f| f.name);
    let known: Vec<&str> = names.chain(types).chain(topics).collect();
    let found = search(registry, builtins, word);
    match (nearest(word, &known), found.is_empty()) {
        (_, false) => Ok(format!(
            "Nothing is called \"{word}\"; it is spoken of in\n{}",
            text::found(&found)
        )),
        (Some(_), _) => Err(Error::unknown("name", word, known)),
        _ => Err(Error::unknown("name", word, []).hint("help() lists what there is")),
    }
}

/// Where a word stands in the help.
///
/// # Errors
/// Nowhere.
pub fn apropos(registry: &Registry, builtins: &[Builtin], word: &str) -> Result<String> {
    let found = search(registry, builtins, word);
    match found.is_empty() {
        true => {
            Err(Error::new(format!("nothing speaks of \"{word}\""))
                .hint("help() lists what there is"))
        }
        false => Ok(text::found(&found).trim_start_matches('\n').to_string()),
    }
}

/// Everything, as Markdown.
pub fn reference(registry: &Registry) -> String {
    let mut text = String::from("# Script functions\n");
    for topic in TOPICS {
        let _ = write!(text, "\n## {}\n\n{}\n", topic.name, topic.summary);
        for entry in of_topic(registry, topic.name) {
            let _ = write!(
                text,
                "\n```text\n{}\n```\n",
                text::function(entry, Depth::Full)
            );
        }
    }
    text
}

pub(crate) use text::{builtin as builtin_text, rows};

#[cfg(test)]
mod tests;

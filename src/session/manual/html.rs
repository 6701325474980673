//! A page's frame and the entry of a function.

use super::code::{code, sentence};
use super::pages::anchor;
use crate::host::function::ScriptFn;
use crate::host::options::Key;
use crate::host::{Registry, help};
use crate::report::escape;

/// A whole page, with the topics beside it.
pub(super) fn shell(name: &str, body: &str) -> String {
    let link = |topic: &str| {
        let here = if topic == name { " class=here" } else { "" };
        format!("<a href=\"{topic}.html\"{here}>{topic}</a>\n")
    };
    let topics: String = help::topics()
        .iter()
        .map(|topic| link(topic.name))
        .collect();
    let title = if name == "index" { "rlaif-repl" } else { name };
    format!(
        "<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=stylesheet href=style.css>\n\
         <nav>\n<a class=home href=\"index.html\">rlaif-repl</a>\n\
         <input id=search type=search placeholder=\"Search\" aria-label=Search autocomplete=off>\n\
         {topics}{}{}</nav>\n\
         <main>\n<ul id=found hidden></ul>\n{body}</main>\n<script src=search.js></script>\n</html>\n",
        link("language"),
        link("prompt"),
    )
}

/// A function: signature, sentences, what it takes and gives, examples.
pub(super) fn entry(registry: &Registry, function: &ScriptFn) -> String {
    let mut text = format!(
        "<section class=entry id=\"{}\"><h3>{}</h3>\n<p>{}</p>\n",
        escape(&anchor(function)),
        linked(registry, function),
        sentence(function.summary)
    );
    if !function.details.is_empty() {
        text += &format!("<p>{}</p>\n", sentence(function.details));
    }
    let params = function.params.iter().map(|param| {
        let kind = escape(&param.kind.name());
        [name(param.name), kind, sentence(param.summary)]
    });
    text += &table("", params);
    text += &table("Options", function.keys.iter().map(option));
    let fields = function.fields.iter();
    let fields = fields.map(|(key, summary)| [name(key), String::new(), sentence(summary)]);
    let title = if function.result.starts_with("array") {
        "Each result"
    } else {
        "The result"
    };
    text += &table(title, fields);
    for example in &function.examples {
        let shows = match example.shows.is_empty() {
            true => String::new(),
            false => format!("\n<output>{}</output>", escape(example.shows)),
        };
        text += &format!("<pre>{}{shows}</pre>\n", code(example.code));
    }
    text + "</section>\n"
}

fn name(name: &str) -> String {
    format!("<code>{}</code>", escape(name))
}

fn option(key: &Key) -> [String; 3] {
    let default = match key.default_text() {
        text if text.is_empty() => "required".to_string(),
        text if text == "()" => String::new(),
        text => format!("= {text}"),
    };
    let kind = format!("{} {default}", key.kind.name());
    [
        name(key.name),
        escape(kind.trim_end()),
        sentence(key.summary),
    ]
}

/// A table with a heading; nothing without rows.
pub(super) fn table(title: &str, rows: impl Iterator<Item = [String; 3]>) -> String {
    let rows: String = rows
        .map(|[name, kind, text]| format!("<tr><td>{name}<td>{kind}<td>{text}\n"))
        .collect();
    match (rows.is_empty(), title) {
        (true, _) => String::new(),
        (_, "" | "topics") => format!("<table>\n{rows}</table>\n"),
        _ => format!("<h4>{title}</h4>\n<table>\n{rows}</table>\n"),
    }
}

/// The signature, with the names of our types as links.
fn linked(registry: &Registry, function: &ScriptFn) -> String {
    let signature = function.signature();
    let mut html = String::new();
    let mut rest = signature.as_str();
    while !rest.is_empty() {
        let length = rest
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(rest.len());
        let (word, after) = match length {
            0 => rest.split_at(rest.chars().next().map_or(0, char::len_utf8)),
            length => rest.split_at(length),
        };
        html += &match home(registry, word) {
            Some(topic) => format!("<a href=\"{topic}.html#{word}\">{word}</a>"),
            None => escape(word),
        };
        rest = after;
    }
    html
}

/// The topic that a type stands in.
fn home(registry: &Registry, name: &str) -> Option<&'static str> {
    registry.types.iter().find(|entry| entry.name == name)?;
    let mut topics = help::topics().iter();
    let topic = topics.find(|topic| (topic.types)().iter().any(|entry| entry.name == name));
    topic.map(|topic| topic.name)
}

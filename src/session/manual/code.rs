//! Code and sentences as HTML.

use crate::report::escape;
use crate::session::lexer::{Kind, lex};

/// Code with its colours.
pub(super) fn code(text: &str) -> String {
    let paint = |kind: Kind| match kind {
        Kind::Comment => "c",
        Kind::Text => "s",
        Kind::Number => "n",
        Kind::Keyword => "k",
        Kind::Call => "f",
        _ => "",
    };
    let pieces = lex(text).into_iter().map(|token| {
        let piece = escape(&text[token.start..token.end]);
        match paint(token.kind) {
            "" => piece,
            class => format!("<span class={class}>{piece}</span>"),
        }
    });
    pieces.collect()
}

/// A sentence whose `back-ticks` are code.
pub(super) fn sentence(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(at, part)| match at % 2 {
        0 => escape(part),
        _ => format!("<code>{}</code>", escape(part)),
    });
    parts.collect()
}

/// A documentation comment of the language: paragraphs, lists, headings, examples.
pub(super) fn documentation(text: &str) -> String {
    let mut html = String::new();
    let mut example: Vec<&str> = Vec::new();
    for block in text.split("\n\n").map(|block| block.trim_matches('\n')) {
        if is_code(block) {
            example.push(block);
            continue;
        }
        html += &examples(&std::mem::take(&mut example));
        html += &match block.strip_prefix("# ") {
            _ if block.trim().is_empty() => String::new(),
            Some(title) if !title.contains('\n') => format!("<h4>{}</h4>\n", escape(title)),
            _ if block.starts_with("* ") => list(block),
            _ => format!("<p>{}</p>\n", sentence(block)),
        };
    }
    html += &examples(&example);
    html
}

fn examples(blocks: &[&str]) -> String {
    match blocks {
        [] => String::new(),
        blocks => format!("<pre>{}</pre>\n", code(&blocks.join("\n\n"))),
    }
}

fn list(block: &str) -> String {
    let items = block.split("* ").skip(1);
    let items: String = items
        .map(|item| format!("<li>{}\n", sentence(item.trim())))
        .collect();
    format!("<ul>{items}</ul>\n")
}

fn is_code(block: &str) -> bool {
    let first = block.lines().next().unwrap_or("");
    let word = first.split(|c: char| !c.is_alphanumeric()).next();
    matches!(word, Some("let" | "print" | "for" | "if" | "fn" | "const"))
        || first.starts_with("//")
        || first.trim_end().ends_with([';', '{'])
}

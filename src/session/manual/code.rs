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

/// A documentation comment of the language: paragraphs, headings, indented examples.
pub(super) fn documentation(text: &str) -> String {
    let mut html = String::new();
    for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let block = block.trim_matches('\n');
        html += &match block.strip_prefix("# ") {
            Some(title) if !title.contains('\n') => format!("<h4>{}</h4>\n", escape(title)),
            _ if is_code(block) => format!("<pre>{}</pre>\n", code(block)),
            _ => format!("<p>{}</p>\n", sentence(block)),
        };
    }
    html
}

fn is_code(block: &str) -> bool {
    let first = block.lines().next().unwrap_or("");
    let word = first.split(|c: char| !c.is_alphanumeric()).next();
    matches!(word, Some("let" | "print" | "for" | "if" | "fn" | "const"))
        || first.starts_with("//")
        || first.trim_end().ends_with([';', '{'])
}

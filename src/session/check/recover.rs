//! Parsing on after an error: the statement that has it is left out.

use rhai::{AST, Engine, ParseError};

use crate::session::completeness::offset;
use crate::session::lexer::{Kind, Token, significant};

/// Errors told at most.
const MOST: usize = 20;

/// The tree of what parses, and the code with the rest as spaces; each error is told.
pub(super) fn compile(
    engine: &Engine,
    code: &str,
    mut tell: impl FnMut(&ParseError),
) -> (Option<AST>, String) {
    let mut kept = code.to_string();
    for _ in 0..MOST {
        let error = match engine.compile(&kept) {
            Ok(ast) => return (Some(ast), kept),
            Err(error) => error,
        };
        tell(&error);
        let Some((start, end)) = statement(&kept, offset(&kept, error.position())) else {
            break;
        };
        let blank: String = kept[start..end]
            .chars()
            .map(|c| if c == '\n' { c } else { ' ' })
            .collect();
        kept.replace_range(start..end, &blank);
    }
    (None, kept)
}

/// The bytes of the statement outside of all brackets that holds a byte; nothing where no end is known.
fn statement(code: &str, byte: usize) -> Option<(usize, usize)> {
    let tokens = significant(code);
    let word = |token: &Token| &code[token.start..token.end];
    let (mut start, mut depth) = (None, 0_usize);
    for (at, token) in tokens.iter().enumerate() {
        start = start.or(Some(token.start));
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close if depth == 0 => return Some((start?, token.end)),
            Kind::Close => depth -= 1,
            _ => {}
        }
        let next = tokens.get(at + 1).map_or("", word);
        let block = word(token) == "}" && begins(next);
        if depth == 0 && (word(token) == ";" || block) {
            // A missing `;` is told where the next statement begins.
            if byte < token.end {
                return Some((start?, token.end));
            }
            start = None;
        }
    }
    // The end of the code: nothing follows that could be looked at.
    start
        .filter(|start| *start <= byte && depth == 0)
        .map(|start| (start, code.len()))
}

/// Whether a statement can begin so after a block.
fn begins(word: &str) -> bool {
    let first = word.chars().next();
    let name = first.is_none_or(|c| c.is_alphanumeric() || matches!(c, '_' | '{' | '"'));
    name && !matches!(word, "else" | "catch" | "while" | "until" | "in" | "as")
}

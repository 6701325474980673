//! `a.b(c)[0].d`: the chain of names, calls and brackets at the end of some tokens, read backwards, so that it
//! can be told of code that is still being typed.

use super::lexer::{Kind, Token};

/// What a chain starts with, and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain<'a> {
    pub root: Root<'a>,
    pub steps: Vec<Step<'a>>,
    /// The index of the chain's first token.
    pub start: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Root<'a> {
    Name(&'a str),
    /// `name(..)`
    Call(&'a str),
    /// `alias::name(..)`
    Of(&'a str, &'a str),
    Text,
    Number(&'a str),
    Bool,
    Array,
    /// The index of its `#{`.
    Map(usize),
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// `.name` or `["name"]`
    Member(&'a str),
    /// `.name(..)`
    Method(&'a str),
    /// `[..]`
    Element,
}

/// The chain that ends with `tokens`, which hold neither space nor comments.
pub(super) fn chain<'a>(text: &'a str, tokens: &[Token]) -> Chain<'a> {
    let mut steps = Vec::new();
    let mut rest = tokens;
    let (root, start) = loop {
        match piece(text, rest) {
            Piece::Step(step, left) => {
                steps.push(step);
                rest = &rest[..left];
            }
            Piece::Root(root, start) => break (root, start),
        }
    };
    steps.reverse();
    Chain { root, steps, start }
}

enum Piece<'a> {
    /// A step, and how many tokens stand before it.
    Step(Step<'a>, usize),
    /// The start, and the index of its first token.
    Root(Root<'a>, usize),
}

fn piece<'a>(text: &'a str, tokens: &[Token]) -> Piece<'a> {
    let word = |token: &Token| &text[token.start..token.end];
    let Some((last, head)) = tokens.split_last() else {
        return Piece::Root(Root::Unknown, 0);
    };
    let after_dot = dots(text, head);
    match last.kind {
        Kind::Text => Piece::Root(Root::Text, head.len()),
        Kind::Number => Piece::Root(Root::Number(word(last)), head.len()),
        Kind::Keyword if matches!(word(last), "true" | "false") => {
            Piece::Root(Root::Bool, head.len())
        }
        Kind::Name if after_dot > 0 => {
            Piece::Step(Step::Member(word(last)), head.len() - after_dot)
        }
        Kind::Name => Piece::Root(Root::Name(word(last)), head.len()),
        Kind::Close => match matching_open(tokens) {
            Some(open) => bracketed(text, tokens, open),
            None => Piece::Root(Root::Unknown, head.len()),
        },
        _ => Piece::Root(Root::Unknown, head.len()),
    }
}

/// A piece that the last token closes.
fn bracketed<'a>(text: &'a str, tokens: &[Token], open: usize) -> Piece<'a> {
    let word = |token: &Token| &text[token.start..token.end];
    let head = &tokens[..open];
    let inner = &tokens[open + 1..tokens.len() - 1];
    match (word(&tokens[open]), head.split_last()) {
        ("(", Some((name, before))) if name.kind == Kind::Call => {
            let after_dot = dots(text, before);
            match (after_dot, before) {
                (1.., _) => Piece::Step(Step::Method(word(name)), before.len() - after_dot),
                (_, [.., alias, a, b]) if word(a) == ":" && word(b) == ":" => {
                    Piece::Root(Root::Of(word(alias), word(name)), before.len() - 3)
                }
                _ => Piece::Root(Root::Call(word(name)), before.len()),
            }
        }
        ("[", Some((owner, _)))
            if matches!(owner.kind, Kind::Name | Kind::Close | Kind::Text)
                && word(owner) != "}" =>
        {
            let step = match inner {
                [key] if key.kind == Kind::Text => Step::Member(word(key).trim_matches('"')),
                _ => Step::Element,
            };
            Piece::Step(step, head.len())
        }
        ("[", _) => Piece::Root(Root::Array, open),
        ("#{", _) => Piece::Root(Root::Map(open), open),
        ("(", _) => within(text, inner, open),
        _ => Piece::Root(Root::Unknown, open),
    }
}

/// A value in brackets of its own.
fn within<'a>(text: &'a str, inner: &[Token], open: usize) -> Piece<'a> {
    let found = chain(text, inner);
    match found.start == 0 && found.steps.is_empty() {
        true => Piece::Root(found.root, open),
        false => Piece::Root(Root::Unknown, open),
    }
}

/// How many tokens at the end are the dot of a member: `.`, or the two of `?.`; a range's dots are none.
pub(super) fn dots(text: &str, tokens: &[Token]) -> usize {
    let word = |token: &Token| &text[token.start..token.end];
    match tokens {
        [.., a, b] if word(b) == "." && word(a) == "." => 0,
        [.., a, b] if word(b) == "." && word(a) == "?" => 2,
        [.., b] if word(b) == "." => 1,
        _ => 0,
    }
}

/// The bracket that the last token closes.
fn matching_open(tokens: &[Token]) -> Option<usize> {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().rev() {
        match token.kind {
            Kind::Close => depth += 1,
            Kind::Open if depth == 1 => return Some(at),
            Kind::Open => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::lexer::significant;
    use super::*;

    #[test]
    fn chains_are_read_backwards() {
        let check = |text: &str, expected: &str| {
            let found = chain(text, &significant(text));
            let steps: String = found
                .steps
                .iter()
                .map(|step| format!(" {step:?}"))
                .collect();
            assert_eq!(format!("{:?}{steps}", found.root), expected, "{text}");
        };
        check("a", "Name(\"a\")");
        check("1 + a.b", "Name(\"a\") Member(\"b\")");
        check("load(\"x\")", "Call(\"load\")");
        check("a.b[0]", "Name(\"a\") Member(\"b\") Element");
        check("a[\"b\"].c", "Name(\"a\") Member(\"b\") Member(\"c\")");
        check("\"x\"", "Text");
        check("[1, 2]", "Array");
        check(
            "f(x).y.g(1)[i]",
            "Call(\"f\") Member(\"y\") Method(\"g\") Element",
        );
        check("m::f(1)?.a", "Of(\"m\", \"f\") Member(\"a\")");
        check("0..a", "Name(\"a\")");
        check("let x = (\"a\")", "Text");
        check("#{a: 1}", "Map(0)");
        check("(a + b)", "Unknown");
        check("", "Unknown");
    }
}

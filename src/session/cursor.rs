//! What surrounds the cursor: the call it is in, the option map, the thing before a dot.

use super::lexer::{Kind, Token};

/// A call whose brackets are still open at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenCall<'a> {
    pub name: &'a str,
    /// The index of the name's token.
    pub at: usize,
    /// Which argument the cursor is in, counted from 0.
    pub argument: usize,
    /// Inside an option map: where in it.
    pub map: Option<InMap<'a>>,
}

/// A place in a map literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InMap<'a> {
    /// The key whose value is being written; nothing where a key comes next.
    pub key: Option<&'a str>,
}

enum Open<'a> {
    Call { at: usize, argument: usize },
    Map(InMap<'a>),
    Other,
}

/// The innermost call that `tokens` leave open.
pub(super) fn open_call<'a>(text: &'a str, tokens: &[Token]) -> Option<OpenCall<'a>> {
    let mut stack: Vec<Open> = Vec::new();
    let mut before: Option<(usize, &Token)> = None;
    for (at, token) in tokens.iter().enumerate() {
        let word = &text[token.start..token.end];
        match (token.kind, word) {
            (Kind::Space | Kind::Comment, _) => continue,
            (Kind::Open, "(") => stack.push(match before {
                Some((at, name)) if name.kind == Kind::Call => Open::Call { at, argument: 0 },
                _ => Open::Other,
            }),
            (Kind::Open, "#{") => stack.push(Open::Map(InMap { key: None })),
            (Kind::Open, _) => stack.push(Open::Other),
            (Kind::Close, _) => drop(stack.pop()),
            (Kind::Operator, ",") => match stack.last_mut() {
                Some(Open::Call { argument, .. }) => *argument += 1,
                Some(Open::Map(map)) => map.key = None,
                _ => {}
            },
            (Kind::Operator, ":") => {
                if let (Some(Open::Map(map)), Some((_, name))) = (stack.last_mut(), before) {
                    map.key = Some(text[name.start..name.end].trim_matches('"'));
                }
            }
            _ => {}
        }
        before = Some((at, token));
    }
    innermost(text, tokens, &stack)
}

fn innermost<'a>(text: &'a str, tokens: &[Token], stack: &[Open<'a>]) -> Option<OpenCall<'a>> {
    let call = |map| match stack.iter().rev().nth(usize::from(Option::is_some(&map))) {
        Some(Open::Call { at, argument }) => {
            let token = tokens[*at];
            Some(OpenCall {
                name: &text[token.start..token.end],
                at: *at,
                argument: *argument,
                map,
            })
        }
        _ => None,
    };
    match stack.last()? {
        Open::Map(map) => call(Some(*map)),
        _ => call(None),
    }
}

/// What stands before a dot, as far as the text alone tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Before<'a> {
    /// `a.b.`: names from the outermost on.
    Path(Vec<&'a str>),
    /// `name(..).`
    Call(&'a str),
    /// `a[..].`
    Element(Vec<&'a str>),
    Text,
    Array,
    Map,
    Unknown,
}

/// What stands before the dot, `tokens` ending just before it.
pub(super) fn before_dot<'a>(text: &'a str, tokens: &[Token]) -> Before<'a> {
    let word = |token: &Token| &text[token.start..token.end];
    let Some(last) = tokens.last() else {
        return Before::Unknown;
    };
    match last.kind {
        Kind::Text => Before::Text,
        Kind::Name => Before::Path(path(text, tokens)),
        Kind::Close => {
            let Some(open) = matching_open(tokens) else {
                return Before::Unknown;
            };
            let head = &tokens[..open];
            match (word(&tokens[open]), head.last()) {
                ("(", Some(name)) if name.kind == Kind::Call => Before::Call(word(name)),
                ("[", Some(name)) if name.kind == Kind::Name => Before::Element(path(text, head)),
                ("[", Some(value)) if matches!(value.kind, Kind::Close | Kind::Text) => {
                    Before::Unknown
                }
                ("[", _) => Before::Array,
                ("#{", _) => Before::Map,
                _ => Before::Unknown,
            }
        }
        _ => Before::Unknown,
    }
}

/// The names of `a.b.c` at the end of `tokens`; empty if something else starts it.
fn path<'a>(text: &'a str, tokens: &[Token]) -> Vec<&'a str> {
    let mut names = Vec::new();
    let mut rest = tokens;
    while let [head @ .., name] = rest
        && name.kind == Kind::Name
    {
        names.push(&text[name.start..name.end]);
        rest = match head {
            [more @ .., dot] if &text[dot.start..dot.end] == "." => more,
            _ => {
                names.reverse();
                return names;
            }
        };
    }
    Vec::new()
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
    use super::super::lexer::lex;
    use super::*;

    #[test]
    fn the_open_call_is_found() {
        let check = |text: &str, expected: &str| {
            let call = open_call(text, &lex(text));
            let shown = call.map_or("none".into(), |call| {
                let map = call
                    .map
                    .map_or(String::new(), |map| format!(" map {:?}", map.key));
                format!("{} {}{map}", call.name, call.argument)
            });
            assert_eq!(shown, expected, "{text}");
        };
        check("f(", "f 0");
        check("f(1, g(2), ", "f 2");
        check("f(1, g(2", "g 0");
        check("f(x, #{", "f 1 map None");
        check("f(x, #{a: ", "f 1 map Some(\"a\")");
        check("f(x, #{a: 1, ", "f 1 map None");
        check("f(x, #{a: 1}", "f 1");
        check("f(1)", "none");
        check("f((1, ", "none");
        check("f(\"(\", ", "f 1");
    }

    #[test]
    fn what_stands_before_a_dot() {
        let check = |text: &str, expected: Before| {
            assert_eq!(before_dot(text, &lex(text)), expected, "{text}")
        };
        check("a", Before::Path(vec!["a"]));
        check("1 + a.b", Before::Path(vec!["a", "b"]));
        check("load(\"x\")", Before::Call("load"));
        check("a.b[0]", Before::Element(vec!["a", "b"]));
        check("\"x\"", Before::Text);
        check("[1, 2]", Before::Array);
        check("f(x).y", Before::Path(vec![]));
    }
}

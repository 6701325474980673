//! What surrounds the cursor: the call it is in, the option map.

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct InMap<'a> {
    /// The key whose value is being written; nothing where a key comes next.
    pub key: Option<&'a str>,
    /// The keys before it.
    pub given: Vec<&'a str>,
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
            (Kind::Open, "#{") => stack.push(Open::Map(InMap::default())),
            (Kind::Open, _) => stack.push(Open::Other),
            (Kind::Close, _) => drop(stack.pop()),
            (Kind::Operator, ",") => match stack.last_mut() {
                Some(Open::Call { argument, .. }) => *argument += 1,
                Some(Open::Map(map)) => map.given.extend(map.key.take()),
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

/// The innermost bracket that `tokens` leave open.
pub(super) fn open_bracket(tokens: &[Token]) -> Option<usize> {
    let mut closed = 0_usize;
    tokens.iter().rposition(|token| match token.kind {
        Kind::Close => {
            closed += 1;
            false
        }
        Kind::Open if closed == 0 => true,
        Kind::Open => {
            closed -= 1;
            false
        }
        _ => false,
    })
}

fn innermost<'a>(text: &'a str, tokens: &[Token], stack: &[Open<'a>]) -> Option<OpenCall<'a>> {
    let call = |map: Option<InMap<'a>>| match stack.iter().rev().nth(usize::from(map.is_some())) {
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
        Open::Map(map) => call(Some(map.clone())),
        _ => call(None),
    }
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
}

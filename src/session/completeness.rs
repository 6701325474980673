//! Is the input finished? The compiler knows: an error at the end of the input means "not yet".

use rhai::{Engine, ParseErrorType, Position};

use super::lexer::{Kind, Token, lex};
use super::magic;
use super::underscore;

/// A verdict on input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    Complete,
    Incomplete,
    /// More input can't repair it.
    Invalid,
}

/// Tells finished input from unfinished; knows no variables, so it can be shared with an editor.
pub struct Checker {
    engine: Engine,
}

impl Checker {
    pub fn new() -> Self {
        let mut engine = Engine::new();
        engine.set_max_expr_depths(128, 64);
        Self { engine }
    }

    /// The verdict on what a prompt reads: magics are finished by their own rules.
    pub fn check_input(&self, text: &str) -> Completeness {
        magic::completeness(text, self)
    }

    /// The verdict on script.
    pub fn check(&self, code: &str) -> Completeness {
        let tokens = lex(code);
        let significant = |token: &&Token| !matches!(token.kind, Kind::Space | Kind::Comment);
        let last = tokens.iter().rfind(significant);
        if let Some(open) = tokens.iter().find(|token| token.open) {
            return unfinished(&code[open.start..open.end], open.end == code.len());
        }
        let Some(last) = last else {
            let doc = tokens
                .iter()
                .any(|token| code[token.start..].starts_with("///"));
            return if doc {
                Completeness::Incomplete
            } else {
                Completeness::Complete
            };
        };
        let after = &code[last.end..];
        if after.trim_start().starts_with("///") {
            return Completeness::Incomplete;
        }
        let compiled = self.engine.compile(underscore::rename(code, |_| false).0);
        match compiled {
            Ok(_) => Completeness::Complete,
            Err(error) if *error.err_type() == ParseErrorType::UnexpectedEOF => {
                Completeness::Incomplete
            }
            Err(error) if offset(code, error.position()) >= last.end => Completeness::Incomplete,
            Err(_) => Completeness::Invalid,
        }
    }
}

impl Default for Checker {
    fn default() -> Self {
        Self::new()
    }
}

/// For each line of the code, whether a bracket, text or comment is open at its end: no statement ends there.
pub fn lines_left_open(code: &str) -> Vec<bool> {
    let mut lines = Vec::new();
    let mut depth = 0_usize;
    for token in lex(code) {
        let inside = matches!(token.kind, Kind::Text | Kind::Comment);
        let breaks = code[token.start..token.end].matches('\n').count();
        lines.extend(std::iter::repeat_n(inside || depth > 0, breaks));
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    lines.push(depth > 0);
    lines
}

/// What an open comment or text means. A plain string ends with its line unless a `\` continues it.
fn unfinished(open: &str, at_end: bool) -> Completeness {
    let plain = open.starts_with(['"', '\'']);
    match plain && !(at_end && open.trim_end_matches('\n').ends_with('\\')) {
        true => Completeness::Invalid,
        false => Completeness::Incomplete,
    }
}

/// The byte at a line and column; past the end for no position.
pub fn offset(code: &str, position: Position) -> usize {
    let (Some(line), column) = (position.line(), position.position().unwrap_or(1)) else {
        return code.len();
    };
    let start: usize = code
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let rest = code.get(start..).unwrap_or("");
    let within = rest
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(rest.len(), |(at, _)| at);
    start + within
}

#[cfg(test)]
mod tests {
    use super::Completeness::{self, Complete, Incomplete, Invalid};
    use super::*;

    #[test]
    fn lines_end_inside_of_something() {
        let check =
            |code: &str, expected: &[bool]| assert_eq!(lines_left_open(code), expected, "{code:?}");
        check("a\nb", &[false, false]);
        check("f(\n1\n)\nx", &[true, true, false, false]);
        check("`a\n${b}\nc`;\n", &[true, true, false, false]);
        check("/* a\n */ b // {\n#{\n", &[true, false, true, true]);
    }

    #[test]
    fn verdicts() {
        let checker = Checker::new();
        let check = |code: &str, expected: Completeness| {
            assert_eq!(checker.check(code), expected, "{code:?}")
        };
        for code in [
            "",
            "  ",
            "1 + 1",
            "let x = 1;",
            "x",
            "undefined(1)",
            "// comment",
            "/* c */",
            "fn f(x) { x }",
            "if a { 1 } else { 2 }",
            "`a${1}b`",
            "\"a\"",
            "switch x { 1 => 2, _ => 3 }",
            "_ + _3 + __",
            "#{a: 1}",
            "[1, 2,]",
            "x.y",
            "for i in 0..n { print(i) }",
            "let f = |x| x + 1",
            "|_x| 1",
        ] {
            check(code, Complete);
        }
        for code in [
            "1 +",
            "let x =",
            "(",
            "[1,",
            "#{",
            "#{a: ",
            "f(",
            "f(1,",
            "fn f",
            "fn f(x)",
            "fn f(x) {",
            "if a",
            "if a {",
            "if a { 1 } else",
            "while true {",
            "for i in 0..n {",
            "`open",
            "`a${",
            "`a${1}",
            "#\"raw",
            "/* open",
            "\"a\\\n",
            "/// doc",
            "1; /// doc",
            "x.",
            "switch x {",
            "import",
            "try { 1 }",
            "{ let y = 1;",
            "a &&",
            "!",
            "-",
        ] {
            check(code, Incomplete);
        }
        for code in [
            ")",
            "1 +) 2",
            "let 1 = 2",
            "\"open",
            "\"open\nnext",
            "fn (x) { }",
            "a b c",
            "let x = ;",
        ] {
            check(code, Invalid);
        }
    }
}

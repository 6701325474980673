//! `_`, `__`, `_3`: earlier results. The language keeps these words for itself, so they get names of the same
//! length before the compiler sees them; the `_ =>` of a `switch` stays what it is.

use super::lexer::{Kind, lex};

/// One such word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub name: String,
    /// What the compiler sees in its place.
    pub alias: String,
    pub line: usize,
    pub column: usize,
    start: usize,
}

/// The code with each word replaced by its alias, every position kept, and the words.
/// Aliases are names that neither the code has nor are `taken`.
pub(super) fn rename(code: &str, taken: impl Fn(&str) -> bool) -> (String, Vec<Word>) {
    let mut words = words(code);
    let used: Vec<&str> = lex(code)
        .iter()
        .map(|token| &code[token.start..token.end])
        .collect();
    let free = |alias: &str| !used.contains(&alias) && !taken(alias);
    let mut renamed = code.to_string();
    for word in &mut words {
        let tail = &word.name[1..];
        let alias = ('A'..='Z')
            .rev()
            .map(|letter| format!("{letter}{tail}"))
            .find(|alias| free(alias));
        if let Some(alias) = alias {
            renamed.replace_range(word.start..word.start + alias.len(), &alias);
            word.alias = alias;
        }
    }
    (renamed, words)
}

/// The words `_`, `__`, `___`, `_1` … of some code.
fn words(code: &str) -> Vec<Word> {
    let tokens: Vec<_> = lex(code)
        .into_iter()
        .filter(|t| !matches!(t.kind, Kind::Space | Kind::Comment))
        .collect();
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let name = &code[token.start..token.end];
        let next = tokens.get(at + 1).map_or("", |next| &code[next.start..]);
        let arm = name == "_" && (next.starts_with("=>") || next.starts_with("if "));
        if token.kind != Kind::Name || !is_result(name) || arm {
            continue;
        }
        let before = &code[..token.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        found.push(Word {
            name: name.to_string(),
            alias: name.to_string(),
            start: token.start,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        });
    }
    found
}

/// `_`, `__`, `___` or `_` and a number.
fn is_result(name: &str) -> bool {
    let Some(rest) = name.strip_prefix('_') else {
        return false;
    };
    matches!(rest, "" | "_" | "__") || rest.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_outside_switch_arms() {
        let names = |code| words(code).into_iter().map(|w| w.name).collect::<Vec<_>>();
        assert_eq!(names("_ + __ * _12 - _x + a_1"), ["_", "__", "_12"]);
        assert_eq!(
            names("switch _ { 1 => _2, _ => 0, _ if x => \"_\" }"),
            ["_", "_2"]
        );
        let word = &words("1;\n  é + _")[0];
        assert_eq!((word.line, word.column), (2, 7));
    }

    #[test]
    fn aliases_are_free_and_as_long() {
        let check = |code, expected: &str| assert_eq!(rename(code, |name| name == "Y").0, expected);
        check("_ + Z * _3", "X + Z * Z3");
        check("__[0] - _ -1", "Z_[0] - Z -1");
        check("a", "a");
    }
}

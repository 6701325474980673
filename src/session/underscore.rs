//! `_`, `__`, `_3`: earlier results. The language keeps these words for itself, so they get names of the same
//! length before the compiler sees them; the `_ =>` of a `switch` stays what it is.

use std::collections::{BTreeMap, BTreeSet};

use super::lexer::{Kind, lex, significant};

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
    if words.is_empty() {
        return (code.into(), words);
    }
    let pieces = lex(code).into_iter();
    let used: BTreeSet<&str> = pieces.map(|token| &code[token.start..token.end]).collect();
    let free = |alias: &String| !used.contains(alias.as_str()) && !taken(alias);
    let mut aliases: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut renamed = String::with_capacity(code.len());
    for word in &mut words {
        let alias = aliases.entry(word.name.clone()).or_insert_with(|| {
            let tail = &word.name[1..];
            let letters = ('A'..='Z').rev();
            letters.map(|letter| format!("{letter}{tail}")).find(free)
        });
        word.alias = alias.clone().unwrap_or_else(|| word.name.clone());
        renamed += &code[renamed.len()..word.start];
        renamed += &word.alias;
    }
    renamed += &code[renamed.len()..];
    (renamed, words)
}

/// The code with each word replaced by what `by` says.
pub(super) fn replaced(code: &str, by: impl Fn(&str) -> String) -> String {
    let mut text = code.to_string();
    for word in words(code).iter().rev() {
        text.replace_range(word.start..word.start + word.name.len(), &by(&word.name));
    }
    text
}

/// The words `_`, `__`, `___`, `_1` … of some code.
fn words(code: &str) -> Vec<Word> {
    let tokens = significant(code);
    let mut found = Vec::new();
    let (mut line, mut line_start, mut counted) = (1, 0, 0);
    for (at, token) in tokens.iter().enumerate() {
        let name = &code[token.start..token.end];
        let next = tokens.get(at + 1).map_or("", |next| &code[next.start..]);
        let arm = name == "_" && (next.starts_with("=>") || next.starts_with("if "));
        if token.kind != Kind::Name || !is_result(name) || arm {
            continue;
        }
        let between = &code[counted..token.start];
        line += between.matches('\n').count();
        line_start = between
            .rfind('\n')
            .map_or(line_start, |at| counted + at + 1);
        counted = token.start;
        found.push(Word {
            name: name.to_string(),
            alias: name.to_string(),
            start: token.start,
            line,
            column: code[line_start..token.start].chars().count() + 1,
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

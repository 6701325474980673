//! The least part of a session that makes a value, as a script.

use std::collections::BTreeSet;

use super::journal::Entry;
use super::lexer::{Kind, ends_quietly, lex};
use super::underscore;
use crate::diag::{Error, Result};

/// What entries read and make besides names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Name(String),
    /// The session's random stream.
    Random,
    /// What students and trainers have learned.
    Trained,
    /// The result of a cell.
    Result(usize),
}

/// The entries that the value of `name` needs, in order.
///
/// # Errors
/// Nothing in the session has made it.
pub(super) fn slice(entries: &[Entry], name: &str) -> Result<Vec<usize>> {
    let Some(last) = entries.iter().rposition(|entry| entry.changes(name)) else {
        return Err(Error::new(format!("no cell has made {name}")));
    };
    Ok(walk(&entries[..=last], name).into_iter().collect())
}

/// Backwards from the end: what makes a name that is needed, and then what that reads.
fn walk(entries: &[Entry], name: &str) -> BTreeSet<usize> {
    let mut needs = BTreeSet::from([Need::Name(name.to_string())]);
    let mut found = BTreeSet::new();
    for (at, entry) in entries.iter().enumerate().rev() {
        let fits = |need: &Need| match need {
            Need::Name(name) => entry.changes(name),
            Need::Random => entry.drew,
            Need::Trained => entry.trained,
            Need::Result(cell) => entry.cell == Some(*cell),
        };
        if !needs.iter().any(fits) {
            continue;
        }
        found.insert(at);
        for made in &entry.uses.defines {
            needs.remove(&Need::Name(made.clone()));
        }
        for made in &entry.uses.functions {
            if replaces(entry, made, &entries[..at]) {
                needs.remove(&Need::Name(made.clone()));
            }
        }
        needs.extend(reached(entries, at).into_iter().map(Need::Name));
        needs.extend(entry.results.iter().map(|(_, cell)| Need::Result(*cell)));
        needs.extend(entry.drew.then_some(Need::Random));
        needs.extend(entry.trained.then_some(Need::Trained));
    }
    found
}

/// Whether the entry defines the function with every number of parameters that it had before.
fn replaces(entry: &Entry, name: &str, before: &[Entry]) -> bool {
    let mut earlier = before.iter().flat_map(|entry| &entry.uses.signatures);
    earlier.all(|known| known.0 != name || entry.uses.signatures.contains(known))
}

/// The names that an entry reads, and those that the functions and closures among them look up when it calls them.
fn reached(entries: &[Entry], at: usize) -> BTreeSet<String> {
    let mut found = entries[at].uses.reads.clone();
    let mut open: Vec<String> = found.iter().cloned().collect();
    while let Some(name) = open.pop() {
        let makers = entries[..at]
            .iter()
            .rev()
            .filter(|entry| entry.changes(&name));
        for maker in makers.filter(|entry| entry.uses.code) {
            for later in &maker.uses.later {
                if found.insert(later.clone()) {
                    open.push(later.clone());
                }
            }
        }
    }
    found
}

/// A function that a script can't define twice: the older one gets another name, in the entries of its time.
fn versions(entries: &[Entry], slice: &[usize]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for (place, at) in slice.iter().enumerate() {
        for signature in &entries[*at].uses.signatures {
            let defines = |at: &&usize| entries[**at].uses.signatures.contains(signature);
            if let Some(next) = slice[place + 1..].iter().find(defines) {
                found.push((signature.0.clone(), *at, *next));
            }
        }
    }
    found
}

/// The code with the functions of its time under their own names.
fn renamed(code: &str, at: usize, versions: &[(String, usize, usize)]) -> String {
    let mut text = code.to_string();
    for token in lex(code).iter().rev() {
        let word = &code[token.start..token.end];
        let fits = |version: &&(String, usize, usize)| {
            version.0 == word && (version.1..version.2).contains(&at)
        };
        let named = matches!(token.kind, Kind::Name | Kind::Call);
        if let Some((name, first, _)) = versions.iter().find(fits).filter(|_| named) {
            text.replace_range(token.start..token.end, &format!("{name}_{}", first + 1));
        }
    }
    text
}

/// The arguments that a script of some entries needs to run as they did.
///
/// # Errors
/// They ran with different ones.
pub(super) fn arguments<'a>(entries: &'a [Entry], slice: &[usize]) -> Result<&'a [String]> {
    let mut read = slice.iter().filter_map(|at| {
        let entry = &entries[*at];
        Some((entry.source.as_str(), entry.args.as_deref()?))
    });
    let Some((source, args)) = read.next() else {
        return Ok(&[]);
    };
    match read.find(|(_, other)| *other != args) {
        Some((other, _)) => Err(Error::new(format!(
            "{source} and {other} ran with different arguments, and a script has one set of them"
        ))
        .hint("run both with all of the arguments")),
        None => Ok(args),
    }
}

/// The script of some entries: each as it was typed, earlier results under names of their own.
///
/// # Errors
/// An entry can't stand in a script.
pub(super) fn script(entries: &[Entry], slice: &[usize]) -> Result<String> {
    let named: BTreeSet<usize> = slice
        .iter()
        .flat_map(|at| entries[*at].results.iter().map(|(_, cell)| *cell))
        .collect();
    let versions = versions(entries, slice);
    let mut text = String::new();
    for at in slice {
        let entry = &entries[*at];
        for word in ["In", "Out"] {
            if entry.uses.reads.contains(word) {
                return Err(Error::new(format!("{} reads {word}", entry.source))
                    .hint("give the earlier result a name, or write it as _3"));
            }
        }
        let cell_of = |name: &str| {
            let found = entry.results.iter().find(|(word, _)| word == name);
            found.map_or(String::new(), |(_, cell)| format!("out_{cell}"))
        };
        let code = underscore::replaced(&renamed(&entry.code, *at, &versions), cell_of);
        text += &match entry.cell.filter(|cell| named.contains(cell)) {
            Some(cell) => result(entry, cell, &code)?,
            None => ended(&code),
        };
    }
    Ok(text)
}

/// A cell whose result is read later.
fn result(entry: &Entry, cell: usize, code: &str) -> Result<String> {
    if !entry.uses.defines.is_empty() || !entry.uses.functions.is_empty() {
        return Err(Error::new(format!(
            "cell {cell} declares names, and its result is read by a later cell"
        ))
        .hint("give the result a name of its own"));
    }
    let code = code.trim_end();
    let body = match ends_quietly(code) || code.contains([';', '\n']) {
        true => format!("{{ {} }}", code.trim_end_matches(';')),
        false => code.to_string(),
    };
    Ok(format!("let out_{cell} = {body};\n"))
}

/// A cell as a line of a script: with an end.
pub(super) fn ended(code: &str) -> String {
    let code = code.trim_end();
    let tokens = lex(code);
    let first = tokens.iter().find(|token| token.kind == Kind::Keyword);
    let first = first.map_or("", |token| &code[token.start..token.end]);
    let block = matches!(
        first,
        "fn" | "private" | "for" | "while" | "loop" | "if" | "try" | "switch"
    );
    let comment = tokens
        .last()
        .is_some_and(|token| token.kind == Kind::Comment);
    match comment {
        _ if ends_quietly(code) || (block && code.ends_with('}')) => format!("{code}\n"),
        true => format!("{code}\n;\n"),
        false => format!("{code};\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::tests::journal;
    use super::*;

    #[test]
    fn what_a_value_needs() {
        let check = |cells: &[&str], name: &str, expected: &[usize]| {
            let found: Vec<usize> = slice(&journal(cells), name).unwrap();
            let cells_found: Vec<usize> = found.iter().map(|at| at + 1).collect();
            assert_eq!(cells_found, expected, "{cells:?}");
        };
        check(&["let a = 1", "let b = 2", "let c = a"], "c", &[1, 3]);
        check(
            &["let a = 1", "let a = 2", "let c = a", "a = 3"],
            "c",
            &[2, 3],
        );
        check(
            &["let a = []", "a.push(1)", "a.len()", "let c = a"],
            "c",
            &[1, 2, 4],
        );
        check(&["let a = 1", "let a = a + 1", "let b = 0"], "a", &[1, 2]);
        check(
            &[
                "fn f() { g() }",
                "fn g() { 1 }",
                "fn h() { 1 }",
                "let x = f()",
            ],
            "x",
            &[1, 2, 4],
        );
        check(
            &[
                "fn g() { 1 }",
                "let f = |x| g()",
                "fn g() { 2 }",
                "let y = f.call(1)",
            ],
            "y",
            &[2, 3, 4],
        );
        check(
            &[
                "fn r(x) { x }",
                "let y = r(1)",
                "fn r(x) { 2 }",
                "let z = [y, r(1)]",
            ],
            "z",
            &[1, 2, 3, 4],
        );
        check(
            &[
                "let a = random()",
                "let b = 1",
                "let c = random()",
                "let d = random()",
            ],
            "c",
            &[1, 3],
        );
        check(
            &["let s = 1", "train(s)", "let x = 2", "train(s); let y = s"],
            "y",
            &[1, 2, 4],
        );
        assert!(slice(&journal(&["let a = 1"]), "b").is_err());
    }

    #[test]
    fn functions_of_two_times_get_two_names() {
        let entries = journal(&[
            "fn r(x) { x }",
            "let y = r(1)",
            "fn r(x) { 2 }",
            "let z = [y, r(1)]",
        ]);
        assert_eq!(
            script(&entries, &[0, 1, 2, 3]).unwrap(),
            "fn r_1(x) { x }\nlet y = r_1(1);\nfn r(x) { 2 }\nlet z = [y, r(1)];\n"
        );
    }

    #[test]
    fn a_script_has_one_set_of_arguments() {
        let mut entries = journal(&["let a = 1", "let b = 2", "let c = 3"]);
        let given = |word: &str| Some(vec![word.to_string()]);
        (entries[0].args, entries[2].args) = (given("x"), given("y"));
        assert_eq!(arguments(&entries, &[0, 1]).unwrap(), ["x"]);
        assert_eq!(arguments(&entries, &[1]).unwrap(), [""; 0]);
        let error = arguments(&entries, &[0, 1, 2]).unwrap_err().to_string();
        assert!(error.contains("In [1] and In [3]"), "{error}");
    }

    #[test]
    fn results_get_names() {
        let mut entries = journal(&["1 + 1", "let x = A * 3", "x; 5"]);
        entries[1].code = "let x = _ * _1".into();
        entries[1].results = vec![("_".into(), 1), ("_1".into(), 1)];
        assert_eq!(
            script(&entries, &[0, 1]).unwrap(),
            "let out_1 = 1 + 1;\nlet x = out_1 * out_1;\n"
        );
        let mut entries = journal(&["let a = 1; a", "let x = A"]);
        entries[1].results = vec![("_".into(), 1)];
        assert!(script(&entries, &[0, 1]).is_err());
    }
}

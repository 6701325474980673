//! What ran in a session, in order: the code, the names it read and made. From it follow values that are out of
//! date, and the least script that makes a value.

use std::collections::BTreeSet;

use super::Session;
use super::underscore::Word;
use super::undo::Before;
use super::uses::Uses;
use crate::host::Event;

/// Something that ran and did not fail.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its number; none for a file.
    pub cell: Option<usize>,
    /// How errors name it.
    pub source: String,
    pub code: String,
    pub uses: Uses,
    /// The earlier results that it names, `_` and `_3`, with their cells.
    pub results: Vec<(String, usize)>,
    /// Whether it took random numbers of the session, or set their seed.
    pub drew: bool,
    /// Whether it may have changed what is behind a handle.
    pub trained: bool,
    /// The arguments of the script, if it may have read them.
    pub args: Option<Vec<String>>,
}

impl Entry {
    /// Whether it gives the name another meaning.
    fn makes(&self, name: &str) -> bool {
        let uses = &self.uses;
        uses.defines.contains(name) || uses.assigns.contains(name) || uses.functions.contains(name)
    }

    /// Whether it may change what the name means.
    pub fn changes(&self, name: &str) -> bool {
        self.makes(name) || self.uses.touches.contains(name)
    }
}

/// A value that is out of date.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stale {
    pub name: String,
    /// Where it was made.
    pub source: String,
    /// The name that means something else now.
    pub older: String,
}

/// The entry that made the name last, before `end`; the same code run again makes nothing new.
fn made(entries: &[Entry], name: &str, end: usize) -> Option<usize> {
    let mut makers = (0..end).rev().filter(|at| entries[*at].makes(name));
    let mut last = makers.next()?;
    for earlier in makers {
        if entries[earlier].code != entries[last].code {
            break;
        }
        last = earlier;
    }
    Some(last)
}

/// The last time that anything made the name, before `end`.
fn last_made(entries: &[Entry], name: &str, end: usize) -> Option<usize> {
    (0..end).rev().find(|at| entries[*at].makes(name))
}

/// Why the value of a name is out of date, if it is.
pub(super) fn stale(entries: &[Entry], name: &str) -> Option<Stale> {
    let at = last_made(entries, name, entries.len())?;
    let entry = &entries[at];
    if entry.uses.functions.contains(name) {
        return None;
    }
    let mut seen = BTreeSet::from([name.to_string()]);
    let older = older(entries, (at, name), at, &mut seen)?;
    let source = match entry.cell {
        Some(cell) => format!("[{cell}]"),
        None => entry.source.clone(),
    };
    Some(Stale {
        name: name.to_string(),
        source,
        older,
    })
}

/// A name that `name`, as the entry at `at` made it, was made of at first or second hand, and that was made anew after
/// `since`.
fn older(
    entries: &[Entry],
    (at, name): (usize, &str),
    since: usize,
    seen: &mut BTreeSet<String>,
) -> Option<String> {
    let uses = &entries[at].uses;
    let inputs = match uses.functions.contains(name) {
        true => uses.later.clone(),
        false => uses.inputs(name),
    };
    for input in &inputs {
        if entries[at].makes(input) || !seen.insert(input.clone()) {
            continue;
        }
        let Some(before) = last_made(entries, input, at) else {
            continue;
        };
        if made(entries, input, entries.len()).is_some_and(|now| now > since) {
            return Some(input.clone());
        }
        // A function looks up what it calls when it is called; a value was made once.
        let since = match entries[before].uses.functions.contains(input) {
            true => since,
            false => before,
        };
        if let Some(name) = older(entries, (before, input), since, seen) {
            return Some(name);
        }
    }
    None
}

impl Session {
    /// The entry of code that has run.
    pub(super) fn entry(
        &self,
        (source, code, cell): (&str, &str, Option<usize>),
        (mut uses, words): (Uses, &[Word]),
        before: &Before,
    ) -> Entry {
        for word in words {
            uses.reads.remove(&word.alias);
        }
        let reads = |name: &str| uses.reads.contains(name) || uses.later.contains(name);
        let reads_args = ["param", "args"].iter().any(|name| reads(name));
        Entry {
            cell,
            source: source.into(),
            code: code.into(),
            args: reads_args.then(|| self.host.args()),
            uses,
            results: Vec::new(),
            drew: before.random != self.host.random_state(),
            trained: !before.states.is_empty() || !before.left_out.is_empty(),
        }
    }

    /// Adds what has run, and tells what of it is out of date.
    pub(super) fn keep_entry(&mut self, entry: Entry) {
        self.warn_stale(&entry);
        self.journal.push(entry);
    }

    /// Tells, once each, which of the names that an entry read are out of date.
    fn warn_stale(&mut self, entry: &Entry) {
        let read = entry.uses.reads.iter().filter(|name| !entry.makes(name));
        let found: Vec<Stale> = read.filter_map(|name| stale(&self.journal, name)).collect();
        for stale in found {
            if self.warned.insert(stale.clone()) {
                self.host.send(Event::Note(format!(
                    "note: `{}` was made in {} with an older `{}`",
                    stale.name, stale.source, stale.older
                )));
            }
        }
    }
}

#[cfg(test)]
pub(in crate::session) mod tests {
    use super::*;

    /// Cells as a journal.
    pub(in crate::session) fn journal(cells: &[&str]) -> Vec<Entry> {
        let engine = rhai::Engine::new();
        let entry = |(at, code): (usize, &&str)| Entry {
            cell: Some(at + 1),
            source: format!("In [{}]", at + 1),
            code: code.to_string(),
            uses: Uses::of(&engine.compile(code).unwrap()),
            results: Vec::new(),
            drew: code.contains("random()"),
            trained: code.contains("train"),
            args: None,
        };
        cells.iter().enumerate().map(entry).collect()
    }

    #[test]
    fn values_out_of_date() {
        let check = |cells: &[&str], name: &str, expected: Option<(&str, &str)>| {
            let found = stale(&journal(cells), name);
            let found = found
                .as_ref()
                .map(|s| (s.source.as_str(), s.older.as_str()));
            assert_eq!(found, expected, "{cells:?}");
        };
        let reward = "fn reward(x) { x }";
        let result = "let result = reward(1)";
        check(&[reward, result], "result", None);
        check(
            &[reward, result, "fn reward(x) { x + 1 }"],
            "result",
            Some(("[2]", "reward")),
        );
        check(&[reward, result, reward], "result", None);
        check(
            &[reward, result, "fn reward(x) { 2 }", result],
            "result",
            None,
        );
        check(
            &["let x = 1", "let y = x", "x = 2"],
            "y",
            Some(("[2]", "x")),
        );
        check(
            &["let x = 1", "let y = x", "let z = y", "x = 2"],
            "z",
            Some(("[3]", "x")),
        );
        check(
            &["let x = 1", "let y = x", "x = 2", "let z = y"],
            "z",
            Some(("[4]", "x")),
        );
        check(&["let x = 1", "x += 1; let y = x"], "y", None);
        check(
            &[
                "fn g() { 1 }",
                "fn f() { g() }",
                "let y = f()",
                "fn g() { 2 }",
            ],
            "y",
            Some(("[3]", "g")),
        );
        check(
            &[
                "fn g() { 1 }",
                "fn f() { g() }",
                "fn g() { 2 }",
                "let y = f()",
            ],
            "y",
            None,
        );
        check(&["let m = 1", "let y = m.len()", "m.len()"], "y", None);
        check(
            &["let a = 1", "a += 1; let c = 5; let t = c", "a = 2"],
            "t",
            None,
        );
        check(
            &["let a = 1", "let t = a; let c = t", "a = 2"],
            "c",
            Some(("[2]", "a")),
        );
    }
}

//! The cells so far, as clients ask for them: the last ones, a range, or those that match a pattern.

use jupyter_protocol::{HistoryEntry, HistoryReply, HistoryRequest};

use crate::files::matches;

/// Cells are all of this session.
const SESSION: usize = 1;

#[derive(Debug, Default)]
pub(super) struct Past(Vec<Cell>);

#[derive(Debug)]
struct Cell {
    number: usize,
    code: String,
    shown: String,
}

impl Past {
    pub fn add(&mut self, number: usize, code: &str, shown: String) {
        let code = code.to_string();
        self.0.push(Cell {
            number,
            code,
            shown,
        });
    }

    pub fn answer(&self, request: &HistoryRequest) -> HistoryReply {
        let (cells, output) = match request {
            HistoryRequest::Tail { n, output, .. } => (last(self.0.iter().collect(), *n), *output),
            HistoryRequest::Range {
                session,
                start,
                stop,
                output,
                ..
            } => (self.range(session.unwrap_or(0), *start, *stop), *output),
            HistoryRequest::Search {
                pattern,
                unique,
                output,
                n,
                ..
            } => (last(self.matching(pattern, *unique), *n), *output),
        };
        HistoryReply::new(cells.into_iter().map(|cell| cell.entry(output)).collect())
    }

    /// Cells `start` up to, but without, `stop`; a session of 0 or less counts back from this one.
    fn range(&self, session: i32, start: i32, stop: i32) -> Vec<&Cell> {
        if session != 0 && session != SESSION as i32 {
            return Vec::new();
        }
        let number = |cell: &&Cell| i32::try_from(cell.number).unwrap_or(i32::MAX);
        let cells = self.0.iter();
        cells
            .filter(|cell| (start..stop).contains(&number(cell)))
            .collect()
    }

    /// Of equal cells the last counts if they are to be unique.
    fn matching(&self, pattern: &str, unique: bool) -> Vec<&Cell> {
        let mut found: Vec<&Cell> = Vec::new();
        for cell in &self.0 {
            if matches(pattern, &cell.code) {
                found.retain(|known| !unique || known.code != cell.code);
                found.push(cell);
            }
        }
        found
    }
}

impl Cell {
    fn entry(&self, output: bool) -> HistoryEntry {
        let code = self.code.clone();
        match output {
            true => HistoryEntry::InputOutput(SESSION, self.number, (code, self.shown.clone())),
            false => HistoryEntry::Input(SESSION, self.number, code),
        }
    }
}

fn last(mut cells: Vec<&Cell>, n: i32) -> Vec<&Cell> {
    let n = usize::try_from(n).unwrap_or(0);
    cells.split_off(cells.len().saturating_sub(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for() {
        let mut past = Past::default();
        for (number, code) in [(1, "a"), (2, "b"), (3, "a"), (4, "ab")] {
            past.add(number, code, format!("{number}!"));
        }
        let check = |request: HistoryRequest, expected: &str| {
            let reply = past.answer(&request);
            assert_eq!(serde_json::to_string(&reply.history).unwrap(), expected);
        };
        let tail = |n, output| HistoryRequest::Tail {
            n,
            output,
            raw: true,
        };
        check(tail(2, false), r#"[[1,3,"a"],[1,4,"ab"]]"#);
        check(tail(1, true), r#"[[1,4,["ab","4!"]]]"#);
        check(tail(0, false), "[]");
        let range = |session, start, stop| HistoryRequest::Range {
            session: Some(session),
            start,
            stop,
            output: false,
            raw: true,
        };
        check(range(0, 1, 3), r#"[[1,1,"a"],[1,2,"b"]]"#);
        check(range(-1, 1, 3), "[]");
        let search = |unique, n| HistoryRequest::Search {
            pattern: "a*".into(),
            unique,
            output: false,
            raw: true,
            n,
        };
        check(search(false, 9), r#"[[1,1,"a"],[1,3,"a"],[1,4,"ab"]]"#);
        check(search(true, 9), r#"[[1,3,"a"],[1,4,"ab"]]"#);
        check(search(true, 1), r#"[[1,4,"ab"]]"#);
    }
}

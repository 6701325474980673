//! The cells of this and earlier kernels, as clients ask for them: the last ones, a range, or those that match a
//! pattern. A file keeps them, a line of JSON each: several kernels may add to it at once.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jupyter_protocol::{HistoryEntry, HistoryReply, HistoryRequest};
use serde::{Deserialize, Serialize};

use crate::files::{matches, write_atomic};

/// Cells that are kept from one kernel to the next.
const KEPT: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct Past {
    cells: Vec<Cell>,
    /// Kernels are counted.
    session: usize,
    file: Option<PathBuf>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cell {
    session: usize,
    number: usize,
    code: String,
    /// Of this kernel's cells.
    #[serde(skip)]
    shown: String,
}

impl Past {
    /// With the cells of earlier kernels, if there is a file for them.
    pub fn open(file: Option<PathBuf>) -> Self {
        // Kernels that start at once take turns, so that each has a number of its own.
        let turn = file.as_deref().map(opened).and_then(|opened| {
            let opened = opened.ok()?;
            opened.lock().ok().map(|()| opened)
        });
        let mut cells = file.as_deref().map_or(Vec::new(), read);
        let session = 1 + cells.iter().map(|cell| cell.session).max().unwrap_or(0);
        cells.retain(|cell| cell.number > 0);
        let surplus = cells.len().saturating_sub(KEPT);
        cells.drain(..surplus);
        if let Some(file) = file.as_deref().filter(|_| surplus > KEPT) {
            let lines: String = cells.iter().filter_map(line).collect();
            // Too long a history is no reason not to start.
            write_atomic(file, lines.as_bytes()).ok();
        }
        if let Some((file, line)) = file.as_deref().zip(line(&Cell::start(session))) {
            append(file, &line).ok();
        }
        drop(turn);
        Self {
            cells,
            session,
            file,
        }
    }

    pub fn add(&mut self, number: usize, code: &str, shown: String) {
        let cell = Cell {
            session: self.session,
            number,
            code: code.into(),
            shown,
        };
        if let Some((file, line)) = self.file.as_deref().zip(line(&cell)) {
            // A history that can't be written must not stop the work.
            append(file, &line).ok();
        }
        self.cells.push(cell);
    }

    pub fn answer(&self, request: &HistoryRequest) -> HistoryReply {
        let (cells, output) = match request {
            HistoryRequest::Tail { n, output, .. } => {
                (last(self.cells.iter().collect(), *n), *output)
            }
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
        let int = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        let session = match session {
            ..=0 => int(self.session).saturating_add(session),
            session => session,
        };
        let fits = |cell: &&Cell| {
            int(cell.session) == session && (start..stop).contains(&int(cell.number))
        };
        self.cells.iter().filter(fits).collect()
    }

    /// Of equal cells the last counts if they are to be unique.
    fn matching(&self, pattern: &str, unique: bool) -> Vec<&Cell> {
        let mut found: Vec<&Cell> = Vec::new();
        for cell in &self.cells {
            if matches(pattern, &cell.code) {
                found.retain(|known| !unique || known.code != cell.code);
                found.push(cell);
            }
        }
        found
    }
}

impl Cell {
    /// No cell: its number says that the kernel has begun.
    fn start(session: usize) -> Self {
        Self {
            session,
            number: 0,
            code: String::new(),
            shown: String::new(),
        }
    }

    fn entry(&self, output: bool) -> HistoryEntry {
        let code = self.code.clone();
        match output {
            true => {
                HistoryEntry::InputOutput(self.session, self.number, (code, self.shown.clone()))
            }
            false => HistoryEntry::Input(self.session, self.number, code),
        }
    }
}

fn last(mut cells: Vec<&Cell>, n: i32) -> Vec<&Cell> {
    let n = usize::try_from(n).unwrap_or(0);
    cells.split_off(cells.len().saturating_sub(n))
}

/// The cells of a file; what is no cell is passed over.
fn read(file: &Path) -> Vec<Cell> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn line(cell: &Cell) -> Option<String> {
    Some(serde_json::to_string(cell).ok()? + "\n")
}

fn append(file: &Path, line: &str) -> std::io::Result<()> {
    opened(file)?.write_all(line.as_bytes())
}

fn opened(file: &Path) -> std::io::Result<File> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::options().create(true).append(true).open(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_kernel_knows_the_cells() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/cells");
        let open = || Past::open(Some(file.clone()));
        let mut first = open();
        first.add(1, "a\nb", "shown".into());
        append(&file, "no cell\n").unwrap();
        let mut second = open();
        let third = open();
        assert_eq!((first.session, second.session, third.session), (1, 2, 3));
        second.add(1, "c", String::new());
        let tail = HistoryRequest::Tail {
            n: 9,
            output: false,
            raw: true,
        };
        let told = serde_json::to_string(&second.answer(&tail).history).unwrap();
        assert_eq!(told, r#"[[1,1,"a\nb"],[2,1,"c"]]"#);
        let before: Vec<&str> = second
            .range(-1, 0, 9)
            .iter()
            .map(|cell| cell.code.as_str())
            .collect();
        assert_eq!(before, ["a\nb"]);
        for number in 0..2 * KEPT {
            second.add(number, "d", String::new());
        }
        assert_eq!(open().cells.len(), KEPT);
        assert_eq!(
            std::fs::read_to_string(&file).unwrap().lines().count(),
            KEPT + 1,
            "and that the kernel has begun"
        );
    }

    #[test]
    fn what_is_asked_for() {
        let mut past = Past::open(None);
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

//! The prompt on terminals that can only print and read lines.

use std::io::BufRead as _;

use super::terminal::Terminal;
use super::{Next, step};
use crate::diag::Result;
use crate::session::{Checker, Completeness, Session};

/// Reads cells line by line; an empty line ends an unfinished one.
pub(super) fn run(mut session: Session, terminal: &Terminal) -> Result<i32> {
    let checker = Checker::new();
    let mut cell = String::new();
    loop {
        let prompt = format!("In [{}]: ", session.next_cell());
        terminal.prompt(if cell.is_empty() { &prompt } else { "   ...: " });
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(0);
        }
        cell.push_str(&line);
        // A line's own end is no empty line.
        let typed = cell.strip_suffix('\n').unwrap_or(&cell);
        let unfinished = checker.check_input(typed) == Completeness::Incomplete;
        if unfinished && !line.trim().is_empty() {
            continue;
        }
        if let Next::Leave(code) = step(&mut session, terminal, &std::mem::take(&mut cell)) {
            return Ok(code);
        }
    }
}

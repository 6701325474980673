//! Going back: the cells before, and states with names.

use super::{Args, Magic, line};
use crate::diag::{Error, Result};
use crate::report::{Cell, Column, Display, Table};
use crate::session::{Reply, Session};

pub(super) const BACK: Magic = line(
    "back",
    "[n|name]",
    "Takes back the last cell, or the last n, or all since a fork.",
    "Variables, functions, random numbers and cell numbers are as before them; so are the weights and optimisers\n\
     of students and trainers. What the cells wrote to files stays. The last 10 cells can be taken back, less if\n\
     they replaced large values.",
    back,
);

pub(super) const FORK: Magic = line(
    "fork",
    "name",
    "Gives the state of now a name, to go back to it by %back name.",
    "It holds copies of arrays and of what students have learned.",
    fork,
);

pub(super) const FORKS: Magic = line("forks", "", "Lists the states with names.", "", forks);

fn back(session: &mut Session, args: &Args) -> Result<Reply> {
    let count = match args.line {
        "" => 1,
        word => match word.parse::<usize>() {
            Ok(count) => count,
            Err(_) => {
                let cell = session.go_to(word)?;
                session
                    .host
                    .print(format!("back at {word}, before cell {cell}"));
                return Ok(Reply::nothing());
            }
        },
    };
    if count > session.undo.len() {
        let cells = session.undo.len();
        return Err(
            Error::new(format!("{cells} cells can be taken back, not {count}"))
                .hint("%fork keeps a state for as long as you like"),
        );
    }
    let mut left: Vec<String> = Vec::new();
    for _ in 0..count {
        left.extend(session.step_back()?);
    }
    session
        .host
        .print(format!("back before cell {}", session.next_cell()));
    left.sort();
    left.dedup();
    if !left.is_empty() {
        let names = left.join(", ");
        session.host.print(format!(
            "note: {names} stays as it is: its weights were too many to keep; %fork keeps them"
        ));
    }
    Ok(Reply::nothing())
}

fn fork(session: &mut Session, args: &Args) -> Result<Reply> {
    let name = args.line;
    if name.is_empty() || name.parse::<usize>().is_ok() || name.contains(char::is_whitespace) {
        return Err(Error::new("%fork needs a name, one word and no number").hint("%fork before"));
    }
    session.fork(name)?;
    Ok(Reply::nothing())
}

fn forks(session: &mut Session, _: &Args) -> Result<Reply> {
    if session.forks.is_empty() {
        session.host.print("no forks; %fork name makes one");
        return Ok(Reply::nothing());
    }
    let mut table = Table::new("", ["fork", "before cell"].map(Column::new));
    for fork in &session.forks {
        table.push(vec![Cell::from(fork.name.clone()), Cell::from(fork.cell)])?;
    }
    session.host.show(Display::Table(table));
    Ok(Reply::nothing())
}

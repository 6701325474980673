//! The session's variables: which there are, and forgetting them.

use super::{Args, Magic, line};
use crate::diag::{Error, Result};
use crate::host::show;
use crate::report::{Cell, Column, Display, Table};
use crate::session::size::bytes;
use crate::session::undo::entries;
use crate::session::{Reply, Session};

pub(super) const WHO: Magic = line("who", "", "Lists the variables.", "", who);

pub(super) const WHOS: Magic = line(
    "whos",
    "",
    "Lists the variables with their sizes.",
    "Bytes are those that the value keeps from being freed, about; of a handle those that end with it.",
    whos,
);

pub(super) const RESET: Magic = line(
    "reset",
    "[names]",
    "Forgets variables, functions and results, or the variables of these names.",
    "%back does not bring them back; forks stay.",
    reset,
);

fn who(session: &mut Session, _: &Args) -> Result<Reply> {
    let table = session.variable_table()?;
    session.host.show(match session.variables().next() {
        Some(_) => Display::Table(table),
        None => Display::Text("no variables".into()),
    });
    Ok(Reply::nothing())
}

fn whos(session: &mut Session, _: &Args) -> Result<Reply> {
    let registry = session.host.registry();
    let columns = ["name", "type", "length", "bytes", "value"].map(Column::new);
    let mut table = Table::new("", columns);
    for (name, _, value) in entries(&session.scope) {
        if matches!(name, "In" | "Out") {
            continue;
        }
        let length = value
            .read_lock::<rhai::Array>()
            .map(|items| items.len())
            .or_else(|| Some(value.read_lock::<rhai::Map>()?.len()))
            .or_else(|| Some(value.read_lock::<rhai::ImmutableString>()?.chars().count()));
        table.push([
            Cell::from(name),
            Cell::from(show::type_name(value)),
            Cell::from(length),
            Cell::from(bytes(value, registry)),
            Cell::from(session.value_line(value, 40)),
        ])?;
    }
    session.host.show(Display::Table(table));
    Ok(Reply::nothing())
}

fn reset(session: &mut Session, args: &Args) -> Result<Reply> {
    let names: Vec<&str> = args
        .line
        .split([' ', ','])
        .filter(|name| !name.is_empty())
        .collect();
    if names.is_empty() {
        session.reset();
    }
    for name in names {
        if matches!(name, "In" | "Out") || !session.scope.contains(name) {
            let known = session.variables().map(|(name, _)| name);
            return Err(Error::unknown("variable", name, known));
        }
        // Records of earlier cells count on it.
        session.undo.clear();
        drop(session.scope.remove::<rhai::Dynamic>(name));
    }
    Ok(Reply::nothing())
}

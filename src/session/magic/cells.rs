//! The cells so far: showing, writing, reading and changing them.

use super::{Args, Magic, line};
use crate::diag::{Context as _, Error, Result};
use crate::session::slice::ended;
use crate::session::{Reply, Session};

pub(super) const HISTORY: Magic = line(
    "history",
    "[-n] [range] [words]",
    "Shows the cells so far, those of a range, or those that have the words.",
    "Ranges are cell numbers: 4, 2-5, 7-, and several of them. -n leaves the numbers out.",
    history,
);

pub(super) const SAVE: Magic = line(
    "save",
    "file [range]",
    "Writes the cells of this session, or those of a range, to a script.",
    "",
    save,
);

pub(super) const LOAD: Magic = line(
    "load",
    "file",
    "Puts a script into the next input, to be changed and run.",
    "",
    load,
);

pub(super) const EDIT: Magic = line(
    "edit",
    "[n|name]",
    "Opens a cell or a function in $EDITOR, and runs what comes back.",
    "Without a name the editor opens empty. Nothing runs if nothing is left of the text.",
    edit,
);

fn history(session: &mut Session, args: &Args) -> Result<Reply> {
    let mut words: Vec<&str> = args.line.split_whitespace().collect();
    let numbers = !words.contains(&"-n");
    words.retain(|word| *word != "-n");
    let split = words.iter().position(|word| range(word).is_none());
    let (ranges, pattern) = words.split_at(split.unwrap_or(words.len()));
    let pattern = pattern.join(" ");
    for (cell, code) in select(session, ranges)? {
        if !code.contains(&pattern) {
            continue;
        }
        session.host.print(match numbers {
            true => format!("{cell:>4}: {}", code.replace('\n', "\n      ")),
            false => code,
        });
    }
    Ok(Reply::nothing())
}

/// The first and last cell of `4`, `2-5` or `7-`.
fn range(word: &str) -> Option<(usize, usize)> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let last = match last {
        "" => usize::MAX,
        last => last.parse().ok()?,
    };
    Some((first.parse().ok()?, last))
}

/// The cells of some ranges; all without any.
fn select(session: &Session, ranges: &[&str]) -> Result<Vec<(usize, String)>> {
    let mut cells = session.cells();
    let mut wanted = Vec::new();
    for word in ranges {
        wanted.push(range(word).ok_or_else(|| {
            Error::new(format!("\"{word}\" is not a range of cells")).hint("as 4, 2-5 or 7-")
        })?);
    }
    if !wanted.is_empty() {
        cells.retain(|(cell, _)| wanted.iter().any(|(a, b)| (*a..=*b).contains(cell)));
    }
    Ok(cells)
}

fn save(session: &mut Session, args: &Args) -> Result<Reply> {
    let mut words = args.line.split_whitespace();
    let Some(file) = words.next() else {
        return Err(Error::new("%save needs a file").hint("%save session.rhai 1-5"));
    };
    let ranges: Vec<&str> = words.collect();
    let text: String = select(session, &ranges)?
        .iter()
        .filter(|(_, code)| !code.starts_with("!!"))
        .map(|(_, code)| ended(code))
        .collect();
    let path = session.host.resolve(file.trim_matches('"'));
    session.host.may_write(&path)?;
    std::fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))?;
    Ok(Reply::nothing())
}

fn load(session: &mut Session, args: &Args) -> Result<Reply> {
    let path = session.host.resolve(args.file("load")?);
    let code =
        std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    Ok(Reply::next_input(code.trim_end().to_string()))
}

fn edit(session: &mut Session, args: &Args) -> Result<Reply> {
    let text = match args.line {
        "" => String::new(),
        name => source(session, name)?,
    };
    session.host.may_run_commands()?;
    let code = session.host.front().edit(&text, "cell.rhai")?;
    match code.trim() {
        "" => Ok(Reply::nothing()),
        code => {
            session.host.print(code);
            Ok(session.cell(code))
        }
    }
}

/// The code of a cell or of a function.
fn source(session: &Session, name: &str) -> Result<String> {
    if let Ok(cell) = name.parse::<usize>() {
        let cells = session.cells();
        let found = cells.into_iter().find(|(at, _)| *at == cell);
        return match found {
            Some((_, code)) => Ok(code),
            None => Err(Error::new(format!("there is no cell {cell}"))),
        };
    }
    session.function_source(name).ok_or_else(|| {
        let known = session.functions().iter_functions().map(|f| f.name);
        Error::unknown("function", name, known)
    })
}

//! `%time code`, `name?`, `!command` and the like: input that is not script.

use std::path::PathBuf;

use super::terminal::Terminal;
use super::{Next, evaluate, finish};
use crate::diag::{self, Error, Result};
use crate::report::Display;
use crate::session::Session;

/// What the user typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input<'a> {
    Nothing,
    Code(&'a str),
    Magic(Magic<'a>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Magic<'a> {
    /// `name?`
    Inspect(&'a str),
    /// `help` as a word
    Help,
    /// `!command`
    Shell(&'a str),
    /// `%name rest`
    Named(&'a str, &'a str),
}

/// Name, arguments, sentence.
const MAGICS: &[(&str, &str, &str)] = &[
    (
        "time",
        "code",
        "Evaluates the code and tells how long it took.",
    ),
    ("who", "", "Lists the variables."),
    ("reset", "", "Forgets variables, functions and results."),
    (
        "history",
        "[n]",
        "Shows the last cells, as many as asked for.",
    ),
    (
        "save",
        "file",
        "Writes the cells of this session to a file.",
    ),
    (
        "run",
        "file",
        "Runs a script in this session; its variables stay.",
    ),
    ("magics", "", "Lists these."),
    ("quit", "", "Leaves; so do Ctrl-D and exit()."),
];

/// Tells magic from code.
pub(super) fn parse(line: &str) -> Input<'_> {
    let line = line.trim();
    if line.is_empty() {
        return Input::Nothing;
    }
    if let Some(command) = line.strip_prefix('!') {
        // `!x` is also "not x" in the language; as a whole input it is rarely meant.
        return Input::Magic(Magic::Shell(command.trim()));
    }
    if let Some(rest) = line.strip_prefix('%') {
        let (name, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        return Input::Magic(Magic::Named(name, rest.trim()));
    }
    if matches!(line, "help" | "?") {
        return Input::Magic(Magic::Help);
    }
    if matches!(line, "quit" | "exit") {
        return Input::Magic(Magic::Named("quit", ""));
    }
    let name = line.strip_suffix('?').or_else(|| line.strip_prefix('?'));
    match name.map(|name| name.trim_matches('?').trim()) {
        Some(name) if is_path(name) => Input::Magic(Magic::Inspect(name)),
        _ => Input::Code(line),
    }
}

fn is_path(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
}

/// Whether the text needs no completing by the compiler's rules.
pub(super) fn is_magic(text: &str) -> bool {
    match parse(text) {
        Input::Magic(Magic::Named("time", code)) => code.is_empty(),
        Input::Magic(_) | Input::Nothing => true,
        Input::Code(_) => false,
    }
}

/// The names of magics that begin as the text does.
pub(super) fn complete(text: &str, at: usize) -> Option<(usize, Vec<&'static str>)> {
    let typed = text.get(..at)?.strip_prefix('%')?;
    if typed.contains(char::is_whitespace) {
        return None;
    }
    Some((
        1,
        MAGICS
            .iter()
            .map(|(name, ..)| *name)
            .filter(|name| name.starts_with(typed))
            .collect(),
    ))
}

pub(super) fn run(magic: Magic, session: &mut Session, terminal: &Terminal) -> Next {
    let done = match magic {
        Magic::Inspect(name) => session.inspect(name).map(|text| terminal.line(&text)),
        Magic::Help => help(session, terminal),
        Magic::Shell(command) => shell(command),
        Magic::Named("time", code) => return time(code, session, terminal),
        Magic::Named("run", file) => return run_file(file, session, terminal),
        Magic::Named("quit", _) => return Next::Leave(0),
        Magic::Named(name, rest) => named(name, rest, session, terminal),
    };
    if let Err(error) = done {
        terminal.line(&format!("error: {error}"));
    }
    Next::Go
}

fn help(session: &Session, terminal: &Terminal) -> Result<()> {
    terminal.line(&crate::host::help::overview(session.host().registry()));
    Ok(())
}

fn named(name: &str, rest: &str, session: &mut Session, terminal: &Terminal) -> Result<()> {
    match name {
        "who" => terminal.display(&Display::Table(session.variable_table()?)),
        "reset" => session.reset(),
        "history" => history(rest, session, terminal)?,
        "save" => save(rest, session)?,
        "magics" => {
            for (name, args, summary) in MAGICS {
                terminal.line(&format!("  %{:<14} {summary}", format!("{name} {args}")));
            }
            terminal.line("  !command        Runs a command of the system.\n  name?           Tells about a name.");
        }
        _ => {
            return Err(Error::unknown(
                "magic",
                name,
                MAGICS.iter().map(|(name, ..)| *name),
            ));
        }
    }
    Ok(())
}

fn time(code: &str, session: &mut Session, terminal: &Terminal) -> Next {
    let before = session.host().clock().elapsed();
    let next = evaluate(session, terminal, code);
    let time = session.host().clock().elapsed().saturating_sub(before);
    terminal.line(&format!("took {time:.3?}"));
    next
}

fn run_file(file: &str, session: &mut Session, terminal: &Terminal) -> Next {
    let path = PathBuf::from(file.trim_matches('"'));
    match session.run_file(&path) {
        Ok(outcome) => finish(terminal, &outcome),
        Err(error) => {
            terminal.line(&format!("error: {error}"));
            Next::Go
        }
    }
}

fn history(count: &str, session: &Session, terminal: &Terminal) -> Result<()> {
    let cells = session.cells();
    let count: usize = match count {
        "" => cells.len(),
        text => text
            .parse()
            .map_err(|_| Error::new(format!("\"{text}\" is not a number of cells")))?,
    };
    for (cell, code) in cells.iter().skip(cells.len().saturating_sub(count)) {
        terminal.line(&format!("{cell:>4}: {}", code.replace('\n', "\n      ")));
    }
    Ok(())
}

fn save(file: &str, session: &Session) -> Result<()> {
    if file.is_empty() {
        return Err(Error::new("%save needs a file").hint("%save session.rhai"));
    }
    let ended = |code: &str| match code.trim_end().ends_with([';', '}']) {
        true => format!("{}\n", code.trim_end()),
        false => format!("{};\n", code.trim_end()),
    };
    let text: String = session
        .cells()
        .iter()
        .map(|(_, code)| ended(code))
        .collect();
    let path = session.host().resolve(file.trim_matches('"'));
    diag::Context::with_context(std::fs::write(&path, text), || {
        format!("can't write {}", path.display())
    })
}

fn shell(command: &str) -> Result<()> {
    let mut shell = match cfg!(windows) {
        true => std::process::Command::new("cmd"),
        false => std::process::Command::new("sh"),
    };
    let status = shell
        .arg(if cfg!(windows) { "/C" } else { "-c" })
        .arg(command)
        .status();
    let status = diag::Context::context(status, "can't start the shell")?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::new(format!("the command failed: {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_and_code() {
        let check = |line, expected: Input| assert_eq!(parse(line), expected, "{line}");
        check("  ", Input::Nothing);
        check("1 + 1", Input::Code("1 + 1"));
        check("%time f(1)", Input::Magic(Magic::Named("time", "f(1)")));
        check("!ls -l", Input::Magic(Magic::Shell("ls -l")));
        check("load?", Input::Magic(Magic::Inspect("load")));
        check(
            "Stream.below??",
            Input::Magic(Magic::Inspect("Stream.below")),
        );
        check("?load", Input::Magic(Magic::Inspect("load")));
        check("a ? b", Input::Code("a ? b"));
        check("exit", Input::Magic(Magic::Named("quit", "")));
    }
}

//! The prompt: numbered cells, editing, completion, hints, magics.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a shell prints, and asks for the environment that it runs in"
)]

mod asking;
mod dumb;
mod edit;
mod front;
mod growing;
mod highlight;
mod keyboard;
mod keys;
mod screen;
mod terminal;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use rustyline::EditMode;
use rustyline::error::ReadlineError;

pub use terminal::Terminal;

use crate::diag::{Error, Result};
use crate::host::Front as _;
use crate::session::Session;
use edit::Editor;

/// The session as the loop and the editor share it: the editor looks while the user types, the loop evaluates.
type Shared = Rc<RefCell<Session>>;

/// What the loop does next.
enum Next {
    /// This text stands in the next input.
    Go(String),
    Leave(i32),
}

/// Reads, evaluates and prints until the user leaves; gives the exit code.
///
/// # Errors
/// The terminal can't be read.
pub fn run(session: Session, terminal: &Terminal) -> Result<i32> {
    terminal.line(concat!(
        "rlaif-repl ",
        env!("CARGO_PKG_VERSION"),
        ": help() lists functions, name? tells about one, Tab completes, Ctrl-D leaves"
    ));
    if terminal.is_dumb() {
        return dumb::run(session, terminal);
    }
    keyboard::prepare();
    let session: Shared = Rc::new(RefCell::new(session));
    let mut editor = Editor::new(session.clone(), terminal, edit_mode()?, history_file())?;
    let mut idle_interrupts = 0;
    let mut text = String::new();
    loop {
        let cell = session.borrow().next_cell();
        text.push_str(&terminal.typed());
        match editor.read(cell, &std::mem::take(&mut text)) {
            Ok(line) => {
                idle_interrupts = 0;
                editor.remember(&line);
                match step(&mut session.borrow_mut(), terminal, &line) {
                    Next::Leave(code) => return Ok(code),
                    Next::Go(next) => text = next,
                }
            }
            Err(ReadlineError::Interrupted) if let Some(cell) = editor.to_edit() => {
                text = edited(terminal, cell);
            }
            Err(ReadlineError::Interrupted) => {
                idle_interrupts = if editor.was_empty() {
                    idle_interrupts + 1
                } else {
                    0
                };
                if idle_interrupts == 2 {
                    terminal.line("Ctrl-D or %quit leaves");
                }
            }
            Err(ReadlineError::Eof) => return Ok(0),
            Err(error) => {
                return Err(Error::new(format!("can't read the terminal: {error}")));
            }
        }
    }
}

/// The cell as the user's editor leaves it.
fn edited(terminal: &Terminal, cell: String) -> String {
    match terminal.edit(&cell, "cell.rhai") {
        Ok(text) => text.trim_end().into(),
        Err(error) => {
            terminal.message(&error.to_string());
            cell
        }
    }
}

/// Handles one input.
fn step(session: &mut Session, terminal: &Terminal, line: &str) -> Next {
    let _keys = (!terminal.is_dumb()).then(keyboard::begin);
    let reply = session.submit(line);
    let outcome = &reply.outcome;
    if let Some(code) = outcome.exit {
        return Next::Leave(code);
    }
    terminal.settle();
    if let Some(page) = &reply.page {
        terminal.line(page);
    }
    let width = terminal.width().saturating_sub(9).max(20);
    if let Some(display) = session.show(&outcome.value, width) {
        match reply.cell {
            Some(cell) => terminal.result(cell, &display),
            None => terminal.display(&display),
        }
    }
    if let Some(problem) = &outcome.problem {
        if problem.is_interrupt() {
            terminal.wipe_line();
        }
        terminal.line(&problem.render(terminal.colour()));
    }
    Next::Go(reply.next_input.unwrap_or_default())
}

/// Gives the terminal back as it was found, for a program that leaves in the middle of a run.
pub fn restore_terminal() {
    keyboard::restore();
}

/// How keys edit: as in Emacs, or as `RLAIF_EDIT_MODE` says.
fn edit_mode() -> Result<EditMode> {
    const MODES: [&str; 2] = ["emacs", "vi"];
    match std::env::var("RLAIF_EDIT_MODE").as_deref() {
        Err(_) | Ok("" | "emacs") => Ok(EditMode::Emacs),
        Ok("vi") => Ok(EditMode::Vi),
        Ok(other) => Err(Error::unknown("RLAIF_EDIT_MODE", other, MODES)),
    }
}

/// Where the history lives: `RLAIF_HISTORY`, or a file in the user's state folder.
pub fn history_file() -> Option<PathBuf> {
    if let Some(file) = std::env::var_os("RLAIF_HISTORY") {
        return Some(file.into()).filter(|file: &PathBuf| !file.as_os_str().is_empty());
    }
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".local/state")))?;
    Some(state.join("rlaif-repl/history"))
}

//! Magics: input that is not script. `%time code`, `%%time` over a whole cell, `name?`, `!command`.
//!
//! A magic is a line of [`MAGICS`] and a function; the families have a file each.

mod back;
mod cells;
mod complete;
mod debug;
mod export;
mod family;
mod files;
mod input;
mod names;
mod shell;
mod timing;

use super::{Reply, Session};
use crate::diag::{Error, Result, nearest};
use crate::host::help;
use input::{Call, Input};

pub(super) use input::completeness;

/// One magic.
pub struct Magic {
    pub name: &'static str,
    /// As the user types them: `[range] [pattern]`.
    pub args: &'static str,
    pub summary: &'static str,
    /// What the sentence leaves out; may be empty.
    pub details: &'static str,
    /// Whether it takes code: the rest of its line, or under `%%name` the lines below.
    pub code: bool,
    run: fn(&mut Session, &Args) -> Result<Reply>,
}

/// What a magic is called with.
pub(super) struct Args<'a> {
    /// The rest of its line.
    pub line: &'a str,
    /// The lines below `%%name`.
    pub body: Option<&'a str>,
}

impl<'a> Args<'a> {
    /// The code that the magic is to run.
    fn code(&self, name: &str) -> Result<&'a str> {
        match self.body.unwrap_or(self.line) {
            "" => Err(Error::new(format!("%{name} needs code"))
                .hint(format!("%{name} f(1), or %%{name} and the code below it"))),
            code => Ok(code),
        }
    }

    /// The rest of the line as a file name, with or without quotes.
    fn file(&self, name: &str) -> Result<&'a str> {
        match self.line.trim_matches('"') {
            "" => {
                Err(Error::new(format!("%{name} needs a file"))
                    .hint(format!("%{name} session.rhai")))
            }
            file => Ok(file),
        }
    }
}

/// A magic that takes no code.
const fn line(
    name: &'static str,
    args: &'static str,
    summary: &'static str,
    details: &'static str,
    run: fn(&mut Session, &Args) -> Result<Reply>,
) -> Magic {
    Magic {
        name,
        args,
        summary,
        details,
        code: false,
        run,
    }
}

/// A magic that runs the code it is given.
const fn code(
    name: &'static str,
    args: &'static str,
    summary: &'static str,
    details: &'static str,
    run: fn(&mut Session, &Args) -> Result<Reply>,
) -> Magic {
    Magic {
        code: true,
        ..line(name, args, summary, details, run)
    }
}

/// Every magic, families together.
pub const MAGICS: &[Magic] = &[
    timing::TIME,
    timing::TIMEIT,
    timing::PROF,
    names::WHO,
    names::WHOS,
    names::RESET,
    cells::HISTORY,
    cells::SAVE,
    cells::LOAD,
    cells::EDIT,
    debug::DEBUG,
    back::BACK,
    back::FORK,
    back::FORKS,
    export::EXPORT,
    files::RUN,
    files::WATCH,
    files::PWD,
    line("magics", "", "Lists these.", "", list),
    line(
        "quit",
        "",
        "Leaves; so do Ctrl-D and exit().",
        "",
        |_, _| Ok(Reply::leave()),
    ),
];

/// The magic of that name.
fn named(name: &str) -> Result<&'static Magic> {
    let found = MAGICS.iter().find(|magic| magic.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = MAGICS.iter().map(|magic| magic.name).collect();
        match nearest(name, &names) {
            Some(_) => Error::unknown("magic", name, names),
            None => Error::new(format!("unknown magic \"{name}\"")).hint("%magics lists them"),
        }
    })
}

impl Session {
    /// Does what the input asks for.
    pub(super) fn dispatch(&mut self, text: &str) -> Result<Reply> {
        match input::parse(text) {
            Input::Nothing => Ok(Reply::nothing()),
            Input::Code(code) => match self.captured(code) {
                Some((name, command)) => shell::capture(self, Some(name), command),
                None => Ok(self.cell(code)),
            },
            Input::Magic(call, rest) => {
                let reply = self.magic(&call)?;
                if rest.trim().is_empty() || !reply.outcome.is_ok() {
                    return Ok(reply);
                }
                if let Some(page) = reply.page {
                    self.host.print(page);
                }
                self.dispatch(rest)
            }
        }
    }

    fn magic(&mut self, call: &Call) -> Result<Reply> {
        match call {
            Call::Inspect(name) => return Ok(Reply::page(self.inspect(name)?)),
            Call::InspectFully(name) => return Ok(Reply::page(self.inspect_fully(name)?)),
            Call::About(name) => return Ok(Reply::page(about(named(name)?))),
            Call::Help => return Ok(Reply::page(help::overview(self.host.registry()))),
            Call::Shell(command) => shell::run(self, command)?,
            Call::Capture(command) => return shell::capture(self, None, command),
            Call::Named(name, args) => return (named(name)?.run)(self, args),
        }
        Ok(Reply::nothing())
    }

    /// `let name = !command`, where the text is no script: the name and the command.
    fn captured<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let (name, command) = input::assigned(text)?;
        self.engine
            .compile_with_scope(&self.scope, text)
            .is_err()
            .then_some((name, command))
    }
}

fn list(session: &mut Session, _: &Args) -> Result<Reply> {
    let usage = |magic: &Magic| format!("%{} {}", magic.name, magic.args);
    let magics = MAGICS.iter().map(|magic| (usage(magic), magic.summary));
    let marks = [
        ("!command", "Runs a command of the system."),
        ("let lines = !command", "Keeps the lines that it writes."),
        (
            "name?",
            "Tells about a name; name?? all of it; %name? about a magic.",
        ),
    ];
    let marks = marks.map(|(usage, summary)| (usage.to_owned(), summary));
    let text = help::rows(magics.chain(marks).collect());
    session.host.print(text.trim_start_matches('\n'));
    Ok(Reply::nothing())
}

/// Everything about a magic.
fn about(magic: &Magic) -> String {
    let usage = format!("%{} {}", magic.name, magic.args);
    let mut text = format!("{}\n  {}", usage.trim_end(), magic.summary);
    if magic.code {
        text += &format!("\n\n%%{} takes the lines below it as the code.", magic.name);
    }
    if !magic.details.is_empty() {
        text += &format!("\n\n{}", magic.details);
    }
    text
}

//! Scripts in files: running them, again when they change; the folder they are looked up in.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Args, Magic, line};
use crate::diag::{Context as _, Error, Result};
use crate::session::{Reply, Session};

pub(super) const RUN: Magic = line(
    "run",
    "file [arguments]",
    "Runs a script in this session; its variables stay.",
    "%run train.rhai --steps 50 \"a word with spaces\": for this run the arguments are what param(..) and args() give;\n\
     without any, they are those of the session. %run train.rhai --help tells the script's parameters.",
    run,
);

pub(super) const WATCH: Magic = line(
    "watch",
    "file [arguments]",
    "Runs a script each time it is saved, until Ctrl-C.",
    "Each run sees the variables that the one before has left. Arguments are as for %run.",
    watch,
);

pub(super) const PWD: Magic = line("pwd", "", "Tells where relative paths start.", "", pwd);

/// How often a watched file is looked at.
const PAUSE: Duration = Duration::from_millis(200);

fn run(session: &mut Session, args: &Args) -> Result<Reply> {
    with_arguments(session, ("run", args.line), |session, path| {
        Ok(Reply::of(session.run_file(path)?))
    })
}

fn watch(session: &mut Session, args: &Args) -> Result<Reply> {
    with_arguments(session, ("watch", args.line), repeat)
}

/// Does something with the script that a line begins with, while the rest of the line are its arguments.
fn with_arguments(
    session: &mut Session,
    (magic, line): (&str, &str),
    work: impl FnOnce(&mut Session, &Path) -> Result<Reply>,
) -> Result<Reply> {
    let mut words = words(line)?;
    if words.is_empty() {
        return Err(Error::new(format!("%{magic} needs a file"))
            .hint(format!("%{magic} train.rhai --steps 50")));
    }
    let path = PathBuf::from(words.remove(0));
    if words.is_empty() {
        return work(session, &path);
    }
    let params = session.params_of(&path)?;
    let help = params.help();
    if words.iter().any(|word| word == "--help") && !help.is_empty() {
        return Ok(Reply::page(help));
    }
    params.check(&words)?;
    let before = session.host.set_args(words);
    let reply = work(session, &path);
    session.host.set_args(before);
    reply
}

/// The words of a line; quotes of either kind hold words together.
fn words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if open == c => quote = None,
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        Some(open) => Err(Error::new(format!("a closing {open} is missing"))),
        None => Ok(words),
    }
}

fn repeat(session: &mut Session, path: &Path) -> Result<Reply> {
    let path = session.host.base().join(path);
    // Each run has a time limit of its own; the time between them has none.
    session.end_turn();
    loop {
        let saved = modified(&path)?;
        let outcome = session.run_file(&path)?;
        let stopped = outcome.problem.as_ref().is_some_and(|p| p.is_interrupt());
        if stopped || outcome.exit.is_some() {
            return Ok(Reply::of(outcome));
        }
        if let Some(problem) = &outcome.problem {
            session.host.print(problem.render(false));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        session.host.print(format!(
            "{name} ran; waiting until it is saved, Ctrl-C ends"
        ));
        while modified(&path).is_ok_and(|now| now == saved) {
            if session.host.sleep(PAUSE).is_err() {
                return Ok(Reply::nothing());
            }
        }
        // Editors that replace the file leave none for a moment.
        session.host.sleep(PAUSE)?;
    }
}

fn modified(path: &Path) -> Result<SystemTime> {
    std::fs::metadata(path)
        .and_then(|file| file.modified())
        .with_context(|| format!("can't read {}", path.display()))
}

fn pwd(session: &mut Session, _: &Args) -> Result<Reply> {
    session
        .host
        .print(session.host.base().display().to_string());
    Ok(Reply::nothing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_line() {
        let check = |line: &str, expected: &[&str]| assert_eq!(words(line).unwrap(), expected);
        check("", &[]);
        check("a.rhai  --n 3", &["a.rhai", "--n", "3"]);
        check(
            "\"my file.rhai\" --name='x y' \"\"",
            &["my file.rhai", "--name=x y", ""],
        );
        assert!(words("a \"b").is_err());
    }
}

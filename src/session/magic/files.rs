//! Scripts in files: running them, again when they change; the folder they are looked up in.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Args, Magic, line};
use crate::diag::{Context as _, Result};
use crate::session::{Reply, Session};

pub(super) const RUN: Magic = line(
    "run",
    "file",
    "Runs a script in this session; its variables stay.",
    "",
    run,
);

pub(super) const WATCH: Magic = line(
    "watch",
    "file",
    "Runs a script each time it is saved, until Ctrl-C.",
    "Each run sees the variables that the one before has left.",
    watch,
);

pub(super) const PWD: Magic = line("pwd", "", "Tells where relative paths start.", "", pwd);

/// How often a watched file is looked at.
const PAUSE: Duration = Duration::from_millis(200);

fn run(session: &mut Session, args: &Args) -> Result<Reply> {
    let path = PathBuf::from(args.file("run")?);
    Ok(Reply::of(session.run_file(&path)?))
}

fn watch(session: &mut Session, args: &Args) -> Result<Reply> {
    let path = session.host.resolve(args.file("watch")?);
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

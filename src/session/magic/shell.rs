//! `!command`: what the system's shell runs, its output sent on as it comes.

use std::io::{IsTerminal as _, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rhai::Dynamic;

use super::family;
use crate::diag::{Context as _, Error, Result};
use crate::host::{Event, Host};
use crate::session::{Reply, Session};

/// How often a running command is looked at.
const PAUSE: Duration = Duration::from_millis(10);

/// Runs a command; what it writes goes to the user.
pub(super) fn run(session: &Session, command: &str) -> Result<()> {
    let host = &session.host;
    let keyboard = host.front().lend();
    let mut child = start(host, command, keyboard.is_some())?;
    let outputs = (child.stdout.take(), child.stderr.take());
    let status = std::thread::scope(|scope| {
        if let Some(output) = outputs.0 {
            scope.spawn(|| copy(output, |text| host.send(Event::Write(text))));
        }
        if let Some(output) = outputs.1 {
            scope.spawn(|| copy(output, |text| host.send(Event::Write(text))));
        }
        wait(session, &mut child)
    })?;
    succeeded(status)
}

/// Runs a command and keeps the lines that it writes, in a variable or as the cell's result.
pub(super) fn capture(session: &mut Session, name: Option<&str>, command: &str) -> Result<Reply> {
    let host = session.host.clone();
    let keyboard = host.front().lend();
    let mut child = start(&host, command, keyboard.is_some())?;
    let outputs = (child.stdout.take(), child.stderr.take());
    let mut text = String::new();
    let kept = &mut text;
    let status = std::thread::scope(|scope| {
        if let Some(output) = outputs.0 {
            scope.spawn(move || copy(output, |part| kept.push_str(&part)));
        }
        if let Some(output) = outputs.1 {
            scope.spawn(|| copy(output, |text| host.send(Event::Write(text))));
        }
        wait(session, &mut child)
    })?;
    succeeded(status)?;
    let lines: Vec<Dynamic> = text.lines().map(|line| line.to_string().into()).collect();
    let lines = Dynamic::from_array(lines);
    match name {
        Some(name) => {
            session.scope.push_dynamic(name, lines);
            super::super::cells::drop_shadowed(&mut session.scope, &[]);
            Ok(Reply::nothing())
        }
        None => session.give(&format!("!!{command}"), lines),
    }
}

/// `asks`: it may read the terminal.
fn start(host: &Host, command: &str, asks: bool) -> Result<Child> {
    if command.is_empty() {
        return Err(Error::new("! needs a command").hint("!ls"));
    }
    host.may_run_commands()?;
    let (shell, option) = match cfg!(windows) {
        true => ("cmd", "/C"),
        false => ("sh", "-c"),
    };
    let mut shell = Command::new(shell);
    #[cfg(unix)]
    if !at_terminal() {
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    }
    shell
        .args([option, command])
        .current_dir(host.base())
        .stdin(match asks {
            true => Stdio::inherit(),
            false => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("can't start the shell")
}

/// Waits for the end of the command, or ends it when the user interrupts or the time is over.
fn wait(session: &Session, child: &mut Child) -> Result<ExitStatus> {
    let host = &session.host;
    loop {
        if let Some(status) = child.try_wait().context("can't wait for the command")? {
            return Ok(status);
        }
        if let Err(interrupted) = host.check() {
            end(child, session.is_late());
            return Err(interrupted);
        }
        host.clock().wait(PAUSE);
    }
}

/// A terminal sends Ctrl-C to the command as well, and what the command starts may ask its user; without one the
/// command gets a group of its own, to be ended with all that it started.
fn at_terminal() -> bool {
    std::io::stdin().is_terminal()
}

/// Ends the command and what it started; at a terminal, Ctrl-C has done so already, unless the time was over.
fn end(child: &mut Child, late: bool) {
    let doomed = match (at_terminal(), late) {
        (true, true) => family::of(child.id()).into_iter().map(i64::from).collect(),
        (true, false) => Vec::new(),
        (false, _) => vec![-i64::from(child.id())],
    };
    if cfg!(unix) && !doomed.is_empty() {
        let doomed: Vec<String> = doomed.iter().map(i64::to_string).collect();
        // They may have ended by themselves.
        Command::new("sh")
            .args(["-c", &format!("kill -KILL {}", doomed.join(" "))])
            .stderr(Stdio::null())
            .status()
            .ok();
    }
    child.kill().ok();
    child.wait().ok();
}

fn succeeded(status: ExitStatus) -> Result<()> {
    match status.success() {
        true => Ok(()),
        false => Err(Error::new(format!("the command failed: {status}"))),
    }
}

/// Hands on what comes, letters whole.
fn copy(mut from: impl Read, mut to: impl FnMut(String)) {
    let mut buffer = [0; 8192];
    let mut held: Vec<u8> = Vec::new();
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        held.extend_from_slice(&buffer[..count]);
        let whole = match std::str::from_utf8(&held) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => held.len(),
        };
        let rest = held.split_off(whole);
        let ready = std::mem::replace(&mut held, rest);
        if !ready.is_empty() {
            to(String::from_utf8_lossy(&ready).into_owned());
        }
    }
    if !held.is_empty() {
        to(String::from_utf8_lossy(&held).into_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else {
                return Ok(0);
            };
            buffer[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn letters_stay_whole() {
        let mut parts = Vec::new();
        copy(Slow("aé→".as_bytes()), |part| parts.push(part));
        assert_eq!(parts, ["a", "é", "→"]);
        let mut text = String::new();
        copy(Slow(b"a\xffb\xe2"), |part| text.push_str(&part));
        assert_eq!(text, "a\u{fffd}b\u{fffd}");
    }
}

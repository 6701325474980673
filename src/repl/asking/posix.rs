//! Asks the terminal and the system, where both are as POSIX has them.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;

use super::super::keyboard;
use super::Answer;

/// Name and version (XTVERSION), the size of a letter, and device attributes (DA1), which every terminal
/// tells, so that nobody waits for the others. All are CSI sequences, which no terminal prints.
/// <https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>
const QUESTION: &str = "\x1b[>q\x1b[16t\x1b[c";
/// How long an answer may take: longer than the way to another continent and back.
const PATIENCE: Duration = Duration::from_millis(700);

/// Asks, if there is a terminal on both sides.
pub fn ask() -> Answer {
    let mut out = io::stdout();
    if !io::stdin().is_terminal() || !out.is_terminal() {
        return Answer::default();
    }
    let _keys = keyboard::begin();
    if write!(out, "{QUESTION}")
        .and_then(|()| out.flush())
        .is_err()
    {
        return Answer::default();
    }
    let start = Instant::now();
    let mut text = String::new();
    while let Some(more) = typed(PATIENCE.saturating_sub(start.elapsed())) {
        text.push_str(&more);
        let answer = Answer::read(&text);
        if answer.attributes.is_some() {
            return answer;
        }
    }
    Answer::read(&text)
}

/// What comes in time.
fn typed(patience: Duration) -> Option<String> {
    let stdin = io::stdin();
    let timeout = PollTimeout::try_from(patience).ok()?;
    let mut waits = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    let ready = poll(&mut waits, timeout).is_ok_and(|ready| ready > 0);
    let mut buffer = [0; 1024];
    let count = ready.then(|| read(&stdin, &mut buffer).ok())??;
    let bytes = buffer.get(..count).filter(|bytes| !bytes.is_empty())?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// Width and height of a letter in pixels, where the system knows.
pub fn cell() -> Option<(u32, u32)> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ fills the winsize that it is given.
    let failed = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    let letter = |pixels: u16, letters: u16| pixels.checked_div(letters).filter(|size| *size > 0);
    let width = letter(size.ws_xpixel, size.ws_col)?;
    let height = letter(size.ws_ypixel, size.ws_row)?;
    (failed == 0).then_some((width.into(), height.into()))
}

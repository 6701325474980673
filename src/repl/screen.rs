//! The standard error as progress bars draw on it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{MultiProgress, ProgressDrawTarget, TermLike};

/// Bars at the standard error.
pub(super) fn bars() -> MultiProgress {
    let screen = Box::new(Screen {
        term: console::Term::stderr(),
        fills: AtomicBool::new(false),
        below: AtomicBool::new(false),
    });
    MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(screen, 20))
}

/// Bars write each line, then blanks to its end, so that the next one starts below. On a full line the `^C`
/// of the keyboard would scroll, and the bar would stay: here a line ends where its text does.
#[derive(Debug)]
struct Screen {
    term: console::Term,
    /// Whether blanks come next.
    fills: AtomicBool,
    /// Whether what comes next stands on the line below.
    below: AtomicBool,
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        self.term.size().1
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.term.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        if self.fills.fetch_xor(true, Ordering::Relaxed) {
            self.below.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if self.below.swap(false, Ordering::Relaxed) {
            self.term.write_str("\r\n")?;
        }
        self.term.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.term.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.fills.store(false, Ordering::Relaxed);
        self.below.store(false, Ordering::Relaxed);
        self.term.flush()
    }
}

//! Output: text and tables on the standard output, progress on the standard error.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use rustyline::DefaultEditor;
use unicode_width::UnicodeWidthStr as _;

use super::asking::{self, Answer};
use super::growing::{Line, tail};
use super::keyboard;
use super::screen::bars;
use crate::host::{Event, Figure, Sink, Update};
use crate::report::{self, Display, Images};

/// Width of tables where there is no terminal.
const WIDTH: usize = 100;
/// Work that took less leaves no line on a screen.
const BRIEF: Duration = Duration::from_millis(300);
/// How long work may go on without a line in a log.
const SILENCE: Duration = Duration::from_secs(60);

/// The standard streams.
pub struct Terminal {
    /// Whether output and errors may be coloured.
    colour: bool,
    true_colour: bool,
    colour_errors: bool,
    utf8: bool,
    /// What shows pictures; the terminal is asked if it is not known.
    images: Option<Images>,
    answer: OnceLock<Answer>,
    live: Option<MultiProgress>,
    typed: Mutex<String>,
    /// Reads answers to questions.
    asker: Mutex<Option<DefaultEditor>>,
    running: Mutex<BTreeMap<u64, Running>>,
    growing: Mutex<Line>,
}

struct Running {
    bar: Option<ProgressBar>,
    /// When it was last told how far it is, since it began.
    told: Duration,
}

impl Terminal {
    pub fn new() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let plain = variable("NO_COLOR").is_some() || dumb;
        let true_colour = variable("COLORTERM").is_some_and(|c| c == "truecolor" || c == "24bit");
        let images = Images::detect(&|name| Some(variable(name)?.to_string_lossy().into_owned()));
        let images = images.unwrap_or_else(|error| {
            eprintln!("warning: {error}");
            Some(Images::Off)
        });
        let screen = io::stdout().is_terminal();
        Self {
            utf8: !dumb,
            colour: screen && !plain,
            true_colour: screen && !plain && true_colour,
            colour_errors: io::stderr().is_terminal() && !plain,
            images: if screen { images } else { Some(Images::Off) },
            answer: OnceLock::new(),
            live: (io::stderr().is_terminal() && !dumb).then(bars),
            typed: Mutex::default(),
            asker: Mutex::default(),
            running: Mutex::default(),
            growing: Mutex::default(),
        }
    }

    /// Whether output may be coloured.
    pub fn colour(&self) -> bool {
        self.colour
    }

    /// Whether messages on the standard error may be coloured.
    pub fn colour_errors(&self) -> bool {
        self.colour_errors
    }

    /// Whether the terminal can only print and read lines.
    pub(super) fn is_dumb(&self) -> bool {
        !self.utf8
    }

    /// Columns that output may take.
    pub fn width(&self) -> usize {
        columns()
    }

    /// A line on the standard output. A reader that has gone away ends the program, as it does other filters.
    pub fn line(&self, text: &str) {
        let before = self.growing().end();
        self.out(&format!("{before}{text}\n"));
    }

    /// Text that goes on where the last ended. While bars stand below, it comes by lines.
    fn write(&self, text: &str) {
        let bars = self.live.is_some() && !self.running().is_empty();
        let ready = match io::stdout().is_terminal() {
            true => self.growing().add(&report::harmless(text), bars),
            false => self.growing().add(text, bars),
        };
        self.out(&ready);
    }

    fn out(&self, text: &str) {
        self.aside(|| {
            let mut out = io::stdout().lock();
            let written = write!(out, "{text}").and_then(|()| out.flush());
            if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                keyboard::restore();
                std::process::exit(0);
            }
        });
    }

    /// A message on the standard error.
    pub fn message(&self, text: &str) {
        let before = self.growing().end();
        if !before.is_empty() {
            self.out(&before);
        }
        self.aside(|| eprintln!("{text}"));
    }

    /// Empties the screen, where there is one.
    fn clear(&self) {
        if io::stdout().is_terminal() && !self.is_dumb() {
            self.growing().end();
            // A screen that stays full is no reason to stop.
            self.aside(|| console::Term::stdout().clear_screen().unwrap_or_default());
        }
    }

    /// What the user typed while the terminal was asked, without keys that move or delete.
    pub(super) fn typed(&self) -> String {
        let mut typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        let letters = typed.replace('\r', "\n");
        typed.clear();
        letters
            .chars()
            .filter(|c| !c.is_control() || *c == '\n')
            .collect()
    }

    /// Whether and how large pictures are shown.
    fn pictures(&self) -> (Images, report::Screen) {
        let answer = || {
            let ask = || {
                let mut answer = self.aside(asking::ask);
                let mut typed = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
                typed.push_str(&std::mem::take(&mut answer.typed));
                answer
            };
            self.answer.get_or_init(ask)
        };
        let images = self.images.unwrap_or_else(|| answer().images());
        // The others scale pictures themselves.
        let asks = self.images.is_none() || images == Images::Sixel;
        let mut screen = report::Screen::default();
        if images != Images::Off {
            let size = console::Term::stdout().size_checked();
            screen.rows = size.map(|(rows, _)| u32::from(rows));
            screen.cell = asking::cell().or_else(|| asks.then(|| answer().cell)?);
        }
        (images, screen)
    }

    pub fn display(&self, display: &Display) {
        self.line(self.render(display, None).trim_end_matches('\n'));
    }

    fn render(&self, display: &Display, height: Option<usize>) -> String {
        let (images, screen) = match display {
            Display::Plot(_) => self.pictures(),
            _ => Default::default(),
        };
        let screen = report::Terminal {
            width: self.width(),
            utf8: self.utf8,
            colour: self.colour,
            true_colour: self.true_colour,
            height,
            images,
            screen,
        };
        display.render(&screen)
    }

    /// The result of a numbered cell, cut to what a screen holds.
    pub(super) fn result(&self, cell: usize, display: &Display) {
        let size = console::Term::stdout().size_checked();
        let text = self.render(display, size.map(|(rows, _)| usize::from(rows)));
        let mark = match self.colour {
            true => format!("\x1b[31mOut[\x1b[1;31m{cell}\x1b[0;31m]:\x1b[0m"),
            false => format!("Out[{cell}]:"),
        };
        let below = text.contains('\n') || matches!(display, Display::Plot(_));
        let gap = if below { '\n' } else { ' ' };
        self.line(&format!("{mark}{gap}{}\n", text.trim_end_matches('\n')));
    }

    /// A prompt that waits on the same line.
    pub(super) fn prompt(&self, text: &str) {
        print!("{text}");
        std::io::stdout().flush().ok();
    }

    /// Takes down the bars of work that nobody finished, and ends the line that is being written.
    pub(super) fn settle(&self) {
        for work in std::mem::take(&mut *self.running()).into_values() {
            if let Some(bar) = work.bar {
                bar.finish_and_clear();
            }
        }
        let rest = self.growing().end();
        self.out(&rest);
    }

    /// Wipes the `^C` that the keyboard left on the line.
    pub(super) fn wipe_line(&self) {
        if !self.is_dumb() {
            print!("\r\x1b[K");
        }
    }

    /// Writes while the progress bars stand back.
    fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.live {
            Some(live) => live.suspend(write),
            None => write(),
        }
    }

    pub(super) fn asker(&self) -> MutexGuard<'_, Option<DefaultEditor>> {
        self.asker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn growing(&self) -> MutexGuard<'_, Line> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self, update: &Update) {
        let mut running = self.running();
        let started = || Running {
            bar: self.live.as_ref().map(|live| live.add(bar(update))),
            told: Duration::ZERO,
        };
        let work = running.entry(update.id).or_insert_with(started);
        match &work.bar {
            Some(bar) => {
                bar.set_position(update.done);
                bar.set_message(below(update));
            }
            None if !update.finished && update.elapsed >= work.told + SILENCE => {
                work.told = update.elapsed;
                eprintln!("{}", update.line());
            }
            None => {}
        }
        if update.finished
            && let Some(work) = running.remove(&update.id)
        {
            if let Some(bar) = work.bar {
                bar.finish_and_clear();
            }
            if !update.passing && (self.live.is_none() || update.elapsed >= BRIEF) {
                let line = update.line();
                let lines = match self.live {
                    Some(_) => report::wrapped(&line, columns(), usize::MAX).join("\n"),
                    None => line,
                };
                self.aside(|| eprintln!("{lines}"));
            }
        }
    }
}

/// What stands after the bar and below it: what is to be said, figures with their curves, the end of the
/// text that grows.
fn below(update: &Update) -> String {
    let (rates, watched): (Vec<&Figure>, Vec<&Figure>) = update
        .figures
        .iter()
        .partition(|figure| figure.history.is_empty());
    let mut lines = vec![update.message.clone()];
    if !rates.is_empty() {
        let rates: Vec<String> = rates.iter().map(|figure| figure.text()).collect();
        lines.push(format!("  {}", rates.join("  ")));
    }
    let widest = |width: fn(&Figure) -> usize| watched.iter().map(|f| width(f)).max();
    let name = widest(|figure| figure.name.width()).unwrap_or(0);
    lines.extend(watched.iter().map(|figure| {
        let value = report::format_number(figure.value, 4);
        let room = columns().saturating_sub(name + 18).min(60);
        let curve = report::sparkline(&figure.history, room);
        let pad = " ".repeat(name - figure.name.width());
        format!("  {}{pad} {value:>10}  {curve}", figure.name)
    }));
    if !update.text.is_empty() {
        let (rows, _) = console::Term::stderr().size();
        let room = usize::from(rows / 2).max(1);
        let text = report::harmless(&update.text);
        lines.push(tail(&text, columns().saturating_sub(4), room));
    }
    lines.join("\n")
}

/// The columns of the terminal, which may change at any time.
pub(super) fn columns() -> usize {
    let size = console::Term::stdout().size_checked();
    size.map_or(WIDTH, |(_, columns)| usize::from(columns))
}

fn bar(update: &Update) -> ProgressBar {
    let template = match update.total {
        0 => "{prefix} {spinner} {pos} [{elapsed}] {msg}",
        _ => "{prefix} {bar:24.cyan/blue} {pos}/{len} [{elapsed} < {eta}] {msg}",
    };
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = match update.total {
        0 => ProgressBar::no_length(),
        total => ProgressBar::new(total),
    };
    bar.with_style(style.progress_chars("━╸─"))
        .with_prefix(update.label.clone())
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Sink for Terminal {
    fn show(&self, event: Event) {
        match event {
            Event::Show(display) => self.display(&display),
            Event::Write(text) => self.write(&text),
            Event::Note(text) => self.message(&text),
            Event::Clear => self.clear(),
            Event::Progress(update) => self.progress(&update),
        }
    }
}

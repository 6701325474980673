//! What keys do beyond the line editor's own: Enter, closing brackets, the arrows.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustyline::history::FileHistory;
use rustyline::{
    Cmd, ConditionalEventHandler, Editor, Event, EventContext, EventHandler, Helper, KeyCode,
    KeyEvent, Modifiers, RepeatCount,
};

use super::keyboard;
use crate::session::lexer::{depth, lex};
use crate::session::{Checker, Completeness};

/// Columns of one level of indentation.
pub(super) const INDENT: usize = 4;

/// A text that a key leaves for whoever deals with it.
pub(super) type Left<T> = Arc<Mutex<Option<T>>>;

/// Takes what was left.
pub(super) fn take<T>(left: &Left<T>) -> Option<T> {
    left.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn leave<T>(left: &Left<T>, what: T) {
    *left.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
}

/// Binds them; `closing` takes a bracket that steps back one level, for the completer, `edited` a cell for the
/// user's editor.
pub(super) fn bind<H: Helper>(
    editor: &mut Editor<H, FileHistory>,
    checker: &Arc<Checker>,
    (closing, edited): (&Left<char>, &Left<String>),
    recalled: &Recalled,
) {
    let in_editor = || EventHandler::Conditional(Box::new(Edit(edited.clone())));
    let keys = ['X', 'E'].map(|key| KeyEvent(KeyCode::Char(key), Modifiers::CTRL));
    editor.bind_sequence(Event::KeySeq(keys.to_vec()), in_editor());
    editor.bind_sequence(KeyEvent(KeyCode::F(2), Modifiers::NONE), in_editor());
    let mut bind = |code, modifiers, handler: Box<dyn ConditionalEventHandler>| {
        let handler = EventHandler::Conditional(handler);
        editor.bind_sequence(KeyEvent(code, modifiers), handler);
    };
    for (code, modifiers) in [
        (KeyCode::Enter, Modifiers::NONE),
        (KeyCode::Char('J'), Modifiers::CTRL),
    ] {
        let (checker, recalled) = (checker.clone(), recalled.clone());
        bind(code, modifiers, Box::new(Enter { checker, recalled }));
    }
    bind(KeyCode::Enter, Modifiers::ALT, Box::new(NewLine));
    for bracket in ['}', ')', ']'] {
        let pending = closing.clone();
        let close = Box::new(Close { bracket, pending });
        bind(KeyCode::Char(bracket), Modifiers::NONE, close);
    }
    bind(KeyCode::Char('Z'), Modifiers::CTRL, Box::new(Suspend));
    let search = Box::new(Search(recalled.clone()));
    bind(KeyCode::Char('R'), Modifiers::CTRL, search);
    let start = Arc::default();
    let (back, forward) = (Cmd::HistorySearchBackward, Cmd::HistorySearchForward);
    for (code, modifiers, search) in [
        (KeyCode::Up, Modifiers::NONE, &back),
        (KeyCode::Down, Modifiers::NONE, &forward),
        (KeyCode::Char('P'), Modifiers::CTRL, &back),
        (KeyCode::Char('N'), Modifiers::CTRL, &forward),
    ] {
        let arrow = Arrow {
            search: search.clone(),
            recalled: recalled.clone(),
            start: Arc::clone(&start),
        };
        bind(code, modifiers, Box::new(arrow));
    }
}

/// The cells of the history, to know a text that is just as it was recalled.
#[derive(Clone, Default)]
pub(super) struct Recalled {
    cells: Arc<Mutex<HashSet<String>>>,
    /// Whether the arrows were used since the cell was begun.
    walked: Arc<AtomicBool>,
}

impl Recalled {
    pub(super) fn add(&self, cell: &str) {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.insert(cell.into());
    }

    /// Nothing is recalled yet.
    pub(super) fn begin(&self) {
        self.walked.store(false, Ordering::Relaxed);
    }

    /// Whether there is such a cell.
    fn has(&self, text: &str) -> bool {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.contains(text)
    }

    /// Whether the text is such a cell, and was not typed again.
    pub(super) fn is(&self, text: &str) -> bool {
        self.walked.load(Ordering::Relaxed) && self.has(text)
    }
}

/// Up and Down on the first line: through the cells that begin as what stands before the cursor. Through all of them
/// from an empty line, and from a cell that was recalled so.
struct Arrow {
    search: Cmd,
    recalled: Recalled,
    /// Where the cursor stands while cells are searched.
    start: Arc<Mutex<Option<usize>>>,
}

impl ConditionalEventHandler for Arrow {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        let (text, at) = (context.line(), context.pos());
        self.recalled.walked.store(true, Ordering::Relaxed);
        let mut start = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        let walking = self.recalled.has(text) && *start != Some(at);
        let search = at > 0 && !text[..at].contains('\n') && !walking;
        *start = search.then_some(at);
        search.then(|| self.search.clone())
    }
}

/// Ctrl-R: what it finds is recalled too.
struct Search(Recalled);

impl ConditionalEventHandler for Search {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext) -> Option<Cmd> {
        self.0.walked.store(true, Ordering::Relaxed);
        None
    }
}

/// Ctrl-Z: to the shell and back.
struct Suspend;

impl ConditionalEventHandler for Suspend {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext) -> Option<Cmd> {
        keyboard::suspend();
        Some(Cmd::Repaint)
    }
}

/// Ctrl-X Ctrl-E and F2: the cell goes to the user's editor, which no command of rustyline does.
struct Edit(Left<String>);

impl ConditionalEventHandler for Edit {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        leave(&self.0, context.line().into());
        Some(Cmd::Interrupt)
    }
}

/// Alt-Enter: a new line, whether the cell is complete or not.
struct NewLine;

impl ConditionalEventHandler for NewLine {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        Some(new_line(context.line(), context.pos()))
    }
}

/// A line below, indented as deep as brackets are open.
fn new_line(text: &str, at: usize) -> Cmd {
    let levels = depth(&lex(text), at);
    Cmd::Insert(1, format!("\n{}", " ".repeat(INDENT * levels)))
}

/// Enter: takes the cell if it is complete, or as it was recalled; else opens an indented line.
struct Enter {
    checker: Arc<Checker>,
    recalled: Recalled,
}

impl ConditionalEventHandler for Enter {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        let (text, at) = (context.line(), context.pos());
        let whole = text[at..].trim().is_empty() || !text.contains('\n');
        if self.recalled.is(text) || whole && is_complete(&self.checker, text) {
            return Some(Cmd::AcceptLine);
        }
        Some(new_line(text, at))
    }
}

/// Whether Enter runs the text: it is complete or can't become so, or two empty lines insist.
pub(super) fn is_complete(checker: &Checker, text: &str) -> bool {
    text.ends_with("\n\n") || checker.check_input(text) != Completeness::Incomplete
}

/// A closing bracket that opens a line steps back one level. rustyline has no command that deletes and inserts, so
/// the bracket goes to the completer, which does.
struct Close {
    bracket: char,
    pending: Left<char>,
}

impl ConditionalEventHandler for Close {
    fn handle(
        &self,
        _: &Event,
        count: RepeatCount,
        _: bool,
        context: &EventContext,
    ) -> Option<Cmd> {
        let before = &context.line()[..context.pos()];
        let line = before.rsplit('\n').next().unwrap_or(before);
        let blank = line.len() >= INDENT && line.chars().all(|c| c == ' ') && before.contains('\n');
        if !blank || count != 1 {
            return None;
        }
        leave(&self.pending, self.bracket);
        Some(Cmd::Complete)
    }
}

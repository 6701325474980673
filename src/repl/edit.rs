//! The line editor: rustyline with our highlighting, completion, hints and indentation.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::Arc;

use rustyline::completion::Completer;
use rustyline::config::Configurer as _;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter};
use rustyline::history::{FileHistory, SearchDirection};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, CompletionType, Context, EditMode, Helper};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::Shared;
use super::highlight::Painter;
use super::keys::{self, INDENT, Left, Recalled, is_complete};
use super::terminal::{Terminal, columns};
use crate::diag::{Error, Result};
use crate::session::{Candidate, Checker};

/// Reads cells.
pub(super) struct Editor {
    editor: rustyline::Editor<Assistant, FileHistory>,
    file: Option<PathBuf>,
    recalled: Recalled,
    /// A cell that is to be changed in the user's editor.
    edited: Left<String>,
}

impl Editor {
    pub(super) fn new(
        session: Shared,
        terminal: &Terminal,
        mode: EditMode,
        file: Option<PathBuf>,
    ) -> Result<Self> {
        let failed = |error: ReadlineError| Error::new(format!("can't open the terminal: {error}"));
        let checker = Arc::new(Checker::new());
        let (pending, edited) = (Left::default(), Left::default());
        let recalled = Recalled::default();
        let mut editor = rustyline::Editor::<Assistant, FileHistory>::new().map_err(failed)?;
        editor.set_completion_type(CompletionType::List);
        editor.set_completion_show_all_if_ambiguous(true);
        editor.set_max_history_size(10_000).map_err(failed)?;
        editor.set_history_ignore_space(true);
        editor.set_edit_mode(mode);
        editor.set_color_mode(if terminal.colour() {
            ColorMode::Enabled
        } else {
            ColorMode::Disabled
        });
        editor.set_helper(Some(Assistant {
            session,
            checker: checker.clone(),
            recalled: recalled.clone(),
            closing: pending.clone(),
            painter: RefCell::new(Painter::new(terminal.colour())),
            left: Cell::new(false),
            empty: Cell::new(true),
        }));
        keys::bind(&mut editor, &checker, (&pending, &edited), &recalled);
        if let Some(file) = &file {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder).ok();
            }
            // The first session has no history yet.
            editor.load_history(file).ok();
        }
        editor.history().iter().for_each(|cell| recalled.add(cell));
        Ok(Self {
            editor,
            file,
            recalled,
            edited,
        })
    }

    /// Reads the cell of that number; `text` stands there already.
    pub(super) fn read(&mut self, cell: usize, text: &str) -> Result<String, ReadlineError> {
        self.recalled.begin();
        let raw = format!("In [{cell}]: ");
        let styled = format!("\x1b[32mIn [\x1b[1;32m{cell}\x1b[0;32m]:\x1b[0m ");
        self.editor
            .readline_with_initial(&(raw.as_str(), styled.as_str()), (text, ""))
    }

    /// The cell that the user wants to change in their editor.
    pub(super) fn to_edit(&self) -> Option<String> {
        keys::take(&self.edited)
    }

    /// Whether the line that was left last was empty.
    pub(super) fn was_empty(&self) -> bool {
        self.editor
            .helper()
            .is_some_and(|assistant| assistant.empty.get())
    }

    /// Adds a cell to the history, now and for later sessions.
    pub(super) fn remember(&mut self, line: &str) {
        let added = self
            .editor
            .add_history_entry(line.trim_end())
            .unwrap_or(false);
        self.recalled.add(line.trim_end());
        if let Some(file) = self.file.as_ref().filter(|_| added) {
            // A history that can't be written must not stop the work.
            self.editor.append_history(file).ok();
        }
    }
}

/// What rustyline asks while the user types.
struct Assistant {
    session: Shared,
    checker: Arc<Checker>,
    recalled: Recalled,
    /// A bracket that steps back one level.
    closing: Left<char>,
    painter: RefCell<Painter>,
    /// Whether the cursor has left the cell.
    left: Cell<bool>,
    /// Whether nothing is typed.
    empty: Cell<bool>,
}

impl Helper for Assistant {}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        match self.recalled.is(text) || is_complete(&self.checker, text) {
            true => Ok(ValidationResult::Valid(None)),
            false => Ok(ValidationResult::Incomplete),
        }
    }
}

/// A candidate as rustyline lists it.
pub(super) struct Choice {
    shown: String,
    text: String,
}

impl rustyline::completion::Candidate for Choice {
    fn display(&self) -> &str {
        &self.shown
    }
    fn replacement(&self) -> &str {
        &self.text
    }
}

impl Completer for Assistant {
    type Candidate = Choice;

    fn complete(
        &self,
        text: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Choice>)> {
        if let Some(bracket) = keys::take(&self.closing) {
            let close = Choice {
                shown: String::new(),
                text: bracket.into(),
            };
            return Ok((at.saturating_sub(INDENT), vec![close]));
        }
        // Tab at the start of a line indents.
        let line = text[..at].rsplit('\n').next().unwrap_or("");
        if line.trim().is_empty() && text.contains('\n') {
            let indent = Choice {
                shown: String::new(),
                text: " ".repeat(INDENT),
            };
            return Ok((at, vec![indent]));
        }
        let completions = self.session.borrow().complete(text, at);
        let widest = completions
            .candidates
            .iter()
            .map(|c| c.label.width())
            .max()
            .unwrap_or(0);
        let width = columns();
        let shown = |candidate: Candidate| Choice {
            shown: list_line(&candidate, widest.min(width / 2), width.saturating_sub(2)),
            text: candidate.text,
        };
        Ok((
            completions.start,
            completions.candidates.into_iter().map(shown).collect(),
        ))
    }
}

/// Signature and sentence on one line.
fn list_line(candidate: &Candidate, column: usize, width: usize) -> String {
    if candidate.summary.is_empty() {
        return candidate.label.clone();
    }
    let gap = column.saturating_sub(candidate.label.width()) + 2;
    let line = format!(
        "{}{}{}",
        candidate.label,
        " ".repeat(gap),
        candidate.summary
    );
    let mut used = 0;
    let kept: String = line
        .chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used < width
        })
        .collect();
    if kept.len() < line.len() {
        format!("{kept}…")
    } else {
        kept
    }
}

/// Grey text after the cursor.
pub(super) struct Ghost {
    text: String,
    /// Whether the right arrow takes it.
    usable: bool,
}

impl Hint for Ghost {
    fn display(&self) -> &str {
        &self.text
    }
    fn completion(&self) -> Option<&str> {
        self.usable.then_some(self.text.as_str())
    }
}

impl Hinter for Assistant {
    type Hint = Ghost;

    /// The parameters still to come, else the rest of an earlier line that began the same way.
    fn hint(&self, text: &str, at: usize, context: &Context<'_>) -> Option<Ghost> {
        self.empty.set(text.is_empty());
        if at < text.len() || text.trim().is_empty() {
            return None;
        }
        // The lines below `%%time` go on until one is empty.
        if text.starts_with("%%") && text.ends_with('\n') && is_complete(&self.checker, text) {
            return Some(Ghost {
                text: "Enter runs the cell".into(),
                usable: false,
            });
        }
        if let Some(text) = self.session.borrow().call_hint(text) {
            return Some(Ghost {
                text,
                usable: false,
            });
        }
        let history = context.history();
        let last = history.len().checked_sub(1)?;
        let found = history
            .starts_with(text, last, SearchDirection::Reverse)
            .ok()??;
        let rest = found
            .entry
            .get(text.len()..)?
            .lines()
            .next()
            .filter(|rest| !rest.is_empty())?;
        Some(Ghost {
            text: rest.into(),
            usable: true,
        })
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, at: usize) -> Cow<'l, str> {
        let at = (!self.left.get()).then_some(at);
        Cow::Owned(self.painter.borrow_mut().paint(line, at))
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(format!("\x1b[90m{hint}\x1b[0m"))
    }

    fn highlight_candidate<'c>(&self, candidate: &'c str, _: CompletionType) -> Cow<'c, str> {
        match candidate.split_once("  ") {
            Some((label, rest)) => {
                Cow::Owned(format!("\x1b[36m{label}\x1b[0m  \x1b[90m{rest}\x1b[0m"))
            }
            None => Cow::Borrowed(candidate),
        }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.left.set(kind == CmdKind::ForcedRefresh);
        true
    }
}

//! What the variables were in the calls that an error came through.
//!
//! The engine drops the variables of a call before the call's error arrives anywhere. So blocks of a script run inside
//! of a [`Block`], which sees the error while the variables are still there, and takes those that its line names.

mod block;
mod bodies;
mod lines;
mod rewrite;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{Dynamic, EvalAltResult, Scope};

pub(super) use block::install;
use lines::Lines;
pub(crate) use rewrite::noted;

/// The notes on the last error, shared by the engine that makes them and the session that reads them.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Inner>);

#[derive(Default)]
struct Inner {
    notes: Mutex<Vec<Note>>,
    /// How many notes were begun.
    count: AtomicU64,
}

/// What was noted in one call.
pub(crate) struct Note {
    /// How many calls and modules the error had come through before.
    pub depth: usize,
    pub line: usize,
    pub values: Vec<(String, Dynamic)>,
    /// The nesting of calls, as the engine counts it.
    level: usize,
    /// The count when it was begun.
    number: u64,
    lines: Arc<Lines>,
}

/// Where an error passes.
struct Passing<'a> {
    error: &'a EvalAltResult,
    level: usize,
    /// The count of notes when the block began.
    begun: u64,
    lines: &'a Arc<Lines>,
}

impl Notes {
    /// The notes, the innermost call first; none are left.
    pub fn take(&self) -> Vec<Note> {
        std::mem::take(&mut *self.lock())
    }

    fn clear(&self) {
        self.lock().clear();
    }

    fn count(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Note>> {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the variables out of the scope from `start` on, as far as the line of the error names them.
    fn add(&self, passing: &Passing, scope: &mut Scope, start: usize) {
        let depth = depth(passing.error);
        let Some(line) = passing.error.position().line() else {
            return;
        };
        let mut notes = self.lock();
        let here = |note: &Note| {
            (note.depth, note.level) == (depth, passing.level) && note.number > passing.begun
        };
        if !notes.last().is_some_and(here) {
            // Notes of calls from this block; all others are of errors that somebody has caught.
            notes.retain(|note| note.depth < depth && note.number > passing.begun);
            notes.push(Note {
                depth,
                line,
                values: Vec::new(),
                level: passing.level,
                number: self.0.count.fetch_add(1, Ordering::Relaxed) + 1,
                lines: passing.lines.clone(),
            });
        }
        if let Some(note) = notes.last_mut() {
            note.gather(scope, start);
        }
    }
}

impl Note {
    fn gather(&mut self, scope: &mut Scope, start: usize) {
        let mut found: Vec<(String, bool)> = Vec::new();
        let dying = scope.len().saturating_sub(start);
        for (name, constant, _) in scope.iter_raw().take(dying) {
            let hidden = found.iter().any(|(known, _)| known == name)
                || self.values.iter().any(|(known, _)| known == name);
            if !hidden && self.lines.name(self.line, name) {
                found.push((name.to_string(), constant));
            }
        }
        for (name, constant) in found {
            // The scope ends with this error, so its values can move; constants can't be reached to move them.
            let value = match constant {
                true => scope.get(&name).cloned(),
                false => scope.get_mut(&name).map(std::mem::take),
            };
            self.values.extend(value.map(|value| (name, value)));
        }
    }

    /// The values in the order in which the line names them.
    pub fn in_order(mut self) -> Vec<(String, Dynamic)> {
        let place = |name: &str| self.lines.names(self.line).position(|known| known == name);
        self.values.sort_by_key(|(name, _)| place(name));
        self.values
    }
}

/// How many calls and modules are in an error.
pub(crate) fn depth(error: &EvalAltResult) -> usize {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _)
        | EvalAltResult::ErrorInModule(_, inner, _) => 1 + depth(inner),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;

//! The values of the variables on the lines that led to an error.

use rhai::{Dynamic, EvalAltResult, FnPtr};

use super::Session;
use super::lexer::{Kind, lex};
use crate::host::notes::{Note, depth};

/// Columns of a value.
const WIDTH: usize = 60;

/// The values in one call, each with its name, as they are told.
pub(super) struct Values {
    /// How many calls and modules are inside of this one.
    pub depth: usize,
    pub line: usize,
    pub told: Vec<(String, String)>,
}

impl Session {
    /// The values on each line that led to an error which has just come out of the code `name`. Tensors tell their
    /// shape and statistics.
    pub(super) fn values_at(&self, name: &str, error: &EvalAltResult) -> Vec<Values> {
        let notes = self.host.notes().take();
        if error.is_system_exception() {
            return Vec::new();
        }
        let of_note = |note: Note| Values {
            depth: note.depth,
            line: note.line,
            told: self.lines_of(&note.in_order()),
        };
        let mut values: Vec<Values> = notes.into_iter().map(of_note).collect();
        if let Some(line) = error.position().line() {
            self.add_variables(name, (depth(error), line), &mut values);
        }
        values
    }

    /// Adds the session's variables, which the outermost line names.
    fn add_variables(&self, name: &str, (depth, line): (usize, usize), values: &mut Vec<Values>) {
        let text = self.sources.line(name, line);
        let names = lex(&text).into_iter().filter(|t| t.kind == Kind::Name);
        let mut found: Vec<(String, Dynamic)> = Vec::new();
        for token in names {
            let word = &text[token.start..token.end];
            let known = matches!(word, "In" | "Out") || found.iter().any(|(name, _)| name == word);
            if let Some(value) = self.scope.get(word).filter(|_| !known) {
                found.push((word.into(), value.clone()));
            }
        }
        let told = self.lines_of(&found);
        match values.iter_mut().find(|values| values.depth == depth) {
            Some(values) => {
                let new = |(name, _): &(String, String)| values.told.iter().all(|(n, _)| n != name);
                let new: Vec<_> = told.into_iter().filter(new).collect();
                values.told.extend(new);
            }
            None => values.push(Values { depth, line, told }),
        }
    }

    fn lines_of(&self, values: &[(String, Dynamic)]) -> Vec<(String, String)> {
        let line = |(name, value): &(String, Dynamic)| Some((name.clone(), self.line_of(value)?));
        values.iter().filter_map(line).collect()
    }

    fn line_of(&self, value: &Dynamic) -> Option<String> {
        let registry = self.host.registry();
        if let Some(stats) = registry.stats(value) {
            return Some(stats);
        }
        // A handle's line, or a closure's, says no more than its name.
        let silent = registry.type_of(value).is_some() || value.is::<FnPtr>();
        // Shared with a closure or not is the same to the reader.
        (!silent).then(|| self.value_line(&value.clone().flatten(), WIDTH))
    }
}

//! The values of the variables on the line of an error.

use rhai::FnPtr;

use super::lexer::{Kind, lex};
use super::{Diagnostic, Problem, Session};

/// Columns of a value.
const WIDTH: usize = 60;

impl Session {
    /// `a = [1, 2], k = 3` of the outermost line that led to a failure: there the session's variables are seen.
    /// Tensors tell their shape and statistics. The variables of a function are gone when its failure comes out of the
    /// engine; only the engine that tells its steps sees them, which is slower, so `%debug` runs the cell again for them.
    pub(super) fn values_at(&self, problem: &Diagnostic) -> Option<String> {
        let frame = problem.frames.last()?;
        if problem.problem != Problem::Runtime || frame.function.is_some() {
            return None;
        }
        let mut told: Vec<String> = Vec::new();
        for token in lex(&frame.text).iter().filter(|t| t.kind == Kind::Name) {
            let name = &frame.text[token.start..token.end];
            let Some(value) = self.scope.get(name).filter(|value| !value.is::<FnPtr>()) else {
                continue;
            };
            let registry = self.host.registry();
            let line = match registry.stats(value) {
                Some(stats) => stats,
                // A handle's line says no more than its name.
                None if registry.type_of(value).is_some() => continue,
                // Shared with a closure or not is the same to the reader.
                None => self.value_line(&value.clone().flatten(), WIDTH),
            };
            let text = format!("{name} = {line}");
            if !matches!(name, "In" | "Out") && !told.contains(&text) {
                told.push(text);
            }
        }
        (!told.is_empty()).then(|| told.join(", "))
    }
}

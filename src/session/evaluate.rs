//! Evaluating code: as a cell, which leaves nothing behind when it fails, or as a script.

use rhai::{AST, Dynamic};

use super::journal::Entry;
use super::underscore::{self, Word};
use super::undo::Before;
use super::uses::Uses;
use super::{Diagnostic, Failure, Outcome, Session, cells, panics, watch};
use crate::diag::{Error, Result};
use crate::host::notes::noted;

impl Session {
    /// Evaluates code under a name of its own, with no cell number.
    pub fn eval_named(&mut self, name: &str, code: &str) -> Outcome {
        self.eval_as(name, code, false)
    }

    /// Evaluates code; if it is a cell that fails, the session is as before it.
    pub(super) fn eval_as(&mut self, name: &str, code: &str, cell: bool) -> Outcome {
        let alarm = self.host.begin();
        let start = self.host.clock().elapsed();
        self.sources.texts.insert(name.into(), code.into());
        let taken = |name: &str| self.scope.contains(name);
        let (compiled, words) = underscore::rename(code, taken);
        let length = self.scope.len();
        let cell_of = |word: &Word| Some((word.name.clone(), self.history.cell_of(&word.name)?));
        let results = words.iter().filter_map(cell_of).collect();
        let mut before = None;
        let result = self
            .bind_results(name, &words)
            .and_then(|()| self.evaluate(name, &compiled, length, &mut before));
        let late = alarm.rang();
        let exit = self.host.take_exit();
        let failed = result.is_err() && exit.is_none();
        let (note, states) = match before {
            Some((mut before, uses)) if failed && cell => {
                let states = std::mem::take(&mut before.states);
                let names: Vec<&str> = states.iter().map(|(name, _)| name.as_str()).collect();
                (self.take_back(before, &uses, &names, length), states)
            }
            before => {
                let replaced = cells::drop_shadowed(&mut self.scope, &words);
                if let Some((mut before, uses)) = before {
                    before.cell = self.next_cell() - usize::from(cell);
                    let number = cell.then_some(before.cell);
                    let entry = self.entry((name, code, number), (uses, &words), &before);
                    self.keep_entry(Entry { results, ..entry });
                    self.remember(before, replaced);
                }
                (None, Vec::new())
            }
        };
        let (value, problem) = match result {
            Ok(value) => (value, None),
            Err(_) if exit.is_some() => (Dynamic::UNIT, None),
            Err(mut problem) => {
                problem.note = note;
                if late && problem.is_interrupt() {
                    problem.out_of_time(self.host.limits());
                }
                self.failure = cell.then(|| Failure {
                    name: name.into(),
                    code: code.into(),
                    problem: (*problem).clone(),
                    states: states.into_iter().map(|(_, kept)| kept).collect(),
                });
                let unfinished = self.host.take_unfinished();
                let kept = unfinished.filter(|_| problem.is_interrupt());
                (kept.unwrap_or(Dynamic::UNIT), Some(*problem))
            }
        };
        let elapsed = self.host.clock().elapsed().saturating_sub(start);
        Outcome {
            value,
            problem,
            exit,
            elapsed,
        }
    }

    /// Puts the earlier results that the code names into its scope.
    pub(super) fn bind_results(
        &mut self,
        name: &str,
        words: &[Word],
    ) -> Result<(), Box<Diagnostic>> {
        for word in words {
            let Some(value) = self.history.result(&word.name) else {
                let error = Error::new(format!("there is no result {} yet", word.name))
                    .hint("`_` is the last result, `_3` that of cell 3")
                    .at(name, word.line, word.column);
                return Err(Box::new(Diagnostic::of_error(&error, &self.sources)));
            };
            if !self.scope.contains(&word.alias) {
                self.scope.push_constant_dynamic(&word.alias, value);
            }
        }
        Ok(())
    }

    fn evaluate(
        &mut self,
        name: &str,
        code: &str,
        length: usize,
        before: &mut Option<(Before, Uses)>,
    ) -> Result<Dynamic, Box<Diagnostic>> {
        let compiled = self.engine.compile_with_scope(&self.scope, code);
        let mut ast = match compiled {
            Ok(ast) => ast,
            Err(error) => return Err(self.diagnose(name, &error.into())),
        };
        ast.set_source(name);
        let uses = Uses::of(&ast);
        let (kept, uses) = before.insert((self.before(&uses, length), uses));
        self.keep_states(kept, uses)
            .map_err(|error| Diagnostic::of_error(&error, &self.sources))?;
        for function in ast.iter_functions() {
            self.sources
                .functions
                .insert(function.name.into(), name.into());
        }
        let noted = noted(&ast, self.variables().map(|(name, _)| name));
        if ast.has_functions() {
            self.functions.add(&ast, &noted);
        }
        let program = self.program(name, &noted);
        let modules = !self.modules.is_empty();
        let may_break = |ast| watch::may_break(ast, modules);
        if self.watcher.is_none() && (may_break(&ast) || may_break(&self.functions.plain)) {
            self.watcher = Some(Box::new(|session| Box::new(session.debugger(false))));
        }
        let watcher = self.watcher.take().map(|watching| watching(self));
        let run = || match watcher {
            Some(watcher) => self.eval_watched(watcher, &program),
            None => {
                let (engine, scope) = (&self.engine, &mut self.scope);
                engine.eval_ast_with_scope::<Dynamic>(scope, &program)
            }
        };
        let value = match panics::catch(run) {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => return Err(self.diagnose(name, &error)),
            Err(panic) => return Err(Box::new(Diagnostic::of_panic(&panic))),
        };
        for (alias, module) in cells::imports(&self.engine, &ast, name) {
            self.engine.register_static_module(&alias, module.clone());
            self.modules.retain(|(known, _)| *known != alias);
            self.modules.push((alias, module));
        }
        Ok(value)
    }

    /// The cell with every function so far, and the constants of earlier cells for `global::`.
    pub(super) fn program(&self, name: &str, ast: &AST) -> AST {
        let constants = cells::constants(&self.scope);
        let prelude = self
            .engine
            .compile_with_scope(&self.scope, constants)
            .unwrap_or_else(|_| AST::empty());
        let mut program = self
            .functions
            .noted
            .merge(&prelude)
            .merge(&ast.clone_statements_only());
        program.set_source(name);
        program
    }
}

//! Evaluating code: as a cell, which leaves nothing behind when it fails, or as a script.

use rhai::{AST, Dynamic, OptimizationLevel, ParseError};

use super::journal::Entry;
use super::repeat::Fallible;
use super::underscore::{self, Word};
use super::undo::Before;
use super::uses::Uses;
use super::{Diagnostic, Failure, Outcome, Session, cells, panics, watch};
use crate::diag::{Error, Result};
use crate::host::Event;
use crate::host::notes::noted;

/// Code on its way through an evaluation.
struct Run<'a> {
    /// Of the cell or the file.
    name: &'a str,
    code: &'a str,
    cell: bool,
    /// The earlier results that it names.
    words: Vec<Word>,
    /// The same with the cells that they are of.
    results: Vec<(String, usize)>,
    /// How many variables there were before it.
    length: usize,
    /// The state before it, once it compiles.
    before: Option<(Before, Uses)>,
}

impl Session {
    /// Evaluates code under a name of its own, with no cell number.
    pub fn eval_named(&mut self, name: &str, code: &str) -> Outcome {
        self.eval_as(name, code, false)
    }

    /// Evaluates code; if it is a cell that fails, the session is as before it.
    pub(super) fn eval_as(&mut self, name: &str, code: &str, cell: bool) -> Outcome {
        let turn = self.begin();
        let start = self.host.clock().elapsed();
        self.sources.texts.insert(name.into(), code.into());
        // What an earlier part of the line left.
        self.host.take_unfinished();
        let (mut run, compiled) = self.starting(name, code, cell);
        let result = self
            .bind_results(name, &run.words)
            .and_then(|()| self.evaluate(&mut run, &compiled));
        let exit = self.host.take_exit();
        let (value, problem) = match result {
            Err(mut problem) if exit.is_none() => {
                turn.explain(&mut problem, self.host.limits());
                let (value, problem) = self.fail(run, *problem);
                (value, Some(problem))
            }
            result => {
                self.keep(run);
                (result.unwrap_or(Dynamic::UNIT), None)
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

    /// What to know of code before it runs, and the code with earlier results under their aliases.
    fn starting<'a>(&self, name: &'a str, code: &'a str, cell: bool) -> (Run<'a>, String) {
        let taken = |name: &str| self.scope.contains(name);
        let (compiled, words) = underscore::rename(code, taken);
        let cell_of = |word: &Word| Some((word.name.clone(), self.history.cell_of(&word.name)?));
        let run = Run {
            name,
            code,
            cell,
            results: words.iter().filter_map(cell_of).collect(),
            words,
            length: self.scope.len(),
            before: None,
        };
        (run, compiled)
    }

    /// Code has run to its end, or as far as it got: what it left stays.
    fn keep(&mut self, run: Run) {
        let replaced = cells::drop_shadowed(&mut self.scope, &run.words);
        let Some((mut before, uses)) = run.before else {
            return;
        };
        before.cell = self.next_cell() - usize::from(run.cell);
        let number = run.cell.then_some(before.cell);
        let entry = self.entry((run.name, run.code, number), (uses, &run.words), &before);
        self.keep_entry(Entry {
            results: run.results,
            ..entry
        });
        self.remember(before, replaced);
    }

    /// Code has failed. A cell leaves nothing behind but what `%debug` needs, and what interrupted work has come to.
    fn fail(&mut self, mut run: Run, mut problem: Diagnostic) -> (Dynamic, Diagnostic) {
        let mut states = Vec::new();
        let (name, code, cell) = (run.name, run.code, run.cell);
        match run.before.take() {
            Some((mut before, uses)) if cell => {
                states = std::mem::take(&mut before.states);
                let names: Vec<&str> = states.iter().map(|(name, _)| name.as_str()).collect();
                problem.note = self.take_back(before, &uses, &names, run.length);
            }
            before => self.keep(Run { before, ..run }),
        }
        self.failure = cell.then(|| Failure {
            name: name.into(),
            code: code.into(),
            problem: problem.clone(),
            states: states.into_iter().map(|(_, kept)| kept).collect(),
        });
        let unfinished = self.host.take_unfinished();
        let kept = unfinished.filter(|_| problem.is_interrupt());
        (kept.unwrap_or(Dynamic::UNIT), problem)
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

    fn evaluate(&mut self, run: &mut Run, code: &str) -> Result<Dynamic, Box<Diagnostic>> {
        let name = run.name;
        let written = self
            .parse(code)
            .map_err(|error| self.diagnose(name, &error.into()))?;
        if run.cell {
            self.warn(run, &written);
        }
        let level = self.engine.optimization_level();
        let mut ast = self.engine.optimize_ast(&self.scope, written, level);
        ast.set_source(name);
        let uses = Uses::of(&ast);
        let before = (self.before(&uses, run.length), uses);
        let (kept, uses) = run.before.insert(before);
        self.keep_states(kept, uses)
            .map_err(|error| Diagnostic::of_error(&error, &self.sources))?;
        let noted = noted(&ast, self.variables().map(|(name, _)| name));
        self.learn(name, &ast, &noted);
        let program = self.program(name, &noted);
        let value = match self.execute(&ast, &program) {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => return Err(self.diagnose(name, &error)),
            Err(panic) => return Err(Box::new(Diagnostic::of_panic(&panic))),
        };
        self.keep_imports(name, &ast);
        Ok(value)
    }

    /// The code as it was written, nothing folded or left out.
    fn parse(&mut self, code: &str) -> Result<AST, ParseError> {
        let level = self.engine.optimization_level();
        self.engine.set_optimization_level(OptimizationLevel::None);
        let parsed = self.engine.compile_with_scope(&self.scope, code);
        self.engine.set_optimization_level(level);
        parsed
    }

    /// Tells what of a cell is hardly meant.
    fn warn(&self, run: &Run, written: &AST) {
        let warnings = match run.words.is_empty() {
            true => self.warnings_of(run.name, run.code, written),
            // Earlier results have other names in what was parsed.
            false => self.warnings(run.name, run.code),
        };
        for warning in warnings {
            self.host.send(Event::Note(warning.render(false)));
        }
    }

    /// Makes the functions of some code known.
    fn learn(&mut self, name: &str, ast: &AST, noted: &AST) {
        for function in ast.iter_functions() {
            let function = function.name.into();
            self.sources.functions.insert(function, name.into());
        }
        if ast.has_functions() {
            self.functions.add(ast, noted);
        }
    }

    /// Runs a program, watched if somebody asked for that or if the code may come to a `breakpoint()`. A panic comes
    /// out as its message.
    fn execute(&mut self, code: &AST, program: &AST) -> Result<Fallible<Dynamic>, String> {
        let modules = !self.modules.is_empty();
        let may_break = |ast| watch::may_break(ast, modules);
        if self.watcher.is_none() && (may_break(code) || may_break(&self.functions.plain)) {
            self.watcher = Some(Box::new(|session| Box::new(session.debugger(false))));
        }
        let watcher = self.watcher.take().map(|watching| watching(self));
        panics::catch(|| match watcher {
            Some(watcher) => self.eval_watched(watcher, program),
            None => self.engine.eval_ast_with_scope(&mut self.scope, program),
        })
    }

    /// Modules that some code has imported are there for later cells, and for functions.
    fn keep_imports(&mut self, name: &str, ast: &AST) {
        for (alias, module) in cells::imports(&self.engine, ast, name) {
            self.engine.register_static_module(&alias, module.clone());
            self.modules.retain(|(known, _)| *known != alias);
            self.modules.push((alias, module));
        }
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

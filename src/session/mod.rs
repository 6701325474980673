//! A session: cells of script in, values and diagnostics out. The prompt, pipes and scripts all stand on it.

mod candidates;
mod cells;
mod chain;
mod check;
mod complete;
mod completeness;
mod cursor;
mod debug;
mod diagnose;
mod digest;
mod export;
mod fork;
mod history;
mod inspect;
mod journal;
pub mod lexer;
mod magic;
mod manual;
mod matching;
mod names;
mod outline;
mod panics;
mod params;
mod place;
mod profile;
mod quoted;
mod repeat;
mod reply;
mod shape;
mod size;
mod slice;
mod transcript;
mod underscore;
mod undo;
mod uses;
mod watch;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rhai::{AST, Dynamic, Engine, Scope};

pub use candidates::{Candidate, Thing};
pub use complete::Completions;
pub use completeness::{Checker, Completeness, lines_left_open};
pub use diagnose::{Diagnostic, Frame, Problem};
pub use magic::{MAGICS, Magic};
pub use manual::Page;
pub use panics::{catch as catch_panics, silence as silence_panics};
pub use params::{Param, Params};
pub use place::{Definition, Signature, Source, Symbol, Told, symbols};
pub use reply::{Outcome, Reply};

use crate::diag::{Error, Result};
use crate::host::builtins::{self, Builtin};
use crate::host::{Host, Kept, Setup, engine, resolver, show};
use crate::report::Display;
use crate::runs::Status;
use fork::Fork;
use history::History;
use journal::{Entry, Stale};
use transcript::Transcript;
use underscore::Word;
use undo::{Before, Undo};
use uses::Uses;
use watch::{Watched, Watching};

/// A running session.
pub struct Session {
    engine: Engine,
    host: Host,
    scope: Scope<'static>,
    /// All functions of all cells; closures of earlier cells live here too.
    functions: AST,
    sources: Sources,
    history: History,
    /// Modules imported so far, by alias.
    modules: Vec<(String, rhai::Shared<rhai::Module>)>,
    builtins: OnceLock<Vec<Builtin>>,
    undo: Undo,
    forks: Vec<Fork>,
    /// The engine that tells its steps, once it is needed.
    watched: Option<Watched>,
    /// Who watches the next evaluation.
    watcher: Option<Watching>,
    /// What ran and did not fail.
    journal: Vec<Entry>,
    /// What the user was told to be out of date.
    warned: BTreeSet<Stale>,
    transcript: Arc<Transcript>,
    /// The seed that it began with.
    seed: u64,
    /// The last cell that failed.
    failure: Option<Failure>,
}

/// A cell that failed, to look into.
struct Failure {
    name: String,
    code: String,
    problem: Diagnostic,
    /// What was behind handles before it.
    states: Vec<Kept>,
}

/// The texts that errors can point into.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// By cell or file name.
    texts: BTreeMap<String, String>,
    /// In which of them a function was defined last.
    functions: BTreeMap<String, String>,
}

/// Runs that a prompt opened end with it.
impl Drop for Session {
    fn drop(&mut self) {
        // A record that can't be written any more stays "running", which is what it then is.
        let _ = self.end_runs(None);
    }
}

impl Session {
    pub fn new(mut setup: Setup) -> Self {
        let transcript = Arc::new(Transcript::new(setup.sink));
        setup.sink = transcript.clone();
        let seed = setup.seed;
        let host = Host::new(setup);
        let mut engine = engine::build(&host);
        let history = History::new(&mut engine);
        let mut session = Self {
            engine,
            host,
            scope: Scope::new(),
            functions: AST::empty(),
            sources: Sources::default(),
            history,
            modules: Vec::new(),
            builtins: OnceLock::new(),
            undo: Undo::new(),
            forks: Vec::new(),
            watched: None,
            watcher: None,
            journal: Vec::new(),
            warned: BTreeSet::new(),
            transcript,
            seed,
            failure: None,
        };
        session.reset();
        session
    }

    /// Forgets variables, functions and results; modules stay.
    pub fn reset(&mut self) {
        self.scope = Scope::new();
        self.functions = AST::empty();
        self.undo.clear();
        self.journal.clear();
        self.warned.clear();
        self.history.clear();
        self.history.bind(&mut self.scope);
    }

    /// The number of the next cell.
    pub fn next_cell(&self) -> usize {
        self.history.next()
    }

    /// Evaluates a script file; it sees and leaves the session's variables.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn run_file(&mut self, path: &Path) -> Result<Outcome> {
        let code = self.read_script(path)?;
        // Imports are looked up beside the file of that name.
        let outcome = self.eval_named(&path.to_string_lossy(), &code);
        self.end_runs(outcome.problem.as_ref())?;
        Ok(outcome)
    }

    /// Notes in the runs that are open how it went.
    fn end_runs(&self, problem: Option<&Diagnostic>) -> Result<()> {
        let status = match problem.map(|p| p.problem) {
            None => Status::Finished,
            Some(Problem::Interrupted | Problem::Limit) => Status::Interrupted,
            Some(_) => Status::Failed,
        };
        self.host
            .end_runs(status, problem.map(|p| p.message.as_str()))
    }

    /// What a script file asks of its command line.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn params_of(&self, path: &Path) -> Result<Params> {
        Ok(Params::read(&self.engine, &self.read_script(path)?))
    }

    /// The text of a script; a first line `#!` becomes a comment.
    ///
    /// # Errors
    /// The file can't be read, or is not UTF-8 text.
    pub fn read_script(&self, path: &Path) -> Result<String> {
        let bytes = self.host.read(&self.host.base().join(path))?;
        let code = String::from_utf8(bytes)
            .map_err(|_| Error::new(format!("{} is not UTF-8 text", path.display())))?;
        Ok(match code.strip_prefix("#!") {
            Some(rest) => format!("//{rest}"),
            None => code,
        })
    }

    /// Evaluates code under a name of its own, with no cell number.
    pub fn eval_named(&mut self, name: &str, code: &str) -> Outcome {
        self.eval_as(name, code, false)
    }

    /// Evaluates code; if it is a cell that fails, the session is as before it.
    fn eval_as(&mut self, name: &str, code: &str, cell: bool) -> Outcome {
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
        let mut states = Vec::new();
        let note = match before {
            Some((mut before, uses)) if failed && cell => {
                states = std::mem::take(&mut before.states);
                let names: Vec<&str> = states.iter().map(|(name, _)| name.as_str()).collect();
                self.take_back(before, &uses, &names, length)
            }
            before => {
                let replaced = cells::drop_shadowed(&mut self.scope, &words);
                if let Some((mut before, uses)) = before {
                    before.cell = self.next_cell() - usize::from(cell);
                    let entry = self.entry(name, code, (uses, &words), &before);
                    let entry = Entry {
                        results,
                        cell: cell.then_some(before.cell),
                        ..entry
                    };
                    self.warn_stale(&entry);
                    self.journal.push(entry);
                    self.remember(before, replaced);
                }
                None
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
    fn bind_results(&mut self, name: &str, words: &[Word]) -> Result<(), Box<Diagnostic>> {
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
        if ast.has_functions() {
            self.functions.combine(ast.clone_functions_only());
        }
        let program = self.program(name, &ast);
        if self.watcher.is_none() && watch::may_break(&program, !self.modules.is_empty()) {
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
    fn program(&self, name: &str, ast: &AST) -> AST {
        let constants = cells::constants(&self.scope);
        let prelude = self
            .engine
            .compile_with_scope(&self.scope, constants)
            .unwrap_or_else(|_| AST::empty());
        let mut program = self
            .functions
            .merge(&prelude)
            .merge(&ast.clone_statements_only());
        program.set_source(name);
        program
    }

    fn diagnose(&self, name: &str, error: &rhai::EvalAltResult) -> Box<Diagnostic> {
        let context = diagnose::Context {
            registry: self.host.registry(),
            builtins: self.builtins(),
            sources: &self.sources,
            scope: &self.scope,
            code: self.sources.texts.get(name).map_or("", String::as_str),
        };
        Box::new(diagnose::diagnose(error, name, &context))
    }

    /// What the prompt shows for a value; nothing for `()`.
    pub fn show(&self, value: &Dynamic, width: usize) -> Option<Display> {
        (!value.is_unit()).then(|| show::rich(self.host.registry(), value, width))
    }

    /// One line for a value, as a script would write it.
    pub fn line(&self, value: &Dynamic) -> String {
        show::line(self.host.registry(), value)
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The session's variables, `In` and `Out` left out.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Dynamic)> {
        self.scope
            .iter_raw()
            .map(|(name, _, value)| (name, value))
            .filter(|(name, _)| !matches!(*name, "In" | "Out"))
    }

    /// The session's own functions.
    pub fn functions(&self) -> &AST {
        &self.functions
    }

    /// The language's own functions.
    fn builtins(&self) -> &[Builtin] {
        self.builtins
            .get_or_init(|| builtins::collect(&self.engine, self.host.registry()))
    }

    fn modules(&self) -> &[(String, rhai::Shared<rhai::Module>)] {
        &self.modules
    }

    /// The file of a module that `source` imports, and its text.
    pub(crate) fn module_text(
        &self,
        source: Option<&str>,
        path: &str,
    ) -> Option<(PathBuf, String)> {
        let file = resolver::locate(&self.host, source, path);
        let text = std::fs::read_to_string(&file).ok()?;
        Some((file, text))
    }

    /// The code of every cell so far, with its number.
    pub fn cells(&self) -> Vec<(usize, String)> {
        self.history.cells()
    }
}

#[cfg(test)]
mod tests;

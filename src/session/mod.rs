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
mod evaluate;
mod excerpt;
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
mod turn;
mod underscore;
mod undo;
mod uses;
mod values;
mod warn;
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

use crate::diag::Result;
use crate::host::builtins::{self, Builtin};
use crate::host::{Host, Kept, Setup, engine, resolver, show};
use crate::report::Display;
use crate::runs::Status;
use fork::Fork;
use history::History;
use journal::{Entry, Stale};
use transcript::Transcript;
use turn::WeakTurn;
use undo::Undo;
use watch::{Watched, Watching};

/// A running session.
pub struct Session {
    engine: Engine,
    host: Host,
    scope: Scope<'static>,
    /// All functions of all cells; closures of earlier cells live here too.
    functions: Functions,
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
    /// The line that is at work.
    turn: WeakTurn,
    /// Scripts as an editor has them, before they are saved.
    unsaved: BTreeMap<PathBuf, String>,
}

/// Functions twice.
#[derive(Clone, Default)]
struct Functions {
    /// As they were written.
    plain: AST,
    /// As they run: they note their variables when they fail.
    noted: AST,
}

impl Functions {
    fn add(&mut self, plain: &AST, noted: &AST) {
        self.plain.combine(plain.clone_functions_only());
        self.noted.combine(noted.clone_functions_only());
    }
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
            functions: Functions::default(),
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
            turn: WeakTurn::default(),
            unsaved: BTreeMap::new(),
        };
        session.reset();
        session
    }

    /// Forgets variables, functions and results; modules stay.
    pub fn reset(&mut self) {
        self.scope = Scope::new();
        self.functions = Functions::default();
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
        let mut outcome = self.eval_named(&path.to_string_lossy(), &code);
        self.end_runs(outcome.problem.as_ref())?;
        if lexer::ends_quietly(&code) {
            outcome.value = Dynamic::UNIT;
        }
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
        self.host.read_script(&self.host.base().join(path))
    }

    fn diagnose(&self, name: &str, error: &rhai::EvalAltResult) -> Box<Diagnostic> {
        let context = diagnose::Context {
            registry: self.host.registry(),
            builtins: self.builtins(),
            sources: &self.sources,
            scope: &self.scope,
            code: self.sources.texts.get(name).map_or("", String::as_str),
            values: self.values_at(name, error),
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
        &self.functions.plain
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
        let text = match self.unsaved.get(&same(&file)) {
            Some(text) => text.clone(),
            None => resolver::script_text(std::fs::read_to_string(&file).ok()?),
        };
        Some((file, text))
    }

    /// What an editor has of a script counts for those that import it, until it is taken back.
    pub fn set_unsaved(&mut self, file: &Path, text: Option<&str>) {
        match text {
            Some(text) => self.unsaved.insert(same(file), text.into()),
            None => self.unsaved.remove(&same(file)),
        };
    }

    /// The code of every cell so far, with its number.
    pub fn cells(&self) -> Vec<(usize, String)> {
        self.history.cells()
    }
}

/// One path for a file however it is reached.
fn same(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.into())
}

#[cfg(test)]
mod tests;

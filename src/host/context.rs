//! The host: what a script function may reach of the world around it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rhai::{Dynamic, EvalAltResult};

use super::front::{Front, Nobody};
use super::limits::{Alarm, Limits};
use super::notes::Notes;
use super::progress::{Progress, Update};
use super::provenance::{OpenRuns, Provenance};
use super::registry::Registry;
use super::resolver::Modules;
use super::sink::{Event, Recorder, Sink};
use crate::diag::{Context as _, Error, Result};
use crate::feedback::remote::{Ledger, Usage};
use crate::hub;
use crate::numeric::Rng;
use crate::report::Display;
use crate::runs::Run;

/// Time, as the shells know it.
pub trait Clock: Send + Sync {
    /// Since the program started.
    fn elapsed(&self) -> Duration;
    /// Waits; may return early.
    fn wait(&self, time: Duration);
    /// The time of day in UTC, as RFC 3339 writes it.
    fn now(&self) -> String;
}

/// A clock that stands still, for tests and for documents that must not change.
pub struct StillClock;

impl Clock for StillClock {
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn wait(&self, _: Duration) {}

    fn now(&self) -> String {
        "2026-01-01T00:00:00Z".into()
    }
}

/// What a [`Host`] is made of.
pub struct Setup {
    /// Relative paths start here.
    pub base: PathBuf,
    pub seed: u64,
    /// The script's arguments.
    pub args: Vec<String>,
    pub sink: Arc<dyn Sink>,
    /// Who answers questions.
    pub front: Arc<dyn Front>,
    /// Set by the shell when the user wants to stop.
    pub interrupt: Arc<AtomicBool>,
    pub clock: Arc<dyn Clock>,
    pub provenance: Provenance,
    pub limits: Limits,
    /// The Hugging Face hub, if there is a place for what comes from it.
    pub hub: Option<hub::Settings>,
    /// Reads a variable of the environment.
    pub variable: fn(&str) -> Option<String>,
}

impl Setup {
    /// A host that shows nothing, asks nobody and stands still: for documents and editors, where nothing runs.
    pub fn still(base: PathBuf) -> Self {
        Self {
            base,
            seed: 0,
            args: Vec::new(),
            sink: Arc::new(Recorder::default()),
            front: Arc::new(Nobody),
            interrupt: Arc::new(AtomicBool::new(false)),
            clock: Arc::new(StillClock),
            provenance: Provenance::default(),
            limits: Limits::default(),
            hub: None,
            variable: |_| None,
        }
    }
}

/// A shared handle on the world around a script.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    registry: Registry,
    base: PathBuf,
    args: Mutex<Vec<String>>,
    sink: Arc<dyn Sink>,
    front: Arc<dyn Front>,
    interrupt: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
    random: Mutex<(u64, Rng)>,
    exit: Mutex<Option<i32>>,
    read: Mutex<Vec<PathBuf>>,
    provenance: Provenance,
    limits: Limits,
    hub: Option<hub::Settings>,
    variable: fn(&str) -> Option<String>,
    runs: OpenRuns,
    modules: Modules,
    judges: Mutex<Vec<Arc<Ledger>>>,
    progress: AtomicU64,
    /// What an interrupted function had done so far.
    unfinished: Mutex<Option<Dynamic>>,
    /// The failure of a script function that Rust code called: our words for it, and the engine's own error.
    script_error: Mutex<Option<(String, Box<EvalAltResult>)>>,
    notes: Notes,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({})", self.0.base.display())
    }
}

/// The state stays whole when a thread that held the lock panicked: every update is one assignment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host {
    pub fn new(setup: Setup) -> Self {
        Self(Arc::new(Inner {
            registry: Registry::new(),
            base: setup.base,
            args: Mutex::new(setup.args),
            sink: setup.sink,
            front: setup.front,
            interrupt: setup.interrupt,
            clock: setup.clock,
            random: Mutex::new((setup.seed, Rng::new(setup.seed))),
            exit: Mutex::new(None),
            read: Mutex::new(Vec::new()),
            provenance: setup.provenance,
            hub: setup.hub.map(|hub| hub::Settings {
                offline: hub.offline || setup.limits.sandbox,
                ..hub
            }),
            limits: setup.limits,
            variable: setup.variable,
            runs: OpenRuns::default(),
            modules: Modules::default(),
            judges: Mutex::default(),
            progress: AtomicU64::new(0),
            unfinished: Mutex::new(None),
            script_error: Mutex::new(None),
            notes: Notes::default(),
        }))
    }

    /// Every script function and type.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// What a fresh host needs to stand in the same place: nobody answers, and what is shown goes to `sink`.
    pub fn again(&self, seed: u64, sink: Arc<dyn Sink>) -> Setup {
        Setup {
            base: self.0.base.clone(),
            seed,
            args: self.args(),
            sink,
            front: Arc::new(Nobody),
            interrupt: self.0.interrupt.clone(),
            clock: self.0.clock.clone(),
            provenance: Provenance::default(),
            hub: self.0.hub.clone(),
            variable: self.0.variable,
            limits: self.0.limits.clone(),
        }
    }

    /// The script files that were imported.
    pub(super) fn modules(&self) -> &Modules {
        &self.0.modules
    }

    /// Shows a text, table or plot.
    pub fn show(&self, display: Display) {
        self.send(Event::Show(display));
    }

    /// Sends something to the user.
    pub fn send(&self, event: Event) {
        self.0.sink.show(event);
    }

    /// Shows a line of text.
    pub fn print(&self, text: impl Into<String>) {
        self.show(Display::Text(text.into()));
    }

    /// Who answers questions.
    pub fn front(&self) -> &dyn Front {
        &*self.0.front
    }

    /// Starts a progress display of `total` steps (0: unknown); dropping it ends it.
    pub fn progress(&self, label: impl Into<String>, total: u64) -> Progress {
        self.start(label.into(), total, false)
    }

    /// A progress display of work that comes again and again: nothing of it stays.
    pub fn passing_progress(&self, label: impl Into<String>, total: u64) -> Progress {
        self.start(label.into(), total, true)
    }

    fn start(&self, label: String, total: u64, passing: bool) -> Progress {
        let update = Update {
            id: self.0.progress.fetch_add(1, Ordering::Relaxed),
            label,
            total,
            passing,
            ..Update::default()
        };
        Progress::new(self.0.sink.clone(), self.0.clock.clone(), update)
    }

    /// An error once the user has interrupted; long work calls it between steps.
    pub fn check(&self) -> Result<()> {
        match self.0.interrupt.load(Ordering::Relaxed) {
            true => Err(Error::interrupted()),
            false => Ok(()),
        }
    }

    /// The flag behind [`Host::check`], for work on other threads.
    pub fn interrupt(&self) -> &Arc<AtomicBool> {
        &self.0.interrupt
    }

    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// Waits that long, or until interrupted.
    pub fn sleep(&self, time: Duration) -> Result<()> {
        let end = self.0.clock.elapsed() + time;
        loop {
            self.check()?;
            let left = end.saturating_sub(self.0.clock.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            self.0.clock.wait(left.min(Duration::from_millis(20)));
        }
    }

    /// A path of a script: relative ones start at the base folder.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.0.base.join(path)
    }

    pub fn base(&self) -> &Path {
        &self.0.base
    }

    /// Reads a file and remembers that the script has read it.
    pub fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let bytes =
            std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
        self.note_read(path);
        Ok(bytes)
    }

    /// Remembers that the script's results depend on the file or folder.
    pub fn note_read(&self, path: &Path) {
        let mut read = lock(&self.0.read);
        if !read.iter().any(|known| known == path) {
            read.push(path.to_path_buf());
        }
    }

    /// Every file read so far, in the order of first use.
    pub fn files_read(&self) -> Vec<PathBuf> {
        lock(&self.0.read).clone()
    }

    /// The Hugging Face hub.
    ///
    /// # Errors
    /// The shell has no place for what comes from it.
    pub fn hub(&self) -> Result<&hub::Settings> {
        self.0.hub.as_ref().ok_or_else(|| {
            Error::new("there is no place for models of the hub").hint("set HF_HOME to a folder")
        })
    }

    /// A variable of the environment.
    pub fn variable(&self, name: &str) -> Option<String> {
        (self.0.variable)(name)
    }

    pub(super) fn provenance(&self) -> &Provenance {
        &self.0.provenance
    }

    pub(super) fn open_runs(&self) -> &OpenRuns {
        &self.0.runs
    }

    /// Remembers a run, to note in it how the script ended.
    pub fn keep_run(&self, run: &Arc<Mutex<Run>>) {
        self.0.runs.keep(run);
    }

    /// Remembers a judge behind a server, to note in the runs what it was asked.
    pub fn note_judge(&self, ledger: &Arc<Ledger>) {
        lock(&self.0.judges).push(ledger.clone());
    }

    /// What every judge behind a server was asked.
    pub fn judges(&self) -> Vec<Usage> {
        lock(&self.0.judges).iter().map(|l| l.usage()).collect()
    }

    /// The script's arguments as given.
    pub fn args(&self) -> Vec<String> {
        lock(&self.0.args).clone()
    }

    /// Gives scripts other arguments; returns those before.
    pub(crate) fn set_args(&self, args: Vec<String>) -> Vec<String> {
        std::mem::replace(&mut *lock(&self.0.args), args)
    }

    /// The seed everything random comes from.
    pub fn seed(&self) -> u64 {
        lock(&self.0.random).0
    }

    /// Starts the session's random stream again.
    pub fn set_seed(&self, seed: u64) {
        *lock(&self.0.random) = (seed, Rng::new(seed));
    }

    /// The seed and the session's random stream as they stand.
    pub fn random_state(&self) -> (u64, Rng) {
        lock(&self.0.random).clone()
    }

    /// Puts seed and random stream back.
    pub fn set_random_state(&self, state: (u64, Rng)) {
        *lock(&self.0.random) = state;
    }

    /// A stream that depends on the seed and `name` only.
    pub fn stream(&self, name: &str) -> Rng {
        Rng::named(self.seed(), name)
    }

    /// Draws from the session's random stream.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut lock(&self.0.random).1)
    }

    /// Keeps what a function has done before the user interrupted it.
    pub fn keep_unfinished(&self, value: Dynamic) {
        *lock(&self.0.unfinished) = Some(value);
    }

    /// What an interrupted function had done.
    pub fn take_unfinished(&self) -> Option<Dynamic> {
        lock(&self.0.unfinished).take()
    }

    /// Keeps the engine's error behind one of ours, which has no room for its call stack.
    pub(super) fn note_script_error(&self, ours: &Error, error: Box<EvalAltResult>) {
        *lock(&self.0.script_error) = Some((ours.message().into(), error));
    }

    /// The engine's error behind this one, if it came out of a script function.
    pub(super) fn take_script_error(&self, ours: &Error) -> Option<Box<EvalAltResult>> {
        let (message, error) = lock(&self.0.script_error).take()?;
        (!ours.is_interrupt() && message == ours.message()).then_some(error)
    }

    /// What variables were when the last evaluation failed.
    pub(crate) fn notes(&self) -> &Notes {
        &self.0.notes
    }

    /// Forgets an interrupt that nothing heeded. A script's own statements don't: Ctrl-C between two of them counts.
    pub(crate) fn forget_interrupt(&self) {
        self.0.interrupt.store(false, Ordering::Relaxed);
    }

    /// Forgets what is left of the last evaluation: its exit, its unfinished work.
    pub(crate) fn begin(&self) -> Alarm {
        self.take_exit();
        self.take_unfinished();
        self.0.notes.take();
        Alarm::set(self.0.limits.time, &self.0.interrupt)
    }

    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Fails if a script must not write to that file or folder.
    pub fn may_write(&self, path: &Path) -> Result<()> {
        self.0.limits.may_write(&self.0.base, path)
    }

    /// Fails if a script must not run commands of the system.
    pub fn may_run_commands(&self) -> Result<()> {
        self.0.limits.may_run_commands()
    }

    /// Fails if a script must not reach the network.
    pub fn may_reach_network(&self) -> Result<()> {
        self.0.limits.may_reach_network()
    }

    /// Asks the shell to leave; the returned error stops the script.
    pub fn exit(&self, code: i32) -> Error {
        *lock(&self.0.exit) = Some(code);
        Error::interrupted()
    }

    /// The code that the script wants to leave with.
    pub fn take_exit(&self) -> Option<i32> {
        lock(&self.0.exit).take()
    }
}

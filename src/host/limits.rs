//! What a script may do, and for how long.

use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::diag::{Context as _, Error, Result};

/// The folder below the base folder that a sandboxed script may write in: that of its runs.
pub const RUNS: &str = "runs";

/// Bounds on a script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of one cell or script.
    pub time: Option<Duration>,
    /// Steps of the script engine in one cell or script.
    pub operations: Option<u64>,
    /// Files are written below `runs/` alone; no commands of the system, no network.
    pub sandbox: bool,
}

impl Limits {
    /// Fails if a script whose paths start at `base` must not write to `path`.
    pub(super) fn may_write(&self, base: &Path, path: &Path) -> Result<()> {
        if !self.sandbox || real(path)?.starts_with(real(&base.join(RUNS))?) {
            return Ok(());
        }
        let refused = format!("the sandbox lets no script write {}", path.display());
        Err(Error::new(refused).hint(format!("write below {RUNS}/, or leave out --sandbox")))
    }

    /// Fails if a script must not reach the network.
    pub(super) fn may_reach_network(&self) -> Result<()> {
        match self.sandbox {
            true => Err(Error::new("the sandbox reaches no network").hint("leave out --sandbox")),
            false => Ok(()),
        }
    }

    /// Fails if a script must not run commands of the system.
    pub(super) fn may_run_commands(&self) -> Result<()> {
        match self.sandbox {
            true => Err(Error::new("the sandbox runs no commands").hint("leave out --sandbox")),
            false => Ok(()),
        }
    }
}

/// The path without links and dots, of a file that need not be there.
fn real(path: &Path) -> Result<PathBuf> {
    let (mut there, mut missing) = (path.to_path_buf(), Vec::new());
    while there.symlink_metadata().is_err() {
        let Some(Component::Normal(name)) = there.components().next_back() else {
            return Err(Error::new(format!("{} leads nowhere", path.display())));
        };
        missing.push(name.to_os_string());
        there.pop();
    }
    let there = there
        .canonicalize()
        .with_context(|| format!("can't follow {}", path.display()))?;
    Ok(missing
        .into_iter()
        .rev()
        .fold(there, |path, name| path.join(name)))
}

/// Interrupts work whose time is over, as if the user did.
pub(crate) struct Alarm {
    late: Arc<AtomicBool>,
    thread: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

impl Alarm {
    /// Sets `flag` when `time` has passed, if there is a limit.
    pub(super) fn set(time: Option<Duration>, flag: &Arc<AtomicBool>) -> Self {
        let late = Arc::new(AtomicBool::new(false));
        let start = |time| {
            let (sender, ended) = channel::<()>();
            let (late, flag) = (late.clone(), flag.clone());
            let wait = move || {
                if ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                    late.store(true, Ordering::SeqCst);
                    flag.store(true, Ordering::SeqCst);
                }
            };
            (sender, std::thread::spawn(wait))
        };
        let thread = Mutex::new(time.map(start));
        Self { late, thread }
    }

    /// Whether the time is over.
    pub(crate) fn is_late(&self) -> bool {
        self.late.load(Ordering::SeqCst)
    }

    /// Lets the work take all the time it wants.
    pub(crate) fn cancel(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((sender, thread)) = thread.take() {
            drop(sender);
            // It only waits, so it can't have panicked.
            thread.join().ok();
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_ends_at_the_folder_of_runs() {
        let base = tempfile::tempdir().unwrap();
        let limits = Limits {
            sandbox: true,
            ..Limits::default()
        };
        let runs = base.path().join(RUNS);
        let check = |path: &str, expected: bool| {
            let allowed = limits.may_write(base.path(), &base.path().join(path));
            assert_eq!(allowed.is_ok(), expected, "{path}: {allowed:?}");
        };
        check("runs/a/b.txt", true);
        std::fs::create_dir(&runs).unwrap();
        check("runs/a/b.txt", true);
        check("runs", true);
        check("a.txt", false);
        check("runs/../a.txt", false);
        check("runs/new/../../a.txt", false);
        check("/etc/a.txt", false);
        check("runs2/a.txt", false);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(base.path(), runs.join("up")).unwrap();
            check("runs/up/a.txt", false);
        }
        let open = Limits::default();
        open.may_write(base.path(), &base.path().join("a")).unwrap();
        assert!(limits.may_run_commands().is_err() && open.may_run_commands().is_ok());
    }

    #[test]
    fn an_alarm_rings_once_its_time_is_over() {
        let flag = Arc::new(AtomicBool::new(false));
        assert!(!Alarm::set(None, &flag).is_late());
        let alarm = Alarm::set(Some(Duration::from_secs(3600)), &flag);
        alarm.cancel();
        assert!(!alarm.is_late() && !flag.load(Ordering::Relaxed));
        let alarm = Alarm::set(Some(Duration::ZERO), &flag);
        while !flag.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        assert!(alarm.is_late());
    }
}

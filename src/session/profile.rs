//! Where the time of a cell goes, by line. The profiler is told of every step and reads the clock when the line
//! changes; the time between two readings belongs to the line before, its own work to none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rhai::EvalContext;
use rhai::debugger::{DebuggerCommand, DebuggerEvent};

use super::watch::{Command, Step, Watcher};
use crate::host::Host;

/// A line of a source.
pub(super) type Line = (String, usize);

/// What lines took: how often a step began there, and the time.
#[derive(Debug, Clone, Default)]
pub(super) struct Profile(Arc<Mutex<BTreeMap<Line, (u64, Duration)>>>);

impl Profile {
    /// The lines, those that took longest first.
    pub fn lines(&self) -> Vec<(Line, u64, Duration)> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines: Vec<_> = lines
            .iter()
            .map(|(line, (count, time))| (line.clone(), *count, *time))
            .collect();
        lines.sort_by_key(|(_, _, time)| std::cmp::Reverse(*time));
        lines
    }

    fn add(&self, line: &Line, time: Duration) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = lines.entry(line.clone()).or_default();
        entry.0 += 1;
        entry.1 += time;
    }
}

/// Fills a profile while code runs.
pub(super) struct Profiler {
    host: Host,
    profile: Profile,
    /// The line that runs, and since when.
    running: Option<(Line, Duration)>,
}

impl Profiler {
    pub fn new(host: Host, profile: Profile) -> Self {
        Self {
            host,
            profile,
            running: None,
        }
    }

    fn leave(&mut self) {
        if let Some((line, since)) = self.running.take() {
            let now = self.host.clock().elapsed();
            self.profile.add(&line, now.saturating_sub(since));
        }
    }
}

impl Watcher for Profiler {
    fn step(&mut self, _: &mut EvalContext, step: &Step) -> Command {
        let Some(line) = step.position.line() else {
            return Ok(DebuggerCommand::StepInto);
        };
        let same = |((source, at), _): &(Line, Duration)| *at == line && source == step.source;
        if !self.running.as_ref().is_some_and(same) && !matches!(step.event, DebuggerEvent::End) {
            self.leave();
            self.running = Some(((step.source.to_string(), line), self.host.clock().elapsed()));
        }
        Ok(DebuggerCommand::StepInto)
    }
}

impl Drop for Profiler {
    fn drop(&mut self) {
        self.leave();
    }
}

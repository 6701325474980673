//! Where the time of a cell goes, by line. The profiler is told of every step and reads the clock; the time
//! between two steps belongs to the line of the first, its own work to none.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rhai::EvalContext;
use rhai::debugger::{DebuggerCommand, DebuggerEvent};

use super::watch::{Command, Step, Watcher};
use crate::host::Host;

/// A line of a source.
pub(super) type Line = (String, usize);

/// What lines took: how often the first step there was taken, and the time.
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

    fn add(&self, line: &Line, count: u64, time: Duration) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = lines.entry(line.clone()).or_default();
        entry.0 += count;
        entry.1 += time;
    }
}

/// Fills a profile while code runs.
pub(super) struct Profiler {
    host: Host,
    profile: Profile,
    /// The column of the first step of each line, and whether it is a statement.
    firsts: BTreeMap<Line, (Option<usize>, bool)>,
    /// The line that each call stands at, the outermost first.
    calls: Vec<Line>,
    /// The line that runs, and since when.
    running: Option<(Line, Duration)>,
}

impl Profiler {
    pub fn new(host: Host, profile: Profile) -> Self {
        Self {
            host,
            profile,
            firsts: BTreeMap::new(),
            calls: Vec::new(),
            running: None,
        }
    }

    fn leave(&mut self) {
        if let Some((line, since)) = self.running.take() {
            let now = self.host.clock().elapsed();
            self.profile.add(&line, 0, now.saturating_sub(since));
        }
    }
}

impl Watcher for Profiler {
    fn step(&mut self, context: &mut EvalContext, step: &Step) -> Command {
        self.leave();
        if matches!(step.event, DebuggerEvent::End) {
            return Ok(DebuggerCommand::StepInto);
        }
        let depth = context.debugger().map_or(0, |d| d.call_stack().len());
        let left = matches!(
            step.event,
            DebuggerEvent::FunctionExitWithValue(_) | DebuggerEvent::FunctionExitWithError(_)
        );
        if left {
            self.calls.truncate(depth);
        } else if let Some(at) = step.position.line() {
            let line = (step.source.to_string(), at);
            let begin = (step.position.position(), step.node.is_stmt());
            let first = *self.firsts.entry(line.clone()).or_insert(begin);
            self.profile
                .add(&line, u64::from(first == begin), Duration::ZERO);
            self.calls.resize(depth, line.clone());
            self.calls.push(line);
        }
        if let Some(line) = self.calls.last().cloned() {
            self.running = Some((line, self.host.clock().elapsed()));
        }
        Ok(DebuggerCommand::StepInto)
    }
}

impl Drop for Profiler {
    fn drop(&mut self) {
        self.leave();
    }
}

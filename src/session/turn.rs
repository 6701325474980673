//! One line of the user's at work: whatever it runs, cells and commands, shares one time limit.

use std::sync::{Arc, Weak};

use super::{Diagnostic, Session};
use crate::host::Limits;
use crate::host::limits::Alarm;

/// A line at work; the last of its holders ends it.
pub(super) struct Turn(Arc<Alarm>);

/// The line that may be at work.
pub(super) type WeakTurn = Weak<Alarm>;

impl Turn {
    /// Tells an interrupt that was the end of the time for what it is.
    pub fn explain(&self, problem: &mut Diagnostic, limits: &Limits) {
        if self.0.is_late() && problem.is_interrupt() {
            problem.out_of_time(limits);
        }
    }
}

impl Session {
    /// Begins a line, unless one is at work: then this is a part of it.
    pub(super) fn begin(&mut self) -> Turn {
        if let Some(alarm) = self.turn.upgrade() {
            return Turn(alarm);
        }
        let alarm = Arc::new(self.host.begin());
        self.turn = Arc::downgrade(&alarm);
        Turn(alarm)
    }

    /// Whether a line is at work.
    pub(super) fn at_work(&self) -> bool {
        self.turn.strong_count() > 0
    }

    /// Whether the time of the line that is at work is over.
    pub(super) fn is_late(&self) -> bool {
        self.turn.upgrade().is_some_and(|alarm| alarm.is_late())
    }

    /// What runs from now on is no longer part of the line.
    pub(super) fn end_turn(&mut self) {
        if let Some(alarm) = std::mem::take(&mut self.turn).upgrade() {
            alarm.cancel();
        }
    }
}

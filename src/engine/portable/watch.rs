//! Watching a run from inside, operation by operation. A run that nobody watches pays a test of an option.

use super::execute::Scope;
use super::plan::Step;
use super::value::Value;
use crate::diag::Result;

/// Told of every operation that depends on an input; what no input reaches is made once, unwatched.
pub trait Observer: Sync {
    /// An operation starts; those of its nested blocks start and end before it ends.
    fn starts(&self, step: &Step);
    /// A nested block of the operation that started last begins a turn.
    fn enters(&self, block: usize);
    /// That turn is over.
    fn leaves(&self);
    /// An operation has ended; `slots` hold its results, and still all that it read.
    fn ends(&self, step: &Step, slots: &[Option<Value>]) -> Result<()>;
}

/// Who watches a run, if anybody does.
#[derive(Clone, Copy, Default)]
pub struct Watch<'a>(pub Option<&'a dyn Observer>);

impl Watch<'_> {
    pub fn starts(self, step: &Step) {
        if let Some(observer) = self.0.filter(|_| step.is_op()) {
            observer.starts(step);
        }
    }

    pub fn enters(self, block: usize) {
        if let Some(observer) = self.0 {
            observer.enters(block);
        }
    }

    pub fn leaves(self) {
        if let Some(observer) = self.0 {
            observer.leaves();
        }
    }

    pub fn ends(self, step: &Step, slots: &[Option<Value>]) -> Result<()> {
        match self.0.filter(|_| step.is_op()) {
            Some(observer) => observer.ends(step, slots),
            None => Ok(()),
        }
    }
}

impl Scope<'_> {
    /// The same, with nobody watching.
    pub fn unwatched(&self) -> Self {
        Scope {
            watch: Watch::default(),
            ..*self
        }
    }
}

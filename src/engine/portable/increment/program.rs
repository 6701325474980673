//! A program that has been analysed at one length.

use std::collections::{BTreeMap, BTreeSet};

use super::way::Way;
use crate::engine::portable::value::Value;

/// A step that tokens reach.
pub struct Stage {
    /// Its place in the plan.
    pub step: usize,
    pub way: Way,
    /// Whether it runs for every token, or for those alone whose logits are wanted.
    pub all: bool,
    /// Slots that nothing reads after it.
    pub free: Vec<usize>,
}

/// What the analysis found.
pub struct Program {
    /// The most tokens of a sequence.
    pub capacity: usize,
    /// What neither tokens nor given weights reach.
    pub fixed: BTreeMap<usize, Value>,
    /// Steps that given weights reach, but no token.
    pub fresh: Vec<usize>,
    /// Slots that stages and fresh steps read besides what tokens reach.
    pub used: BTreeSet<usize>,
    pub stages: Vec<Stage>,
    /// Slots whose past is kept for each sequence, with their positions axis.
    pub kept: BTreeMap<usize, usize>,
    /// Slot and positions axis of the token ids, and of the logits.
    pub ids: (usize, usize),
    pub logits: (usize, usize),
}

//! Passes: what a program says in several operations, done in one.
//!
//! A pass looks at the steps of a function and tells where it knows one step that gives the same as
//! several. The plan itself stays as the program has it: a schedule merely runs the fused step in the
//! place of the last of those it stands for, and what nobody reads any more is not run. So whoever walks
//! a plan operation by operation sees the operations of the program, constants are kept once, and a
//! value that is given from outside is never fused away: a pass only takes inner values that nothing else
//! reads and nobody gives.
//!
//! Fused steps compute in the order and precision of the operations they stand for, up to rounding.
//! Under [`Precision::Faithful`](super::Precision), where every result is rounded, no pass runs.
//!
//! To add one: a file with its `PASS`, and a line in [`ALL`].

mod attention;
mod gated;
mod graph;
mod norm;
mod packed;
mod rotary;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::plan::{Plan, Step};
use crate::diag::{Error, Result};
use graph::Graph;
pub use graph::Pack;

/// One way to fuse.
pub struct Pass {
    pub name: &'static str,
    /// The step that can stand for this one and inner ones before it.
    find: fn(&Graph, &Step) -> Option<Step>,
}

/// All passes, in the order in which they look.
pub const ALL: &[Pass] = &[
    norm::PASS,
    rotary::PASS,
    gated::PASS,
    attention::PASS,
    packed::PASS,
    packed::ROWS_PASS,
    state::PASS,
];

/// Which passes run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passes(BTreeSet<&'static str>);

impl Default for Passes {
    fn default() -> Self {
        Self(ALL.iter().map(|pass| pass.name).collect())
    }
}

impl Passes {
    /// The names of [`ALL`].
    pub const NAMES: [&str; ALL.len()] = {
        let mut names = [""; ALL.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = ALL[at].name;
            at += 1;
        }
        names
    };

    pub fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// Those called `names`; `all` and `none` stand for what they say.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut chosen = BTreeSet::new();
        for name in names {
            match (name, ALL.iter().find(|pass| pass.name == name)) {
                (_, Some(pass)) => _ = chosen.insert(pass.name),
                ("all", None) => chosen.extend(Self::default().0),
                ("none", None) => {}
                (_, None) => {
                    let known = ALL.iter().map(|pass| pass.name);
                    return Err(Error::unknown("pass", name, known.chain(["all", "none"])));
                }
            }
        }
        Ok(Self(chosen))
    }

    /// The same without attention: its operations stay apart.
    pub fn spelling_attention(&self) -> Self {
        let mut passes = self.clone();
        passes.0.remove(attention::PASS.name);
        passes
    }

    /// The same for runs of several examples and for gradients: states are written whole.
    pub fn writing_states_whole(&self) -> Self {
        let mut passes = self.clone();
        passes.0.remove(state::PASS.name);
        passes
    }

    /// The same where nothing can be packed.
    pub fn unpacked(&self) -> Self {
        let mut passes = self.clone();
        for pass in [packed::PASS, packed::ROWS_PASS] {
            passes.0.remove(pass.name);
        }
        passes
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }
}

/// Names joined by `+`, as in `rms_norm+rotary`; `all` or `none`.
impl std::str::FromStr for Passes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::named(text.split('+'))
    }
}

impl fmt::Display for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            0 => write!(f, "none"),
            n if n == ALL.len() => write!(f, "all"),
            _ => write!(f, "{}", self.names().collect::<Vec<_>>().join("+")),
        }
    }
}

/// What passes come to.
#[derive(Default)]
pub struct Fused {
    /// By the index of the step that each replaces.
    pub steps: BTreeMap<usize, Step>,
    /// Constants that those steps read packed.
    pub packs: Vec<Pack>,
}

/// Runs `passes` over a function. Values in the slots `given` come from outside.
pub fn fuse(plan: &Plan, given: &BTreeSet<usize>, passes: &Passes) -> Fused {
    let mut fused = BTreeMap::new();
    if passes.0.is_empty() {
        return Fused::default();
    }
    let graph = Graph::new(plan, given);
    for pass in ALL.iter().filter(|pass| passes.0.contains(pass.name)) {
        for (i, step) in plan.block.steps.iter().enumerate() {
            if fused.contains_key(&i) {
                continue;
            }
            if let Some(found) = (pass.find)(&graph, step) {
                fused.insert(i, found);
            }
        }
    }
    Fused {
        steps: fused,
        packs: graph.into_packs(),
    }
}

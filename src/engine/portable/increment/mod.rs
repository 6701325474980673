//! The increment transform: a causal language model computes only its new positions.
//!
//! A stateless program gives logits for all positions of a sequence, so decoding with it recomputes the
//! past at every token. [`Increment`] follows the positions through the program, proves that no position
//! sees a later one, and then runs each step on the new positions alone; keys and values of the past are
//! kept. Nothing is asked of the program but what it computes: no names, no pattern of layers.
//!
//! The program is taken at one length, the capacity of a session; tokens beyond a sequence's end can't be
//! seen from its positions, so they need not exist. The tokens of several sequences go through the program
//! side by side on its positions axis, each at its own positions, and meet their own past in attention.

mod analyse;
mod cache;
mod pass;
mod program;
mod rules;
mod session;
mod sight;
#[cfg(test)]
mod tests;
mod way;
mod window;
mod witness;

pub use session::{Session, Want};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;

use super::execute::Ctx;
use super::schedule::Schedule;
use super::state::States;
use super::value::Value;
use super::{Bound, scope};
use crate::diag::Result;
use crate::fail;
use crate::mil;
use analyse::{Question, analyse};
use program::Program;

/// A function that can be run on its new positions alone.
pub struct Increment {
    bound: Arc<Bound>,
    /// What passes make of the program, but for attention, whose operations stay apart.
    schedule: Schedule,
    ids: String,
    logits: String,
    /// What the analysis found, by capacity.
    programs: Mutex<BTreeMap<usize, Arc<Program>>>,
}

impl Increment {
    /// For the function behind `bound`, which takes token `ids` and gives `logits`.
    pub fn new(bound: Arc<Bound>, ids: &str, logits: &str) -> Result<Self> {
        let overrides = bound.overrides().map(str::to_owned).collect();
        Ok(Self {
            schedule: bound.options.incremental(&bound.plan, &overrides)?,
            bound,
            ids: ids.to_owned(),
            logits: logits.to_owned(),
            programs: Mutex::default(),
        })
    }

    /// Starts decoding. `inputs` are the function's inputs at the full length: its tokens are not looked
    /// at, their number is the session's capacity. `given` are the weights that come from outside.
    ///
    /// Fails, with the operation and its label, where positions can't be told apart or see later ones.
    pub fn session(
        self: &Arc<Self>,
        inputs: &BTreeMap<String, Value>,
        given: &BTreeMap<String, Tensor>,
    ) -> Result<Session> {
        let program = self.program(inputs, given)?;
        Session::new(self.clone(), program, given)
    }

    fn program(
        &self,
        inputs: &BTreeMap<String, Value>,
        given: &BTreeMap<String, Tensor>,
    ) -> Result<Arc<Program>> {
        let ids = inputs.get(&self.ids).map(Value::tensor).transpose()?;
        let Some(capacity) = ids.and_then(|ids| ids.dims().last().copied()) else {
            fail!("input \"{}\" is missing", self.ids);
        };
        // The lock is held meanwhile: two who ask at once shall not both do the work.
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = programs.get(&capacity) {
            return Ok(program.clone());
        }
        let program = self.with_ctx(|increment, ctx| {
            let question = Question {
                ids: &self.ids,
                logits: &self.logits,
                inputs,
                given,
            };
            let Self {
                bound, schedule, ..
            } = increment;
            analyse(&bound.plan, schedule, &question, ctx)
        })?;
        let program = Arc::new(program);
        programs.insert(capacity, program.clone());
        Ok(program)
    }

    /// Runs `work` with empty slots.
    fn with_ctx<R>(
        &self,
        work: impl for<'c> FnOnce(&'c Self, &mut Ctx<'c>) -> Result<R>,
    ) -> Result<R> {
        let bound = &*self.bound;
        let load = |value: &mil::Value| bound.bundle.resolve(value);
        let scope = scope(&bound.options, &bound.draws, &load);
        let mut states = States::default();
        let mut ctx = Ctx::new(&bound.plan, &scope, &mut states);
        let slots = bound.plan.slot_count + self.schedule.packs.len();
        ctx.slots.resize(slots, None);
        work(self, &mut ctx)
    }
}

//! Several examples in one pass: a program made for one example runs on `[examples, …]`.
//!
//! While examples run together, each value is a [`Lane`]: one value that all share, or a tensor with a
//! hidden leading axis that has one entry for each example. Programs know nothing of that axis. A step
//! whose arguments are all shared is evaluated as ever; otherwise the operation's rule ([`Batch`], a
//! column of the operations' table) rewrites the arguments for the axis and evaluates the operation once
//! on the whole, as JAX's `vmap` does. Where there is no rule, or it does not fit the call, the examples
//! are evaluated one after the other and their results put together, which is right whenever those have
//! equal shapes. What remains (shapes that differ, random numbers without a seed) ends the batch with an
//! error of [`Kind::Unbatched`](crate::diag::Kind); [`Bound::run_batch`](super::Bound::run_batch) then
//! runs example by example.
//!
//! [`evaluate`] does this for one operation, for whoever walks a plan in another way.

mod engine;
mod group;
mod lane;
mod rules;
mod run;
#[cfg(test)]
mod tests;

pub use group::{Group, Param};
pub use lane::Lane;
pub use rules::{Absent, Batch, Rule, folded, leading, moved};

use std::collections::BTreeSet;

use super::execute::Ctx;
use super::ops::Op;
use super::plan::{BlockPlan, Source, Sources, Step};
use super::state::States;
use super::value::Value;
use crate::diag::{Error, Kind, Result};
use crate::mil::Type;

/// What the executor knows of the examples that run together.
pub struct Examples {
    pub count: usize,
    /// Slots whose value has the hidden axis.
    pub slots: BTreeSet<usize>,
    /// Operations that were evaluated one example after the other.
    pub apart: BTreeSet<&'static str>,
}

impl Examples {
    pub fn new(count: usize) -> Self {
        Self {
            count,
            slots: BTreeSet::new(),
            apart: BTreeSet::new(),
        }
    }

    /// Notes whether the value of a slot has the axis.
    pub fn mark(&mut self, slot: usize, batched: bool) {
        match batched {
            true => self.slots.insert(slot),
            false => self.slots.remove(&slot),
        };
    }
}

/// An error that says: these examples have to be run one by one.
pub fn apart(reason: impl Into<String>) -> Error {
    Error::new(reason).kind_of(Kind::Unbatched)
}

/// Evaluates `op` for `count` examples at once. `params` hold the arguments by name, each shared or with
/// the leading axis of the examples; so do the results, of which `types` are the declared types. The
/// blocks of an operation with blocks are those of the step that `ctx` is at.
pub fn evaluate(
    ctx: &mut Ctx,
    op: &'static Op,
    types: &[Type],
    count: usize,
    params: Vec<Param>,
) -> Result<Vec<Lane>> {
    let group = Group::new(op, types, count, params);
    if !group.varies() && !matches!(op.batch, Batch::Always(_)) {
        let values = ctx.call(op, types, group.example(0)?)?;
        return Ok(values.into_iter().map(Lane::shared).collect());
    }
    match rules::apply(op.batch, group.clone(), ctx)? {
        Some(lanes) => Ok(lanes),
        None => one_by_one(&group, ctx),
    }
}

/// Evaluates one step of the plan and notes which of its results have the axis.
pub(super) fn step(
    ctx: &mut Ctx,
    step: &Step,
    op: &'static Op,
    values: Vec<(&str, super::call::Arg)>,
) -> Result<Vec<Value>> {
    let Some(examples) = &ctx.examples else {
        return ctx.call(op, &step.types, values);
    };
    let given = step.args.iter().zip(values);
    let params =
        given.map(|((name, sources), (_, arg))| Param::new(name, arg, flags(sources, examples)));
    let (count, params) = (examples.count, params.collect());
    let lanes = evaluate(ctx, op, &step.types, count, params)?;
    if let Some(examples) = &mut ctx.examples {
        for (slot, lane) in step.outputs.iter().zip(&lanes) {
            examples.mark(*slot, lane.batched);
        }
    }
    Ok(lanes.into_iter().map(|lane| lane.value).collect())
}

fn flags(sources: &Sources, examples: &Examples) -> Vec<bool> {
    let flag = |source: &Source| match source {
        Source::Slot(slot) => examples.slots.contains(slot),
        Source::Literal { .. } => false,
    };
    sources.iter().map(flag).collect()
}

/// The examples one after the other, each with its own part of the states and of what blocks read.
fn one_by_one(group: &Group, ctx: &mut Ctx) -> Result<Vec<Lane>> {
    let Some(mut examples) = ctx.examples.take() else {
        return group.one_by_one(|_, args| ctx.call(group.op, group.types, args));
    };
    examples.apart.insert(group.op.name);
    let outer = outer_values(ctx, &examples);
    let whole = std::mem::take(ctx.states);
    let mut states = Vec::new();
    let lanes = group.one_by_one(|i, args| {
        *ctx.states = whole.example(i)?;
        for (slot, lane) in &outer {
            ctx.put(*slot, Some(lane.example(i)?))?;
        }
        let values = ctx.call(group.op, group.types, args)?;
        states.push(std::mem::take(ctx.states));
        Ok(values)
    });
    *ctx.states = match states.len() == group.count && whole.examples().is_some() {
        true => States::together(&states)?,
        false => whole,
    };
    for (slot, lane) in outer {
        ctx.put(slot, Some(lane.value))?;
    }
    ctx.examples = Some(examples);
    lanes
}

/// Values with the axis that the blocks of the current step read from outside.
fn outer_values(ctx: &Ctx, examples: &Examples) -> Vec<(usize, Lane)> {
    let reads = |block: &BlockPlan| {
        let steps = block.steps.iter().flat_map(Step::reads);
        steps
            .chain(block.outputs.iter().copied())
            .collect::<Vec<_>>()
    };
    let slots: BTreeSet<usize> = ctx.blocks.iter().flat_map(reads).collect();
    let with_axis = slots.intersection(&examples.slots);
    with_axis
        .filter_map(|slot| Some((*slot, Lane::batched(ctx.slots[*slot].clone()?))))
        .collect()
}

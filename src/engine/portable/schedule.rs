//! What a run of a plan comes to: the steps that its results need, fused where passes do so, and after
//! which of them each value is free.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;

use super::kernels::Packed;
use super::passes::{Pack, Passes, fuse};
use super::plan::{Action, Plan, Step};
use super::value::Value;
use super::{Options, Precision};
use crate::diag::{Error, Result};
use crate::fail;
use crate::mil;

/// Which values of a plan are given from outside, and what then remains to run.
pub struct Schedule {
    /// Slots given by the caller (trained weights), by value name.
    pub(super) overrides: BTreeMap<String, usize>,
    /// Steps to run each time, with the slots to free after each.
    pub(super) live: Vec<(usize, Vec<usize>)>,
    /// Slots of constants that live steps read.
    pub(super) constants: Vec<usize>,
    /// Steps that run in the place of those of the plan, by index.
    fused: BTreeMap<usize, Step>,
    /// Constants that those read packed.
    pub(super) packs: Vec<Pack>,
}

impl Schedule {
    /// Plans a run of the operations that the program has, in which the values `overrides` are given
    /// rather than computed.
    pub fn new(plan: &Plan, overrides: &BTreeSet<String>) -> Result<Self> {
        Self::fused(plan, overrides, &Passes::none())
    }

    /// The same, with what `passes` fuse.
    pub fn fused(plan: &Plan, overrides: &BTreeSet<String>, passes: &Passes) -> Result<Self> {
        let mut given = BTreeMap::new();
        for name in overrides {
            let known = || plan.slots.keys().map(String::as_str);
            let slot = plan
                .slots
                .get(name)
                .ok_or_else(|| Error::unknown("value", name, known()))?;
            given.insert(name.clone(), *slot);
        }
        let given_slots: BTreeSet<usize> = given.values().copied().collect();
        let fused = fuse(plan, &given_slots, passes);
        let mut schedule = Self {
            overrides: given,
            live: Vec::new(),
            constants: Vec::new(),
            fused: fused.steps,
            packs: fused.packs,
        };
        let varying = varying_slots(plan, &given_slots);
        let steps = schedule.needed_steps(plan, &given_slots, &varying);
        schedule.free_early(plan, steps, &given_slots, &varying);
        Ok(schedule)
    }

    /// Fused operations by name, with how many there are.
    pub fn fusions(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for step in self.fused.values() {
            if let Action::Op(op) = step.action {
                *counts.entry(op.name).or_insert(0) += 1;
            }
        }
        counts
    }

    /// What runs at the place of step `i` of the plan.
    pub fn step<'s>(&'s self, plan: &'s Plan, i: usize) -> &'s Step {
        self.fused.get(&i).unwrap_or(&plan.block.steps[i])
    }

    pub fn overrides(&self) -> impl Iterator<Item = &str> {
        self.overrides.keys().map(String::as_str)
    }

    /// Slots that are full before the first step.
    pub fn given(&self) -> impl Iterator<Item = usize> {
        self.overrides.values().chain(&self.constants).copied()
    }

    /// Slots that the caller gives.
    pub fn overridden(&self) -> impl Iterator<Item = usize> {
        self.overrides.values().copied()
    }

    /// Puts the values that the caller gives into their slots.
    pub fn fill(
        &self,
        given: &BTreeMap<String, Tensor>,
        slots: &mut [Option<Value>],
    ) -> Result<()> {
        for (name, slot) in &self.overrides {
            let Some(tensor) = given.get(name) else {
                fail!("no tensor given for \"{name}\"")
            };
            slots[*slot] = Some(tensor.clone().into());
        }
        Ok(())
    }

    /// The varying steps that results or effects depend on, in order.
    fn needed_steps(
        &self,
        plan: &Plan,
        given: &BTreeSet<usize>,
        varying: &BTreeSet<usize>,
    ) -> Vec<usize> {
        let mut wanted: BTreeSet<usize> = plan.block.outputs.iter().copied().collect();
        let mut needed = Vec::new();
        for i in (0..plan.block.steps.len()).rev() {
            let step = self.step(plan, i);
            let makes = step
                .outputs
                .iter()
                .any(|s| wanted.contains(s) && !given.contains(s));
            let varies = step.outputs.iter().any(|s| varying.contains(s));
            if step.writes() || (makes && (varies || step.has_effect())) {
                wanted.extend(step.reads());
                needed.push(i);
            }
        }
        needed.reverse();
        needed
    }

    /// Notes after which of `steps` each value is free, and which constants they read.
    fn free_early(
        &mut self,
        plan: &Plan,
        steps: Vec<usize>,
        given: &BTreeSet<usize>,
        varying: &BTreeSet<usize>,
    ) {
        let mut kept: BTreeSet<usize> = plan.block.outputs.iter().copied().collect();
        let constant = |slot: &usize| !varying.contains(slot);
        let mut constants: BTreeSet<usize> = kept.iter().copied().filter(constant).collect();
        let mut live = Vec::with_capacity(steps.len());
        for i in steps.into_iter().rev() {
            let reads = self.step(plan, i).reads();
            let own = |slot: &usize| plan.producers.contains_key(slot) && !given.contains(slot);
            constants.extend(reads.iter().filter(|s| own(s) && constant(s)));
            let last = reads
                .into_iter()
                .filter(|slot| kept.insert(*slot))
                .collect();
            live.push((i, last));
        }
        live.reverse();
        self.live = live;
        self.constants = constants.into_iter().collect();
    }
}

/// Slots whose value may differ from run to run.
fn varying_slots(plan: &Plan, given: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut varying: BTreeSet<usize> = given.iter().chain(&plan.block.inputs).copied().collect();
    for step in &plan.block.steps {
        if step.has_effect() || step.reads().iter().any(|slot| varying.contains(slot)) {
            varying.extend(&step.outputs);
        }
    }
    varying
}

impl Options {
    pub(super) fn schedule(&self, plan: &Plan, overrides: &BTreeSet<String>) -> Result<Schedule> {
        Schedule::fused(plan, overrides, &self.passes_here().writing_states_whole())
    }

    /// A schedule for single examples without gradients, in which states are written in place.
    pub(super) fn single(&self, plan: &Plan) -> Result<Option<Schedule>> {
        let stateful = plan
            .inputs
            .iter()
            .any(|input| matches!(input.ty, mil::Type::State(_)));
        let schedule = || Schedule::fused(plan, &BTreeSet::new(), &self.passes_here());
        stateful.then(schedule).transpose()
    }

    /// A schedule in which the operations of attention stay apart.
    pub(super) fn incremental(
        &self,
        plan: &Plan,
        overrides: &BTreeSet<String>,
    ) -> Result<Schedule> {
        Schedule::fused(
            plan,
            overrides,
            &self
                .passes_here()
                .spelling_attention()
                .writing_states_whole(),
        )
    }

    /// The passes that hold at this precision, and that this device has kernels for.
    fn passes_here(&self) -> Passes {
        match self.precision {
            Precision::Faithful => Passes::none(),
            Precision::F32 if self.device.is_cpu() && Packed::available() => self.passes.clone(),
            _ => self.passes.unpacked(),
        }
    }
}

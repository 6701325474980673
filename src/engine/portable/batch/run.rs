//! Running a plan for several examples in one pass, and one by one where that can't be.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;

use super::Examples;
use super::lane::Lane;
use crate::diag::Result;
use crate::engine::portable::execute::{Ctx, Scope, run};
use crate::engine::portable::plan::Plan;
use crate::engine::portable::schedule::Schedule;
use crate::engine::portable::{States, Value};
use crate::fail;

/// A function ready to run, with the weights that are given.
pub struct Program<'a> {
    pub plan: &'a Plan,
    pub schedule: &'a Schedule,
    pub scope: &'a Scope<'a>,
    pub given: &'a BTreeMap<String, Tensor>,
}

/// Inputs of `count` examples, by name: shared, or stacked.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub count: usize,
    pub lanes: &'a BTreeMap<String, Lane>,
}

/// What examples that ran together gave.
pub struct Together {
    pub lanes: Vec<Lane>,
    /// Operations that were evaluated one example after the other.
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests"))]
    pub apart: BTreeSet<&'static str>,
}

/// Runs all examples in one pass. The results are in the order of the function; `states`, if there are
/// any, are those of all examples.
pub fn together(program: &Program, inputs: Inputs, states: &mut States) -> Result<Together> {
    let mut ctx = Ctx::new(program.plan, program.scope, states);
    let mut examples = Examples::new(inputs.count);
    for (input, slot) in program.plan.inputs.iter().zip(&program.plan.block.inputs) {
        let lane = inputs.lanes.get(&input.name);
        examples.mark(*slot, lane.is_some_and(|lane| lane.batched));
    }
    ctx.examples = Some(examples);
    ctx.bind_inputs(program.plan, |name| {
        inputs.lanes.get(name).map(|lane| &lane.value)
    })?;
    let values = ctx.run(program.plan, program.schedule, program.given)?;
    let Some(examples) = ctx.examples else {
        fail!("internal: the examples were lost");
    };
    let outputs = program.plan.block.outputs.iter();
    let lane = |(slot, value)| Lane {
        batched: examples.slots.contains(slot),
        value,
    };
    Ok(Together {
        lanes: outputs.zip(values).map(lane).collect(),
        apart: examples.apart.clone(),
    })
}

/// Runs example by example.
pub fn one_by_one(
    program: &Program,
    inputs: Inputs,
    states: &mut States,
) -> Result<Vec<Vec<Value>>> {
    let mut after = Vec::with_capacity(inputs.count);
    let mut results = Vec::with_capacity(inputs.count);
    for i in 0..inputs.count {
        let own = inputs.lanes.iter();
        let own = own.map(|(name, lane)| Ok((name.clone(), lane.example(i)?)));
        let own: BTreeMap<String, Value> = own.collect::<Result<_>>()?;
        let mut part = states.example(i)?;
        let Program { plan, schedule, .. } = program;
        results.push(run(
            plan,
            schedule,
            program.scope,
            &own,
            program.given,
            &mut part,
        )?);
        after.push(part);
    }
    if states.examples().is_some() {
        *states = States::together(&after)?;
    }
    Ok(results)
}

//! States that are updated in part: read, `slice_update`, written. The part alone is written, into the
//! buffer itself where nobody else looks at it.

use std::ptr;

use candle_core::{Storage, Tensor};

use super::Pass;
use super::graph::{Graph, arg, fused, name, slot_of};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::ops::slicing::Update;
use crate::engine::portable::ops::{Gradient, Op};
use crate::engine::portable::plan::{Sources, Step, UPDATE_STATE};
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const PASS: Pass = Pass {
    name: "update_state",
    find,
};

static OP: Op = Op {
    name: UPDATE_STATE,
    eval,
    gradient: Gradient::Full,
    batch: Batch::Each,
    samples: &[],
};

fn find(graph: &Graph, step: &Step) -> Option<Step> {
    if name(step) != "write_state" {
        return None;
    }
    let state = arg(step, "input")?;
    let update = graph.made_by(arg(step, "data")?, "slice_update")?;
    let read = graph.maker(arg(update, "x")?)?;
    let same = name(read) == "read_state" && slot_of(arg(read, "input")?) == slot_of(state);
    if !same || graph.writes_between(read, step, state) {
        return None;
    }
    let mut args = vec![("input", state.clone())];
    for (parameter, sources) in &update.args {
        match sources {
            Sources::One(source) if parameter != "x" => args.push((parameter, source.clone())),
            Sources::One(_) => {}
            Sources::Many(_) => return None,
        }
    }
    Some(fused(step, &OP, args))
}

fn eval(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let Value::State(name) = call.value("input")? else {
        fail!("parameter \"input\" must be a state");
    };
    let before = ctx.states.get(name)?.tensor()?.clone();
    let update = Update::of(call, before.dims())?;
    let alone = ctx.states.owns(name) && !ctx.slots.iter().flatten().any(|v| shares(v, &before));
    if alone && update.write(&before)? {
        return Ok(Vec::new());
    }
    let after = update.made(&before)?;
    match update.makes_anew(before.dims()) {
        true => ctx.states.set_own(name, after)?,
        false => ctx.states.set(name, after)?,
    }
    Ok(Vec::new())
}

/// Whether a value may look into the memory of `buffer`.
fn shares(value: &Value, buffer: &Tensor) -> bool {
    match value {
        Value::Tensor { tensor, .. } => memory(tensor) == memory(buffer),
        Value::List(_) => true,
        _ => false,
    }
}

fn memory(tensor: &Tensor) -> *const Storage {
    let (storage, _) = tensor.storage_and_layout();
    ptr::from_ref(&*storage)
}

//! States: buffers that outlive a call.

use super::{Op, one, sample, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::{Batch, Group, Lane, apart};
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[
    smooth(
        "read_state",
        read_state,
        &[sample(
            "tensor<fp32, [2]> y = read_state(input = cache);",
            &[&[0.0, 0.0]],
        )],
    )
    .batch(Batch::Always(read_together)),
    smooth(
        "write_state",
        write_state,
        &[sample(
            "write_state(data = tensor<fp32, [2]>([1.0, 2.0]), input = cache);\n\
            tensor<fp32, [2]> y = read_state(input = cache);",
            &[&[1.0, 2.0]],
        )],
    )
    .batch(Batch::Always(write_together)),
];

fn name<'c>(call: &'c Call) -> Result<&'c str> {
    match call.value("input")? {
        Value::State(name) => Ok(name),
        other => fail!("parameter \"input\" must be a state, got {}", other.kind()),
    }
}

fn read_state(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    one(ctx.states.get(name(call)?)?)
}

/// The buffers of all examples, if they have their own.
fn read_together(group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    let batched = ctx.states.examples().is_some();
    let values = group.eval(ctx)?.into_iter();
    let lane = |value| Lane { value, batched };
    Ok(Some(values.map(lane).collect()))
}

fn write_together(mut group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    match (ctx.states.examples(), group.varies()) {
        (Some(_), _) => group.spread("data")?,
        (None, true) => return Err(apart("examples write one state")),
        (None, false) => {}
    }
    group.whole(ctx)
}

fn write_state(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    ctx.states.set(name(call)?, call.tensor("data")?.clone())?;
    Ok(Vec::new())
}

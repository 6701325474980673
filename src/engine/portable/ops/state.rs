//! States: buffers that outlive a call.

use super::{Op, one, sample, smooth};
use crate::diag::Result;
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
    ),
    smooth(
        "write_state",
        write_state,
        &[sample(
            "write_state(data = tensor<fp32, [2]>([1.0, 2.0]), input = cache);\n\
            tensor<fp32, [2]> y = read_state(input = cache);",
            &[&[1.0, 2.0]],
        )],
    ),
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

fn write_state(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    ctx.states.set(name(call)?, call.tensor("data")?.clone())?;
    Ok(Vec::new())
}

//! Choices and loops.

use candle_core::Device;

use super::tensor_operation::non_zero_places;
use super::{Op, one, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::{Batch, Group, Lane, leading};
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[
    smooth(
        "cond",
        cond,
        &[sample(
            "tensor<fp32, [2]> y = cond(pred = bool(false)) () { tensor<fp32, [2]> a = relu(x = tensor<fp32, [2]>([1.0, 2.0])); } -> (a) () { tensor<fp32, [2]> b = square(x = tensor<fp32, [2]>([3.0, 4.0])); } -> (b);",
            &[&[9.0, 16.0]],
        )],
    ).batch(Batch::Always(cond_together)),
    smooth(
        "select",
        select,
        &[
            sample(
                "tensor<fp32, [2, 2]> y = select(cond = tensor<bool, [2, 1]>([[true], [false]]), a = tensor<fp32, [2, 2]>([[1.0, 2.0], [3.0, 4.0]]), b = fp32(-1.0));",
                &[&[1.0, 2.0, -1.0, -1.0]],
            ),
            sample(
                "tensor<int32, [2]> y = select(cond = tensor<bool, [2]>([true, false]), a = tensor<int32, [2]>([1, 2]), b = tensor<int32, [2]>([3, 4]));",
                &[&[1.0, 4.0]],
            ),
        ],
    ).batch(Batch::Own(select_together)),
    smooth(
        "while_loop",
        while_loop,
        &[sample(
            "tensor<fp32, [1]> y, tensor<int32, [1]> n = while_loop(loop_vars = (tensor<fp32, [1]>([1.5]), tensor<int32, [1]>([0]))) (tensor<fp32, [1]> a, tensor<int32, [1]> i) { bool c = less(x = i, y = int32(3)); } -> (c) (tensor<fp32, [1]> a2, tensor<int32, [1]> i2) { tensor<fp32, [1]> s = square(x = a2); tensor<int32, [1]> j = add(x = i2, y = int32(1)); } -> (s, j);",
            &[&[25.628906], &[3.0]],
        )],
    ).batch(Batch::Always(while_together)),
];

/// The single truth value of a tensor.
fn truth(value: &Value) -> Result<bool> {
    match value.ints()?.as_slice() {
        [truth] => Ok(*truth != 0),
        values => fail!("a condition must be one boolean, got {}", values.len()),
    }
}

fn cond(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let block = if truth(call.value("pred")?)? { 0 } else { 1 };
    ctx.run_block(block, Vec::new())
}

/// Block 0 says whether to go on, block 1 makes the next values.
fn while_loop(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let mut values = call.many("loop_vars")?.to_vec();
    loop {
        ctx.turn()?;
        let go_on = ctx.run_block(0, values.clone())?;
        match go_on.as_slice() {
            [go_on] if !truth(go_on)? => return Ok(values),
            [_] => values = ctx.run_block(1, values)?,
            _ => fail!("the condition of a loop must give one value"),
        }
    }
}

/// The truth that all examples agree on.
fn agreed(condition: &Lane) -> Result<Option<bool>> {
    if !condition.batched {
        return truth(&condition.value).map(Some);
    }
    let values = condition.value.ints()?;
    let first = values.first().map(|v| *v != 0);
    Ok(first.filter(|first| values.iter().all(|v| (*v != 0) == *first)))
}

fn cond_together(group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    match group.lane("pred").map(agreed).transpose()?.flatten() {
        Some(truth) => ctx
            .run_block_together(usize::from(!truth), Vec::new())
            .map(Some),
        None => Ok(None),
    }
}

/// Turns for all examples as long as they agree to go on; if they part, each starts again for itself.
fn while_together(group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    let before = ctx.states.clone();
    let mut lanes = group.lanes("loop_vars").to_vec();
    loop {
        ctx.turn()?;
        let go_on = ctx.run_block_together(0, lanes.clone())?;
        match go_on.first().map(agreed).transpose()?.flatten() {
            Some(true) => lanes = ctx.run_block_together(1, lanes)?,
            Some(false) => return Ok(Some(lanes)),
            None => break,
        }
    }
    *ctx.states = before;
    Ok(None)
}

fn select_together(group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    match group.lane("a") {
        Some(_) => leading(group, &["cond", "a", "b"], 0, ctx),
        None => Ok(None),
    }
}

/// a where `cond` holds, else b; without a and b, the places where it holds.
fn select(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let cond = call.tensor("cond")?;
    let (a, b) = match (call.opt_tensor("a")?, call.opt_tensor("b")?) {
        (Some(a), Some(b)) => (a, b),
        (None, None) => return one(non_zero_places(cond)?),
        _ => fail!("select takes both \"a\" and \"b\" or none"),
    };
    let shape = shapes::broadcast(call, a.dims(), b.dims())?;
    let shape = shapes::broadcast(call, &shape, cond.dims())?;
    let (a, b) = match a.dtype() == b.dtype() {
        true => (a.clone(), b.clone()),
        false if a.dtype().is_float() => (a.clone(), b.to_dtype(a.dtype())?.to_device(a.device())?),
        false => (a.to_dtype(b.dtype())?.to_device(b.device())?, b.clone()),
    };
    let cond = cond.detach().to_device(&Device::Cpu)?;
    let cond = cond.ne(&cond.zeros_like()?)?.to_device(a.device())?;
    let spread = |t: &candle_core::Tensor| t.broadcast_as(shape.as_slice());
    one(spread(&cond)?.where_cond(&spread(&a)?, &spread(&b)?)?)
}

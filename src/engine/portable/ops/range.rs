//! Arithmetic progressions.

use candle_core::{Device, Tensor};

use super::{integers, one};
use crate::diag::Result;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) fn range_1d(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let (start, end, step) = (
        call.float("start")?,
        call.float("end")?,
        call.float("step")?,
    );
    let count = ((end - start) / step).ceil();
    if !count.is_finite() {
        fail!("a range from {start} to {end} by {step}");
    }
    let count = count.max(0.0) as usize;
    call.check_size(&[count])?;
    if let Some(range) = tracked_range(call, count)? {
        return one(range);
    }
    let values = (0..count).map(|i| start + i as f64 * step);
    if !call.tensor("start")?.dtype().is_float() {
        return one(integers::tensor(
            values.map(|v| v as i64).collect(),
            &[count],
        )?);
    }
    let values = Tensor::from_vec(values.collect::<Vec<f64>>(), count, &Device::Cpu)?;
    one(values
        .to_dtype(ctx.scope.float)?
        .to_device(ctx.scope.device)?)
}

/// The range as a function of its start and step, if one of them has a gradient.
fn tracked_range(call: &Call, count: usize) -> Result<Option<Tensor>> {
    let (start, step) = (call.tensor("start")?, call.tensor("step")?);
    if !start.track_op() && !step.track_op() {
        return Ok(None);
    }
    let turns: Vec<f64> = (0..count).map(|i| i as f64).collect();
    let turns = Tensor::from_vec(turns, count, &Device::Cpu)?;
    let turns = turns.to_dtype(start.dtype())?.to_device(start.device())?;
    Ok(Some(turns.broadcast_mul(step)?.broadcast_add(start)?))
}

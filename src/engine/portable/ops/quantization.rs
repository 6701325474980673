//! Quantisation of activations: between floats and 8-bit integers.

use candle_core::{Device, Tensor};

use super::{Op, discrete, integers, one, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::{Absent, Batch};
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[
    smooth(
        "dequantize",
        dequantize,
        &[sample(
            "tensor<fp32, [2, 2]> y = dequantize(input = tensor<int8, [2, 2]>([[1, 2], [3, -4]]), scale = tensor<fp32, [2]>([0.5, 2.0]), zero_point = tensor<int8, [2]>([1, -1]), axis = int32(0));",
            &[&[0.0, 0.5, 8.0, -6.0]],
        )],
    ).batch(Batch::Axes(&["input"], "axis", Absent::Nothing)),
    discrete(
        "quantize",
        quantize,
        &[
            sample(
                "tensor<int8, [2, 2]> y = quantize(input = tensor<fp32, [2, 2]>([[0.1, 0.5], [800.0, -6.0]]), scale = tensor<fp32, [2]>([0.5, 2.0]), zero_point = tensor<int8, [2]>([1, -1]), axis = int32(0), output_dtype = string(\"int8\"));",
                &[&[1.0, 2.0, 127.0, -4.0]],
            ),
            sample(
                "tensor<uint8, [3]> y = quantize(input = tensor<fp32, [3]>([-1.0, 1.25, 3.75]), scale = fp32(0.5), output_dtype = string(\"uint8\"));",
                &[&[0.0, 2.0, 8.0]],
            ),
        ],
    ).batch(Batch::Axes(&["input"], "axis", Absent::Nothing)),
];

/// A scalar, or one value per element of the axis, in a form that broadcasts against `x`.
fn along_axis(call: &Call, name: &str, x: &Tensor) -> Result<Option<Tensor>> {
    let Some(values) = call.opt_tensor(name)? else {
        return Ok(None);
    };
    if values.rank() == 0 {
        call.ignore(&["axis"]);
        return Ok(Some(values.clone()));
    }
    let axis = shapes::axis(call.int("axis")?, x.rank())?;
    if values.dims() != [x.dims()[axis]] {
        fail!(
            "\"{name}\" has shape {:?} for axis {axis} of {:?}",
            values.dims(),
            x.dims()
        );
    }
    let mut shape = vec![1; x.rank()];
    shape[axis] = values.elem_count();
    Ok(Some(values.reshape(shape)?))
}

/// scale · (input − zero point).
fn dequantize(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let input = call.tensor("input")?;
    call.floats("scale")?;
    let Some(scale) = along_axis(call, "scale", input)? else {
        fail!("parameter \"scale\" is missing");
    };
    let float = |x: &Tensor| x.to_device(ctx.scope.device)?.to_dtype(ctx.scope.float);
    let shifted = match along_axis(call, "zero_point", input)? {
        Some(zero) => float(input)?.broadcast_sub(&float(&zero)?)?,
        None => float(input)?,
    };
    one(shifted.broadcast_mul(&scale)?)
}

/// round(input / scale) + zero point, held in the range of the type.
fn quantize(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let input = call.floats("input")?;
    call.floats("scale")?;
    let Some(scale) = along_axis(call, "scale", input)? else {
        fail!("parameter \"scale\" is missing");
    };
    let (low, high) = match call.choice("output_dtype", "int8", &["int8", "uint8"])? {
        "int8" => (-128, 127),
        _ => (0, 255),
    };
    let zeros = match along_axis(call, "zero_point", input)? {
        Some(zero) => integers::read(&zero, input.dims())?,
        None => vec![0; input.elem_count()],
    };
    let scaled = input
        .detach()
        .broadcast_div(&scale)?
        .to_device(&Device::Cpu)?;
    let scaled: Vec<f64> = scaled
        .flatten_all()?
        .to_dtype(candle_core::DType::F64)?
        .to_vec1()?;
    let values = scaled.iter().zip(zeros).map(|(v, zero)| {
        let rounded = v.round_ties_even() as i64;
        rounded.saturating_add(zero).clamp(low, high)
    });
    one(integers::tensor(values.collect(), input.dims())?)
}

//! Compressed constants: decompressed when they are first needed; anew in each run where a part of them
//! learns. (The forms of iOS 16 have literal parts only.)

use std::borrow::Cow;

use candle_core::{DType as Candle, Tensor};

use super::{Op, decompression, discrete, one, sample, sample_of, smooth};
use crate::diag::Result;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;
use crate::numeric::{Array, DType};
use crate::weights::codec;

pub(super) const OPS: &[Op] = &[
    discrete(
        "constexpr_affine_dequantize",
        |call, ctx| {
            let (data, scale) = (array(call, "quantized_data")?, array(call, "scale")?);
            let zero_point = array(call, "zero_point")?;
            one(ctx.array(codec::affine_dequantize(
                &data,
                &scale,
                &zero_point,
                call.int("axis")?,
            )?)?)
        },
        &[sample_of(
            16,
            "tensor<fp32, [2, 2]> w = constexpr_affine_dequantize()[axis = tensor<int32, []>(0), quantized_data = tensor<int8, [2, 2]>([[1, 2], [3, -4]]), scale = tensor<fp32, [2]>([0.5, 2.0]), zero_point = tensor<int8, [2]>([1, -1])];",
            &[&[0.0, 0.5, 8.0, -6.0]],
        )],
    ),
    smooth(
        "constexpr_blockwise_shift_scale",
        blockwise_shift_scale,
        &[sample(
            "tensor<fp32, [1, 4]> w = constexpr_blockwise_shift_scale(data = tensor<int8, [1, 4]>([[1, 2, 3, -4]]), scale = tensor<fp32, [1, 2]>([[0.5, 2.0]]), offset = tensor<int8, [1, 2]>([[1, 0]]));",
            &[&[0.0, 0.5, 6.0, -8.0]],
        )],
    ),
    smooth(
        "constexpr_cast",
        |call, ctx| {
            if let Some(source) = learns(call, "source_val")? {
                call.ignore(&["output_dtype"]);
                return one(source.clone());
            }
            let dtype = match call.opt("output_dtype")? {
                Some(_) => DType::from_name(call.text("output_dtype")?).unwrap_or(DType::Fp32),
                None => call.output_dtype()?,
            };
            one(ctx.array(codec::cast(&*array(call, "source_val")?, dtype)?)?)
        },
        &[sample_of(
            16,
            "tensor<fp32, [2]> w = constexpr_cast()[output_dtype = tensor<string, []>(\"fp32\"), source_val = tensor<fp16, [2]>([0.5, -2.0])];",
            &[&[0.5, -2.0]],
        )],
    ),
    smooth(
        "constexpr_lut_to_dense",
        lut_to_dense,
        &[
            sample_of(
                16,
                "tensor<fp32, [2, 3]> w = constexpr_lut_to_dense()[indices = tensor<uint8, [2]>([228, 1]), lut = tensor<fp32, [4]>([0.5, 1.0, 2.0, -4.0]), shape = tensor<uint32, [2]>([2, 3])];",
                &[&[0.5, 1.0, 2.0, -4.0, 1.0, 0.5]],
            ),
            sample(
                "tensor<fp32, [2, 2]> w = constexpr_lut_to_dense(indices = tensor<uint1, [2, 2]>([[0, 1], [1, 1]]), lut = tensor<fp32, [2, 1, 2, 1]>([[[[0.5], [1.0]]], [[[2.0], [-4.0]]]]));",
                &[&[0.5, 1.0, -4.0, -4.0]],
            ),
        ],
    ),
    smooth(
        "constexpr_lut_to_sparse",
        lut_to_sparse,
        &[sample(
            "tensor<uint1, [1, 3]> m, tensor<fp32, [2]> w = constexpr_lut_to_sparse(indices_mask = tensor<uint1, [1, 3]>([[1, 0, 1]]), indices_nonzero_data = tensor<uint1, [2]>([1, 0]), lut = tensor<fp32, [1, 1, 2, 1]>([[[[0.5], [2.0]]]]));",
            &[&[1.0, 0.0, 1.0], &[2.0, 0.5]],
        )],
    ),
    smooth(
        "constexpr_sparse_blockwise_shift_scale",
        sparse_blockwise_shift_scale,
        &[sample(
            "tensor<uint1, [1, 4]> m, tensor<fp32, [2]> w = constexpr_sparse_blockwise_shift_scale(data_mask = tensor<uint1, [1, 4]>([[1, 0, 0, 1]]), nonzero_data = tensor<int8, [2]>([3, 5]), scale = tensor<fp32, [1, 2]>([[0.5, 2.0]]), offset = tensor<int8, [1, 2]>([[1, 0]]));",
            &[&[1.0, 0.0, 0.0, 1.0], &[1.0, 10.0]],
        )],
    ),
    smooth(
        "constexpr_sparse_to_dense",
        sparse_to_dense,
        &[
            sample_of(
                16,
                "tensor<fp32, [1, 4]> w = constexpr_sparse_to_dense()[mask = tensor<uint8, [1]>([9]), nonzero_data = tensor<fp32, [2]>([3.0, 5.0]), shape = tensor<uint32, [2]>([1, 4])];",
                &[&[3.0, 0.0, 0.0, 5.0]],
            ),
            sample(
                "tensor<fp32, [1, 4]> w = constexpr_sparse_to_dense(nonzero_data = tensor<fp32, [2]>([3.0, 5.0]), mask = tensor<uint1, [1, 4]>([[0, 1, 1, 0]]));",
                &[&[0.0, 3.0, 5.0, 0.0]],
            ),
        ],
    ),
];

/// The parameter, if gradients may flow to it, or it is finer than what is stored (for checking them).
fn learns<'c>(call: &'c Call, name: &str) -> Result<Option<&'c Tensor>> {
    Ok(match call.opt(name)? {
        Some(Value::Tensor { tensor, .. })
            if tensor.track_op() || tensor.dtype() == Candle::F64 =>
        {
            Some(tensor)
        }
        _ => None,
    })
}

/// An argument as it is stored.
fn stored(value: &Value) -> Result<Cow<'_, Array>> {
    match (value, value.dtype()) {
        (Value::Tensor { tensor, .. }, _) if tensor.track_op() => {
            fail!("gradients don't flow to this part of a compressed weight")
        }
        (Value::Host(host), _) => Ok(Cow::Borrowed(&host.array)),
        (_, Some(dtype)) => Ok(Cow::Owned(value.to_array(dtype)?)),
        _ => fail!("expected a constant tensor, got {}", value.kind()),
    }
}

fn array<'c>(call: &'c Call, name: &str) -> Result<Cow<'c, Array>> {
    stored(call.value(name)?)
}

fn opt_array<'c>(call: &'c Call, name: &str) -> Result<Option<Cow<'c, Array>>> {
    call.opt(name)?.map(stored).transpose()
}

fn opt_axis(call: &Call) -> Result<Option<i64>> {
    call.opt("vector_axis")?
        .map(|_| call.int("vector_axis"))
        .transpose()
}

/// The dense shape that the forms of iOS 16 carry.
fn packed_shape(call: &Call) -> Result<Option<Vec<usize>>> {
    let shape = call.opt_counts("shape")?;
    if let Some(shape) = &shape {
        call.check_size(shape)?;
    }
    Ok(shape)
}

/// Data, scale and offset as floats, if one of them learns.
fn linear(call: &Call, ctx: &Ctx, data: &str, mask: Option<&Array>) -> Result<Option<Tensor>> {
    let mut learning = false;
    for name in [data, "scale", "offset"] {
        learning |= learns(call, name)?.is_some();
    }
    if !learning {
        return Ok(None);
    }
    let floats = |name: &str| -> Result<Tensor> {
        let values = call.value(name)?.tensor()?;
        Ok(values
            .to_device(ctx.scope.device)?
            .to_dtype(ctx.scope.float)?)
    };
    let offset = match call.opt("offset")? {
        Some(_) => Some(floats("offset")?),
        None => None,
    };
    let (data, scale) = (floats(data)?, floats("scale")?);
    decompression::shift_scale(&data, &scale, offset.as_ref(), mask).map(Some)
}

fn blockwise_shift_scale(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    if let Some(dense) = linear(call, ctx, "data", None)? {
        return one(dense);
    }
    let (data, scale) = (array(call, "data")?, array(call, "scale")?);
    let offset = opt_array(call, "offset")?;
    let dense = codec::blockwise_shift_scale(&data, &scale, offset.as_deref())?;
    one(ctx.array(dense)?)
}

fn sparse_blockwise_shift_scale(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let mask = array(call, "data_mask")?;
    if let Some(kept) = linear(call, ctx, "nonzero_data", Some(&mask))? {
        return Ok(vec![ctx.array(mask.into_owned())?, kept.into()]);
    }
    let (data, scale) = (array(call, "nonzero_data")?, array(call, "scale")?);
    let offset = opt_array(call, "offset")?;
    let (mask, values) =
        codec::sparse_blockwise_shift_scale(&mask, &data, &scale, offset.as_deref())?;
    Ok(vec![ctx.array(mask)?, ctx.array(values)?])
}

fn lut_to_sparse(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let mask = array(call, "indices_mask")?;
    let indices = array(call, "indices_nonzero_data")?;
    let axis = opt_axis(call)?;
    if let Some(lut) = learns(call, "lut")? {
        let (mask, kept) = decompression::lut_to_sparse(&mask, &indices, lut, axis)?;
        return Ok(vec![ctx.array(mask)?, kept.into()]);
    }
    let lut = array(call, "lut")?;
    let (mask, values) = codec::lut_to_sparse(&mask, &indices, &lut, axis)?;
    Ok(vec![ctx.array(mask)?, ctx.array(values)?])
}

fn lut_to_dense(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let indices = array(call, "indices")?;
    if let Some(lut) = learns(call, "lut")? {
        return one(decompression::lut_to_dense(&indices, lut, opt_axis(call)?)?);
    }
    let lut = array(call, "lut")?;
    one(ctx.array(match packed_shape(call)? {
        Some(shape) => codec::lut_to_dense_packed(&indices, &lut, &shape)?,
        None => codec::lut_to_dense(&indices, &lut, opt_axis(call)?)?,
    })?)
}

fn sparse_to_dense(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let mask = array(call, "mask")?;
    if let Some(kept) = learns(call, "nonzero_data")? {
        return one(decompression::sparse_to_dense(kept, &mask)?);
    }
    let values = array(call, "nonzero_data")?;
    one(ctx.array(match packed_shape(call)? {
        Some(shape) => codec::sparse_to_dense_packed(&values, &mask, &shape)?,
        None => codec::sparse_to_dense(&values, &mask)?,
    })?)
}

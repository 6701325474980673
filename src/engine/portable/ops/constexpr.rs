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
use crate::numeric::Array;
use crate::weights::codec;

pub(super) const OPS: &[Op] = &[
    discrete(
        "constexpr_affine_dequantize",
        decompressed,
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
        |call, ctx| match learns(call, "source_val")? {
            Some(source) => {
                call.ignore(&["output_dtype"]);
                one(source.clone())
            }
            None => decompressed(call, ctx),
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

fn opt_axis(call: &Call) -> Result<Option<i64>> {
    call.opt("vector_axis")?
        .map(|_| call.int("vector_axis"))
        .transpose()
}

/// The results where no part learns.
fn decompressed(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    // The dense shape that the forms of iOS 16 carry.
    if let Some(shape) = call.opt_counts("shape")? {
        call.check_size(&shape)?;
    }
    // The declared type of the result says the same.
    call.ignore(&["output_dtype"]);
    let dtype = call.output_dtype().ok();
    let mut given = |name: &str| call.opt(name)?.map(stored).transpose();
    let arrays = codec::decompress(call.op, &mut given, dtype)?;
    arrays.into_iter().map(|array| ctx.array(array)).collect()
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
    match linear(call, ctx, "data", None)? {
        Some(dense) => one(dense),
        None => decompressed(call, ctx),
    }
}

fn sparse_blockwise_shift_scale(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let mask = array(call, "data_mask")?;
    match linear(call, ctx, "nonzero_data", Some(&mask))? {
        Some(kept) => Ok(vec![ctx.array(mask.into_owned())?, kept.into()]),
        None => decompressed(call, ctx),
    }
}

fn lut_to_sparse(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let Some(lut) = learns(call, "lut")? else {
        return decompressed(call, ctx);
    };
    let mask = array(call, "indices_mask")?;
    let indices = array(call, "indices_nonzero_data")?;
    let (mask, kept) = decompression::lut_to_sparse(&mask, &indices, lut, opt_axis(call)?)?;
    Ok(vec![ctx.array(mask)?, kept.into()])
}

fn lut_to_dense(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let Some(lut) = learns(call, "lut")? else {
        return decompressed(call, ctx);
    };
    let indices = array(call, "indices")?;
    one(decompression::lut_to_dense(&indices, lut, opt_axis(call)?)?)
}

fn sparse_to_dense(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let Some(kept) = learns(call, "nonzero_data")? else {
        return decompressed(call, ctx);
    };
    let mask = array(call, "mask")?;
    one(decompression::sparse_to_dense(kept, &mask)?)
}

//! Linear quantisation: `scale · (data − offset)`, one scale for an array, a channel or a block.

use super::blocks::Blocks;
use super::floats::{compute, load};
use crate::diag::Result;
use crate::fail;
use crate::numeric::Array;

/// `constexpr_affine_dequantize` (iOS 16): `scale · (data − zero_point)`, where scale and zero point
/// are scalars or vectors along `axis`. The result has the type of `scale`.
pub fn affine_dequantize(
    data: &Array,
    scale: &Array,
    zero_point: &Array,
    axis: i64,
) -> Result<Array> {
    let rank = data.shape().len();
    let axis = normalise(axis, rank)?;
    let entries = scale.len().max(zero_point.len());
    let mut coarse = vec![1; rank];
    match coarse.get_mut(axis) {
        Some(coarse) => *coarse = entries,
        None if entries == 1 => {}
        None => fail!("{entries} scales or zero points of a single element"),
    }
    let blocks = Blocks::new(data.shape(), &coarse)?;
    let stretch = |array: &Array| match array.to_f32s() {
        values if values.len() == entries => Ok(values),
        values if values.len() == 1 => Ok(vec![values[0]; entries]),
        values => fail!(
            "{} entries along the axis where {entries} are expected",
            values.len()
        ),
    };
    let (scales, offsets) = (stretch(scale)?, stretch(zero_point)?);
    shift_scale(data, &blocks, &scales, &offsets, scale.dtype())
}

/// `constexpr_blockwise_shift_scale` (iOS 18): `scale · (data − offset)`; along each axis, an entry of
/// `scale` and `offset` serves `data / scale` elements. The result has the type of `scale`.
pub fn blockwise_shift_scale(data: &Array, scale: &Array, offset: Option<&Array>) -> Result<Array> {
    let blocks = Blocks::new(data.shape(), scale.shape())?;
    let offsets = match offset {
        Some(offset) if offset.shape() != scale.shape() => fail!(
            "offset has shape {:?} where scale has {:?}",
            offset.shape(),
            scale.shape()
        ),
        Some(offset) => offset.to_f32s(),
        None => vec![0.0; scale.len()],
    };
    shift_scale(data, &blocks, &scale.to_f32s(), &offsets, scale.dtype())
}

fn shift_scale(
    data: &Array,
    blocks: &Blocks,
    scales: &[f32],
    offsets: &[f32],
    dtype: crate::numeric::DType,
) -> Result<Array> {
    compute(dtype, data.shape(), |start, out| {
        load(data, start, out);
        blocks.runs(start..start + out.len(), |run, entry| {
            let (scale, offset) = (scales[entry], offsets[entry]);
            for value in &mut out[run.start - start..run.end - start] {
                *value = scale * (*value - offset);
            }
        });
    })
}

/// An axis counted from the front; a scalar has the axis 0.
pub(super) fn normalise(axis: i64, rank: usize) -> Result<usize> {
    let from_front = if axis < 0 { axis + rank as i64 } else { axis };
    match usize::try_from(from_front) {
        Ok(axis) if axis < rank.max(1) => Ok(axis),
        _ => fail!("axis {axis} is out of range for rank {rank}"),
    }
}

//! Sparse weights: a mask of the dense shape, and the non-zero elements in row-major order.

use super::lut::lut_to_dense;
use super::shift_scale::{blockwise_shift_scale, normalise};
use crate::diag::Result;
use crate::fail;
use crate::numeric::{Array, DType, unpack};

/// `constexpr_sparse_to_dense` of iOS 16: `mask` are bytes with packed bits.
pub fn sparse_to_dense_packed(nonzero: &Array, mask: &Array, shape: &[usize]) -> Result<Array> {
    let count = elements_in(mask, DType::Uint1, shape)?;
    let mask = unpack(mask.bytes(), DType::Uint1, count);
    sparse_to_dense(nonzero, &Array::new(DType::Uint1, shape.to_vec(), mask)?)
}

/// `constexpr_sparse_to_dense` of iOS 18: zeros where `mask` is 0, else the next of `nonzero`.
pub fn sparse_to_dense(nonzero: &Array, mask: &Array) -> Result<Array> {
    let set = mask.bytes().iter().filter(|bit| **bit != 0).count();
    if set != nonzero.len() || mask.dtype().bytes() != 1 {
        fail!(
            "a mask with {set} bits set for {} non-zero elements",
            nonzero.len()
        );
    }
    let size = nonzero.dtype().bytes();
    let mut bytes = vec![0; mask.len() * size];
    let mut source = nonzero.bytes().chunks_exact(size);
    for (out, bit) in bytes.chunks_exact_mut(size).zip(mask.bytes()) {
        if *bit != 0
            && let Some(value) = source.next()
        {
            out.copy_from_slice(value);
        }
    }
    Array::new(nonzero.dtype(), mask.shape().to_vec(), bytes)
}

/// `constexpr_lut_to_sparse` (iOS 18): mask and non-zero elements of palettised sparse weights. With
/// vectors, an index stands for `length` elements along `vector_axis`.
pub fn lut_to_sparse(
    mask: &Array,
    indices: &Array,
    lut: &Array,
    vector_axis: Option<i64>,
) -> Result<(Array, Array)> {
    let dense = lut_to_dense(&sparse_to_dense(indices, mask)?, lut, vector_axis)?;
    let length = lut.shape().last().copied().unwrap_or(1);
    let mask = match vector_axis {
        Some(axis) if length > 1 => repeat(mask, length, axis)?,
        _ => mask.clone(),
    };
    let nonzero = keep(&dense, &mask)?;
    Ok((mask, nonzero))
}

/// `constexpr_sparse_blockwise_shift_scale` (iOS 18): mask and non-zero elements of linearly quantised
/// sparse weights; the block is that of the element's place in the dense array.
pub fn sparse_blockwise_shift_scale(
    mask: &Array,
    nonzero: &Array,
    scale: &Array,
    offset: Option<&Array>,
) -> Result<(Array, Array)> {
    let dense = blockwise_shift_scale(&sparse_to_dense(nonzero, mask)?, scale, offset)?;
    Ok((mask.clone(), keep(&dense, mask)?))
}

/// The elements of `dense` where `mask` is set.
fn keep(dense: &Array, mask: &Array) -> Result<Array> {
    let size = dense.dtype().bytes();
    let pairs = dense.bytes().chunks_exact(size).zip(mask.bytes());
    let kept: Vec<&[u8]> = pairs
        .filter(|(_, bit)| **bit != 0)
        .map(|(v, _)| v)
        .collect();
    Array::new(dense.dtype(), vec![kept.len()], kept.concat())
}

/// Each element `times` times along `axis`.
fn repeat(array: &Array, times: usize, axis: i64) -> Result<Array> {
    let axis = normalise(axis, array.shape().len())?;
    let inner = match array.is_empty() {
        true => 1,
        false => array.shape().iter().skip(axis + 1).product(),
    };
    let rows = array.bytes().chunks(inner);
    let bytes = rows.flat_map(|row| row.repeat(times)).collect();
    let mut shape = array.shape().to_vec();
    if let Some(extent) = shape.get_mut(axis) {
        *extent = extent.saturating_mul(times);
    }
    Array::new(array.dtype(), shape, bytes)
}

/// Elements of `shape`, if so many of type `dtype` lie packed in just the bytes of `packed`.
pub(super) fn elements_in(packed: &Array, dtype: DType, shape: &[usize]) -> Result<usize> {
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    let bits = count.and_then(|n| n.checked_mul(dtype.bits()));
    match (count, bits) {
        (Some(count), Some(bits)) if bits.div_ceil(8) == packed.bytes().len() => Ok(count),
        _ => fail!(
            "{} bytes do not hold {dtype} of shape {shape:?}",
            packed.bytes().len()
        ),
    }
}

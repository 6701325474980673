//! Decompression as candle operations, for tables, scales and kept values that learn: gradients flow to
//! them. Constants go through [`codec`], bit for bit what Core ML does.

use candle_core::{Device, Tensor};

use crate::diag::Result;
use crate::fail;
use crate::numeric::{Array, DType};
use crate::weights::codec;

/// A dense array of elements of `table`, an entry per index.
pub(super) fn lut_to_dense(indices: &Array, lut: &Tensor, axis: Option<i64>) -> Result<Tensor> {
    taken(
        lut,
        &codec::lut_to_dense(indices, &places(lut.dims())?, axis)?,
    )
}

/// The mask of the dense array, and its kept elements.
pub(super) fn lut_to_sparse(
    mask: &Array,
    indices: &Array,
    lut: &Tensor,
    axis: Option<i64>,
) -> Result<(Array, Tensor)> {
    let (mask, kept) = codec::lut_to_sparse(mask, indices, &places(lut.dims())?, axis)?;
    Ok((mask, taken(lut, &kept)?))
}

/// Zeros, and the kept elements where `mask` is 1.
pub(super) fn sparse_to_dense(nonzero: &Tensor, mask: &Array) -> Result<Tensor> {
    let nonzero = nonzero.flatten_all()?;
    // Place 0 is that of the zero.
    let ranks: Vec<i64> = (1..=nonzero.elem_count() as i64).collect();
    let ranks = Array::from_i64s(DType::Int32, vec![ranks.len()], &ranks)?;
    let zero = Tensor::zeros(1, nonzero.dtype(), nonzero.device())?;
    let table = Tensor::cat(&[zero, nonzero], 0)?;
    taken(&table, &codec::sparse_to_dense(&ranks, mask)?)
}

/// `scale · (data − offset)`, over the elements that `mask` keeps if there is one.
pub(super) fn shift_scale(
    data: &Tensor,
    scale: &Tensor,
    offset: Option<&Tensor>,
    mask: Option<&Array>,
) -> Result<Tensor> {
    let shape = mask.map_or(data.dims(), Array::shape);
    let zeros = Array::new(
        DType::Uint1,
        shape.to_vec(),
        vec![0; shape.iter().product()],
    )?;
    let entry = |grid: &Tensor| -> Result<Tensor> {
        let table = [grid.dims(), &[1, 1]].concat();
        let dense = codec::lut_to_dense(&zeros, &places(&table)?, None)?;
        match mask {
            Some(mask) => taken(grid, &kept(&dense, mask)?),
            None => taken(grid, &dense),
        }
    };
    let shifted = match offset {
        Some(offset) => (data - entry(offset)?)?,
        None => data.clone(),
    };
    Ok((shifted * entry(scale)?)?)
}

fn kept(places: &Array, mask: &Array) -> Result<Array> {
    let pairs = places.to_i64s().into_iter().zip(mask.bytes());
    let kept: Vec<i64> = pairs
        .filter(|(_, bit)| **bit != 0)
        .map(|(place, _)| place)
        .collect();
    Array::from_i64s(DType::Int32, vec![kept.len()], &kept)
}

/// The place of each element of an array of `shape`, row-major.
fn places(shape: &[usize]) -> Result<Array> {
    let count: usize = shape.iter().product();
    if i32::try_from(count).is_err() {
        fail!("a table of {count} elements is too large to learn");
    }
    let places: Vec<i64> = (0..count as i64).collect();
    Array::from_i64s(DType::Int32, shape.to_vec(), &places)
}

/// The elements of `table` at `places`.
fn taken(table: &Tensor, places: &Array) -> Result<Tensor> {
    let indices = Tensor::from_vec(places.to_i64s(), places.len(), &Device::Cpu)?;
    let indices = indices.to_device(table.device())?;
    let elements = table.flatten_all()?.index_select(&indices, 0)?;
    Ok(elements.reshape(places.shape())?)
}

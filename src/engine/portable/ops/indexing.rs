//! Picking elements of a flattened tensor: what every rearrangement can be made of.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::shapes;
use crate::diag::Result;
use crate::engine::portable::call::Call;
use crate::fail;

/// The tensor of `shape` whose elements stand at `positions` of the flattened `x`.
pub fn pick(x: &Tensor, positions: Vec<i64>, shape: &[usize]) -> Result<Tensor> {
    let count = positions.len();
    let positions = Tensor::from_vec(positions, count, &Device::Cpu)?.to_device(x.device())?;
    let flat = x.contiguous()?.flatten_all()?;
    Ok(flat.index_select(&positions, 0)?.reshape(shape)?)
}

/// For each element of `shape` in row-major order, `position` of its coordinates.
pub fn positions(shape: &[usize], position: impl Fn(&[usize]) -> usize + Sync) -> Vec<i64> {
    let count = shape.iter().product::<usize>();
    let strides = shapes::strides(shape);
    (0..count)
        .into_par_iter()
        .with_min_len(4096)
        .map_init(
            || vec![0; shape.len()],
            |coordinates, flat| {
                for (c, (extent, stride)) in coordinates.iter_mut().zip(shape.iter().zip(&strides))
                {
                    *c = flat / stride % extent;
                }
                position(coordinates) as i64
            },
        )
        .collect()
}

/// The tensor of `shape` whose element at some coordinates is the element of `x` at `source` of them.
pub fn rearrange(
    call: &Call,
    x: &Tensor,
    shape: &[usize],
    source: impl Fn(&[usize]) -> usize + Sync,
) -> Result<Tensor> {
    call.check_size(shape)?;
    pick(x, positions(shape, source), shape)
}

/// Indices into an extent: before iOS 17 negative ones count from the end, since then they are out of
/// bounds; those are an error here, though Core ML may leave the result undefined.
pub fn bounded(call: &Call, indices: Vec<i64>, extent: usize) -> Result<Vec<i64>> {
    call.ignore(&["validate_indices"]);
    let indices = counted(call, indices, extent);
    match indices.iter().find(|i| !(0..extent as i64).contains(i)) {
        Some(index) => fail!("index {index} is out of bounds: there are {extent}"),
        None => Ok(indices),
    }
}

/// Like [`bounded`]; but since iOS 17 those out of bounds are an error only if the program wants them
/// checked, else −1: what is written there is undefined, and Core ML goes on.
pub fn bounded_if_checked(call: &Call, indices: Vec<i64>, extent: usize) -> Result<Vec<i64>> {
    if call.opset < 17 || call.bool_or("validate_indices", false)? {
        return bounded(call, indices, extent);
    }
    let inside = |i: &i64| (0..extent as i64).contains(i);
    let mut indices = indices;
    indices
        .iter_mut()
        .filter(|i| !inside(i))
        .for_each(|i| *i = -1);
    Ok(indices)
}

fn counted(call: &Call, mut indices: Vec<i64>, extent: usize) -> Vec<i64> {
    if call.opset < 17 {
        let negative = indices.iter_mut().filter(|i| **i < 0);
        negative.for_each(|i| *i = i.saturating_add(extent as i64));
    }
    indices
}

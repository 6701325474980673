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
pub fn bounded(call: &Call, mut indices: Vec<i64>, extent: usize) -> Result<Vec<i64>> {
    call.ignore(&["validate_indices"]);
    let extent = extent as i64;
    for index in &mut indices {
        if *index < 0 && call.opset < 17 {
            *index += extent;
        }
        if *index < 0 || *index >= extent {
            fail!("index {index} is out of bounds: there are {extent}");
        }
    }
    Ok(indices)
}

//! Axes and shapes as operations give them.

use candle_core::Tensor;

use crate::diag::Result;
use crate::engine::portable::call::Call;
use crate::fail;

/// An axis of a tensor of `rank` axes; negative ones count from the end.
pub fn axis(axis: i64, rank: usize) -> Result<usize> {
    let wrapped = if axis < 0 { axis + rank as i64 } else { axis };
    match usize::try_from(wrapped) {
        Ok(axis) if axis < rank => Ok(axis),
        _ => fail!("axis {axis} does not exist in a tensor of rank {rank}"),
    }
}

/// Distinct axes, sorted.
pub fn axes(axes: &[i64], rank: usize) -> Result<Vec<usize>> {
    let mut found: Vec<usize> = axes.iter().map(|a| axis(*a, rank)).collect::<Result<_>>()?;
    found.sort_unstable();
    if found.windows(2).any(|pair| pair[0] == pair[1]) {
        fail!("axes {axes:?} name one axis twice");
    }
    Ok(found)
}

/// The parameter `axis`, or `default`.
pub fn axis_of(call: &Call, default: i64, rank: usize) -> Result<usize> {
    axis(call.int_or("axis", default)?, rank)
}

/// The parameter `axes`; all of them if it is absent.
pub fn axes_of(call: &Call, rank: usize) -> Result<Vec<usize>> {
    match call.opt_ints("axes")? {
        Some(given) => axes(&given, rank),
        None => Ok((0..rank).collect()),
    }
}

/// The shape that `a` and `b` broadcast to (numpy's rule).
pub fn broadcast(call: &Call, a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent = |dims: &[usize], i: usize| match (i + dims.len()).checked_sub(rank) {
        Some(i) => dims[i],
        None => 1,
    };
    let mut shape = Vec::with_capacity(rank);
    for i in 0..rank {
        shape.push(match (extent(a, i), extent(b, i)) {
            (n, m) if n == m => n,
            (1, n) | (n, 1) => n,
            _ => fail!("shapes {a:?} and {b:?} can't be broadcast"),
        });
    }
    call.check_size(&shape)?;
    Ok(shape)
}

/// `x` with `axis` moved to the end, contiguous.
pub fn last(x: &Tensor, axis: usize) -> Result<Tensor> {
    Ok(moved(x, axis, x.rank() - 1)?.contiguous()?)
}

/// `x` with the axis `from` taken out and put in at `to`.
pub fn moved(x: &Tensor, from: usize, to: usize) -> Result<Tensor> {
    if from == to {
        return Ok(x.clone());
    }
    let mut order: Vec<usize> = (0..x.rank()).filter(|i| *i != from).collect();
    order.insert(to, from);
    Ok(x.permute(order)?)
}

/// `count` elements of `x` along `axis`. Without elements it is a tensor of its own: candle panics over an
/// empty view that begins past the end of what it views.
pub fn part(x: &Tensor, axis: usize, start: usize, count: usize) -> Result<Tensor> {
    let part = x.narrow(axis, start, count)?;
    match part.elem_count() {
        0 => Ok(part.zeros_like()?),
        _ => Ok(part),
    }
}

/// Row-major steps of a shape.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

//! Work on the rows of contiguous tensors, shared among threads.

use candle_core::Layout;
use rayon::prelude::*;

/// Elements that one task handles at least.
const GRAIN: usize = 8 * 1024;

/// Calls `f(row index, row)` for each row of `width` elements.
pub fn each<T: Send>(data: &mut [T], width: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    if width == 0 {
        return;
    }
    if data.len() <= GRAIN {
        data.chunks_mut(width)
            .enumerate()
            .for_each(|(i, row)| f(i, row));
        return;
    }
    data.par_chunks_mut(width)
        .with_min_len((GRAIN / width).max(1))
        .enumerate()
        .for_each(|(i, row)| f(i, row));
}

/// Where row `i` of a tensor starts in its storage; rows are along the last axis.
pub fn start(layout: &Layout, mut i: usize) -> usize {
    let outer = layout.dims().len().saturating_sub(1);
    let mut offset = layout.start_offset();
    for (extent, stride) in layout.dims()[..outer].iter().zip(layout.stride()).rev() {
        offset += i % extent * stride;
        i /= extent;
    }
    offset
}

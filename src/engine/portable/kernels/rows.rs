//! Work on the rows of contiguous tensors, shared among threads.

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

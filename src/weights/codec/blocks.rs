//! Which block or group of a coarse grid an element of a dense array belongs to.

use std::ops::Range;

use crate::diag::Result;
use crate::fail;

/// A dense shape over a coarse one: along each axis, `extent / coarse` elements share an entry.
pub(in crate::weights) struct Blocks {
    /// Neighbouring axes merged where that changes nothing: mostly a single one remains.
    axes: Vec<Axis>,
}

#[derive(Clone, Copy)]
struct Axis {
    extent: usize,
    /// Elements per entry of the coarse grid.
    block: usize,
}

impl Blocks {
    pub(in crate::weights) fn new(dense: &[usize], coarse: &[usize]) -> Result<Self> {
        let fits = dense.len() == coarse.len()
            && dense.iter().zip(coarse).all(|(d, c)| *c > 0 && d % c == 0);
        if !fits {
            fail!("blocks of {coarse:?} do not divide the shape {dense:?}");
        }
        let mut axes: Vec<Axis> = Vec::new();
        if dense.contains(&0) {
            return Ok(Self { axes });
        }
        for (extent, coarse) in dense.iter().zip(coarse) {
            let inner = Axis {
                extent: *extent,
                block: extent / coarse,
            };
            match axes.last_mut() {
                Some(outer) if outer.block == 1 || inner.block == inner.extent => {
                    *outer = Axis {
                        extent: outer.extent * inner.extent,
                        block: outer.block * inner.block,
                    };
                }
                _ => axes.push(inner),
            }
        }
        Ok(Self { axes })
    }

    /// Calls `run` with each stretch of `range` (row-major positions) that lies in one entry of the
    /// coarse grid, and that entry's row-major position.
    pub(in crate::weights) fn runs(
        &self,
        range: Range<usize>,
        mut run: impl FnMut(Range<usize>, usize),
    ) {
        let mut start = range.start;
        while start < range.end {
            let (mut rest, mut entry, mut stride) = (start, 0, 1);
            let mut length = range.end - start;
            for (i, axis) in self.axes.iter().rev().enumerate() {
                let index = rest % axis.extent;
                rest /= axis.extent;
                entry += index / axis.block * stride;
                stride *= axis.extent / axis.block;
                if i == 0 {
                    length = length.min(axis.block - index % axis.block);
                }
            }
            run(start..start + length, entry);
            start += length;
        }
    }
}

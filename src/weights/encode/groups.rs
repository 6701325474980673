//! The elements of an array, gathered by the block that they lie in.

use crate::diag::Result;
use crate::fail;
use crate::weights::codec::blocks::Blocks;

/// Blocks of a coarse grid, each with the positions of its elements among those that are kept.
pub(super) struct Groups {
    /// Positions, block after block, ascending within one.
    order: Vec<u32>,
    /// Where each block begins in `order`; one more at the end.
    starts: Vec<usize>,
}

impl Groups {
    /// The blocks of `coarse` over `shape`; of a sparse array, only elements whose `mask` is not 0 count.
    pub fn new(shape: &[usize], coarse: &[usize], mask: Option<&[u8]>) -> Result<Self> {
        let blocks = Blocks::new(shape, coarse)?;
        let all: usize = shape.iter().product();
        if u32::try_from(all).is_err() {
            fail!("{all} elements in one weight are more than can be encoded");
        }
        let kept = |position: usize| mask.is_none_or(|mask| mask[position] != 0);
        let mut counts = vec![0; coarse.iter().product()];
        blocks.runs(0..all, |run, entry| {
            counts[entry] += run.filter(|position| kept(*position)).count();
        });
        let mut starts = vec![0];
        for count in &counts {
            starts.push(starts[starts.len() - 1] + count);
        }
        let mut next = starts.clone();
        let mut order = vec![0; starts[starts.len() - 1]];
        let mut rank = 0;
        blocks.runs(0..all, |run, entry| {
            for _ in run.filter(|position| kept(*position)) {
                order[next[entry]] = rank;
                next[entry] += 1;
                rank += 1;
            }
        });
        Ok(Self { order, starts })
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Positions of the elements of a block.
    pub fn members(&self, block: usize) -> &[u32] {
        &self.order[self.starts[block]..self.starts[block + 1]]
    }

    /// What the blocks' elements are told, in the order of the blocks, put in the order of the array.
    pub fn scatter<T: Copy + Default>(&self, by_block: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut values = vec![T::default(); self.order.len()];
        for (position, value) in self.order.iter().zip(by_block) {
            values[*position as usize] = value;
        }
        values
    }
}

//! Palettes: indices into look-up tables.

use rayon::prelude::*;

use super::blocks::Blocks;
use super::shift_scale::normalise;
use crate::diag::Result;
use crate::fail;
use crate::numeric::{Array, DType, unpack};

/// Bytes of the result that are filled at a time.
const CHUNK: usize = 1 << 14;

/// Elements of an entry: more than any compressor makes, few enough for hostile files.
const LENGTH_MAX: usize = 64;

/// `constexpr_lut_to_dense` of iOS 16: `indices` are bytes with packed indices of log2(entries) bits
/// (1, 2, 4, 6 or 8), `lut` is a vector.
pub fn lut_to_dense_packed(indices: &Array, lut: &Array, shape: &[usize]) -> Result<Array> {
    let width = match lut.len() {
        2 => DType::Uint1,
        4 => DType::Uint2,
        16 => DType::Uint4,
        64 => DType::Uint6,
        256 => DType::Uint8,
        other => fail!("a look-up table of {other} entries, expected 2, 4, 16, 64 or 256"),
    };
    let count = super::sparse::elements_in(indices, width, shape)?;
    let indices = unpack(indices.bytes(), width, count);
    let indices = Array::new(width, shape.to_vec(), indices)?;
    let mut table = vec![1; shape.len()];
    table.extend([lut.len(), 1]);
    lut_to_dense(&indices, &lut.clone().reshaped(table)?, None)
}

/// `constexpr_lut_to_dense` of iOS 18. `lut` has the rank of `indices` plus 2: groups along each
/// dimension, entries, and the length of an entry; vectors lie along `vector_axis` of the result.
pub fn lut_to_dense(indices: &Array, lut: &Array, vector_axis: Option<i64>) -> Result<Array> {
    let rank = indices.shape().len();
    let Some((groups, &[entries, length])) = lut
        .shape()
        .split_at_checked(rank)
        .and_then(|(groups, entry)| Some((groups, <&[usize; 2]>::try_from(entry).ok()?)))
    else {
        fail!(
            "a look-up table of shape {:?} for indices of rank {rank}, expected rank {}",
            lut.shape(),
            rank + 2
        );
    };
    if let Some(index) = indices.bytes().iter().find(|i| usize::from(**i) >= entries) {
        fail!("index {index} is past the end of a look-up table of {entries} entries");
    }
    if indices.dtype().bytes() != 1 {
        fail!("indices of a look-up table are {}", indices.dtype());
    }
    if !(1..=LENGTH_MAX).contains(&length) {
        fail!("a look-up table of vectors of {length} elements, 1 to {LENGTH_MAX} are read");
    }
    let axis = match vector_axis {
        Some(axis) => normalise(axis, rank)?,
        None if length == 1 => 0,
        None => fail!("a look-up table of vectors needs vector_axis"),
    };
    let mut shape = indices.shape().to_vec();
    if let Some(extent) = shape.get_mut(axis) {
        *extent = extent.saturating_mul(length);
    }
    if indices.is_empty() {
        return Array::new(lut.dtype(), shape, Vec::new());
    }
    let table = Table {
        indices: indices.bytes(),
        blocks: Blocks::new(&shape, groups)?,
        entries,
        length,
        extent: shape.get(axis).copied().unwrap_or(1),
        inner: shape.iter().skip(axis + 1).product(),
    };
    let bytes = match lut.dtype().bytes() {
        1 => table.gather::<1>(lut, &shape),
        2 => table.gather::<2>(lut, &shape),
        4 => table.gather::<4>(lut, &shape),
        _ => table.gather::<8>(lut, &shape),
    };
    Array::new(lut.dtype(), shape, bytes)
}

/// Where the elements of the result come from.
struct Table<'a> {
    indices: &'a [u8],
    blocks: Blocks,
    entries: usize,
    /// Elements of an entry.
    length: usize,
    /// Of the result along the vector axis.
    extent: usize,
    /// Product of the extents after the vector axis.
    inner: usize,
}

impl Table<'_> {
    fn gather<const N: usize>(&self, lut: &Array, shape: &[usize]) -> Vec<u8> {
        let lut = lut.bytes().as_chunks::<N>().0;
        let mut bytes = vec![0; shape.iter().product::<usize>() * N];
        let chunks = bytes.par_chunks_mut(CHUNK).enumerate();
        chunks.for_each(|(i, out)| {
            let out = out.as_chunks_mut::<N>().0;
            let start = i * CHUNK / N;
            self.blocks.runs(start..start + out.len(), |run, group| {
                let size = self.entries * self.length;
                let lut = &lut[group * size..(group + 1) * size];
                let out = &mut out[run.start - start..run.end - start];
                for (position, out) in run.zip(out) {
                    *out = lut[self.entry(position)];
                }
            });
        });
        bytes
    }

    /// Position in a group's table for the element at `position` of the result.
    fn entry(&self, position: usize) -> usize {
        if self.length == 1 {
            return usize::from(self.indices[position]);
        }
        let (rest, inner) = (position / self.inner, position % self.inner);
        let (outer, along) = (rest / self.extent, rest % self.extent);
        let row = outer * (self.extent / self.length) + along / self.length;
        let index = self.indices[row * self.inner + inner];
        usize::from(index) * self.length + along % self.length
    }
}

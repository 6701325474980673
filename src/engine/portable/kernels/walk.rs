//! Walking several strided tensors of one shape together, in parallel runs.

use candle_core::{Layout, Result, Shape};
use rayon::prelude::*;

use super::real::Real;

/// Elements that one task computes; small enough to balance, large enough to hide the scheduling.
const CHUNK: usize = 8 * 1024;

/// `N` tensors of one shape, adjacent extents merged wherever every tensor allows it.
pub struct Walk<const N: usize> {
    shape: Shape,
    /// Extents with their strides, outermost first, the innermost left out.
    outer: Vec<(usize, [usize; N])>,
    inner: usize,
    steps: [usize; N],
    starts: [usize; N],
}

impl<const N: usize> Walk<N> {
    pub fn new(layouts: [&Layout; N]) -> Result<Self> {
        let shape = layouts[0].shape().clone();
        if layouts.iter().any(|l| *l.shape() != shape) {
            candle_core::bail!("a kernel got different shapes");
        }
        let mut merged: Vec<(usize, [usize; N])> = Vec::new();
        for (d, extent) in shape.dims().iter().copied().enumerate() {
            if extent == 1 {
                continue;
            }
            let strides = layouts.map(|l| l.stride()[d]);
            match merged.last_mut() {
                Some((n, s)) if (0..N).all(|i| s[i] == strides[i] * extent) => {
                    *n *= extent;
                    *s = strides;
                }
                _ => merged.push((extent, strides)),
            }
        }
        let (inner, steps) = merged.pop().unwrap_or((1, [0; N]));
        Ok(Self {
            shape,
            outer: merged,
            inner,
            steps,
            starts: layouts.map(Layout::start_offset),
        })
    }

    pub fn shape(&self) -> Shape {
        self.shape.clone()
    }

    /// `f` of the corresponding elements of all tensors.
    pub fn apply<R: Real>(&self, data: [&[R]; N], f: impl Fn([R; N]) -> R + Sync) -> Vec<R> {
        let mut result = vec![R::of(0.0); self.shape.elem_count()];
        let threads = rayon::current_num_threads();
        if result.len() <= CHUNK || threads == 1 {
            self.fill(&mut result, 0, data, &f);
        } else {
            result
                .par_chunks_mut(CHUNK)
                .enumerate()
                .for_each(|(i, chunk)| self.fill(chunk, i * CHUNK, data, &f));
        }
        result
    }

    /// Computes the elements from `position` on.
    fn fill<R: Real>(
        &self,
        mut result: &mut [R],
        mut position: usize,
        data: [&[R]; N],
        f: &impl Fn([R; N]) -> R,
    ) {
        while !result.is_empty() {
            let column = position % self.inner;
            let count = (self.inner - column).min(result.len());
            let mut offsets = self.offsets(position / self.inner);
            for (offset, step) in offsets.iter_mut().zip(self.steps) {
                *offset += column * step;
            }
            let (run, rest) = result.split_at_mut(count);
            self.run(run, offsets, data, f);
            result = rest;
            position += count;
        }
    }

    fn offsets(&self, mut row: usize) -> [usize; N] {
        let mut offsets = self.starts;
        for (extent, strides) in self.outer.iter().rev() {
            let index = row % extent;
            row /= extent;
            for (offset, stride) in offsets.iter_mut().zip(strides) {
                *offset += index * stride;
            }
        }
        offsets
    }

    /// One run; the usual steps (all 1, one of two 0) have loops that the compiler vectorises.
    fn run<R: Real>(
        &self,
        run: &mut [R],
        offsets: [usize; N],
        data: [&[R]; N],
        f: &impl Fn([R; N]) -> R,
    ) {
        let count = run.len();
        if self.steps.iter().all(|s| *s <= 1) {
            let rows: [&[R]; N] = std::array::from_fn(|k| match self.steps[k] {
                1 => &data[k][offsets[k]..offsets[k] + count],
                _ => &data[k][offsets[k]..offsets[k] + 1],
            });
            return straight(run, rows, self.steps, f);
        }
        for (i, out) in run.iter_mut().enumerate() {
            *out = f(std::array::from_fn(|k| {
                data[k][offsets[k] + i * self.steps[k]]
            }));
        }
    }
}

fn straight<R: Real, const N: usize>(
    run: &mut [R],
    rows: [&[R]; N],
    steps: [usize; N],
    f: &impl Fn([R; N]) -> R,
) {
    match steps.iter().position(|s| *s == 0) {
        None => {
            for (i, out) in run.iter_mut().enumerate() {
                *out = f(std::array::from_fn(|k| rows[k][i]));
            }
        }
        Some(fixed) if steps.iter().filter(|s| **s == 0).count() == 1 => {
            let value = rows[fixed][0];
            for (i, out) in run.iter_mut().enumerate() {
                *out = f(std::array::from_fn(|k| match k == fixed {
                    true => value,
                    false => rows[k][i],
                }));
            }
        }
        Some(_) => {
            for (i, out) in run.iter_mut().enumerate() {
                *out = f(std::array::from_fn(|k| rows[k][i * steps[k]]));
            }
        }
    }
}

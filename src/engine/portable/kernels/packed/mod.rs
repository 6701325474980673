//! Products with matrices that never change, packed once for the processor's vector instructions.
//!
//! A matrix `[n, k]` is stored in panels of 32 of its rows, each `[k, 32]`, which the kernel reads straight
//! through. fp16 weights stay fp16 and are widened, exactly, on their way into the registers: half the
//! memory, and half the time where memory is what one waits for (few rows, as in decoding).

mod simd;

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Device, Layout, Result, Shape, Tensor};
use half::f16;
use rayon::prelude::*;

use super::matmul::matmul;
use super::real::slice;
use crate::numeric::{Array, DType};
use simd::{Block, Kernel, ROWS};

/// Rows of the matrix in a panel, which are columns of the product.
const PANEL: usize = simd::PANEL;

/// Rows of the other operand that stay in the cache while the panels pass by.
const CHUNK: usize = 20 * ROWS;

/// A packed matrix.
#[derive(Debug)]
pub struct Packed {
    n: usize,
    k: usize,
    kernel: Kernel,
    panels: Panels,
}

/// Elements as they are stored; rows that fill up the last panel are 0.
#[derive(Debug)]
enum Panels {
    Full(Vec<f32>),
    Half(Vec<u16>),
}

impl Packed {
    /// Whether this processor has the instructions.
    pub fn available() -> bool {
        Kernel::best().is_some()
    }

    /// Packs `array` `[n, k]`, or `[k, n]` if `turned`. `None` if it has another rank or the processor
    /// lacks the instructions.
    pub fn new(array: &Array, turned: bool) -> Option<Self> {
        let kernel = Kernel::best()?;
        let &[rows, columns] = array.shape() else {
            return None;
        };
        let (n, k) = if turned {
            (columns, rows)
        } else {
            (rows, columns)
        };
        let place = |row: usize, column: usize| match turned {
            true => column * n + row,
            false => row * k + column,
        };
        let panels = match array.dtype() {
            DType::Fp16 => {
                let halves = array.bytes().as_chunks::<2>().0;
                Panels::Half(pack(n, k, |i, j| u16::from_le_bytes(halves[place(i, j)])))
            }
            _ => {
                let values = array.to_f32s();
                Panels::Full(pack(n, k, |i, j| values[place(i, j)]))
            }
        };
        Some(Self {
            n,
            k,
            kernel,
            panels,
        })
    }

    /// `[n, k]`
    pub fn dims(&self) -> [usize; 2] {
        [self.n, self.k]
    }

    pub fn bytes(&self) -> usize {
        match &self.panels {
            Panels::Full(values) => size_of_val(values.as_slice()),
            Panels::Half(values) => size_of_val(values.as_slice()),
        }
    }

    fn at(&self, place: usize) -> f32 {
        match &self.panels {
            Panels::Full(values) => values[place],
            Panels::Half(values) => f16::from_bits(values[place]).to_f32(),
        }
    }

    /// Some of its rows, `[indices, k]`.
    pub fn rows(&self, indices: &[usize]) -> Result<Tensor> {
        if let Some(i) = indices.iter().find(|i| **i >= self.n) {
            candle_core::bail!("row {i} of a matrix of {}", self.n);
        }
        let mut rows = vec![0f32; indices.len() * self.k];
        let pairs = rows.par_chunks_mut(self.k.max(1)).zip(indices);
        pairs.with_min_len(16).for_each(|(row, i)| {
            let start = i / PANEL * PANEL * self.k + i % PANEL;
            for (j, value) in row.iter_mut().enumerate() {
                *value = self.at(start + j * PANEL);
            }
        });
        Tensor::from_vec(rows, (indices.len(), self.k), &Device::Cpu)
    }

    /// y = x Wᵀ + bias, row after row.
    fn multiply(&self, y: &mut [f32], x: &[f32], bias: Option<&[f32]>) {
        let blocks = self.n.div_ceil(PANEL);
        if y.is_empty() || self.k == 0 {
            if let Some(bias) = bias.filter(|_| !y.is_empty()) {
                y.chunks_mut(self.n)
                    .for_each(|row| row.copy_from_slice(bias));
            }
            return;
        }
        let share = blocks.div_ceil(8 * rayon::current_num_threads());
        let pairs = y.chunks_mut(CHUNK * self.n).zip(x.chunks(CHUNK * self.k));
        for (y, x) in pairs {
            let x = turned_blocks(x, self.k);
            let y = Columns::new(y, self.n);
            (0..blocks)
                .into_par_iter()
                .with_min_len(share)
                .for_each(|p| {
                    let first = p * PANEL;
                    let bias = bias.map(|bias| &bias[first..self.n.min(first + PANEL)]);
                    self.panel(p, &x, bias, &y);
                });
        }
    }

    /// The columns of the product that one panel makes.
    fn panel(&self, p: usize, x: &[f32], bias: Option<&[f32]>, y: &Columns) {
        let span = p * PANEL * self.k..(p + 1) * PANEL * self.k;
        let mut tile = [0f32; ROWS * PANEL];
        for (b, block) in x.chunks(ROWS * self.k).enumerate() {
            let block = Block {
                values: block,
                rows: block.len() / self.k,
            };
            match &self.panels {
                Panels::Full(values) => self.kernel.full(block, &values[span.clone()], &mut tile),
                Panels::Half(values) => self.kernel.half(block, &values[span.clone()], &mut tile),
            }
            for (r, tile) in tile.chunks(PANEL).take(block.rows).enumerate() {
                y.write(b * ROWS + r, p, tile, bias);
            }
        }
    }

    /// The matrix as it was, `[n, k]`.
    fn dense(&self) -> Result<Tensor> {
        self.rows(&(0..self.n).collect::<Vec<_>>())
    }
}

fn pack<T>(n: usize, k: usize, at: impl Fn(usize, usize) -> T + Sync) -> Vec<T>
where
    T: Copy + Default + Send,
{
    let mut panels = vec![T::default(); n.div_ceil(PANEL) * PANEL * k];
    let filled = panels.par_chunks_mut((PANEL * k).max(1)).enumerate();
    filled.for_each(|(p, panel)| {
        let rows = PANEL.min(n - p * PANEL);
        for (i, line) in panel.chunks_mut(PANEL).enumerate() {
            for (j, value) in line[..rows].iter_mut().enumerate() {
                *value = at(p * PANEL + j, i);
            }
        }
    });
    panels
}

/// Rows of `k` in blocks, each turned: `[k, rows]`.
fn turned_blocks(x: &[f32], k: usize) -> Vec<f32> {
    let mut turned = vec![0f32; x.len()];
    let pairs = x.chunks(ROWS * k).zip(turned.chunks_mut(ROWS * k));
    for (rows, block) in pairs {
        let count = rows.len() / k;
        for (r, row) in rows.chunks(k).enumerate() {
            for (i, value) in row.iter().enumerate() {
                block[i * count + r] = *value;
            }
        }
    }
    turned
}

/// A matrix that threads write by columns, each the panels that are its own.
struct Columns<'a> {
    start: *mut f32,
    rows: usize,
    width: usize,
    borrowed: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: no two threads are given the same panel, and panels are disjoint columns.
unsafe impl Sync for Columns<'_> {}

impl<'a> Columns<'a> {
    fn new(data: &'a mut [f32], width: usize) -> Self {
        Self {
            start: data.as_mut_ptr(),
            rows: data.len() / width,
            width,
            borrowed: std::marker::PhantomData,
        }
    }

    /// Writes what panel `p` gives for one row.
    fn write(&self, row: usize, p: usize, values: &[f32], bias: Option<&[f32]>) {
        let first = p * PANEL;
        assert!(row < self.rows && first < self.width);
        let count = PANEL.min(self.width - first);
        // SAFETY: the part lies inside the row, the row inside the matrix, and only this thread has
        // panel `p`.
        let part = unsafe {
            std::slice::from_raw_parts_mut(self.start.add(row * self.width + first), count)
        };
        match bias {
            None => part.copy_from_slice(&values[..count]),
            Some(bias) => {
                for (y, (value, bias)) in part.iter_mut().zip(values.iter().zip(bias)) {
                    *y = value + bias;
                }
            }
        }
    }
}

/// `x` `[m, k]` times the transpose of `matrix` `[n, k]`, plus `bias` `[n]`; f32 on the CPU. Gradients
/// flow to `x` and `bias`.
pub fn packed_product(x: &Tensor, matrix: &Arc<Packed>, bias: Option<&Tensor>) -> Result<Tensor> {
    let product = Product(matrix.clone());
    match bias {
        Some(bias) => x.contiguous()?.apply_op2(&bias.contiguous()?, product),
        None => x.contiguous()?.apply_op1(product),
    }
}

struct Product(Arc<Packed>);

impl Product {
    fn forward(
        &self,
        x: &[f32],
        layout: &Layout,
        bias: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let [n, k] = self.0.dims();
        let (m, width) = layout.shape().dims2()?;
        if width != k || bias.is_some_and(|bias| bias.len() != n) {
            candle_core::bail!(
                "product of {:?} with a packed matrix [{n}, {k}]",
                layout.dims()
            );
        }
        let mut y = vec![0f32; m * n];
        self.0.multiply(&mut y, x, bias);
        Ok((CpuStorage::F32(y), Shape::from((m, n))))
    }

    fn backward(&self, grad: &Tensor) -> Result<Tensor> {
        matmul(grad, &self.0.dense()?, false)
    }
}

impl CustomOp1 for Product {
    fn name(&self) -> &'static str {
        "packed product"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward(slice(x, layout)?, layout, None)
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        self.backward(grad).map(Some)
    }
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "packed product"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let bias = slice(bias, bias_layout)?;
        self.forward(slice(x, layout)?, layout, Some(bias))
    }

    fn bwd(
        &self,
        x: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let wide = x.track_op().then(|| self.backward(grad)).transpose()?;
        let along = bias.track_op().then(|| grad.sum(0)).transpose()?;
        Ok((wide, along))
    }
}

#[cfg(test)]
mod tests;

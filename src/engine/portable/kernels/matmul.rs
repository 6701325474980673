//! Matrix products, batched. Batches run in parallel, one row streams the other matrix once, and the
//! gradient of an operand that nobody trains is not computed (candle computes both).

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp2, Layout, MetalStorage, Result, Shape, Tensor, WithDType,
};
use rayon::prelude::*;

use super::gemm::{Matrix, gemm};
use super::real::{Real, on_cpu, with_real};

/// Accelerate's matrix units are out of reach of `gemm`.
const OWN: bool = cfg!(not(target_os = "macos"));

/// Multiply-adds from which a product is worth several threads.
const LARGE: usize = 64 * 1024;

/// `a` `[…, m, k]` times `b` `[…, k, n]`, or `[…, n, k]` if `transposed`; equal leading extents.
pub fn matmul(a: &Tensor, b: &Tensor, transposed: bool) -> Result<Tensor> {
    let product = Product { transposed };
    if OWN && on_cpu(a) {
        return a.apply_op2(b, product);
    }
    a.contiguous()?.apply_op2(&b.contiguous()?, product)
}

#[derive(Debug, Clone, Copy)]
struct Product {
    transposed: bool,
}

/// Extents of a product and the layout of its right operand as `[…, k, n]`.
struct Extents {
    batch: Vec<usize>,
    m: usize,
    k: usize,
    n: usize,
    right: Layout,
}

impl Product {
    fn extents(&self, a: &Layout, b: &Layout) -> Result<Extents> {
        let rank = a.dims().len();
        if rank < 2 || b.dims().len() != rank {
            candle_core::bail!("matmul of {:?} and {:?}", a.dims(), b.dims());
        }
        let right = match self.transposed {
            true => b.transpose(rank - 2, rank - 1)?,
            false => b.clone(),
        };
        let (left, dims) = (a.dims(), right.dims());
        if left[..rank - 2] != dims[..rank - 2] || left[rank - 1] != dims[rank - 2] {
            candle_core::bail!("matmul of {left:?} and {dims:?}");
        }
        Ok(Extents {
            batch: left[..rank - 2].to_vec(),
            m: left[rank - 2],
            k: left[rank - 1],
            n: dims[rank - 1],
            right: right.clone(),
        })
    }

    fn by_backend<S: BackendStorage>(
        &self,
        a: &S,
        a_layout: &Layout,
        b: &S,
        b_layout: &Layout,
    ) -> Result<(S, Shape)> {
        let e = self.extents(a_layout, b_layout)?;
        let sizes = (e.batch.iter().product(), e.m, e.n, e.k);
        Ok((a.matmul(b, sizes, a_layout, &e.right)?, e.shape()))
    }
}

impl Extents {
    fn shape(&self) -> Shape {
        let mut dims = self.batch.clone();
        dims.extend([self.m, self.n]);
        Shape::from(dims)
    }
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if !OWN {
            return self.by_backend(a, a_layout, b, b_layout);
        }
        let e = self.extents(a_layout, b_layout)?;
        with_real!(a, self.name(), R => {
            let left = Batches::new(R::cpu_storage_as_slice(a)?, a_layout)?;
            let right = Batches::new(R::cpu_storage_as_slice(b)?, &e.right)?;
            let mut result = vec![R::of(0.0); e.shape().elem_count()];
            multiply(&mut result, &e, &left, &right);
            Ok((R::to_cpu_storage_owned(result), e.shape()))
        })
    }

    fn cuda_fwd(
        &self,
        a: &CudaStorage,
        a_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.by_backend(a, a_layout, b, b_layout)
    }

    fn metal_fwd(
        &self,
        a: &MetalStorage,
        a_layout: &Layout,
        b: &MetalStorage,
        b_layout: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.by_backend(a, a_layout, b, b_layout)
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let left = a
            .track_op()
            .then(|| matmul(grad, &b.detach(), !self.transposed));
        let right = b.track_op().then(|| match self.transposed {
            true => matmul(&grad.t()?, &a.detach(), false),
            false => matmul(&a.detach().t()?, grad, false),
        });
        Ok((left.transpose()?, right.transpose()?))
    }
}

/// Matrices of one operand: where each starts, and its steps.
struct Batches<'a, R> {
    data: &'a [R],
    starts: Vec<usize>,
    row_step: usize,
    column_step: usize,
}

impl<'a, R: Real> Batches<'a, R> {
    fn new(data: &'a [R], layout: &Layout) -> Result<Self> {
        let (dims, strides) = (layout.dims(), layout.stride());
        let rank = dims.len();
        let mut starts = vec![layout.start_offset()];
        for (extent, stride) in dims[..rank - 2].iter().zip(strides) {
            starts = starts
                .iter()
                .flat_map(|s| (0..*extent).map(move |i| s + i * stride))
                .collect();
        }
        let span: usize = dims[rank - 2..]
            .iter()
            .zip(&strides[rank - 2..])
            .map(|(extent, stride)| extent.saturating_sub(1) * stride)
            .sum();
        let empty = dims.contains(&0);
        if !empty && starts.iter().any(|s| s + span >= data.len()) {
            candle_core::bail!("matmul reaches beyond its operand");
        }
        Ok(Self {
            data,
            starts,
            row_step: strides[rank - 2],
            column_step: strides[rank - 1],
        })
    }
}

fn multiply<R: Real>(result: &mut [R], e: &Extents, a: &Batches<R>, b: &Batches<R>) {
    let size = e.m * e.n;
    if result.is_empty() || e.k == 0 {
        return;
    }
    let work = size * e.k;
    let threads = rayon::current_num_threads();
    if result.len() == size || (work >= LARGE * threads && result.len() < size * threads) {
        let parallel = threads > 1 && work >= LARGE;
        for (i, matrix) in result.chunks_mut(size).enumerate() {
            product(matrix, e, a, b, (i, parallel));
        }
    } else if result.len() / size * work < LARGE {
        for (i, matrix) in result.chunks_mut(size).enumerate() {
            product(matrix, e, a, b, (i, false));
        }
    } else {
        result
            .par_chunks_mut(size)
            .enumerate()
            .for_each(|(i, matrix)| product(matrix, e, a, b, (i, false)));
    }
}

/// Product of the `i`-th matrices.
fn product<R: Real>(
    result: &mut [R],
    e: &Extents,
    a: &Batches<R>,
    b: &Batches<R>,
    (i, parallel): (usize, bool),
) {
    let (left, right) = (&a.data[a.starts[i]..], &b.data[b.starts[i]..]);
    if e.m == 1 && a.column_step == 1 && b.row_step == 1 {
        return one_row(result, &left[..e.k], right, b.column_step, parallel);
    }
    let matrix = |data, rows, columns, steps: &Batches<R>| Matrix {
        data,
        rows,
        columns,
        row_step: steps.row_step,
        column_step: steps.column_step,
    };
    let (left, right) = (matrix(left, e.m, e.k, a), matrix(right, e.k, e.n, b));
    gemm((result, e.n), left, right, R::of(1.0), parallel);
}

/// One row times a matrix whose columns are contiguous: memory-bound, so every thread streams a part.
fn one_row<R: Real>(result: &mut [R], row: &[R], columns: &[R], step: usize, parallel: bool) {
    let dot = |j: usize| {
        let column = &columns[j * step..][..row.len()];
        let mut sums = [R::of(0.0); 16];
        let (rows, row_rest) = row.as_chunks::<16>();
        let (parts, rest) = column.as_chunks::<16>();
        for (x, y) in rows.iter().zip(parts) {
            for l in 0..16 {
                sums[l] += x[l] * y[l];
            }
        }
        let tail = row_rest.iter().zip(rest).map(|(x, y)| *x * *y);
        sums.into_iter().chain(tail).fold(R::of(0.0), |s, v| s + v)
    };
    match parallel {
        false => result.iter_mut().enumerate().for_each(|(j, r)| *r = dot(j)),
        true => result
            .par_iter_mut()
            .with_min_len(64)
            .enumerate()
            .for_each(|(j, r)| *r = dot(j)),
    }
}

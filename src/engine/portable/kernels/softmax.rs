//! Softmax over the last axis.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, Layout, Result, Shape, Tensor, WithDType};

use super::real::{Real, on_cpu, slice, with_real};
use super::rows;

/// Softmax over the last axis of `x`.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if on_cpu(x) {
        return x.contiguous()?.apply_op1(Softmax);
    }
    let max = x.max_keepdim(D::Minus1)?.detach();
    let exp = x.broadcast_sub(&max)?.exp()?;
    exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)
}

struct Softmax;

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = layout.dims().last().copied().unwrap_or(1);
        with_real!(storage, self.name(), R => {
            let x: &[R] = slice(storage, layout)?;
            let mut y = vec![R::of(0.0); x.len()];
            rows::each(&mut y, width, |i, row| {
                row.copy_from_slice(&x[i * width..][..width]);
                soften(row);
            });
            Ok((R::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        softmax_gradient(y, grad).map(Some)
    }
}

/// The gradient of softmax's argument, for its result `y` and the gradient of that.
pub fn softmax_gradient(y: &Tensor, grad: &Tensor) -> Result<Tensor> {
    y.apply_op2_no_bwd(&grad.contiguous()?, &SoftmaxGradient)
}

/// Softmax of one row, in place.
pub fn soften<R: Real>(row: &mut [R]) {
    let larger = |a: R, b: R| if b > a { b } else { a };
    let max = lanes(row, R::of(f64::NEG_INFINITY), larger);
    row.iter_mut().for_each(|y| *y = (*y - max).quick_exp());
    let scale = R::of(1.0) / lanes(row, R::of(0.0), |a, b| a + b);
    row.iter_mut().for_each(|y| *y *= scale);
}

/// Folds in eight lanes, which the compiler keeps in a vector.
fn lanes<R: Real>(x: &[R], start: R, fold: impl Fn(R, R) -> R) -> R {
    let (chunks, rest) = x.as_chunks::<8>();
    let mut sums = [start; 8];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum = fold(*sum, *value);
        }
    }
    let rest = rest.iter().copied();
    sums.into_iter().chain(rest).fold(start, fold)
}

/// y · (g − Σ g·y).
struct SoftmaxGradient;

impl CustomOp2 for SoftmaxGradient {
    fn name(&self) -> &'static str {
        "softmax gradient"
    }

    fn cpu_fwd(
        &self,
        y: &CpuStorage,
        y_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let width = y_layout.dims().last().copied().unwrap_or(1);
        with_real!(y, self.name(), R => {
            let (y, g): (&[R], &[R]) = (slice(y, y_layout)?, slice(grad, grad_layout)?);
            let mut result = vec![R::of(0.0); y.len()];
            rows::each(&mut result, width, |i, row| {
                let (y, g) = (&y[i * width..][..width], &g[i * width..][..width]);
                let dot = y.iter().zip(g).fold(R::of(0.0), |s, (y, g)| s + *y * *g);
                for (r, (y, g)) in row.iter_mut().zip(y.iter().zip(g)) {
                    *r = *y * (*g - dot);
                }
            });
            Ok((R::to_cpu_storage_owned(result), y_layout.shape().clone()))
        })
    }
}

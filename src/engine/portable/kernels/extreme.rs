//! The largest or smallest element of each row; equal ones share the gradient evenly, as in PyTorch's
//! `amax`. (Elsewhere than on the CPU the first of them gets it all.)

use candle_core::{CpuStorage, CustomOp1, CustomOp3, D, Layout, Result, Shape, Tensor, WithDType};

use super::real::{Real, on_cpu, slice, with_real};
use super::rows;

/// Which element of a row is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extreme {
    Largest,
    Smallest,
}

/// The extreme element along the last axis, which stays with extent 1; NaN where there is one.
pub fn extreme(x: &Tensor, which: Extreme) -> Result<Tensor> {
    let x = x.contiguous()?;
    if on_cpu(&x) {
        return x.apply_op1(which);
    }
    let place = match which {
        Extreme::Largest => x.argmax_keepdim(D::Minus1)?,
        Extreme::Smallest => x.argmin_keepdim(D::Minus1)?,
    };
    x.gather(&place, D::Minus1)
}

impl Extreme {
    fn of<R: Real>(self, row: &[R]) -> R {
        let better = |a: R, b: R| match self {
            Extreme::Largest => a > b,
            Extreme::Smallest => a < b,
        };
        let is_number = |v: &R| v.partial_cmp(v).is_some();
        row.iter()
            .copied()
            .reduce(|best, v| {
                if is_number(&best) && (better(v, best) || !is_number(&v)) {
                    v
                } else {
                    best
                }
            })
            .unwrap_or(R::of(0.0))
    }
}

impl CustomOp1 for Extreme {
    fn name(&self) -> &'static str {
        "extreme"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut dims = layout.dims().to_vec();
        let width = dims.last().copied().unwrap_or(1);
        if let Some(last) = dims.last_mut() {
            *last = 1;
        }
        with_real!(storage, self.name(), R => {
            let x: &[R] = slice(storage, layout)?;
            let mut y = vec![R::of(0.0); x.len() / width.max(1)];
            rows::each(&mut y, 1, |i, y| y[0] = self.of(&x[i * width..][..width]));
            Ok((R::to_cpu_storage_owned(y), Shape::from(dims)))
        })
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.contiguous()?;
        Ok(Some(x.apply_op3_no_bwd(y, &grad, &Share)?))
    }
}

/// The gradient of a row, shared by the elements that equal its result.
struct Share;

impl CustomOp3 for Share {
    fn name(&self) -> &'static str {
        "gradient of an extreme"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let width = x_layout.dims().last().copied().unwrap_or(1);
        with_real!(x, self.name(), R => {
            let x: &[R] = slice(x, x_layout)?;
            let (y, g): (&[R], &[R]) = (slice(y, y_layout)?, slice(grad, grad_layout)?);
            let mut result = vec![R::of(0.0); x.len()];
            rows::each(&mut result, width, |i, row| {
                let x = &x[i * width..][..width];
                let equal = x.iter().filter(|v| **v == y[i]).count().max(1);
                let share = g[i] / R::of(equal as f64);
                let pairs = row.iter_mut().zip(x).filter(|(_, v)| **v == y[i]);
                pairs.for_each(|(r, _)| *r = share);
            });
            Ok((R::to_cpu_storage_owned(result), x_layout.shape().clone()))
        })
    }
}

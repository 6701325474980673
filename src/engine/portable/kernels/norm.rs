//! Layer normalisation and root-mean-square normalisation over the last axis, scaled and shifted.

use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor, WithDType};

use super::real::{Real, on_cpu, slice, with_real};
use super::rows;

/// Which normalisation: x̂ = (x − mean) / √(mean((x − mean)²) + ε), with the mean left out for RMS.
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    pub epsilon: f64,
    /// Subtract the mean (layer norm) or not (RMS norm).
    pub centre: bool,
}

/// x̂ · `gamma` over the last axis of `x`; `gamma` has its extent.
pub fn norm(x: &Tensor, gamma: &Tensor, kind: Norm) -> Result<Tensor> {
    if on_cpu(x) {
        return x.contiguous()?.apply_op2(&gamma.contiguous()?, kind);
    }
    let x = match kind.centre {
        true => x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?,
        false => x.clone(),
    };
    let scale = (x.sqr()?.mean_keepdim(D::Minus1)? + kind.epsilon)?
        .sqrt()?
        .recip()?;
    x.broadcast_mul(&scale)?.broadcast_mul(gamma)
}

impl Norm {
    /// Mean (or 0) and 1/√(variance + ε) of a row.
    fn moments<R: Real>(&self, x: &[R]) -> (R, R) {
        let n = R::of(x.len() as f64);
        let mean = match self.centre {
            true => x.iter().fold(R::of(0.0), |s, v| s + *v) / n,
            false => R::of(0.0),
        };
        let square = |v: &R| (*v - mean) * (*v - mean);
        let variance = x.iter().fold(R::of(0.0), |s, v| s + square(v)) / n;
        (mean, R::of(1.0) / (variance + R::of(self.epsilon)).sqrt())
    }
}

impl CustomOp2 for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        with_real!(x, self.name(), R => {
            let (x, gamma): (&[R], &[R]) = (slice(x, x_layout)?, slice(gamma, gamma_layout)?);
            let width = gamma.len();
            let mut y = vec![R::of(0.0); x.len()];
            rows::each(&mut y, width, |i, row| {
                let x = &x[i * width..][..width];
                let (mean, scale) = self.moments(x);
                for (y, (x, gamma)) in row.iter_mut().zip(x.iter().zip(gamma)) {
                    *y = (*x - mean) * scale * *gamma;
                }
            });
            Ok((R::to_cpu_storage_owned(y), x_layout.shape().clone()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let width = gamma.elem_count();
        let (x, grad) = (x.contiguous()?, grad.contiguous()?);
        let wide = x.track_op().then(|| {
            let scaled = grad.broadcast_mul(gamma)?;
            x.apply_op2_no_bwd(&scaled, &NormGradient(*self))
        });
        let scale = gamma.track_op().then(|| {
            let ones = gamma.ones_like()?;
            let unscaled = x.apply_op2_no_bwd(&ones, self)?;
            (unscaled * &grad)?.reshape(((), width))?.sum(0)
        });
        Ok((wide.transpose()?, scale.transpose()?))
    }
}

/// dx = s · (g − mean(g) − x̂ · mean(g · x̂)), g the gradient of x̂; mean(g) is left out for RMS.
struct NormGradient(Norm);

impl CustomOp2 for NormGradient {
    fn name(&self) -> &'static str {
        "norm gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let width = x_layout.dims().last().copied().unwrap_or(1);
        with_real!(x, self.name(), R => {
            let (x, g): (&[R], &[R]) = (slice(x, x_layout)?, slice(grad, grad_layout)?);
            let n = R::of(width as f64);
            let mut result = vec![R::of(0.0); x.len()];
            rows::each(&mut result, width, |i, row| {
                let (x, g) = (&x[i * width..][..width], &g[i * width..][..width]);
                let (mean, scale) = self.0.moments(x);
                let dot = x.iter().zip(g).fold(R::of(0.0), |s, (x, g)| s + (*x - mean) * *g);
                let along = dot * scale * scale / n;
                let shift = match self.0.centre {
                    true => g.iter().fold(R::of(0.0), |s, g| s + *g) / n,
                    false => R::of(0.0),
                };
                for (r, (x, g)) in row.iter_mut().zip(x.iter().zip(g)) {
                    *r = scale * (*g - shift - (*x - mean) * along);
                }
            });
            Ok((R::to_cpu_storage_owned(result), x_layout.shape().clone()))
        })
    }
}

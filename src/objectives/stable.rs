//! Scalar functions that neither overflow nor lose their gradient, elementwise on tensors.

use candle_core::Tensor;

use crate::diag::Result;

/// log σ(x) = −log(1 + e^−x); gradient σ(−x).
///
/// Written with a detached shift so that the gradient is smooth at 0, where a policy starts.
pub fn logsigmoid(x: &Tensor) -> Result<Tensor> {
    let shift = x.detach().neg()?.maximum(0f64)?;
    let parts = (shift.neg()?.exp()? + (x + &shift)?.neg()?.exp()?)?;
    Ok((parts.log()? + shift)?.neg()?)
}

/// σ(x), through [`logsigmoid`].
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok(logsigmoid(x)?.exp()?)
}

/// log(1 − e^x) for x < 0, exact where e^x is close to 1 too; −∞ at 0.
///
/// With t = tanh(x/2): 1 − e^x = −2t / (1 − t), which cancels nothing.
pub fn log1mexp(x: &Tensor) -> Result<Tensor> {
    let t = (x * 0.5)?.tanh()?;
    let ratio = (t.affine(-2.0, 0.0)? / t.affine(-1.0, 1.0)?)?;
    Ok(ratio.log()?)
}

/// max(0, x), with gradient 0 at 0.
pub fn positive_part(x: &Tensor) -> Result<Tensor> {
    Ok(x.gt(0f64)?.where_cond(x, &x.zeros_like()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::values;
    use candle_core::{Device, Var};

    /// Values and gradients at `x`.
    fn at(f: fn(&Tensor) -> Result<Tensor>, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let x = Var::new(x, &Device::Cpu).unwrap();
        let y = f(&x).unwrap();
        let grads = y.sum_all().unwrap().backward().unwrap();
        (values(&y).unwrap(), values(grads.get(&x).unwrap()).unwrap())
    }

    fn close(got: &[f64], want: &[f64]) {
        for (g, w) in got.iter().zip(want) {
            assert!(
                (g - w).abs() <= 1e-15 * w.abs().max(1.0),
                "{got:?} {want:?}"
            );
        }
        assert_eq!(got.len(), want.len());
    }

    #[test]
    fn logsigmoid_at_the_extremes_and_at_zero() {
        let (y, g) = at(logsigmoid, &[0.0, 1.0, -1.0, 800.0, -800.0]);
        let at_one = -(-1f64).exp().ln_1p();
        close(
            &y,
            &[-std::f64::consts::LN_2, at_one, at_one - 1.0, 0.0, -800.0],
        );
        let s = at_one.exp();
        close(&g, &[0.5, 1.0 - s, s, 0.0, 1.0]);
    }

    #[test]
    fn log1mexp_near_zero_and_far() {
        let x = [-1e-12, -1.0, -50.0];
        let (y, g) = at(log1mexp, &x);
        close(&y, &x.map(|x: f64| (-x.exp_m1()).ln()));
        let want = x.map(|x: f64| x.exp() / x.exp_m1());
        for (g, w) in g.iter().zip(want) {
            assert!((g - w).abs() <= 1e-12 * w.abs().max(1e-3), "{g} {w}");
        }
    }

    #[test]
    fn positive_part_is_flat_at_zero() {
        let (y, g) = at(positive_part, &[-1.0, 0.0, 2.0]);
        close(&y, &[0.0, 0.0, 2.0]);
        close(&g, &[0.0, 0.0, 1.0]);
    }
}

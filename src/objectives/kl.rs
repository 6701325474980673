//! Estimators of KL(π ‖ ρ) from the log-probabilities of sampled tokens.

use candle_core::Tensor;

use crate::diag::{Result, named};

named! {
    /// With r = log ρ − log π of the sampled token (Schulman, "Approximating KL divergence", 2020).
    ///
    /// As *rewards* all three estimate the same. As a *loss term* their gradients differ: k2 follows the
    /// reverse KL; k1 has a gradient of mean zero; k3 follows the forward KL unless it is multiplied by
    /// the importance ratio. TRL (since 1.16) uses ratio × k3, verl k3, pmetal k2.
    "KL estimator" Kl {
        /// −r: unbiased, can be negative.
        K1 = "k1",
        /// r²/2: biased, low variance.
        K2 = "k2",
        /// e^r − 1 − r: unbiased, never negative.
        K3 = "k3",
    }
}

impl Kl {
    /// Elementwise; gradients flow into both arguments.
    pub fn estimate(self, policy: &Tensor, reference: &Tensor) -> Result<Tensor> {
        let r = (reference - policy)?;
        Ok(match self {
            Self::K1 => r.neg()?,
            Self::K2 => (r.sqr()? * 0.5)?,
            Self::K3 => ((r.exp()? - 1.0)? - r)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::values;
    use candle_core::{Device, Var};

    /// Values recomputed in NumPy from the formulas; NeMo-RL's test row is the last one.
    #[test]
    fn values_and_gradients() {
        let check = |pair: (f64, f64), expected: [f64; 3], gradients: [f64; 3]| {
            let policy = Var::new(&[pair.0], &Device::Cpu).unwrap();
            let reference = Tensor::new(&[pair.1], &Device::Cpu).unwrap();
            for (i, kl) in Kl::ALL.iter().enumerate() {
                let value = kl.estimate(&policy, &reference).unwrap();
                let grads = value.sum_all().unwrap().backward().unwrap();
                let got = values(&value).unwrap()[0];
                let slope = values(grads.get(&policy).unwrap()).unwrap()[0];
                assert!((got - expected[i]).abs() < 5e-9, "{kl} {pair:?}: {got}");
                assert!(
                    (slope - gradients[i]).abs() < 5e-7,
                    "{kl} {pair:?}: {slope}"
                );
            }
        };
        check(
            (-0.5, -0.4),
            [-0.1, 0.005, 0.005170918],
            [1.0, -0.1, -0.105171],
        );
        check(
            (-2.0, -1.5),
            [-0.5, 0.125, 0.148721271],
            [1.0, -0.5, -0.648721],
        );
        check(
            (0.0, -0.25),
            [0.25, 0.03125, 0.028800783],
            [1.0, 0.25, 0.221199],
        );
        check((-1.0, -30.0), [29.0, 420.5, 28.0], [1.0, 29.0, 1.0]);
    }

    #[test]
    fn unknown_names_are_errors() {
        let error = Kl::from_name("k4").unwrap_err().to_string();
        assert!(error.starts_with("unknown KL estimator \"k4\""), "{error}");
    }
}

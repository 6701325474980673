//! Kahneman–Tversky optimisation (Ethayarajh 2024, 2402.01306): single answers, good or bad.

use candle_core::Tensor;

use super::stable::sigmoid;
use super::{Loss, Objective, mean, values};
use crate::diag::Result;
use crate::fail;

/// With x = log π − log ρ of an answer: λ_D(1 − σ(β(x − z))) if it is desirable,
/// λ_U(1 − σ(β(z − x))) if not; the mean over answers.
#[derive(Debug, Clone, Copy)]
pub struct Kto {
    pub beta: f64,
    /// λ_D.
    pub desirable_weight: f64,
    /// λ_U.
    pub undesirable_weight: f64,
}

impl Default for Kto {
    fn default() -> Self {
        Self {
            beta: 0.1,
            desirable_weight: 1.0,
            undesirable_weight: 1.0,
        }
    }
}

#[derive(Debug, Clone)]
pub struct KtoBatch {
    /// Sum of the policy's log-probabilities, `[B]`.
    pub policy: Tensor,
    /// The same under the reference.
    pub reference: Tensor,
    /// 1 for a desirable answer, 0 for an undesirable one, between for a soft label; `[B]`.
    pub desirable: Tensor,
    /// z, from [`mismatched_kl`].
    pub kl: f64,
}

/// z = max(0, mean(log π − log ρ)) of answers paired with *other* prompts, `[B]` sums each.
pub fn mismatched_kl(policy: &Tensor, reference: &Tensor) -> Result<f64> {
    if policy.elem_count() < 2 {
        fail!("KTO estimates its KL on mismatched pairs, so a batch needs at least 2 answers");
    }
    Ok(mean(&(policy - reference)?)?.max(0.0))
}

impl Objective for Kto {
    type Batch = KtoBatch;

    /// Metrics: `kl`, `rewards/{chosen,rejected,margins}` (means by label; of answers labelled so).
    fn loss(&self, batch: &KtoBatch) -> Result<Loss> {
        let ratio = (&batch.policy - &batch.reference)?;
        let gain = ((&ratio - batch.kl)? * self.beta)?;
        let good = ((1.0 - sigmoid(&gain)?)? * self.desirable_weight)?;
        let bad = ((1.0 - sigmoid(&gain.neg()?)?)? * self.undesirable_weight)?;
        let p = &batch.desirable;
        let rows = ((p * good)? + ((1.0 - p)? * bad)?)?;
        let (labels, ratios) = (values(p)?, values(&ratio)?);
        let reward = |share: &dyn Fn(f64) -> f64| {
            let weight: f64 = labels.iter().map(|l| share(*l)).sum();
            let sum: f64 = labels.iter().zip(&ratios).map(|(l, r)| share(*l) * r).sum();
            (weight > 0.0).then(|| self.beta * sum / weight)
        };
        let mut loss = Loss::of_rows(&rows, [("kl", batch.kl)])?;
        let (won, lost) = (reward(&|l| l), reward(&|l| 1.0 - l));
        let margin = won.zip(lost).map(|(w, l)| w - l);
        for (name, value) in [("chosen", won), ("rejected", lost), ("margins", margin)] {
            loss.metrics
                .extend(value.map(|v| (format!("rewards/{name}"), v)));
        }
        Ok(loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn tensor(values: &[f64]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    /// Computed in NumPy from the formula, one row at a time, β = 0.1.
    #[test]
    fn golden() {
        let check = |kl, desirable: f64, ratios: [f64; 3], expected: [f64; 3]| {
            for (ratio, expected) in ratios.into_iter().zip(expected) {
                let batch = KtoBatch {
                    policy: tensor(&[ratio - 2.0]),
                    reference: tensor(&[-2.0]),
                    desirable: tensor(&[desirable]),
                    kl,
                };
                let got = Kto::default().loss(&batch).unwrap().value;
                let got = super::super::scalar(&got).unwrap();
                assert!((got - expected).abs() < 1e-6, "{ratio}: {got}");
            }
        };
        let (chosen, rejected) = ([0.0, 0.1, -0.9], [0.0, -9.9, -20.9]);
        check(0.5, 1.0, chosen, [0.512497, 0.509999, 0.534943]);
        check(0.5, 0.0, rejected, [0.487503, 0.261150, 0.105269]);
        check(0.0, 1.0, chosen, [0.5, 0.497500, 0.522485]);
        check(0.0, 0.0, rejected, [0.5, 0.270912, 0.110073]);
    }

    #[test]
    fn kl_is_never_negative_and_needs_a_batch() {
        let (high, low) = (tensor(&[-1.0, -1.0]), tensor(&[-2.0, -4.0]));
        assert_eq!(mismatched_kl(&high, &low).unwrap(), 2.0);
        assert_eq!(mismatched_kl(&low, &high).unwrap(), 0.0);
        assert!(mismatched_kl(&tensor(&[1.0]), &tensor(&[1.0])).is_err());
    }

    #[test]
    fn metrics_by_label() {
        let batch = KtoBatch {
            policy: tensor(&[1.0, 3.0, -2.0]),
            reference: tensor(&[0.0, 0.0, 0.0]),
            desirable: tensor(&[1.0, 1.0, 0.0]),
            kl: 0.0,
        };
        let loss = Kto::default().loss(&batch).unwrap();
        assert_eq!(loss.metric("rewards/chosen"), Some(0.2));
        assert_eq!(loss.metric("rewards/rejected"), Some(-0.2));
        assert_eq!(loss.metric("rewards/margins"), Some(0.4));
    }
}

//! The gap between the log-probabilities that a sampler reported and those that the trainer computes for
//! the same tokens: measured always, corrected on request.

use candle_core::Tensor;

use super::masked::{keep, row_sums};
use super::values;
use crate::diag::{Result, named};
use crate::fail;

/// With d = log π_trainer − log π_sampler per kept token and the ratio e^d.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mismatch {
    /// Mean and maximum of |d|.
    pub mean_difference: f64,
    pub max_difference: f64,
    pub min_ratio: f64,
    pub mean_ratio: f64,
    pub max_ratio: f64,
}

impl Mismatch {
    /// Under TRL's names.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let difference = "sampling/sampling_logp_difference";
        let ratio = "sampling/importance_sampling_ratio";
        vec![
            (format!("{difference}/mean"), self.mean_difference),
            (format!("{difference}/max"), self.max_difference),
            (format!("{ratio}/min"), self.min_ratio),
            (format!("{ratio}/mean"), self.mean_ratio),
            (format!("{ratio}/max"), self.max_ratio),
        ]
    }
}

/// Measures over the tokens that the mask keeps; all `[B, T]`. Without tokens the ratio is 1.
pub fn mismatch(trainer: &Tensor, sampler: &Tensor, mask: &Tensor) -> Result<Mismatch> {
    let kept = values(&mask.ne(0f64)?)?;
    let all = values(&(trainer - sampler)?)?;
    if kept.len() != all.len() {
        fail!("mask of {} for {} log-probabilities", kept.len(), all.len());
    }
    let pairs = all.into_iter().zip(kept);
    let d: Vec<f64> = pairs.filter(|(_, k)| *k != 0.0).map(|(d, _)| d).collect();
    if d.is_empty() {
        return Ok(Mismatch {
            mean_difference: 0.0,
            max_difference: 0.0,
            min_ratio: 1.0,
            mean_ratio: 1.0,
            max_ratio: 1.0,
        });
    }
    let mean = |f: fn(f64) -> f64| d.iter().map(|d| f(*d)).sum::<f64>() / d.len() as f64;
    let largest = |f: fn(f64) -> f64| d.iter().map(|d| f(*d)).fold(f64::NEG_INFINITY, worse);
    Ok(Mismatch {
        mean_difference: mean(f64::abs),
        max_difference: largest(f64::abs),
        min_ratio: (-largest(|d| -d)).exp(),
        mean_ratio: mean(f64::exp),
        max_ratio: largest(f64::exp),
    })
}

/// The larger, or NaN if either is: a broken number must show.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

named! {
    /// Importance weights for samples of a slightly different policy (TRL's
    /// `vllm_importance_sampling_mode`).
    "correction" Correction {
        /// min(ratio, cap) per token.
        TokenTruncate = "token_truncate",
        /// The ratio per token, 0 above the cap.
        TokenMask = "token_mask",
        /// As above with the ratio of the whole sequence.
        SequenceTruncate = "sequence_truncate",
        SequenceMask = "sequence_mask",
    }
}

impl Correction {
    /// Factors `[B, T]` without gradient; TRL's cap is 3, verl's 2.
    pub fn weights(
        self,
        trainer: &Tensor,
        sampler: &Tensor,
        mask: &Tensor,
        cap: f64,
    ) -> Result<Tensor> {
        let d = keep(&(trainer.detach() - sampler.detach())?, mask)?;
        let d = match self {
            Self::TokenTruncate | Self::TokenMask => d,
            Self::SequenceTruncate | Self::SequenceMask => {
                row_sums(&d, mask)?.unsqueeze(1)?.broadcast_as(d.shape())?
            }
        };
        let ratio = d.exp()?.contiguous()?;
        Ok(match self {
            Self::TokenTruncate | Self::SequenceTruncate => ratio.minimum(cap)?,
            Self::TokenMask | Self::SequenceMask => {
                ratio.le(cap)?.where_cond(&ratio, &ratio.zeros_like()?)?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn tensors() -> [Tensor; 3] {
        let rows = |rows: [[f64; 3]; 2]| Tensor::new(&rows, &Device::Cpu).unwrap();
        [
            rows([[-1.0, -2.0, 7.0], [-1.0, -1.0, -1.0]]),
            rows([[-1.5, -2.0, f64::NAN], [-2.0, -2.0, -0.5]]),
            rows([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]),
        ]
    }

    #[test]
    fn measures_kept_tokens() {
        let [trainer, sampler, mask] = tensors();
        let got = mismatch(&trainer, &sampler, &mask).unwrap();
        assert!((got.mean_difference - 0.6).abs() < 1e-15, "{got:?}");
        assert_eq!(got.max_difference, 1.0);
        assert_eq!(got.max_ratio, 1f64.exp());
        assert!((got.min_ratio - (-0.5f64).exp()).abs() < 1e-15);
        assert_eq!(got.metrics()[1].0, "sampling/sampling_logp_difference/max");
        let none = mismatch(&trainer, &sampler, &mask.zeros_like().unwrap()).unwrap();
        assert_eq!((none.max_difference, none.mean_ratio), (0.0, 1.0));
    }

    #[test]
    fn corrections_cap_or_drop() {
        let [trainer, sampler, mask] = tensors();
        let check = |correction: Correction, expected: [f64; 6]| {
            let got = correction.weights(&trainer, &sampler, &mask, 2.0).unwrap();
            for (got, expected) in values(&got).unwrap().iter().zip(expected) {
                assert!((got - expected).abs() < 1e-15, "{correction}: {got}");
            }
        };
        let (half, below) = (0.5f64.exp(), (-0.5f64).exp());
        check(Correction::TokenTruncate, [half, 1.0, 1.0, 2.0, 2.0, below]);
        check(Correction::TokenMask, [half, 1.0, 1.0, 0.0, 0.0, below]);
        check(
            Correction::SequenceTruncate,
            [half, half, half, 2.0, 2.0, 2.0],
        );
        check(Correction::SequenceMask, [half, half, half, 0.0, 0.0, 0.0]);
    }
}

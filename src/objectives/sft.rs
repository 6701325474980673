//! Supervised fine-tuning: the negative log-likelihood of the answers' tokens.

use candle_core::{D, Tensor};

use super::masked::{count, mean_all};
use super::{Loss, Objective, scalar};
use crate::diag::Result;

/// L = −Σ m·log π(y_t) / Σ m, over all tokens of the batch.
///
/// The weight is the number of tokens, so accumulated micro-batches give the mean over *all* their
/// tokens; a mean of micro-batch means (what many trainers did) is something else.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sft;

#[derive(Debug, Clone)]
pub struct SftBatch {
    /// Log-probabilities of the target tokens, `[B, T]`.
    pub logprobs: Tensor,
    /// Which of them are learned, `[B, T]`.
    pub mask: Tensor,
}

impl Objective for Sft {
    type Batch = SftBatch;

    /// Metrics: `num_tokens`, `perplexity`.
    fn loss(&self, batch: &SftBatch) -> Result<Loss> {
        let tokens = count(&batch.mask)?;
        let value = mean_all(&batch.logprobs, &batch.mask)?.neg()?;
        let perplexity = scalar(&value)?.exp();
        let metrics = [("num_tokens", tokens), ("perplexity", perplexity)];
        Ok(Loss::new(value, tokens, metrics))
    }
}

/// Share of the tokens kept by the mask that are the most likely one: TRL's `mean_token_accuracy`.
///
/// `logits [B, T, V]`, `ids` and `mask` `[B, T]`.
pub fn token_accuracy(logits: &Tensor, ids: &Tensor, mask: &Tensor) -> Result<f64> {
    let best = logits.detach().argmax(D::Minus1)?;
    let hit = best.eq(&ids.to_dtype(best.dtype())?)?;
    let hit = hit.to_dtype(candle_core::DType::F32)?;
    scalar(&mean_all(&hit, mask)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn batch(logprobs: &[f64], mask: &[u8]) -> SftBatch {
        let shape = (1, logprobs.len());
        SftBatch {
            logprobs: Tensor::from_slice(logprobs, shape, &Device::Cpu).unwrap(),
            mask: Tensor::from_slice(mask, shape, &Device::Cpu).unwrap(),
        }
    }

    #[test]
    fn golden() {
        let logprobs = [-0.743668, -0.743668, -0.743668, -1.743668, -0.340753];
        let loss = Sft.loss(&batch(&logprobs, &[0, 0, 1, 1, 1])).unwrap();
        assert!((scalar(&loss.value).unwrap() - 0.942697).abs() < 1e-6);
        assert_eq!(loss.weight, 3.0);
    }

    #[test]
    fn micro_batches_weigh_by_their_tokens() {
        let parts = [
            batch(&[-1.0, 9.0, 9.0], &[1, 0, 0]),
            batch(&[-2.0, -3.0, -4.0], &[1, 1, 1]),
        ];
        let losses = parts.map(|part| Sft.loss(&part).unwrap());
        let weight: f64 = losses.iter().map(|l| l.weight).sum();
        let sum: f64 = losses
            .iter()
            .map(|l| l.weight * scalar(&l.value).unwrap())
            .sum();
        assert_eq!(sum / weight, 2.5);
    }

    #[test]
    fn nothing_to_learn_is_zero_of_weight_zero() {
        let loss = Sft.loss(&batch(&[f64::NEG_INFINITY], &[0])).unwrap();
        assert_eq!((scalar(&loss.value).unwrap(), loss.weight), (0.0, 0.0));
    }

    #[test]
    fn accuracy_counts_kept_tokens_only() {
        let logits = Tensor::new(&[[[2f32, 1.0], [0.0, 1.0], [0.0, 1.0]]], &Device::Cpu).unwrap();
        let ids = Tensor::new(&[[0u32, 0, 0]], &Device::Cpu).unwrap();
        let mask = Tensor::new(&[[1u8, 1, 0]], &Device::Cpu).unwrap();
        assert_eq!(token_accuracy(&logits, &ids, &mask).unwrap(), 0.5);
    }
}

//! The GRPO family: clipped policy gradients on groups of completions.
//!
//! Covers GRPO (2402.03300), BNPO, DAPO (2503.14476), Dr. GRPO (2503.20783), GSPO (2507.18071, by
//! `level: sequence`), CISPO (2506.13585) and RLOO's loss (`level: sequence_sum`, `reduction: grpo`).

use candle_core::{D, Tensor};

use super::kl::Kl;
use super::masked::{count, keep, mean_all, row_means, row_sums};
use super::{Loss, Objective, scalar};
use crate::diag::{Result, named};
use crate::fail;

named! {
    /// How token losses become one number. Only `grpo` and `dr_grpo` are means over sequences, so only
    /// they weigh a token by the length of its sequence or of the longest one.
    "reduction" Reduction {
        /// Mean over sequences of the mean over tokens; an empty sequence counts as 0.
        Grpo = "grpo",
        /// Mean over the tokens of this micro-batch; micro-batches count alike.
        Bnpo = "bnpo",
        /// Mean over the tokens of the whole accumulated batch.
        Dapo = "dapo",
        /// Sum over tokens / (sequences × `max_completion_length`).
        DrGrpo = "dr_grpo",
    }
}

named! {
    /// What the importance ratio π/π_old is of.
    "level" Level {
        /// Each token.
        Token = "token",
        /// The sequence, length-averaged: exp of the mean log-ratio (GSPO).
        Sequence = "sequence",
        /// The sequence: exp of the sum of log-ratios (RLOO).
        SequenceSum = "sequence_sum",
    }
}

named! {
    /// How far the ratio may carry the policy.
    "surrogate" Surrogate {
        /// −min(ratio·A, clip(ratio, 1−ε_low, 1+ε_high)·A).
        Clip = "clip",
        /// −min(ratio, c)·A·log π with the factor detached (CISPO), c = `cispo_max` as in TRL.
        Cispo = "cispo",
    }
}

/// L_t = surrogate + β·KL − w·entropy, reduced over tokens and sequences.
///
/// On the first step after sampling the ratio is 1 and the loss is minus the mean advantage: 0 for
/// centred advantages, while its gradient is not. Watch reward and gradient norm, not this loss.
#[derive(Debug, Clone, Copy)]
pub struct Grpo {
    pub reduction: Reduction,
    pub level: Level,
    pub surrogate: Surrogate,
    /// ε_low and ε_high; DAPO raises the latter to 0.28.
    pub clip_low: f64,
    pub clip_high: f64,
    /// Upper bound of the ratio where the advantage is negative too (INTELLECT-2's δ).
    pub ratio_max: Option<f64>,
    pub cispo_max: f64,
    /// Weight of the KL to the reference; 0 needs no reference.
    pub beta: f64,
    pub kl: Kl,
    /// Multiplies the KL term by the ratio, so that k3 has the gradient of the reverse KL (TRL's
    /// default since 1.16; before, and elsewhere, off).
    pub kl_importance: bool,
    /// Weight w of the entropy bonus.
    pub entropy_weight: f64,
    /// What `dr_grpo` divides by.
    pub max_completion_length: Option<usize>,
}

impl Default for Grpo {
    fn default() -> Self {
        Self {
            reduction: Reduction::Dapo,
            level: Level::Token,
            surrogate: Surrogate::Clip,
            clip_low: 0.2,
            clip_high: 0.2,
            ratio_max: None,
            cispo_max: 5.0,
            beta: 0.0,
            kl: Kl::K3,
            kl_importance: true,
            entropy_weight: 0.0,
            max_completion_length: None,
        }
    }
}

/// `B` completions of at most `T` tokens; log-probabilities at the sampling temperature.
#[derive(Debug, Clone)]
pub struct GrpoBatch {
    /// log π, `[B, T]`, with gradient.
    pub logprobs: Tensor,
    /// log π_old, `[B, T]`; absent while the policy is the one that sampled.
    pub old: Option<Tensor>,
    /// log ρ, `[B, T]`.
    pub reference: Option<Tensor>,
    /// `[B]`, from [`advantages`](super::advantages).
    pub advantages: Tensor,
    /// Which tokens count, `[B, T]`.
    pub mask: Tensor,
    /// Entropy of the policy at each token, `[B, T]`; with gradient if it is to be a bonus.
    pub entropy: Option<Tensor>,
    /// Factors on the surrogate, `[B, T]`, as from [`Correction`](super::Correction).
    pub weights: Option<Tensor>,
}

impl Objective for Grpo {
    type Batch = GrpoBatch;

    /// Metrics: `clip_ratio/{low_mean,high_mean,region_mean}`, and where known `kl` (always k3, which
    /// is never negative) and `entropy`, means over tokens.
    fn loss(&self, batch: &GrpoBatch) -> Result<Loss> {
        let shape = batch.logprobs.dims2()?;
        let mask = &batch.mask;
        let ratio = self.ratio(batch)?.broadcast_as(shape)?;
        let advantages = batch.advantages.unsqueeze(1)?.broadcast_as(shape)?;
        let mut tokens = self.policy_loss(batch, &ratio, &advantages)?;
        if let Some(weights) = &batch.weights {
            tokens = (tokens * keep(weights, mask)?)?;
        }
        let mut metrics = self.clip_metrics(&ratio, &advantages, mask)?;
        if let Some(kl) = self.kl_loss(batch, &ratio)? {
            tokens = (tokens + (kl * self.beta)?)?;
        }
        if let Some(reference) = &batch.reference {
            let k3 = Kl::K3.estimate(&batch.logprobs.detach(), &reference.detach())?;
            metrics.push(("kl".to_owned(), scalar(&mean_all(&k3, mask)?)?));
        }
        match &batch.entropy {
            Some(entropy) => {
                tokens = (tokens - (keep(entropy, mask)? * self.entropy_weight)?)?;
                metrics.push(("entropy".to_owned(), scalar(&mean_all(entropy, mask)?)?));
            }
            None if self.entropy_weight != 0.0 => fail!("an entropy bonus needs the entropies"),
            None => {}
        }
        let (value, weight) = self.reduce(&tokens, mask)?;
        Ok(Loss {
            value,
            weight,
            metrics,
        })
    }
}

impl Grpo {
    /// π/π_old, `[B, T]` or `[B, 1]`; 1 where masked.
    fn ratio(&self, batch: &GrpoBatch) -> Result<Tensor> {
        let old = match &batch.old {
            Some(old) => old.detach(),
            None => batch.logprobs.detach(),
        };
        let log_ratio = keep(&(&batch.logprobs - old)?, &batch.mask)?;
        let log_ratio = match self.level {
            Level::Token => log_ratio,
            Level::Sequence => row_means(&log_ratio, &batch.mask)?.unsqueeze(1)?,
            Level::SequenceSum => row_sums(&log_ratio, &batch.mask)?.unsqueeze(1)?,
        };
        Ok(log_ratio.exp()?)
    }

    fn policy_loss(&self, batch: &GrpoBatch, ratio: &Tensor, a: &Tensor) -> Result<Tensor> {
        match self.surrogate {
            Surrogate::Clip => {
                let (low, high) = (1.0 - self.clip_low, 1.0 + self.clip_high);
                let clipped = (ratio.clamp(low, high)? * a)?;
                let bounded = match self.ratio_max {
                    Some(max) => ratio.minimum(max)?,
                    None => ratio.clone(),
                };
                Ok((bounded * a)?.minimum(&clipped)?.neg()?)
            }
            Surrogate::Cispo => {
                let factor = (ratio.minimum(self.cispo_max)? * a)?.detach();
                Ok((factor * keep(&batch.logprobs, &batch.mask)?)?.neg()?)
            }
        }
    }

    fn kl_loss(&self, batch: &GrpoBatch, ratio: &Tensor) -> Result<Option<Tensor>> {
        if self.beta == 0.0 {
            return Ok(None);
        }
        let Some(reference) = &batch.reference else {
            fail!("a KL term (beta {}) needs the reference", self.beta);
        };
        let policy = keep(&batch.logprobs, &batch.mask)?;
        let reference = keep(&reference.detach(), &batch.mask)?;
        let kl = self.kl.estimate(&policy, &reference)?;
        Ok(Some(if self.kl_importance {
            (kl * ratio)?
        } else {
            kl
        }))
    }

    fn clip_metrics(
        &self,
        ratio: &Tensor,
        a: &Tensor,
        mask: &Tensor,
    ) -> Result<Vec<(String, f64)>> {
        let both = |x: Tensor, y: Tensor| -> Result<Tensor> { Ok((x * y)?.to_dtype(a.dtype())?) };
        let low = both(ratio.lt(1.0 - self.clip_low)?, a.lt(0f64)?)?;
        let high = both(ratio.gt(1.0 + self.clip_high)?, a.gt(0f64)?)?;
        let share = |clipped: &Tensor| scalar(&mean_all(clipped, mask)?);
        let (low, high) = (share(&low)?, share(&high)?);
        let named = |name: &str, value| (format!("clip_ratio/{name}"), value);
        Ok(vec![
            named("low_mean", low),
            named("high_mean", high),
            named("region_mean", low + high),
        ])
    }

    /// The scalar and how many units it is the mean of.
    fn reduce(&self, tokens: &Tensor, mask: &Tensor) -> Result<(Tensor, f64)> {
        let kept = count(mask)?;
        let rows = tokens.dim(0)? as f64;
        Ok(match self.reduction {
            Reduction::Grpo => (row_means(tokens, mask)?.mean(D::Minus1)?, rows),
            Reduction::Bnpo => (mean_all(tokens, mask)?, kept.min(1.0)),
            Reduction::Dapo => (mean_all(tokens, mask)?, kept),
            Reduction::DrGrpo => {
                let Some(length) = self.max_completion_length.filter(|l| *l > 0) else {
                    fail!("reduction dr_grpo needs max_completion_length");
                };
                let sum = keep(tokens, mask)?.sum_all()?;
                ((sum / (rows * length as f64))?, rows)
            }
        })
    }
}

#[cfg(test)]
mod tests;

//! Preference pairs as the pairwise objectives see them.

use candle_core::Tensor;

use super::masked::{lengths, row_sums};
use crate::diag::Result;
use crate::fail;

/// `B` pairs of answers to the same prompts.
#[derive(Debug, Clone)]
pub struct Pairs {
    pub chosen: Answers,
    pub rejected: Answers,
    /// The probability `[B]` that "chosen" is the better one, for soft labels; 1 if absent.
    pub preference: Option<Tensor>,
}

/// One side of the pairs.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Sum of the policy's log-probabilities over the answer's tokens, `[B]`.
    pub policy: Tensor,
    /// The same under the frozen reference; what needs none ignores it.
    pub reference: Option<Tensor>,
    /// Number of answer tokens, `[B]`.
    pub lengths: Tensor,
}

impl Answers {
    /// Sums token log-probabilities `[B, T]` where the mask is not zero.
    pub fn from_tokens(policy: &Tensor, reference: Option<&Tensor>, mask: &Tensor) -> Result<Self> {
        let reference = reference.map(|r| row_sums(&r.detach(), mask)).transpose()?;
        Ok(Self {
            policy: row_sums(policy, mask)?,
            reference,
            lengths: lengths(mask, policy)?,
        })
    }

    /// log π − log ρ, `[B]`.
    pub(super) fn log_ratio(&self, objective: &str) -> Result<Tensor> {
        match &self.reference {
            Some(reference) => Ok((&self.policy - reference)?),
            None => fail!("{objective} needs the reference's log-probabilities"),
        }
    }

    /// Mean log-probability per token, `[B]`.
    pub(super) fn average(&self) -> Result<Tensor> {
        Ok((&self.policy / self.lengths.maximum(1f64)?)?)
    }
}

/// p·loss(chosen, rejected) + (1 − p)·loss(rejected, chosen), row by row: the expected loss when the
/// label is right with probability p.
pub(super) fn expected(
    preference: Option<&Tensor>,
    loss: impl Fn(bool) -> Result<Tensor>,
) -> Result<Tensor> {
    let straight = loss(false)?;
    let Some(p) = preference else {
        return Ok(straight);
    };
    Ok((((1.0 - p)? * loss(true)?)? + (p * straight)?)?)
}

/// Share of rows in which `a` is strictly greater than `b`.
pub(super) fn share_greater(a: &Tensor, b: &Tensor) -> Result<f64> {
    super::mean(&a.gt(b)?.to_dtype(candle_core::DType::F32)?)
}

/// `rewards/{chosen,rejected,margins,accuracies}` of implicit rewards β·score, `[B]` scores.
pub(super) fn reward_metrics(
    beta: f64,
    chosen: &Tensor,
    rejected: &Tensor,
) -> Result<[(&'static str, f64); 4]> {
    let (won, lost) = (beta * super::mean(chosen)?, beta * super::mean(rejected)?);
    Ok([
        ("rewards/chosen", won),
        ("rewards/rejected", lost),
        ("rewards/margins", won - lost),
        ("rewards/accuracies", share_greater(chosen, rejected)?),
    ])
}

//! SimPO (Meng 2024, 2405.14734) and CPO (Xu 2024, 2401.08417): preferences without a reference model.

use super::pairs::{Pairs, expected, reward_metrics};
use super::stable::logsigmoid;
use super::{Loss, Objective, mean};
use crate::diag::Result;

/// −log σ(β(s_w − s_l) − γ) + α·NLL(y_w), with s the average log-probability per token; the mean over
/// pairs. NLL(y_w) is the average of y_w's tokens.
///
/// The defaults are the paper's; TRL's (in its CPO trainer) are β 0.1, γ 0.5, α 1.
/// With `length_averaged` off, γ 0 and α 1 this is CPO.
#[derive(Debug, Clone, Copy)]
pub struct Simpo {
    pub beta: f64,
    /// Target margin γ.
    pub gamma: f64,
    /// Weight α of the likelihood of the chosen answer.
    pub sft_weight: f64,
    /// Whether s is the average (SimPO) or the sum (CPO).
    pub length_averaged: bool,
}

impl Default for Simpo {
    fn default() -> Self {
        Self {
            beta: 2.0,
            gamma: 1.0,
            sft_weight: 0.0,
            length_averaged: true,
        }
    }
}

impl Simpo {
    /// CPO with its paper's defaults.
    pub fn cpo() -> Self {
        Self {
            beta: 0.1,
            gamma: 0.0,
            sft_weight: 1.0,
            length_averaged: false,
        }
    }
}

impl Objective for Simpo {
    type Batch = Pairs;

    /// Metrics: `nll_loss`, `rewards/{chosen,rejected,margins,accuracies}`.
    fn loss(&self, pairs: &Pairs) -> Result<Loss> {
        let averages = (pairs.chosen.average()?, pairs.rejected.average()?);
        let (chosen, rejected) = if self.length_averaged {
            averages.clone()
        } else {
            (pairs.chosen.policy.clone(), pairs.rejected.policy.clone())
        };
        let rows = expected(pairs.preference.as_ref(), |swapped| {
            let (better, worse, likelihood) = if swapped {
                (&rejected, &chosen, &averages.1)
            } else {
                (&chosen, &rejected, &averages.0)
            };
            let margin = (((better - worse)? * self.beta)? - self.gamma)?;
            let preference = logsigmoid(&margin)?.neg()?;
            Ok((preference - (likelihood * self.sft_weight)?)?)
        })?;
        let likelihood = [("nll_loss", -mean(&averages.0)?)];
        let rewards = reward_metrics(self.beta, &chosen, &rejected)?;
        Loss::of_rows(&rows, likelihood.into_iter().chain(rewards))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::{Answers, scalar};
    use candle_core::{Device, Tensor};

    /// Computed in NumPy from the formula, pair by pair.
    #[test]
    fn golden() {
        let rows = [
            ((-0.5, 5.0), (-0.1, 5.0)),
            ((-10.0, 10.0), (-30.0, 20.0)),
            ((-1.0, 4.0), (-21.0, 7.0)),
        ];
        let check = |simpo: Simpo, expected: [f64; 3]| {
            for ((chosen, rejected), expected) in rows.into_iter().zip(expected) {
                let side = |(sum, length): (f64, f64)| Answers {
                    policy: Tensor::new(&[sum], &Device::Cpu).unwrap(),
                    reference: None,
                    lengths: Tensor::new(&[length], &Device::Cpu).unwrap(),
                };
                let pairs = Pairs {
                    chosen: side(chosen),
                    rejected: side(rejected),
                    preference: None,
                };
                let got = scalar(&simpo.loss(&pairs).unwrap().value).unwrap();
                assert!((got - expected).abs() < 5e-7, "{simpo:?}: {got}");
            }
        };
        let simpo = Simpo::default();
        check(simpo, [1.432685, std::f64::consts::LN_2, 0.011048]);
        let trl = Simpo {
            beta: 0.1,
            gamma: 0.5,
            ..simpo
        };
        check(trl, [0.979064, 0.943249, 0.811962]);
        let cpo = Simpo {
            sft_weight: 0.0,
            ..Simpo::cpo()
        };
        check(cpo, [0.713347, 0.126928, 0.126928]);
        let with_likelihood = [0.713347 + 0.1, 0.126928 + 1.0, 0.126928 + 0.25];
        check(Simpo::cpo(), with_likelihood);
    }
}

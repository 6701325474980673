//! Odds-ratio preference optimisation (Hong 2024, 2403.07691): no reference model.

use candle_core::Tensor;

use super::pairs::{Pairs, expected, reward_metrics};
use super::stable::{log1mexp, logsigmoid};
use super::{Loss, Objective, mean};
use crate::diag::Result;

/// NLL(y_w) − β log σ(log odds), with a the *average* log-probability per token and
/// log odds = (a_w − a_l) − \[log(1 − e^{a_w}) − log(1 − e^{a_l})\]; the mean over pairs.
///
/// NLL(y_w) = −a_w, a mean over pairs; TRL takes the mean over all chosen tokens, prompt included.
#[derive(Debug, Clone, Copy)]
pub struct Orpo {
    /// The paper's λ, TRL's `beta`.
    pub beta: f64,
}

impl Default for Orpo {
    fn default() -> Self {
        Self { beta: 0.1 }
    }
}

impl Objective for Orpo {
    type Batch = Pairs;

    /// Metrics: `nll_loss`, `log_odds_ratio`, `log_odds_chosen`,
    /// `rewards/{chosen,rejected,margins,accuracies}`.
    fn loss(&self, pairs: &Pairs) -> Result<Loss> {
        let (chosen, rejected) = (pairs.chosen.average()?, pairs.rejected.average()?);
        let odds = |a: &Tensor| -> Result<Tensor> { Ok((a - log1mexp(a)?)?) };
        let log_odds = (odds(&chosen)? - odds(&rejected)?)?;
        let rows = expected(pairs.preference.as_ref(), |swapped| {
            let (better, log_odds) = if swapped {
                (&rejected, log_odds.neg()?)
            } else {
                (&chosen, log_odds.clone())
            };
            Ok(((logsigmoid(&log_odds)? * -self.beta)? - better)?)
        })?;
        let likelihood = [
            ("nll_loss", -mean(&chosen)?),
            ("log_odds_ratio", mean(&logsigmoid(&log_odds)?)?),
            ("log_odds_chosen", mean(&log_odds)?),
        ];
        let rewards = reward_metrics(self.beta, &chosen, &rejected)?;
        Loss::of_rows(&rows, likelihood.into_iter().chain(rewards))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::{Answers, scalar};
    use candle_core::Device;

    /// Computed in NumPy from the formula: average log-probabilities, log odds, loss.
    #[test]
    fn golden() {
        let check = |chosen: f64, rejected: f64, log_odds: f64, expected: f64| {
            let side = |average: f64| Answers {
                policy: Tensor::new(&[average * 5.0], &Device::Cpu).unwrap(),
                reference: None,
                lengths: Tensor::new(&[5.0], &Device::Cpu).unwrap(),
            };
            let pairs = Pairs {
                chosen: side(chosen),
                rejected: side(rejected),
                preference: None,
            };
            let loss = Orpo::default().loss(&pairs).unwrap();
            let got = (
                loss.metric("log_odds_chosen").unwrap(),
                scalar(&loss.value).unwrap(),
            );
            assert!((got.0 - log_odds).abs() < 5e-7, "{got:?}");
            assert!((got.1 - expected).abs() < 5e-7, "{got:?}");
        };
        check(-0.1, -0.02, -1.649838, 0.282554);
        check(-1.0, -1.5, 0.706193, 1.040114);
        check(-0.25, -3.0, 4.207622, 0.251477);
        check(-0.2, -1.0, 2.049097, 0.212120);
    }
}

//! Reward models: Bradley–Terry on pairs of scores, with soft labels.

use candle_core::Tensor;

use super::pairs::{expected, share_greater};
use super::stable::logsigmoid;
use super::{Loss, Objective, mean, values};
use crate::diag::Result;

/// L = −p log σ(r_w − r_l − m) − (1−p) log σ(r_l − r_w − m) + c·(r_w + r_l)², the mean over pairs.
///
/// p is the AI judge's probability (RLAIF, 2309.00267); margins m as in Llama 2 (2307.09288); centring
/// c as in 2312.09244 (TRL recommends 0.01).
#[derive(Debug, Clone, Copy, Default)]
pub struct RewardModel {
    /// Weight c of the term that keeps scores around 0.
    pub centering: f64,
}

#[derive(Debug, Clone)]
pub struct ScoredPairs {
    /// Scores of the better answers, `[B]`.
    pub chosen: Tensor,
    pub rejected: Tensor,
    /// By how much the better one should win, `[B]`.
    pub margin: Option<Tensor>,
    /// Probability that "chosen" is the better one, `[B]`.
    pub preference: Option<Tensor>,
}

impl Objective for RewardModel {
    type Batch = ScoredPairs;

    /// Metrics: `accuracy`, `margin`, `mean_reward`, `min_reward`, `max_reward`.
    fn loss(&self, batch: &ScoredPairs) -> Result<Loss> {
        let (chosen, rejected) = (&batch.chosen, &batch.rejected);
        let gap = (chosen - rejected)?;
        let mut rows = expected(batch.preference.as_ref(), |swapped| {
            let gap = if swapped { gap.neg()? } else { gap.clone() };
            let beyond = match &batch.margin {
                Some(margin) => (gap - margin)?,
                None => gap,
            };
            Ok(logsigmoid(&beyond)?.neg()?)
        })?;
        if self.centering != 0.0 {
            rows = (rows + ((chosen + rejected)?.sqr()? * self.centering)?)?;
        }
        let all = values(&Tensor::cat(&[chosen, rejected], 0)?)?;
        let metrics = [
            ("accuracy", share_greater(chosen, rejected)?),
            ("margin", mean(&gap)?),
            ("mean_reward", all.iter().sum::<f64>() / all.len() as f64),
            (
                "min_reward",
                all.iter().copied().fold(f64::INFINITY, f64::min),
            ),
            (
                "max_reward",
                all.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ),
        ];
        Loss::of_rows(&rows, metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::scalar;
    use candle_core::Device;

    fn tensor(value: f64) -> Tensor {
        Tensor::new(&[value], &Device::Cpu).unwrap()
    }

    /// Computed in NumPy from the formula.
    #[test]
    fn golden() {
        let check = |gap: f64, margin: Option<f64>, preference: Option<f64>, expected: f64| {
            let batch = ScoredPairs {
                chosen: tensor(gap + 3.0),
                rejected: tensor(3.0),
                margin: margin.map(tensor),
                preference: preference.map(tensor),
            };
            let got = scalar(&RewardModel::default().loss(&batch).unwrap().value).unwrap();
            assert!((got - expected).abs() < 5e-7, "{gap}: {got}");
        };
        check(0.0, None, None, std::f64::consts::LN_2);
        check(1.0, None, None, 0.313262);
        check(2.0, None, None, 0.126928);
        check(-1.0, None, None, 1.313262);
        check(2.0, Some(1.0), None, 0.313262);
        check(1.0, None, Some(0.8), 0.513262);
    }

    #[test]
    fn centering_and_metrics() {
        let batch = ScoredPairs {
            chosen: tensor(2.0),
            rejected: tensor(1.0),
            margin: None,
            preference: None,
        };
        let loss = RewardModel { centering: 0.01 }.loss(&batch).unwrap();
        assert!((scalar(&loss.value).unwrap() - (0.31326168751822286 + 0.09)).abs() < 1e-15);
        assert_eq!(loss.metric("accuracy"), Some(1.0));
        assert_eq!(loss.metric("margin"), Some(1.0));
        assert_eq!(loss.metric("max_reward"), Some(2.0));
    }
}

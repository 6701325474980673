//! Direct preference optimisation (Rafailov 2023, 2305.18290) and its family.

use candle_core::Tensor;

use super::pairs::{Pairs, expected, reward_metrics};
use super::stable::{logsigmoid, positive_part, sigmoid};
use super::{Loss, Objective, mean};
use crate::diag::{Result, named};
use crate::fail;

named! {
    /// Per pair, with C = log π(y_w) − log ρ(y_w), R the same of y_l, Δ = C − R, h = βΔ.
    "DPO loss" DpoLoss {
        /// −log σ(h).
        Sigmoid = "sigmoid",
        /// max(0, 1 − h) (SLiC, 2305.10425).
        Hinge = "hinge",
        /// −(1−ε) log σ(h) − ε log σ(−h): labels are wrong with probability ε = `label_smoothing`.
        Conservative = "cdpo",
        /// The unbiased version of the same, (2403.00409): \[−(1−ε) log σ(h) + ε log σ(−h)\] / (1−2ε).
        /// This is what TRL and pmetal call `label_smoothing`; open-instruct and OpenRLHF mean `cdpo`.
        Robust = "robust",
        /// (C/len_w − R/len_l − 1/(2β))² (2310.12036, β is its τ), length-averaged as in TRL.
        Ipo = "ipo",
        /// The same on sums, as in the paper and OpenRLHF.
        IpoSum = "ipo_sum",
        /// −log σ(β(C/len_w − R/len_l)): open-instruct's `dpo_norm`.
        SigmoidNorm = "sigmoid_norm",
        /// Reverse KL to the smoothed label (2402.00856); ε = max(`label_smoothing`, 1e-3).
        ExoPair = "exo_pair",
        /// −log σ(βC) − ½ log σ(−βC) − ½ log σ(−βR) (2402.05369).
        NcaPair = "nca_pair",
        /// −log σ(βC) − log σ(−βR) (2404.04656), without TRL's running reward shift.
        BcoPair = "bco_pair",
        /// (C − 1/(2β))² + (R + 1/(2β))² (2405.00675).
        SppoHard = "sppo_hard",
        /// 1 − σ(βC) + σ(βR) (2408.06266).
        ApoZero = "apo_zero",
        /// σ(βC) + 1 − σ(h) (2408.06266).
        ApoDown = "apo_down",
        /// −log σ(β(Δ − λ·max(0, −C))) (2402.13228), λ = `positive_weight`; mlx-lm-lora puts the
        /// penalty outside of the logarithm.
        Dpop = "dpop",
    }
}

/// The loss is the mean over pairs. With soft labels p it is p·L(w, l) + (1−p)·L(l, w).
#[derive(Debug, Clone, Copy)]
pub struct Dpo {
    pub loss: DpoLoss,
    /// Strength of the pull towards the reference.
    pub beta: f64,
    /// ε of `cdpo`, `robust` and `exo_pair`; any other loss refuses it.
    pub label_smoothing: f64,
    /// λ of `dpop`.
    pub positive_weight: f64,
}

impl Default for Dpo {
    fn default() -> Self {
        Self {
            loss: DpoLoss::Sigmoid,
            beta: 0.1,
            label_smoothing: 0.0,
            positive_weight: 50.0,
        }
    }
}

/// Log-ratios of one reading of the pairs.
struct Ratios {
    chosen: Tensor,
    rejected: Tensor,
    /// The same divided by the answers' lengths.
    chosen_mean: Tensor,
    rejected_mean: Tensor,
}

impl Objective for Dpo {
    type Batch = Pairs;

    /// Metrics: `rewards/{chosen,rejected,margins,accuracies}`, `logps/{chosen,rejected}`.
    fn loss(&self, pairs: &Pairs) -> Result<Loss> {
        self.check()?;
        let chosen = pairs.chosen.log_ratio("DPO")?;
        let rejected = pairs.rejected.log_ratio("DPO")?;
        let per_token = |ratio: &Tensor, lengths: &Tensor| ratio / lengths.maximum(1f64)?;
        let ratios = Ratios {
            chosen_mean: per_token(&chosen, &pairs.chosen.lengths)?,
            rejected_mean: per_token(&rejected, &pairs.rejected.lengths)?,
            chosen,
            rejected,
        };
        let rows = expected(pairs.preference.as_ref(), |swapped| {
            if swapped {
                self.rows(&ratios.swapped())
            } else {
                self.rows(&ratios)
            }
        })?;
        let logps = [
            ("logps/chosen", mean(&pairs.chosen.policy)?),
            ("logps/rejected", mean(&pairs.rejected.policy)?),
        ];
        let rewards = reward_metrics(self.beta, &ratios.chosen, &ratios.rejected)?;
        Loss::of_rows(&rows, rewards.into_iter().chain(logps))
    }
}

impl Dpo {
    fn check(&self) -> Result<()> {
        use DpoLoss::{Conservative, ExoPair, Robust};
        let smooths = matches!(self.loss, Conservative | Robust | ExoPair);
        if !(0.0..0.5).contains(&self.label_smoothing) {
            fail!(
                "label_smoothing must be in [0, 0.5), not {}",
                self.label_smoothing
            );
        }
        if self.label_smoothing > 0.0 && !smooths {
            fail!(
                "DPO loss \"{}\" has no label_smoothing (cdpo, robust and exo_pair have)",
                self.loss
            );
        }
        if !(self.beta > 0.0 && self.beta.is_finite()) {
            fail!("beta must be a positive number, not {}", self.beta);
        }
        Ok(())
    }

    /// One loss per pair.
    fn rows(&self, r: &Ratios) -> Result<Tensor> {
        let (beta, half) = (self.beta, 0.5 / self.beta);
        let scaled = |x: &Tensor| x * beta;
        let minus_log = |x: &Tensor| -> Result<Tensor> { Ok(logsigmoid(x)?.neg()?) };
        let h = scaled(&(&r.chosen - &r.rejected)?)?;
        let (c, l) = (scaled(&r.chosen)?, scaled(&r.rejected)?);
        let mean_gap = (&r.chosen_mean - &r.rejected_mean)?;
        Ok(match self.loss {
            DpoLoss::Sigmoid => minus_log(&h)?,
            DpoLoss::Hinge => positive_part(&(1.0 - h)?)?,
            DpoLoss::Conservative => self.smoothed(&h, 1.0)?,
            DpoLoss::Robust => (self.smoothed(&h, -1.0)? / (1.0 - 2.0 * self.label_smoothing))?,
            DpoLoss::Ipo => (mean_gap - half)?.sqr()?,
            DpoLoss::IpoSum => ((&r.chosen - &r.rejected)? - half)?.sqr()?,
            DpoLoss::SigmoidNorm => minus_log(&scaled(&mean_gap)?)?,
            DpoLoss::ExoPair => self.exo(&h)?,
            DpoLoss::NcaPair => {
                let both = (minus_log(&c.neg()?)? + minus_log(&l.neg()?)?)?;
                (minus_log(&c)? + (both * 0.5)?)?
            }
            DpoLoss::BcoPair => (minus_log(&c)? + minus_log(&l.neg()?)?)?,
            DpoLoss::SppoHard => ((&r.chosen - half)?.sqr()? + (&r.rejected + half)?.sqr()?)?,
            DpoLoss::ApoZero => ((1.0 - sigmoid(&c)?)? + sigmoid(&l)?)?,
            DpoLoss::ApoDown => ((sigmoid(&c)? + 1.0)? - sigmoid(&h)?)?,
            DpoLoss::Dpop => {
                let fallen = positive_part(&c.neg()?)?;
                minus_log(&(h - (fallen * self.positive_weight)?)?)?
            }
        })
    }

    /// −(1−ε) log σ(h) − sign·ε log σ(−h).
    fn smoothed(&self, h: &Tensor, sign: f64) -> Result<Tensor> {
        let right = (logsigmoid(h)? * (self.label_smoothing - 1.0))?;
        let wrong = (logsigmoid(&h.neg()?)? * (sign * self.label_smoothing))?;
        Ok((right - wrong)?)
    }

    fn exo(&self, h: &Tensor) -> Result<Tensor> {
        let epsilon = self.label_smoothing.max(1e-3);
        let term = |log_p: Tensor, target: f64| log_p.exp()? * (log_p - target.ln())?;
        let right = term(logsigmoid(h)?, 1.0 - epsilon)?;
        Ok((right + term(logsigmoid(&h.neg()?)?, epsilon)?)?)
    }
}

impl Ratios {
    fn swapped(&self) -> Self {
        Self {
            chosen: self.rejected.clone(),
            rejected: self.chosen.clone(),
            chosen_mean: self.rejected_mean.clone(),
            rejected_mean: self.chosen_mean.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::{Answers, scalar, values};
    use candle_core::{Device, Var};

    fn tensor(values: &[f64]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    fn answers(policy: &Tensor, reference: &[f64], lengths: &[f64]) -> Answers {
        Answers {
            policy: policy.clone(),
            reference: Some(tensor(reference)),
            lengths: tensor(lengths),
        }
    }

    /// torchtune's test input: Δ = 0, 10, 20.
    fn golden_pairs(chosen: &Tensor) -> Pairs {
        let rejected = tensor(&[-0.1, -30.0, -21.0]);
        Pairs {
            chosen: answers(chosen, &[-0.5, -10.1, -0.1], &[5.0, 10.0, 4.0]),
            rejected: answers(&rejected, &[-0.1, -20.1, -0.1], &[5.0, 20.0, 7.0]),
            preference: None,
        }
    }

    /// Computed in NumPy from the formulas, β = 0.1.
    #[test]
    fn golden() {
        use DpoLoss::*;
        let pairs = golden_pairs(&tensor(&[-0.5, -10.0, -1.0]));
        let check = |loss, label_smoothing, expected: f64| {
            let dpo = Dpo {
                loss,
                label_smoothing,
                ..Dpo::default()
            };
            let got = scalar(&dpo.loss(&pairs).unwrap().value).unwrap();
            assert!(
                (got - expected).abs() < 1e-6,
                "{loss}: {got}, not {expected}"
            );
        };
        check(Sigmoid, 0.0, 0.377779);
        check(Hinge, 0.0, 0.333333);
        check(Conservative, 0.1, 0.477779);
        check(Robust, 0.1, 0.252779);
        check(IpoSum, 0.0, 91.666667);
        check(Ipo, 0.0, 16.739809);
        check(SigmoidNorm, 0.0, 0.641990);
        check(ExoPair, 0.0, 1.498838);
        check(NcaPair, 0.0, 1.234520);
        check(BcoPair, 0.0, 1.082063);
        check(SppoHard, 0.0, 128.546667);
        check(ApoZero, 0.0, 0.800323);
        check(ApoDown, 0.0, 0.789386);
        check(Dpop, 0.0, 1.195100);
    }

    #[test]
    fn sigmoid_gradient_and_metrics() {
        let chosen = Var::new(&[-0.5, -10.0, -1.0], &Device::Cpu).unwrap();
        let loss = Dpo::default().loss(&golden_pairs(&chosen)).unwrap();
        let grads = loss.value.backward().unwrap();
        let gradient = values(grads.get(&chosen).unwrap()).unwrap();
        for (got, want) in gradient.iter().zip([-0.05, -0.0268941, -0.0119203]) {
            assert!((got * 3.0 - want).abs() < 5e-8, "{gradient:?}");
        }
        assert!((loss.metric("rewards/margins").unwrap() - 1.0).abs() < 1e-12);
        let accuracy = loss.metric("rewards/accuracies").unwrap();
        assert!((accuracy - 2.0 / 3.0).abs() < 1e-6);
        assert_eq!(loss.weight, 3.0);
    }

    #[test]
    fn a_policy_that_is_its_reference_scores_ln_2() {
        let same = tensor(&[-3.0, -70.0]);
        let side = answers(&same, &[-3.0, -70.0], &[2.0, 9.0]);
        let pairs = Pairs {
            chosen: side.clone(),
            rejected: side,
            preference: None,
        };
        let loss = Dpo::default().loss(&pairs).unwrap();
        assert_eq!(scalar(&loss.value).unwrap(), std::f64::consts::LN_2);
        assert_eq!(loss.metric("rewards/margins"), Some(0.0));
        assert_eq!(loss.metric("rewards/accuracies"), Some(0.0));
    }

    #[test]
    fn soft_labels_are_the_expectation_over_labels() {
        let mut pairs = golden_pairs(&tensor(&[-0.5, -10.0, -1.0]));
        pairs.preference = Some(tensor(&[0.9, 0.9, 0.9]));
        let soft = scalar(&Dpo::default().loss(&pairs).unwrap().value).unwrap();
        pairs.preference = None;
        let smoothed = Dpo {
            loss: DpoLoss::Conservative,
            label_smoothing: 0.1,
            ..Dpo::default()
        };
        let hard = scalar(&smoothed.loss(&pairs).unwrap().value).unwrap();
        assert!((soft - hard).abs() < 1e-15, "{soft} {hard}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let pairs = golden_pairs(&tensor(&[-0.5, -10.0, -1.0]));
        let check = |dpo: Dpo, expected: &str| {
            assert_eq!(dpo.loss(&pairs).unwrap_err().to_string(), expected);
        };
        let default = Dpo::default();
        check(
            Dpo {
                label_smoothing: 0.1,
                ..default
            },
            "DPO loss \"sigmoid\" has no label_smoothing (cdpo, robust and exo_pair have)",
        );
        check(
            Dpo {
                beta: 0.0,
                ..default
            },
            "beta must be a positive number, not 0",
        );
        let mut bare = pairs.clone();
        bare.chosen.reference = None;
        assert!(
            default
                .loss(&bare)
                .unwrap_err()
                .to_string()
                .contains("reference")
        );
    }
}

//! The learning rate over the steps of a run.

use crate::diag::named;

named! {
    /// What follows the warm-up.
    "schedule" Decay {
        Constant = "constant",
        /// Straight to 0 at the last step.
        Linear = "linear",
        /// Half a cosine to 0 at the last step.
        Cosine = "cosine",
    }
}

/// A linear warm-up from 0 to `peak`, then the decay; as in Hugging Face's schedulers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    pub decay: Decay,
    pub peak: f64,
    pub warmup: usize,
    /// Steps of the whole run.
    pub total: usize,
}

impl Schedule {
    pub fn constant(peak: f64) -> Self {
        Self {
            decay: Decay::Constant,
            peak,
            warmup: 0,
            total: 0,
        }
    }

    /// The rate of step `step`, counted from 0.
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * step as f64 / self.warmup as f64;
        }
        let span = self.total.saturating_sub(self.warmup).max(1) as f64;
        let progress = ((step - self.warmup) as f64 / span).min(1.0);
        self.peak
            * match self.decay {
                Decay::Constant => 1.0,
                Decay::Linear => 1.0 - progress,
                Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_rates() {
        let check = |decay, expected: [f64; 6]| {
            let schedule = Schedule {
                decay,
                peak: 1e-3,
                warmup: 10,
                total: 100,
            };
            for (step, expected) in [0, 5, 10, 55, 100, 200].into_iter().zip(expected) {
                let got = schedule.at(step);
                assert!((got - expected).abs() < 1e-18, "{decay} {step}: {got}");
            }
        };
        check(Decay::Cosine, [0.0, 5e-4, 1e-3, 5e-4, 0.0, 0.0]);
        check(Decay::Linear, [0.0, 5e-4, 1e-3, 5e-4, 0.0, 0.0]);
        check(Decay::Constant, [0.0, 5e-4, 1e-3, 1e-3, 1e-3, 1e-3]);
        assert_eq!(Schedule::constant(0.1).at(0), 0.1);
    }
}

//! Choosing the next token from its logits: greedy, temperature, top-k, top-p, min-p, repetition penalty.

use crate::diag::{Error, Kind, Result};
use crate::fail;
use crate::numeric::Rng;

/// How tokens are drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f64,
    /// Keep the `top_k` likeliest tokens; 0 keeps all.
    pub top_k: usize,
    /// Keep the smallest set of likeliest tokens that holds this much probability; 1 keeps all.
    pub top_p: f64,
    /// Keep tokens at least this fraction as likely as the likeliest; 0 keeps all.
    pub min_p: f64,
    /// Divides positive and multiplies negative logits of tokens already present (CTRL, Keskar et al.
    /// 2019); 1 is off.
    pub repetition_penalty: f64,
    pub max_new_tokens: usize,
    /// Ids that end a row.
    pub eos: Vec<u32>,
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            max_new_tokens: 64,
            eos: Vec::new(),
            seed: 0,
        }
    }
}

impl Sampling {
    /// Fails for values out of range, naming the option.
    pub fn check(&self) -> Result<()> {
        let ranges = [
            ("temperature", self.temperature, 0.0, f64::MAX),
            ("top_p", self.top_p, f64::MIN_POSITIVE, 1.0),
            ("min_p", self.min_p, 0.0, 1.0),
            (
                "repetition_penalty",
                self.repetition_penalty,
                f64::MIN_POSITIVE,
                f64::MAX,
            ),
        ];
        for (name, value, low, high) in ranges {
            if !(low..=high).contains(&value) {
                fail!("{name} is {value}, out of its range");
            }
        }
        Ok(())
    }

    /// The temperature that logprobs are computed at: greedy rows are scored at 1.
    pub fn scoring_temperature(&self) -> f64 {
        if self.temperature == 0.0 {
            1.0
        } else {
            self.temperature
        }
    }
}

/// Draws the next token. A logit that is NaN, or a row without any finite logit, is an error.
pub fn pick(logits: &[f32], context: &[u32], sampling: &Sampling, rng: &mut Rng) -> Result<u32> {
    let mut scores: Vec<f64> = logits.iter().map(|l| f64::from(*l)).collect();
    penalise(&mut scores, context, sampling.repetition_penalty);
    let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if scores.iter().any(|s| s.is_nan()) || !best.is_finite() {
        return Err(
            Error::new("the model gave logits that are not numbers").kind_of(Kind::NonFinite)
        );
    }
    if sampling.temperature == 0.0 {
        return Ok(scores.iter().position(|s| *s == best).unwrap_or(0) as u32);
    }
    let weight = |s: f64| ((s - best) / sampling.temperature).exp();
    let mut kept: Vec<(u32, f64)> = (0u32..).zip(scores.into_iter().map(weight)).collect();
    truncate(&mut kept, sampling);
    Ok(draw(&kept, rng))
}

/// log softmax(logits / temperature) at `id`, in f64. Nats.
pub fn logprob(logits: &[f32], id: u32, temperature: f64) -> f64 {
    let score = |l: f32| f64::from(l) / temperature;
    let best = logits
        .iter()
        .copied()
        .map(score)
        .fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|l| (score(*l) - best).exp()).sum();
    score(logits[id as usize]) - best - sum.ln()
}

fn penalise(scores: &mut [f64], context: &[u32], penalty: f64) {
    if penalty == 1.0 {
        return;
    }
    let mut seen: Vec<u32> = context.to_vec();
    seen.sort_unstable();
    seen.dedup();
    for id in seen {
        if let Some(score) = scores.get_mut(id as usize) {
            *score = if *score > 0.0 {
                *score / penalty
            } else {
                *score * penalty
            };
        }
    }
}

/// Drops unlikely tokens; the order by weight, ties by id, makes the result reproducible.
fn truncate(kept: &mut Vec<(u32, f64)>, sampling: &Sampling) {
    if sampling.top_k == 0 && sampling.top_p >= 1.0 && sampling.min_p == 0.0 {
        return;
    }
    kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    if sampling.top_k > 0 {
        kept.truncate(sampling.top_k);
    }
    kept.retain(|(_, weight)| *weight >= sampling.min_p);
    if sampling.top_p < 1.0 {
        let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
        let mut mass = 0.0;
        let enough = kept.iter().position(|(_, weight)| {
            mass += weight;
            mass >= sampling.top_p * total
        });
        kept.truncate(enough.map_or(kept.len(), |last| last + 1));
    }
}

fn draw(kept: &[(u32, f64)], rng: &mut Rng) -> u32 {
    let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
    let mut left = rng.uniform() * total;
    for (id, weight) in kept {
        left -= weight;
        if left < 0.0 {
            return *id;
        }
    }
    // Rounding can leave a remainder of 1e-16: the last token with weight takes it.
    kept.iter()
        .rev()
        .find(|(_, weight)| *weight > 0.0)
        .map_or(0, |(id, _)| *id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 4] = [1.0, 2.0, 0.0, -1.0];

    fn frequencies(sampling: &Sampling) -> [f64; 4] {
        let mut rng = Rng::new(5);
        let mut counts = [0.0; 4];
        for _ in 0..20_000 {
            counts[pick(&LOGITS, &[], sampling, &mut rng).unwrap() as usize] += 1.0 / 20_000.0;
        }
        counts
    }

    #[test]
    fn frequencies_match_softmax() {
        for temperature in [0.5, 1.0, 2.0] {
            let sampling = Sampling {
                temperature,
                ..Sampling::default()
            };
            for (id, frequency) in frequencies(&sampling).into_iter().enumerate() {
                let p = logprob(&LOGITS, id as u32, temperature).exp();
                let sigma = (p * (1.0 - p) / 20_000.0).sqrt();
                assert!(
                    (frequency - p).abs() < 4.0 * sigma,
                    "{id} at {temperature}: {frequency} {p}"
                );
            }
        }
    }

    #[test]
    fn truncation_keeps_the_likeliest() {
        let kept = |sampling: Sampling| frequencies(&sampling).map(|f| f > 0.0);
        assert_eq!(
            kept(Sampling {
                top_k: 2,
                ..Default::default()
            }),
            [true, true, false, false]
        );
        assert_eq!(
            kept(Sampling {
                top_p: 0.6,
                ..Default::default()
            }),
            [false, true, false, false]
        );
        assert_eq!(
            kept(Sampling {
                min_p: 0.3,
                ..Default::default()
            }),
            [true, true, false, false]
        );
        assert_eq!(
            kept(Sampling {
                temperature: 0.0,
                ..Default::default()
            }),
            [false, true, false, false]
        );
    }

    #[test]
    fn a_nan_logit_is_an_error() {
        let result = pick(
            &[0.0, f32::NAN],
            &[],
            &Sampling::default(),
            &mut Rng::new(0),
        );
        assert_eq!(*result.unwrap_err().kind(), Kind::NonFinite);
    }

    #[test]
    fn logprob_matches_the_reference() {
        // log_softmax([2, 0, 0, 0])[0], computed with NumPy in f64.
        assert!((logprob(&[2.0, 0.0, 0.0, 0.0], 0, 1.0) + 0.340753).abs() < 1e-6);
    }
}

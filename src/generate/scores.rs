//! From logits to the scores that a token is drawn by.

use super::{Mask, Sampling};
use crate::diag::{Error, Kind, Result};
use crate::fail;
use crate::numeric::Rng;

/// What has come so far, as far as the next token depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    pub prompt: &'a [u32],
    pub completion: &'a [u32],
    /// The only ids that a constraint allows next.
    pub allowed: Option<&'a Mask>,
}

/// The scores whose softmax is the distribution of the next token; −∞ stands for what is never drawn.
/// A temperature of 0 leaves the likeliest tokens alone.
///
/// # Errors
/// A logit is NaN, none is finite, or bias and constraint leave no token.
pub fn scores(logits: &[f32], past: &Past, sampling: &Sampling) -> Result<Vec<f64>> {
    let mut scores: Vec<f64> = logits.iter().map(|l| f64::from(*l)).collect();
    if scores.iter().any(|s| s.is_nan()) || !best(&scores).is_finite() {
        let error = Error::new("the model gave logits that are not numbers");
        return Err(error.kind_of(Kind::NonFinite));
    }
    bias(&mut scores, &sampling.logit_bias)?;
    repetition(&mut scores, past, sampling.repetition_penalty);
    counts(&mut scores, past.completion, sampling);
    if let Some(allowed) = past.allowed {
        only(&mut scores, allowed);
    }
    if best(&scores) == f64::NEG_INFINITY {
        fail!("no token is left to draw: bias and constraint forbid them all");
    }
    if sampling.temperature == 0.0 {
        let best = best(&scores);
        remove(&mut scores, |s| s < best);
        return Ok(scores);
    }
    scores.iter_mut().for_each(|s| *s /= sampling.temperature);
    top_k(&mut scores, sampling.top_k);
    top_p(&mut scores, sampling.top_p);
    min_p(&mut scores, sampling.min_p);
    Ok(scores)
}

/// Draws from the softmax of `scores`; greedy takes the first of the likeliest.
pub fn draw(scores: &[f64], temperature: f64, rng: &mut Rng) -> u32 {
    let best = best(scores);
    let at = match temperature {
        0.0 => scores.iter().position(|s| *s == best),
        _ => {
            let weights: Vec<f64> = scores.iter().map(|s| (s - best).exp()).collect();
            let mut left = rng.uniform() * weights.iter().sum::<f64>();
            let falls = |weight: &f64| {
                left -= weight;
                left < 0.0
            };
            // Rounding can leave a remainder of 1e-16: the last token that can be drawn takes it.
            let last = || weights.iter().rposition(|weight| *weight > 0.0);
            weights.iter().position(falls).or_else(last)
        }
    };
    at.unwrap_or(0) as u32
}

fn best(scores: &[f64]) -> f64 {
    scores.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn remove(scores: &mut [f64], out: impl Fn(f64) -> bool) {
    let removed = scores.iter_mut().filter(|s| out(**s));
    removed.for_each(|s| *s = f64::NEG_INFINITY);
}

fn bias(scores: &mut [f64], biases: &[(u32, f64)]) -> Result<()> {
    let size = scores.len();
    for (id, bias) in biases {
        match scores.get_mut(*id as usize) {
            Some(score) => *score += bias,
            None => fail!("there is no token {id} to bias: the model has {size}"),
        }
    }
    Ok(())
}

fn repetition(scores: &mut [f64], past: &Past, penalty: f64) {
    if penalty == 1.0 {
        return;
    }
    let mut seen = [past.prompt, past.completion].concat();
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

/// μ − c·frequency − (c > 0)·presence, where c counts the token in the completion.
fn counts(scores: &mut [f64], completion: &[u32], sampling: &Sampling) {
    let (frequency, presence) = (sampling.frequency_penalty, sampling.presence_penalty);
    if frequency == 0.0 && presence == 0.0 {
        return;
    }
    let mut ids = completion.to_vec();
    ids.sort_unstable();
    for same in ids.chunk_by(|a, b| a == b) {
        if let Some(score) = scores.get_mut(same[0] as usize) {
            *score -= frequency * same.len() as f64 + presence;
        }
    }
}

fn only(scores: &mut [f64], allowed: &Mask) {
    let all = (0u32..).zip(scores.iter_mut());
    let others = all.filter(|(id, _)| !allowed.contains(*id));
    others.for_each(|(_, score)| *score = f64::NEG_INFINITY);
}

fn top_k(scores: &mut [f64], k: usize) {
    if k == 0 || k >= scores.len() {
        return;
    }
    let mut sorted = scores.to_vec();
    let (_, last, _) = sorted.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    let last = *last;
    remove(scores, |s| s < last);
}

fn top_p(scores: &mut [f64], p: f64) {
    if p >= 1.0 {
        return;
    }
    let best = best(scores);
    let weight = |s: f64| (s - best).exp();
    let weights: Vec<f64> = scores.iter().map(|s| weight(*s)).collect();
    let total: f64 = weights.iter().sum();
    // All of those below this together are less than what is cut.
    let least = (1.0 - p) * total / scores.len() as f64;
    let ids = (0..scores.len()).filter(|id| weights[*id] >= least);
    let mut order: Vec<usize> = ids.collect();
    order.sort_unstable_by(|a, b| weights[*b].total_cmp(&weights[*a]).then(a.cmp(b)));
    let mut mass = 0.0;
    let enough = order.iter().position(|id| {
        mass += weights[*id];
        mass >= p * total
    });
    order.truncate(enough.map_or(order.len(), |last| last + 1));
    let mut kept = vec![f64::NEG_INFINITY; scores.len()];
    for id in order {
        kept[id] = scores[id];
    }
    scores.copy_from_slice(&kept);
}

fn min_p(scores: &mut [f64], p: f64) {
    if p > 0.0 {
        let best = best(scores);
        remove(scores, |s| (s - best).exp() < p);
    }
}

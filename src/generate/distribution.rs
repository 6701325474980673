//! What logits say of the next token.

use crate::numeric::stats::log_sum_exp;

/// The softmax of logits divided by a temperature, in f64. Logarithms are natural.
#[derive(Debug, Clone, Copy)]
pub struct Distribution<'a> {
    logits: &'a [f32],
    temperature: f64,
    /// log Σ exp(logit / temperature).
    norm: f64,
}

impl<'a> Distribution<'a> {
    pub fn new(logits: &'a [f32], temperature: f64) -> Self {
        let score = |l: &f32| f64::from(*l) / temperature;
        Self {
            logits,
            temperature,
            norm: log_sum_exp(logits.iter().map(score)),
        }
    }

    /// log π(id); −∞ for an id that has no logit.
    pub fn logprob(&self, id: u32) -> f64 {
        let logit = self.logits.get(id as usize);
        logit.map_or(f64::NEG_INFINITY, |l| {
            f64::from(*l) / self.temperature - self.norm
        })
    }

    /// Nats.
    pub fn entropy(&self) -> f64 {
        let logprobs = self
            .logits
            .iter()
            .map(|l| f64::from(*l) / self.temperature - self.norm);
        let terms = logprobs
            .filter(|p| *p > f64::NEG_INFINITY)
            .map(|p| p.exp() * p);
        -terms.sum::<f64>()
    }

    /// The place of `id` among all, 1 for the likeliest; equal ones by id.
    pub fn rank(&self, id: u32) -> usize {
        let own = self
            .logits
            .get(id as usize)
            .copied()
            .unwrap_or(f32::NEG_INFINITY);
        let before = |(other, logit): (u32, &f32)| *logit > own || (*logit == own && other < id);
        1 + (0..).zip(self.logits).filter(|pair| before(*pair)).count()
    }

    /// The `count` likeliest ids with their log π, the likeliest first, equal ones by id.
    pub fn likeliest(&self, count: usize) -> Vec<(u32, f64)> {
        let value = |id: &u32| self.logits[*id as usize];
        let by_value = |a: &u32, b: &u32| value(b).total_cmp(&value(a)).then(a.cmp(b));
        let mut order: Vec<u32> = (0..self.logits.len() as u32).collect();
        if count < order.len() {
            order.select_nth_unstable_by(count, by_value);
            order.truncate(count);
        }
        order.sort_unstable_by(by_value);
        order.into_iter().map(|id| (id, self.logprob(id))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against log_softmax([2, 0, 0, 1]) and its entropy, computed with NumPy in f64.
    #[test]
    fn numbers_are_those_of_numpy() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        let distribution = Distribution::new(&[2.0, 0.0, 0.0, 1.0], 1.0);
        close(distribution.logprob(0), -0.4938117091);
        close(distribution.logprob(2), -2.4938117091);
        close(distribution.entropy(), 1.0487051025);
        close(
            Distribution::new(&[4.0, 0.0, 0.0, 2.0], 2.0).entropy(),
            1.0487051025,
        );
        assert_eq!([0, 1, 2, 3].map(|id| distribution.rank(id)), [1, 3, 4, 2]);
        let likeliest = distribution.likeliest(3);
        assert_eq!(
            likeliest.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            [0, 3, 1]
        );
        assert_eq!(distribution.likeliest(9).len(), 4);
        assert_eq!(distribution.logprob(4), f64::NEG_INFINITY);
    }

    #[test]
    fn what_is_forbidden_has_no_share() {
        let distribution = Distribution::new(&[0.0, f32::NEG_INFINITY, 0.0], 1.0);
        assert!((distribution.entropy() - 2f64.ln()).abs() < 1e-12);
        assert_eq!(distribution.rank(1), 3);
    }
}

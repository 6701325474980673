//! One position of one row, in two models.

use ndarray::ArrayView1;

use crate::numeric::stats::log_sum_exp;

/// How two models' logits at a position differ.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// Largest |a − b| over the vocabulary.
    pub delta_max: f64,
    /// Mean |a − b| over the vocabulary.
    pub delta_mean: f64,
    /// Largest |a|.
    pub scale: f64,
    /// KL(softmax a ‖ softmax b), nats.
    pub kl: f64,
    /// Whether the likeliest token is the same.
    pub agrees: bool,
    /// −log π of the row's next token, if there is one: of a and of b. Nats.
    pub surprisals: Option<[f64; 2]>,
}

impl Position {
    pub fn of(a: ArrayView1<f32>, b: ArrayView1<f32>, next: Option<u32>) -> Self {
        let norms = [norm(a), norm(b)];
        let (mut delta_max, mut delta_sum, mut scale, mut kl) = (0f64, 0.0, 0f64, 0.0);
        for (a, b) in a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b))) {
            let delta = (a - b).abs();
            delta_max = delta_max.max(delta);
            delta_sum += delta;
            scale = scale.max(a.abs());
            let logs = [a - norms[0], b - norms[1]];
            kl += logs[0].exp() * (logs[0] - logs[1]);
        }
        let surprisal =
            |logits: ArrayView1<f32>, norm: f64, id: u32| norm - f64::from(logits[id as usize]);
        Self {
            delta_max,
            delta_mean: delta_sum / a.len().max(1) as f64,
            scale,
            // Rounding can make the sum of two equal distributions' differences negative.
            kl: kl.max(0.0),
            agrees: likeliest(a) == likeliest(b),
            surprisals: next.map(|id| [surprisal(a, norms[0], id), surprisal(b, norms[1], id)]),
        }
    }
}

/// log Σ exp(logit), in f64.
pub(super) fn norm(logits: ArrayView1<f32>) -> f64 {
    log_sum_exp(logits.iter().map(|l| f64::from(*l)))
}

/// The first token of the largest logit.
fn likeliest(logits: ArrayView1<f32>) -> usize {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best
}

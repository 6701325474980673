//! Constant tables of transformers: rotary positions and the causal mask.

use crate::diag::Result;
use crate::numeric::Array;

/// cos and sin of position · θ^(−2i/d), each half repeated, `[positions, head_dim]`.
pub(super) fn rotary_tables(positions: usize, d: usize, theta: f64) -> Result<(Array, Array)> {
    let angle = |p: usize, i: usize| p as f64 * theta.powf(-2.0 * (i % (d / 2)) as f64 / d as f64);
    let table = |f: fn(f64) -> f64| {
        let values: Vec<f32> = (0..positions * d)
            .map(|n| f(angle(n / d, n % d)) as f32)
            .collect();
        Array::from_f32(vec![positions, d], &values)
    };
    Ok((table(f64::cos)?, table(f64::sin)?))
}

/// 0 where a position may look (itself and before), a large negative number elsewhere.
pub(super) fn causal_mask(length: usize) -> Result<Array> {
    let entry = |n: usize| if n % length <= n / length { 0.0 } else { -1e9 };
    let values: Vec<f32> = (0..length * length).map(entry).collect();
    Array::from_f32(vec![length, length], &values)
}

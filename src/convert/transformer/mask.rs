//! Which positions a query sees, as what is added to its scores.

use crate::diag::Result;
use crate::numeric::{Array, DType};

/// Longest context whose mask is a table; longer ones are computed when the program runs, since a table
/// grows with the square.
pub(super) const TABLE: usize = 256;

/// Low enough to hide what it is added to, and finite in `dtype`.
pub(super) fn hidden(dtype: DType) -> f64 {
    match dtype {
        DType::Fp16 => -30_000.0,
        _ => -1e9,
    }
}

/// 0 where a position (a row) may look: itself and before, `window` positions at most; [`hidden`]
/// elsewhere. `[length, length]`.
pub(super) fn table(length: usize, window: Option<usize>, dtype: DType) -> Result<Array> {
    let window = window.unwrap_or(length);
    let entry = |n: usize| {
        let (row, column) = (n / length, n % length);
        match column <= row && row - column < window {
            true => 0.0,
            false => hidden(dtype),
        }
    };
    let values: Vec<f64> = (0..length * length).map(entry).collect();
    Array::from_f64s(dtype, vec![length, length], &values)
}

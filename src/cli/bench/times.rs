//! Figures of repeated measurements.

use serde_json::{Value, json};

/// What one thing took each time.
#[derive(Default)]
pub struct Times(Vec<f64>);

impl Times {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value that a share of all does not exceed; `None` without values.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let place = share * last as f64;
        let (low, high) = (
            sorted[place.floor() as usize],
            sorted[place.ceil() as usize],
        );
        Some(low + (high - low) * place.fract())
    }

    pub fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    /// Each value over that of `other` in the same turn.
    pub fn over(&self, other: &Times) -> Times {
        Times(self.0.iter().zip(&other.0).map(|(a, b)| a / b).collect())
    }

    pub fn json(&self) -> Value {
        json!({
            "median": self.median(),
            "min": self.quantile(0.0),
            "p90": self.quantile(0.9),
            "count": self.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values() {
        let check = |values: &[f64], share, expected| {
            assert_eq!(Times(values.to_vec()).quantile(share), expected);
        };
        check(&[], 0.5, None);
        check(&[3.0], 0.9, Some(3.0));
        check(&[4.0, 1.0, 2.0], 0.5, Some(2.0));
        check(&[4.0, 1.0], 0.5, Some(2.5));
        check(&[0.0, 10.0], 0.9, Some(9.0));
    }
}

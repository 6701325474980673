//! The range of a plot's axis and its round tick values.

use super::super::number::{format_number, with_decimals};

/// A finite interval with `low < high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct Axis {
    pub low: f64,
    pub high: f64,
}

impl Axis {
    /// The range of the finite `values`, widened on both sides by `margin` of it; a single value gets
    /// room around it. `None` without values.
    pub fn around(values: impl Iterator<Item = f64>, margin: f64) -> Option<Self> {
        let (low, high) = values
            .filter(|v| v.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            });
        if low > high {
            return None;
        }
        let range = high - low;
        let pad = if range > 1e-12 * low.abs().max(high.abs()) {
            margin * range
        } else {
            (0.1 * low.abs()).max(0.5)
        };
        let axis = Self {
            low: low - pad,
            high: high + pad,
        };
        (axis.high - axis.low).is_finite().then_some(axis)
    }

    /// Where `value` lies: 0 at `low`, 1 at `high`.
    pub fn fraction(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// At most `count` (at least 2) multiples of 1, 2 or 5 times a power of ten, with their labels.
    pub fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        let step = round_step((self.high - self.low) / count.max(2) as f64);
        let first = (self.low / step).ceil();
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        (0..=count.max(2))
            .map(|k| (first + k as f64) * step)
            .take_while(|tick| *tick <= self.high + 1e-9 * step)
            .map(|tick| (tick, self.label(tick, decimals)))
            .collect()
    }

    fn label(&self, tick: f64, decimals: usize) -> String {
        let size = self.low.abs().max(self.high.abs());
        if decimals <= 5 && size < 1e7 {
            with_decimals(tick, decimals)
        } else {
            format_number(tick, 6)
        }
    }
}

/// The least of 1, 2, 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * (1.0 - 1e-9));
    step.unwrap_or(10.0 * power).max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let check = |low, high, count, expected: &[&str]| {
            let labels: Vec<String> = Axis { low, high }
                .ticks(count)
                .into_iter()
                .map(|(_, label)| label)
                .collect();
            assert_eq!(labels, expected);
        };
        check(0.0, 1.0, 5, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        check(-3.0, 7.0, 4, &["0", "5"]);
        check(1000.0, 1001.0, 2, &["1000.0", "1000.5", "1001.0"]);
        check(0.0, 2e-7, 2, &["0", "1e-7", "2e-7"]);
        check(0.0, 4e9, 4, &["0", "1e9", "2e9", "3e9", "4e9"]);
    }

    #[test]
    fn odd_ranges_stay_usable() {
        let around = |values: &[f64]| Axis::around(values.iter().copied(), 0.0);
        assert_eq!(around(&[]), None);
        assert_eq!(around(&[f64::NAN, f64::INFINITY]), None);
        assert_eq!(around(&[-1e308, 1e308]), None);
        assert_eq!(
            around(&[2.0, 2.0]),
            Some(Axis {
                low: 1.5,
                high: 2.5
            })
        );
        assert!(around(&[1e-300, 1e300]).unwrap().ticks(5).len() <= 6);
    }
}

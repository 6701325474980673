//! How often values fall into each of a row of equal intervals.

use serde_json::{Value, json};

use super::Axis;
use crate::diag::Result;
use crate::fail;
use crate::numeric::stats;

/// The most intervals that are chosen without being asked for.
const BINS: usize = 100;

/// Counts of values in equal intervals of a range; the last one holds its upper end too.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    pub low: f64,
    pub high: f64,
    pub counts: Vec<usize>,
    /// Values that are not finite or not in the range.
    pub outside: usize,
}

impl Histogram {
    /// Of the finite `values`; without `bins`, as many as NumPy's "auto" takes: the more of Sturges' rule
    /// and Freedman and Diaconis'.
    ///
    /// # Errors
    /// No value is finite, no bins, or a range without width.
    pub fn new(values: &[f64], bins: Option<usize>, range: Option<(f64, f64)>) -> Result<Self> {
        let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let Some(axis) = Axis::around(finite.iter().copied(), 0.0) else {
            fail!(
                "a histogram needs values that are finite, and none of {} is",
                values.len()
            );
        };
        let (low, high) = range.unwrap_or((axis.low, axis.high));
        if !(low < high && (high - low).is_finite()) {
            fail!("a histogram can't reach from {low} to {high}");
        }
        let bins = bins.unwrap_or_else(|| chosen(&finite, high - low));
        if bins == 0 {
            fail!("a histogram needs at least one bin");
        }
        let mut counts = vec![0; bins];
        for value in finite.iter().filter(|v| (low..=high).contains(*v)) {
            let place = (value - low) / (high - low) * bins as f64;
            counts[(place as usize).min(bins - 1)] += 1;
        }
        let inside: usize = counts.iter().sum();
        Ok(Self {
            low,
            high,
            counts,
            outside: values.len() - inside,
        })
    }

    pub(super) fn x_axis(&self) -> Axis {
        Axis {
            low: self.low,
            high: self.high,
        }
    }

    /// From 0 to a little above the largest count.
    pub(super) fn y_axis(&self) -> Axis {
        let most = self.counts.iter().copied().max().unwrap_or(0).max(1);
        Axis {
            low: 0.0,
            high: 1.05 * most as f64,
        }
    }

    /// The most marks for which none stands between two counts.
    pub(super) fn ticks(&self) -> usize {
        self.counts.iter().copied().max().unwrap_or(0) + 1
    }

    /// What the bars do not tell, if anything.
    pub(super) fn remark(&self) -> Option<String> {
        match self.outside {
            0 => None,
            1 => Some("1 value is not shown".to_owned()),
            n => Some(format!("{n} values are not shown")),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "low": self.low,
            "high": self.high,
            "counts": self.counts,
            "outside": self.outside,
        })
    }
}

fn chosen(values: &[f64], range: f64) -> usize {
    let count = values.len() as f64;
    let sturges = range / (count.log2() + 1.0);
    let quantile = |q| stats::quantile(values, q).unwrap_or(0.0);
    let diaconis = 2.0 * (quantile(0.75) - quantile(0.25)) / count.cbrt();
    let width = match diaconis > 0.0 {
        true => sturges.min(diaconis),
        false => sturges,
    };
    ((range / width).ceil() as usize).clamp(1, BINS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_into_their_interval() {
        let values = [0.0, 0.5, 1.0, 1.5, 4.0, f64::NAN];
        let check = |bins, range, counts: &[usize], outside| {
            let histogram = Histogram::new(&values, Some(bins), range).unwrap();
            assert_eq!(
                (histogram.counts.as_slice(), histogram.outside),
                (counts, outside)
            );
        };
        check(4, None, &[2, 2, 0, 1], 1);
        check(2, Some((0.0, 2.0)), &[2, 2], 2);
        assert!(Histogram::new(&[f64::NAN], None, None).is_err());
        assert!(Histogram::new(&[1.0], Some(0), None).is_err());
        assert!(Histogram::new(&[1.0], None, Some((2.0, 1.0))).is_err());
    }

    /// By hand: 96 / min(96 / (log2 1000 + 1), 2 · 48 / 10) for the first, Sturges alone for the others.
    #[test]
    fn bins_are_as_narrow_as_the_finer_rule_says() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i % 97)).collect();
        let bins = |values: &[f64]| Histogram::new(values, None, None).unwrap().counts.len();
        assert_eq!(bins(&values), 11);
        assert_eq!(bins(&[3.0]), 1);
        assert_eq!(bins(&[0.0, 0.0, 0.0, 0.0, 1e9]), 4);
    }
}

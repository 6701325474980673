//! Statistics of the elements of a tensor.

/// Elements of one or more tensors: how many, how many are not finite, and moments of those that are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    pub count: usize,
    pub nan: usize,
    pub inf: usize,
    /// Of the finite elements; NaN if there are none.
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    /// Population standard deviation (over n).
    pub std: f64,
}

impl Stats {
    /// Two passes: the spread is taken around the mean, so that large means cost no digits.
    pub fn of_values(values: impl Iterator<Item = f64> + Clone) -> Self {
        let mut stats = Self::empty();
        let mut sum = 0.0;
        for value in values.clone() {
            stats.count += 1;
            if value.is_nan() {
                stats.nan += 1;
            } else if value.is_infinite() {
                stats.inf += 1;
            } else {
                stats.min = stats.min.min(value);
                stats.max = stats.max.max(value);
                sum += value;
            }
        }
        let n = stats.finite() as f64;
        stats.mean = sum / n;
        let finite = values.filter(|value| value.is_finite());
        let squares: f64 = finite.map(|value| (value - stats.mean).powi(2)).sum();
        stats.std = (squares / n).sqrt();
        stats
    }

    fn empty() -> Self {
        Self {
            count: 0,
            nan: 0,
            inf: 0,
            min: f64::NAN,
            max: f64::NAN,
            mean: f64::NAN,
            std: f64::NAN,
        }
    }

    /// Of the elements of both.
    pub fn with(self, other: Self) -> Self {
        let (n, m) = (self.finite() as f64, other.finite() as f64);
        let total = n + m;
        let part = |weight: f64, value: f64| if weight == 0.0 { 0.0 } else { weight * value };
        let mean = (part(n, self.mean) + part(m, other.mean)) / total;
        let spread =
            |weight: f64, one: Self| part(weight, one.std.powi(2) + (one.mean - mean).powi(2));
        Self {
            count: self.count + other.count,
            nan: self.nan + other.nan,
            inf: self.inf + other.inf,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            mean,
            std: ((spread(n, self) + spread(m, other)) / total).sqrt(),
        }
    }

    /// How many elements are numbers.
    pub fn finite(&self) -> usize {
        self.count - self.nan - self.inf
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_the_finite_elements() {
        let values = [1.0, f64::NAN, 3.0, f64::INFINITY, f64::NEG_INFINITY, -4.0];
        let stats = Stats::of_values(values.into_iter());
        assert_eq!((stats.count, stats.nan, stats.inf), (6, 1, 2));
        assert_eq!((stats.min, stats.max, stats.mean), (-4.0, 3.0, 0.0));
        assert_eq!(stats.std, (26.0f64 / 3.0).sqrt());
    }

    #[test]
    fn parts_give_the_whole() {
        let values = [4.0, 1.0, f64::NAN, 2.5, -7.0, 100.0];
        let whole = Stats::of_values(values.into_iter());
        for at in 1..5 {
            let (left, right) = values.split_at(at);
            let (left, right) = (left.iter().copied(), right.iter().copied());
            let both = Stats::of_values(left).with(Stats::of_values(right));
            assert!((both.mean - whole.mean).abs() < 1e-12);
            assert!((both.std - whole.std).abs() < 1e-12);
            let rest = |s: Stats| (s.count, s.nan, s.inf, s.min, s.max);
            assert_eq!(rest(both), rest(whole));
        }
    }

    #[test]
    fn without_finite_elements_there_are_no_moments() {
        for values in [vec![], vec![f64::NAN, f64::INFINITY]] {
            let stats = Stats::of_values(values.iter().copied());
            assert!(
                [stats.min, stats.max, stats.mean, stats.std]
                    .iter()
                    .all(|v| v.is_nan())
            );
            let one = Stats::of_values([2.0].into_iter());
            assert_eq!(stats.with(one).mean, 2.0);
            assert_eq!(one.with(stats).std, 0.0);
        }
    }
}

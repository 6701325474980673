//! Statistics of evaluations: means, intervals, diversity.

use std::collections::BTreeSet;

use super::Rng;

/// `None` for no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// log Σ exp(value).
pub fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = values.clone().fold(f64::NEG_INFINITY, f64::max);
    most + values.map(|v| (v - most).exp()).sum::<f64>().ln()
}

/// Sample standard deviation (n − 1); `None` for fewer than two values.
pub fn std(values: &[f64]) -> Option<f64> {
    let centre = mean(values).filter(|_| values.len() > 1)?;
    let squares: f64 = values.iter().map(|v| (v - centre).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// The value below which the share `q` of the values lies, linear between neighbours (NumPy's default).
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = q.clamp(0.0, 1.0) * (sorted.len().checked_sub(1)? as f64);
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    Some(sorted[below] + (sorted[above] - sorted[below]) * place.fract())
}

/// Wilson's 95 % interval of a share of `wins` in `total`; wins may be fractional (ties as halves).
/// `[0, 1]` for no trials.
pub fn wilson(wins: f64, total: f64) -> [f64; 2] {
    const Z: f64 = 1.959963984540054;
    if total <= 0.0 {
        return [0.0, 1.0];
    }
    let share = wins / total;
    let scale = 1.0 / (1.0 + Z * Z / total);
    let centre = scale * (share + Z * Z / (2.0 * total));
    let spread = share * (1.0 - share) / total + Z * Z / (4.0 * total * total);
    let half = scale * Z * spread.max(0.0).sqrt();
    [(centre - half).max(0.0), (centre + half).min(1.0)]
}

/// 95 % percentile interval of the mean from `rounds` seeded resamples; `None` without values.
pub fn bootstrap_mean(values: &[f64], rounds: usize, rng: &mut Rng) -> Option<[f64; 2]> {
    let mut resample = || {
        let draws = (0..values.len()).map(|_| values[rng.below(values.len())]);
        draws.sum::<f64>() / values.len() as f64
    };
    let means: Vec<f64> = match values.is_empty() {
        true => return None,
        false => (0..rounds).map(|_| resample()).collect(),
    };
    Some([quantile(&means, 0.025)?, quantile(&means, 0.975)?])
}

/// Distinct `n`-grams over all of them (Li 2016, 1510.03055), over a set of sequences; `None` if there
/// are none.
pub fn distinct<T: Ord>(sequences: &[&[T]], n: usize) -> Option<f64> {
    let grams = || sequences.iter().flat_map(|s| s.windows(n.max(1)));
    let total = grams().count();
    (total > 0).then(|| grams().collect::<BTreeSet<_>>().len() as f64 / total as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(mean(&[]), None);
        assert_eq!(std(&[1.0]), None);
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!(std(&[1.0, 2.0, 6.0]), Some(7f64.sqrt()));
    }

    #[test]
    fn quantiles_interpolate() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(&values, 0.5), Some(2.5));
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&values, 1.0), Some(4.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn wilson_intervals() {
        let [low, high] = wilson(60.0, 100.0);
        assert!((low - 0.502003).abs() < 5e-7 && (high - 0.690599).abs() < 5e-7);
        assert_eq!(wilson(0.0, 0.0), [0.0, 1.0]);
        assert_eq!(wilson(0.0, 10.0)[0], 0.0);
        assert!((wilson(10.0, 10.0)[1] - 1.0).abs() < 1e-15);
    }

    #[test]
    fn bootstrap_repeats_and_covers() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let interval = || bootstrap_mean(&values, 500, &mut Rng::new(3)).unwrap();
        assert_eq!(interval(), interval());
        let [low, high] = interval();
        // The mean is 49.5 with a standard error of 2.9.
        assert!(
            (42.0..46.0).contains(&low) && (53.0..57.0).contains(&high),
            "{low} {high}"
        );
        assert_eq!(bootstrap_mean(&[], 10, &mut Rng::new(3)), None);
    }

    #[test]
    fn distinct_grams() {
        let sequences: [&[u32]; 2] = [&[1, 2, 1, 2], &[1, 2]];
        assert_eq!(distinct(&sequences, 1), Some(2.0 / 6.0));
        assert_eq!(distinct(&sequences, 2), Some(2.0 / 4.0));
        assert_eq!(distinct(&sequences, 5), None);
    }
}

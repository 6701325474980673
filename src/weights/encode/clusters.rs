//! Palettes' entries: k-means, exact in one dimension, by Lloyd's iteration for vectors.

use rayon::prelude::*;

use crate::numeric::Rng;

/// Above so many distinct values, neighbours are taken together: 2 · `BINS` bins at most, of which half
/// have equally many elements and half are equally wide, so that both the bulk and the tails are fine.
const BINS: usize = 2048;

/// Rounds of Lloyd's iteration.
const ROUNDS_MAX: usize = 25;

/// The error must fall by this part of it for another round.
const GAIN_MIN: f64 = 1e-4;

/// Elements that are assigned at a time.
const CHUNK: usize = 1 << 14;

/// `count` numbers with the least sum of squared distances from `values` to the nearest one, ascending;
/// the last repeats if there are fewer distinct values.
///
/// Dynamic programming over sorted values with divide and conquer, as in Grønlund et al. 2017, "Fast
/// Exact k-Means, k-Medians and Bregman Divergence Clustering in 1D".
pub(super) fn centres(values: &[f32], count: usize) -> Vec<f32> {
    let bins = bins(values);
    let mut centres = match bins.len() {
        0 => vec![0.0],
        n if n <= count => bins
            .iter()
            .map(|bin| (bin.sum / bin.count) as f32)
            .collect(),
        _ => Partition::new(&bins).centres(count),
    };
    let last = centres[centres.len() - 1];
    centres.resize(count, last);
    centres
}

/// Neighbouring values taken together.
struct Bin {
    count: f64,
    sum: f64,
}

fn bins(values: &[f32]) -> Vec<Bin> {
    let mut sorted = values.to_vec();
    sorted.par_sort_unstable_by(f32::total_cmp);
    let distinct = 1 + sorted.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let (Some(&first), Some(&last)) = (sorted.first(), sorted.last()) else {
        return Vec::new();
    };
    let width = f64::from(last) - f64::from(first);
    let share = |at: usize, value: f32| {
        let height = (f64::from(value) - f64::from(first)) / width * BINS as f64;
        (at * BINS / sorted.len(), height as usize)
    };
    let mut bins: Vec<Bin> = Vec::new();
    let (mut before, mut key) = (f32::NAN, (0, 0));
    for (at, value) in sorted.iter().enumerate() {
        let own = share(at, *value);
        let apart = *value != before && (distinct <= 2 * BINS || own != key);
        if apart || bins.is_empty() {
            bins.push(Bin {
                count: 0.0,
                sum: 0.0,
            });
            key = own;
        }
        before = *value;
        if let Some(bin) = bins.last_mut() {
            bin.count += 1.0;
            bin.sum += f64::from(*value);
        }
    }
    bins
}

/// The cheapest partition of ascending bins into stretches.
struct Partition {
    /// Prefix sums of count, sum, and count · mean².
    counts: Vec<f64>,
    sums: Vec<f64>,
    squares: Vec<f64>,
    /// Least cost of the first n bins in one stretch fewer.
    before: Vec<f64>,
    /// The same with one more; and where the last stretch begins.
    cost: Vec<f64>,
    begin: Vec<u32>,
}

impl Partition {
    fn new(bins: &[Bin]) -> Self {
        let prefix = |term: &dyn Fn(&Bin) -> f64| {
            let mut sums = vec![0.0];
            for bin in bins {
                sums.push(sums[sums.len() - 1] + term(bin));
            }
            sums
        };
        let mut partition = Self {
            counts: prefix(&|bin| bin.count),
            sums: prefix(&|bin| bin.sum),
            squares: prefix(&|bin| bin.sum * bin.sum / bin.count),
            before: Vec::new(),
            cost: Vec::new(),
            begin: vec![0; bins.len() + 1],
        };
        partition.cost = (0..=bins.len()).map(|n| partition.stretch(0, n)).collect();
        partition
    }

    /// Cost of the bins `from..to` around their mean.
    fn stretch(&self, from: usize, to: usize) -> f64 {
        let count = self.counts[to] - self.counts[from];
        let sum = self.sums[to] - self.sums[from];
        match count > 0.0 {
            true => (self.squares[to] - self.squares[from] - sum * sum / count).max(0.0),
            false => 0.0,
        }
    }

    fn centres(mut self, count: usize) -> Vec<f32> {
        let bins = self.begin.len() - 1;
        let mut begins = vec![self.begin.clone()];
        for _ in 1..count {
            self.before = std::mem::replace(&mut self.cost, vec![0.0; bins + 1]);
            self.fill(0..bins + 1, 0..bins + 1);
            begins.push(self.begin.clone());
        }
        let mut centres = Vec::new();
        let mut end = bins;
        for begin in begins.iter().rev() {
            let from = begin[end] as usize;
            if from < end {
                let count = self.counts[end] - self.counts[from];
                centres.push(((self.sums[end] - self.sums[from]) / count) as f32);
            }
            end = from;
        }
        centres.reverse();
        centres
    }

    /// Costs for the ends of `ends`, whose last stretches begin within `starts`: where the best one
    /// begins never falls as the end grows.
    fn fill(&mut self, ends: std::ops::Range<usize>, starts: std::ops::Range<usize>) {
        if ends.is_empty() {
            return;
        }
        let end = ends.start + ends.len() / 2;
        let mut best = (f64::INFINITY, starts.start);
        for from in starts.start..starts.end.min(end + 1) {
            let cost = self.before[from] + self.stretch(from, end);
            if cost < best.0 {
                best = (cost, from);
            }
        }
        self.cost[end] = best.0;
        self.begin[end] = best.1 as u32;
        self.fill(ends.start..end, starts.start..best.1 + 1);
        self.fill(end + 1..ends.end, best.1..starts.end);
    }
}

/// `count` vectors of `length` elements near those of `points`, from `start` or seeded ones on.
pub(super) fn vector_centres(
    points: &[f32],
    length: usize,
    count: usize,
    start: Option<Vec<f32>>,
) -> Vec<f32> {
    if points.is_empty() {
        return start.unwrap_or_else(|| vec![0.0; count * length]);
    }
    let mut centres = start.unwrap_or_else(|| seeds(points, length, count));
    let mut before = f64::INFINITY;
    for _ in 0..ROUNDS_MAX {
        let (indices, error) = assign(points, length, &centres);
        if error >= before * (1.0 - GAIN_MIN) {
            break;
        }
        before = error;
        let mut sums = vec![0.0f64; centres.len()];
        let mut counts = vec![0.0f64; count];
        for (point, index) in points.chunks_exact(length).zip(&indices) {
            counts[usize::from(*index)] += 1.0;
            let sum = &mut sums[usize::from(*index) * length..][..length];
            sum.iter_mut()
                .zip(point)
                .for_each(|(sum, v)| *sum += f64::from(*v));
        }
        for (i, centre) in centres.iter_mut().enumerate() {
            if counts[i / length] > 0.0 {
                *centre = (sums[i] / counts[i / length]) as f32;
            }
        }
    }
    centres
}

/// k-means++ (Arthur and Vassilvitskii 2007): each next one by its squared distance from those chosen.
fn seeds(points: &[f32], length: usize, count: usize) -> Vec<f32> {
    let mut rng = Rng::named(0, "palette");
    let total = points.len() / length;
    let point = |i: usize| &points[i * length..][..length];
    let mut centres = point(rng.below(total)).to_vec();
    let mut far = vec![f64::INFINITY; total];
    while centres.len() < count * length {
        let newest = &centres[centres.len() - length..];
        far.par_iter_mut()
            .enumerate()
            .for_each(|(i, far)| *far = far.min(distance(point(i), newest)));
        let mut rest = rng.uniform() * far.iter().sum::<f64>();
        let next = far.iter().position(|far| {
            rest -= far;
            rest < 0.0
        });
        centres.extend_from_slice(point(next.unwrap_or(total - 1)));
    }
    centres
}

/// The nearest of `centres` for each of `points`, all of `length` elements; and the sum of squared
/// distances. Of equal ones, the first.
pub(super) fn assign(points: &[f32], length: usize, centres: &[f32]) -> (Vec<u8>, f64) {
    let sorted = Sorted::new(centres);
    let nearest = |point: &[f32]| match length {
        1 => sorted.nearest(point[0]),
        _ => nearest_vector(point, centres),
    };
    let chunk = |points: &[f32]| {
        let mut error = 0.0;
        let indices: Vec<u8> = points
            .chunks_exact(length)
            .map(|point| {
                let index = nearest(point);
                error += distance(point, &centres[index * length..][..length]);
                index as u8
            })
            .collect();
        (indices, error)
    };
    let chunks: Vec<_> = points.par_chunks(CHUNK * length).map(chunk).collect();
    let error = chunks.iter().map(|(_, error)| error).sum();
    (
        chunks
            .into_iter()
            .flat_map(|(indices, _)| indices)
            .collect(),
        error,
    )
}

/// Numbers in ascending order, with what they were called before.
struct Sorted {
    values: Vec<f32>,
    indices: Vec<usize>,
}

impl Sorted {
    fn new(centres: &[f32]) -> Self {
        let mut indices: Vec<usize> = (0..centres.len()).collect();
        indices.sort_by(|a, b| centres[*a].total_cmp(&centres[*b]));
        Self {
            values: indices.iter().map(|i| centres[*i]).collect(),
            indices,
        }
    }

    fn nearest(&self, value: f32) -> usize {
        let above = self.values.partition_point(|centre| *centre < value);
        let at = match above {
            0 => 0,
            n if n == self.values.len() => self.values.partition_point(|c| *c < self.values[n - 1]),
            n if value - self.values[n - 1] <= self.values[n] - value => {
                self.values.partition_point(|c| *c < self.values[n - 1])
            }
            n => n,
        };
        self.indices[at]
    }
}

fn nearest_vector(point: &[f32], centres: &[f32]) -> usize {
    let mut best = (f64::INFINITY, 0);
    for (i, centre) in centres.chunks_exact(point.len()).enumerate() {
        let distance = distance(point, centre);
        if distance < best.0 {
            best = (distance, i);
        }
    }
    best.1
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The best of all partitions of the sorted values into `count` stretches.
    fn exhaustive(values: &[f32], count: usize) -> f64 {
        let cost = |stretch: &[f32]| -> f64 {
            let mean = stretch.iter().map(|v| f64::from(*v)).sum::<f64>() / stretch.len() as f64;
            stretch.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum()
        };
        match count {
            1 => cost(values),
            _ => (1..=values.len() - (count - 1))
                .map(|n| cost(&values[..n]) + exhaustive(&values[n..], count - 1))
                .fold(f64::INFINITY, f64::min),
        }
    }

    #[test]
    fn one_dimension_is_solved_exactly() {
        let mut rng = Rng::new(5);
        for count in 1..=4 {
            let mut values: Vec<f32> = (0..14).map(|_| rng.normal() as f32).collect();
            let (_, error) = assign(&values, 1, &centres(&values, count));
            values.sort_by(f32::total_cmp);
            let best = exhaustive(&values, count);
            assert!((error - best).abs() < 1e-6, "{count}: {error} {best}");
        }
    }

    #[test]
    fn few_values_are_kept_as_they_are() {
        assert_eq!(centres(&[3.0, -1.0, 3.0, 0.1], 4), [-1.0, 0.1, 3.0, 3.0]);
        assert_eq!(centres(&[], 2), [0.0, 0.0]);
        assert_eq!(
            assign(&[3.0, 9.0, -5.0], 1, &[-1.0, 0.1, 3.0, 3.0]).0,
            [2, 2, 0]
        );
    }

    #[test]
    fn many_values_are_near_the_best_for_a_normal_distribution() {
        // Max 1960, "Quantizing for minimum distortion": mean squared error of 16 levels at unit variance.
        let best = 0.009497;
        let mut rng = Rng::new(1);
        let values: Vec<f32> = (0..40_000).map(|_| rng.normal() as f32).collect();
        let (_, error) = assign(&values, 1, &centres(&values, 16));
        let mean = error / values.len() as f64;
        assert!((mean / best - 1.0).abs() < 0.02, "{mean}");
    }

    #[test]
    fn vectors_find_their_clusters() {
        let points: Vec<f32> = (0..60)
            .flat_map(|i| [(i % 3) as f32 + 0.01 * (i % 7) as f32, -((i % 3) as f32)])
            .collect();
        let centres = vector_centres(&points, 2, 4, None);
        let (_, error) = assign(&points, 2, &centres);
        assert!(error < 0.06, "{error} {centres:?}");
        let again = vector_centres(&points, 2, 4, Some(centres.clone()));
        assert!(assign(&points, 2, &again).1 <= error);
        assert_eq!(centres, vector_centres(&points, 2, 4, None));
    }
}

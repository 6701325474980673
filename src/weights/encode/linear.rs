//! Linear quantisation: for each block, a scale and an offset, and the nearest number of each element.

use rayon::prelude::*;

use super::groups::Groups;
use super::numbers::Numbers;
use crate::diag::Interrupt;

/// Rounds of fitting a scale to the numbers and the numbers to the scale; each lowers the error.
const ROUNDS_MAX: usize = 8;

/// How blocks are quantised.
pub(super) struct Quantiser {
    /// What the elements are stored as.
    pub data: Numbers,
    /// What scales are stored as, which is also the type of the dense values.
    pub scale: Numbers,
    /// What offsets are stored as, if they are fitted; else every offset is the middle of the range.
    pub offset: Option<Numbers>,
}

/// The line `scale · (q − offset)` of a block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    pub scale: f32,
    pub offset: f32,
}

/// Stored numbers of all elements, and the line of each block.
pub(super) struct Quantised {
    pub numbers: Vec<f32>,
    pub lines: Vec<Line>,
}

impl Quantiser {
    /// Quantises `values`; a line of `old` stays where no other that is tried is nearer.
    /// Once `interrupt` is set the rest is skipped, and what is returned is of no use.
    pub fn encode(
        &self,
        values: &[f32],
        groups: &Groups,
        old: Option<&[Line]>,
        interrupt: &Interrupt,
    ) -> Quantised {
        let block = |i: usize| {
            let members = groups.members(i).iter();
            let members = members.take(if interrupt.is_set() { 0 } else { usize::MAX });
            let values: Vec<f32> = members.map(|at| values[*at as usize]).collect();
            let line = self.fit(&values, old.map(|old| old[i]));
            let numbers: Vec<f32> = values.iter().map(|v| self.number(*v, line)).collect();
            (line, numbers)
        };
        let blocks: Vec<_> = (0..groups.len()).into_par_iter().map(block).collect();
        let lines = blocks.iter().map(|(line, _)| *line).collect();
        let numbers = blocks.into_iter().flat_map(|(_, numbers)| numbers);
        Quantised {
            numbers: groups.scatter(numbers),
            lines,
        }
    }

    /// The best of: the old line, the line through the extremes, and what least squares make of that.
    fn fit(&self, values: &[f32], old: Option<Line>) -> Line {
        let through_extremes = self.through_extremes(values);
        let mut best = old.unwrap_or(through_extremes);
        let mut least = self.error(values, best);
        let mut line = through_extremes;
        for _ in 0..ROUNDS_MAX {
            let error = self.error(values, line);
            if error < least {
                (best, least) = (line, error);
            }
            let next = self.least_squares(values, line);
            if next == line || least == 0.0 {
                break;
            }
            line = next;
        }
        best
    }

    /// The line on which the largest element, or both extremes, have the outermost numbers.
    fn through_extremes(&self, values: &[f32]) -> Line {
        // A whole offset must be a number of the range, so the line crosses 0 in it.
        let free = matches!(self.offset, Some(Numbers::Fp16 | Numbers::Fp32));
        let start = values.first().copied().filter(|_| free).unwrap_or(0.0);
        let low = values.iter().copied().fold(start, f32::min);
        let high = values.iter().copied().fold(start, f32::max);
        let middle = self.data.middle();
        match (self.data, self.offset) {
            (
                Numbers::Whole {
                    low: first,
                    high: last,
                    ..
                },
                Some(offset),
            ) => {
                let scale = self.scale((high - low) / (last - first));
                let through = first - low / scale;
                let within = if free {
                    through
                } else {
                    through.clamp(first, last)
                };
                Line {
                    scale,
                    offset: offset.nearest(within),
                }
            }
            (Numbers::Whole { high: last, .. }, None) => Line {
                scale: self.scale(high.max(-low) / (last - middle)),
                offset: middle,
            },
            _ => Line {
                scale: self.scale(high.max(-low)),
                offset: middle,
            },
        }
    }

    /// The line that is nearest to `values` if their numbers stay as they are on `line`.
    fn least_squares(&self, values: &[f32], line: Line) -> Line {
        if !matches!(self.data, Numbers::Whole { .. }) {
            return line;
        }
        let pairs = || {
            let numbers = values.iter().map(|v| self.number(*v, line));
            numbers
                .zip(values)
                .map(|(q, v)| (f64::from(q), f64::from(*v)))
        };
        let mut offset = line.offset;
        if let Some(offsets) = self.offset {
            let n = values.len() as f64;
            let sums = pairs().fold((0.0, 0.0), |(a, b), (q, v)| (a + q, b + v));
            let (mean_q, mean_v) = (sums.0 / n, sums.1 / n);
            let (mut over, mut under) = (0.0, 0.0);
            for (q, v) in pairs() {
                over += (q - mean_q) * (v - mean_v);
                under += (q - mean_q) * (q - mean_q);
            }
            if over > 0.0 {
                offset = offsets.nearest((mean_q - mean_v * under / over) as f32);
            }
        }
        let (mut over, mut under) = (0.0, 0.0);
        for (q, v) in pairs() {
            let q = q - f64::from(offset);
            over += q * v;
            under += q * q;
        }
        match over > 0.0 {
            true => Line {
                scale: self.scale((over / under) as f32),
                offset,
            },
            false => line,
        }
    }

    /// A scale as it is stored; never 0.
    fn scale(&self, scale: f32) -> f32 {
        match self.scale.nearest(scale) {
            rounded if rounded > 0.0 => rounded,
            _ if scale > 0.0 => self.scale.smallest(),
            _ => 1.0,
        }
    }

    fn number(&self, value: f32, line: Line) -> f32 {
        self.data.nearest(value / line.scale + line.offset)
    }

    /// Sum of squares of what decoding would be off by.
    fn error(&self, values: &[f32], line: Line) -> f64 {
        let off = |value: &f32| {
            let decoded = line.scale * (self.number(*value, line) - line.offset);
            f64::from(self.scale.nearest(decoded) - value).powi(2)
        };
        values.iter().map(off).sum()
    }
}

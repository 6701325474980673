//! Rotary positions (Su et al. 2021) and the ways in which they are stretched to longer contexts, with the
//! formulas of transformers' `modeling_rope_utils.py`.

use std::f64::consts::PI;

use crate::diag::Result;
use crate::numeric::{Array, DType};

/// Rotary positions in the half-split layout of Hugging Face's Llama.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// How many entries of each head are turned, from the first on.
    pub dim: usize,
    pub theta: f64,
    pub scaling: Scaling,
}

/// How frequencies are changed for contexts that are longer than in pretraining.
#[derive(Debug, Clone, PartialEq)]
pub enum Scaling {
    None,
    /// Positions are divided by this (Chen et al. 2023).
    Linear(f64),
    /// Llama 3.1: long waves are stretched, short ones are not.
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        original: usize,
    },
    /// Peng et al. 2023.
    Yarn {
        factor: f64,
        beta_fast: f64,
        beta_slow: f64,
        original: usize,
        /// cos and sin are multiplied by it.
        attention: f64,
        /// Whether the ramp starts and ends at whole dimensions.
        truncate: bool,
    },
    /// Ding et al. 2024: a divisor for each frequency, other ones for contexts beyond `original`. It is the
    /// program's context that counts, not a row's length: a row's first keys stay what they are as it grows.
    Long {
        short: Vec<f64>,
        long: Vec<f64>,
        original: usize,
        /// cos and sin are multiplied by it.
        attention: f64,
    },
}

impl Rope {
    pub fn new(dim: usize, theta: f64) -> Self {
        let scaling = Scaling::None;
        Self {
            dim,
            theta,
            scaling,
        }
    }

    /// cos and sin of position · frequency, each half repeated, `[positions, dim]`.
    pub(super) fn tables(&self, positions: usize, dtype: DType) -> Result<(Array, Array)> {
        let (frequencies, factor) = self.frequencies(positions);
        let (d, half) = (self.dim, frequencies.len());
        let angle = |n: usize| (n / d) as f64 * frequencies[n % d % half];
        let table = |f: fn(f64) -> f64| {
            let values: Vec<f64> = (0..positions * d).map(|n| f(angle(n)) * factor).collect();
            Array::from_f64s(dtype, vec![positions, d], &values)
        };
        Ok((table(f64::cos)?, table(f64::sin)?))
    }

    /// The `dim / 2` frequencies for a context, and what cos and sin are multiplied by.
    pub(in crate::convert) fn frequencies(&self, context: usize) -> (Vec<f64>, f64) {
        let d = self.dim as f64;
        let plain = (0..self.dim / 2).map(|i| self.theta.powf(-2.0 * i as f64 / d));
        match &self.scaling {
            Scaling::None => (plain.collect(), 1.0),
            Scaling::Linear(factor) => (plain.map(|f| f / factor).collect(), 1.0),
            Scaling::Llama3 {
                factor,
                low,
                high,
                original,
            } => {
                let original = *original as f64;
                let scaled = plain.map(|f| {
                    let waves = original * f / (2.0 * PI);
                    let smooth = ((waves - low) / (high - low)).clamp(0.0, 1.0);
                    (1.0 - smooth) * f / factor + smooth * f
                });
                (scaled.collect(), 1.0)
            }
            Scaling::Yarn {
                factor, attention, ..
            } => {
                let (first, last) = self.ramp();
                let scaled = plain.enumerate().map(|(i, f)| {
                    let stretched = ((i as f64 - first) / (last - first)).clamp(0.0, 1.0);
                    f / factor * stretched + f * (1.0 - stretched)
                });
                (scaled.collect(), *attention)
            }
            Scaling::Long {
                short,
                long,
                original,
                attention,
            } => {
                let divisors = if context > *original { long } else { short };
                let scaled = plain.zip(divisors).map(|(f, divisor)| f / divisor);
                (scaled.collect(), *attention)
            }
        }
    }

    /// Between which frequencies YaRN goes from as they are to stretched.
    fn ramp(&self) -> (f64, f64) {
        let Scaling::Yarn {
            beta_fast,
            beta_slow,
            original,
            truncate,
            ..
        } = self.scaling
        else {
            return (0.0, 1.0);
        };
        let d = self.dim as f64;
        let at =
            |turns: f64| d * (original as f64 / (turns * 2.0 * PI)).ln() / (2.0 * self.theta.ln());
        let (mut first, mut last) = (at(beta_fast), at(beta_slow));
        if truncate {
            (first, last) = (first.floor(), last.ceil());
        }
        let (first, last) = (first.max(0.0), last.min(d - 1.0));
        (first, if first == last { last + 0.001 } else { last })
    }
}

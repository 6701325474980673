//! Two models on the same rows of tokens.

use ndarray::Array2;
use rayon::prelude::*;

use super::position::Position;
use super::{RowLogits, checked};
use crate::diag::Result;
use crate::fail;
use crate::numeric::stats::mean;
use crate::report::{Cell, Table};

/// How far model `b` is from model `a` over every position of some rows.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Comparison {
    pub a: String,
    pub b: String,
    pub rows: usize,
    pub positions: usize,
    /// Largest |Δ logit|.
    pub delta_max: f64,
    /// Mean |Δ logit|.
    pub delta_mean: f64,
    /// Largest |logit| of `a`: what the differences are to be held against.
    pub scale: f64,
    /// KL(a ‖ b), mean over the positions, nats.
    pub kl_mean: f64,
    pub kl_max: f64,
    /// Where KL(a ‖ b) is largest.
    pub worst: Worst,
    /// The share of positions where both have the same likeliest token.
    pub agreement: f64,
    pub perplexity_a: f64,
    pub perplexity_b: f64,
}

/// A position of a row, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Worst {
    pub row: usize,
    pub position: usize,
}

/// Compares two models on `rows` of tokens. `progress` hears how many rows are done, and may end the work.
pub fn compare(
    a: &dyn RowLogits,
    b: &dyn RowLogits,
    rows: &[Vec<u32>],
    progress: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<Comparison> {
    let mut positions = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        progress(at)?;
        let logits = [checked(a, row)?, checked(b, row)?];
        let [width_a, width_b] = [logits[0].ncols(), logits[1].ncols()];
        if width_a != width_b {
            fail!(
                "{} has {width_a} logits at each position, {} has {width_b}",
                a.name(),
                b.name()
            );
        }
        let found = row_positions(&logits, row);
        positions.extend(found.into_iter().enumerate().map(|(i, p)| {
            (
                Worst {
                    row: at,
                    position: i,
                },
                p,
            )
        }));
    }
    let names = [a.name().to_owned(), b.name().to_owned()];
    summed(names, rows.len(), &positions)
}

fn row_positions([a, b]: &[Array2<f32>; 2], row: &[u32]) -> Vec<Position> {
    let at = |i: usize| Position::of(a.row(i), b.row(i), row.get(i + 1).copied());
    (0..row.len()).into_par_iter().map(at).collect()
}

fn summed([a, b]: [String; 2], rows: usize, positions: &[(Worst, Position)]) -> Result<Comparison> {
    let all = |value: fn(&Position) -> f64| {
        positions
            .iter()
            .map(|(_, p)| value(p))
            .collect::<Vec<f64>>()
    };
    let largest = |value| all(value).into_iter().fold(0.0, f64::max);
    let mean_of = |value| mean(&all(value)).unwrap_or(f64::NAN);
    let scored: Vec<[f64; 2]> = positions.iter().filter_map(|(_, p)| p.surprisals).collect();
    let perplexity = |side: usize| {
        let surprisals: Vec<f64> = scored.iter().map(|s| s[side]).collect();
        mean(&surprisals).map(f64::exp)
    };
    // Of equals the first.
    let worst = positions
        .iter()
        .rev()
        .max_by(|x, y| x.1.kl.total_cmp(&y.1.kl));
    let (Some((worst, _)), Some(perplexity_a), Some(perplexity_b)) =
        (worst, perplexity(0), perplexity(1))
    else {
        fail!("the text is too short: a comparison needs two tokens at least");
    };
    Ok(Comparison {
        a,
        b,
        rows,
        positions: positions.len(),
        delta_max: largest(|p| p.delta_max),
        delta_mean: mean_of(|p| p.delta_mean),
        scale: largest(|p| p.scale),
        kl_mean: mean_of(|p| p.kl),
        kl_max: largest(|p| p.kl),
        worst: *worst,
        agreement: mean_of(|p| f64::from(u8::from(p.agrees))),
        perplexity_a,
        perplexity_b,
    })
}

impl Comparison {
    /// Largest |Δ logit| as a part of the largest |logit|.
    pub fn relative(&self) -> f64 {
        self.delta_max / self.scale
    }

    /// How much larger b's perplexity is than a's, as a part of a's.
    pub fn perplexity_change(&self) -> f64 {
        self.perplexity_b / self.perplexity_a - 1.0
    }

    /// A line for each measure.
    pub fn table(&self) -> Result<Table> {
        let rows = match self.rows {
            1 => "one row".to_owned(),
            several => format!("{several} rows"),
        };
        let title = format!(
            "{} and {}: {} positions in {rows}",
            self.a, self.b, self.positions
        );
        let mut table = Table::new(title, ["measure", "value", "meaning"]);
        let mut push = |measure: &str, value: String, meaning: String| {
            table.push([Cell::from(measure), value.into(), meaning.into()])
        };
        let relative = format!(
            "{:.2e} of the largest |logit|, {:.2}",
            self.relative(),
            self.scale
        );
        push("max |Δ logit|", significant(self.delta_max), relative)?;
        push(
            "mean |Δ logit|",
            significant(self.delta_mean),
            String::new(),
        )?;
        push(
            "mean KL",
            significant(self.kl_mean),
            "nats a token".to_owned(),
        )?;
        let Worst { row, position } = self.worst;
        push(
            "max KL",
            significant(self.kl_max),
            format!("after token {position} of row {row}"),
        )?;
        let agreement = format!("{:.2} %", 100.0 * self.agreement);
        push(
            "top-1 agreement",
            agreement,
            "the same likeliest token".to_owned(),
        )?;
        push(
            "perplexity of a",
            significant(self.perplexity_a),
            self.a.clone(),
        )?;
        let change = format!("{}, {:+.3} %", self.b, 100.0 * self.perplexity_change());
        push("perplexity of b", significant(self.perplexity_b), change)?;
        Ok(table)
    }
}

/// Five significant digits, small and large numbers with an exponent.
fn significant(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e6).contains(&size) => format!("{value:.4e}"),
        size => format!(
            "{value:.*}",
            (4 - size.log10().floor() as i64).max(0) as usize
        ),
    }
}

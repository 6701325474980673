//! How far what a program tells of a text is from what its source tells.

use super::oracle::Oracle;
use crate::diag::Result;
use crate::fail;
use crate::models::{CoreMLModelWrapper, text_outputs};
use crate::report::{Cell, Table};
use crate::verify::RowLogits;

/// Differences of an encoder's states, or of a classifier's logits, on one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Distance {
    /// The output that was compared.
    pub output: String,
    pub values: usize,
    pub delta_max: f64,
    pub delta_mean: f64,
    /// Largest magnitude in the source.
    pub scale: f64,
}

/// Outputs that are the source's own, the likeliest first.
const OUTPUTS: [&str; 2] = ["logits", "last_hidden_state"];

impl Distance {
    /// Of the row `ids`.
    pub(super) fn of(source: &Oracle, program: &CoreMLModelWrapper, ids: &[u32]) -> Result<Self> {
        let expected = source.row_logits(ids)?;
        let outputs = text_outputs(program, ids)?;
        let known = OUTPUTS.iter().find_map(|name| outputs.get_key_value(*name));
        let Some((output, got)) = known else {
            fail!("the program gives neither \"logits\" nor \"last_hidden_state\"");
        };
        if got.len() != expected.len() {
            fail!(
                "\"{output}\" has {} values, expected {}",
                got.len(),
                expected.len()
            );
        }
        let got = got.to_f32s();
        let pairs = got.iter().zip(&expected);
        let deltas: Vec<f64> = pairs.map(|(a, b)| f64::from((a - b).abs())).collect();
        if deltas.iter().any(|delta| !delta.is_finite()) {
            fail!("\"{output}\" has values that are not finite");
        }
        let scale = expected.iter().map(|v| f64::from(v.abs()));
        Ok(Self {
            output: output.clone(),
            values: deltas.len(),
            delta_max: deltas.iter().copied().fold(0.0, f64::max),
            delta_mean: deltas.iter().sum::<f64>() / deltas.len().max(1) as f64,
            scale: scale.fold(0.0, f64::max),
        })
    }

    /// The largest difference, as a part of the largest value.
    pub fn relative(&self) -> f64 {
        self.delta_max / self.scale
    }

    /// A line for each measure.
    pub fn table(&self) -> Result<Table> {
        let title = format!("{} values of {} on one text", self.values, self.output);
        let mut table = Table::new(title, ["measure", "value"]);
        let rows = [
            ("max |Δ|", self.delta_max),
            ("mean |Δ|", self.delta_mean),
            ("max |value|", self.scale),
            ("max |Δ| / max |value|", self.relative()),
        ];
        for (measure, value) in rows {
            table.push([Cell::from(measure), Cell::Real(value)])?;
        }
        Ok(table)
    }
}

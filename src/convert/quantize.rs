//! Smaller models, and what that costs: the error of each weight, and what a text shows.

use std::path::Path;
use std::sync::Arc;

use super::subject::{Subject, verify};
use crate::diag::{Context, Result};
use crate::models::{CompressOptions, CoreMLModelWrapper, LoadOptions, compress};
use crate::package::StoredWeight;
use crate::report::{Cell, Table};
use crate::verify::Comparison;

/// A model that was written smaller.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// How each weight is stored now, the least faithful first.
    pub stored: Vec<StoredWeight>,
    /// The written model against the one that it was made of.
    pub comparison: Option<Comparison>,
}

/// Writes `model` with its matrices compressed to `out`, its tokenizer inside; then loads what was written
/// and compares on `text`, if there is one.
///
/// `progress` hears of rows compared and all rows, and may end the work.
pub fn quantize(
    model: &Arc<CoreMLModelWrapper>,
    out: &Path,
    options: &CompressOptions,
    text: Option<(&str, &LoadOptions)>,
    progress: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<Quantized> {
    let (bundle, stored) = compress(model, options)?;
    let saved = model.save_as(&bundle, out);
    saved.with_context(|| format!("can't save {}", out.display()))?;
    let compared = text.map(|(text, load)| {
        let load = LoadOptions {
            function: Some(model.function().to_owned()),
            ..load.clone()
        };
        let (before, after) = (Subject::of(model.clone())?, Subject::open(out, &load)?);
        verify([&before, &after], text, None, progress)
    });
    Ok(Quantized {
        stored,
        comparison: compared.transpose()?,
    })
}

impl Quantized {
    /// A row for each weight; sizes and perplexities in the title.
    pub fn table(&self) -> Result<Table> {
        let perplexity = self.comparison.as_ref().map(|found| {
            format!(
                "; perplexity {:.4} → {:.4} ({:+.2} %)",
                found.perplexity_a,
                found.perplexity_b,
                100.0 * found.perplexity_change()
            )
        });
        stored_weights(&self.stored, &perplexity.unwrap_or_default())
    }
}

/// How weights are stored and how far that is from what was wanted; the title ends in `remark`.
pub fn stored_weights(weights: &[StoredWeight], remark: &str) -> Result<Table> {
    let columns = [
        "weight",
        "stored as",
        "max |Δ|",
        "relative RMS",
        "SNR (dB)",
        "dense bytes",
        "bytes",
    ];
    let total = |bytes: fn(&StoredWeight) -> u64| weights.iter().map(bytes).sum::<u64>();
    let title = format!(
        "{} bytes for {} of dense weights{remark}",
        total(|w| w.bytes),
        total(|w| w.dense_bytes)
    );
    let mut table = Table::new(title, columns);
    for weight in weights {
        let snr = Some(weight.fidelity.snr_db()).filter(|snr| snr.is_finite());
        table.push([
            Cell::Text(weight.name.clone()),
            Cell::Text(weight.form.clone()),
            Cell::Real(weight.fidelity.max_abs),
            Cell::Real(weight.fidelity.relative_rms),
            snr.map_or(Cell::Empty, Cell::Real),
            Cell::Int(weight.dense_bytes as i64),
            Cell::Int(weight.bytes as i64),
        ])?;
    }
    Ok(table)
}

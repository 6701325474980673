//! Smaller models, and how far what is stored is from what it stands for.

use std::path::PathBuf;

use super::models::Model;
use crate::diag::{Context as _, Result};
use crate::host::{Call, Key, Kind, Topic, method};
use crate::models::{CompressOptions, Compression, compress};
use crate::package::StoredWeight;
use crate::report::{Cell, Table};

pub(super) const TOPIC: Topic = Topic {
    name: "compression",
    summary: "Smaller models.",
    functions: || {
        vec![
            method::<Model>("quantize", "Writes the model with its matrices compressed, its tokenizer inside.")
                .param("path", Kind::Path(&["mlpackage", "mlmodelc"]), "Where to; the ending tells the form.")
                .options(QUANTIZE)
                .returns("Table")
                .details("The table tells for each weight how it is stored and how far that is from what it was, the worst first. Blocks, groups and 3 bits need a model for iOS 18 or later.")
                .example("let t = load(\"embedded:student\").quantize(\"q.mlpackage\", #{scheme: \"palette\", bits: 6}); [t, load(\"q.mlpackage\").vocab_size == load(\"embedded:student\").vocab_size]", "[Table(22 rows, 7 columns), true]")
                .run(quantize),
        ]
    },
    types: Vec::new,
};

const QUANTIZE: &[Key] = &[
    Key::choice(
        "scheme",
        &["int8", "int4", "palette", "sparse"],
        "int8",
        "8 bits per channel, 4 bits in blocks, a table of values, or the largest elements alone.",
    ),
    Key::int(
        "block",
        32,
        "Elements that share a scale of int4; a row where it does not divide it.",
    )
    .at_least(1.0),
    Key::int("bits", 4, "Of a palette: 1, 2, 3, 4, 6 or 8.").between(1.0, 8.0),
    Key::optional(
        "group",
        Kind::Int,
        "Output channels that share a palette; all if left out.",
    ),
    Key::float(
        "keep",
        0.5,
        "The part of the elements that a sparse matrix keeps.",
    )
    .between(0.0, 1.0),
    Key::int("min_elements", 2048, "Smaller weights stay as they are.").at_least(1.0),
    Key::optional(
        "targets",
        Kind::Array,
        "Parts of the names of the weights that are compressed.",
    ),
];

fn quantize(call: &mut Call) -> Result<Table> {
    let options = &call.options;
    let compression = match options.get::<String>("scheme")?.as_str() {
        "int4" => Compression::Int4 {
            block: options.get("block")?,
        },
        "palette" => Compression::Palette {
            bits: options.get("bits")?,
            group: options.get("group")?,
        },
        "sparse" => Compression::Sparse {
            keep: options.get("keep")?,
        },
        _ => Compression::Int8,
    };
    let targets = options.get::<Option<Vec<String>>>("targets")?;
    let options = CompressOptions {
        compression,
        targets: targets.unwrap_or_default(),
        elements_min: options.get("min_elements")?,
    };
    let path: PathBuf = call.get("path")?;
    let model = call.receiver::<Model>()?.0;
    let (bundle, stored) = compress(&model, &options)?;
    let saved = model.save_as(&bundle, &path);
    saved.with_context(|| format!("can't save {}", path.display()))?;
    table(&stored)
}

/// How weights are stored and how far that is from what was wanted.
pub(super) fn table(weights: &[StoredWeight]) -> Result<Table> {
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
        "{} bytes for {} of dense weights",
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

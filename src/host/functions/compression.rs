//! Smaller models, and how far what is stored is from what it stands for.

use std::path::PathBuf;

use super::models::Model;
use crate::convert::quantize as quantized;
use crate::diag::Result;
use crate::host::{Call, Key, Kind, Topic, method};
use crate::models::{BLOCK, CompressOptions, Compression, LoadOptions, MIXED_LOSS};
use crate::report::Table;

pub(super) const TOPIC: Topic = Topic {
    name: "compression",
    summary: "Smaller models.",
    functions: || {
        vec![
            method::<Model>("quantize", "Writes the model with its matrices compressed, its tokenizer inside.")
                .param("path", Kind::Output(&["mlpackage", "mlmodelc"]), "Where to; the ending tells the form.")
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
        &["int8", "int4", "mixed", "palette", "sparse"],
        "int8",
        "8 bits, 4 bits in blocks, 4 or 8 by what is lost, a table of values, or the largest elements alone.",
    ),
    Key::optional(
        "block",
        Kind::Int,
        "Elements that share a scale: 32 if left out, a row of int8; a row where it does not divide it.",
    )
    .at_least(1.0),
    Key::float(
        "loss",
        MIXED_LOSS,
        "The part of a matrix's norm that 4 bits of a mixed model may lose.",
    )
    .between(0.0, 1.0),
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
    Key::optional(
        "text",
        Kind::Text,
        "A text on which perplexities before and after are measured, for the table's title.",
    ),
];

fn quantize(call: &mut Call) -> Result<Table> {
    let options = &call.options;
    let block = options.get::<Option<usize>>("block")?;
    let compression = match options.get::<String>("scheme")?.as_str() {
        "int4" => Compression::Int4 {
            block: block.unwrap_or(BLOCK),
        },
        "mixed" => Compression::Mixed {
            block: block.unwrap_or(BLOCK),
            lost: options.get("loss")?,
        },
        "palette" => Compression::Palette {
            bits: options.get("bits")?,
            group: options.get("group")?,
        },
        "sparse" => Compression::Sparse {
            keep: options.get("keep")?,
        },
        _ => Compression::Int8 { block },
    };
    let targets = options.get::<Option<Vec<String>>>("targets")?;
    let options = CompressOptions {
        compression,
        targets: targets.unwrap_or_default(),
        elements_min: options.get("min_elements")?,
    };
    let path: PathBuf = call.get("path")?;
    let model = call.receiver::<Model>()?.0;
    let text: Option<String> = call.options.get("text")?;
    let load = LoadOptions {
        interrupt: model.interrupt().clone(),
        ..LoadOptions::default()
    };
    let text = text.as_deref().map(|text| (text, &load));
    quantized(&model, &path, &options, text, &mut |_, _| Ok(()))?.table()
}

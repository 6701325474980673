//! `analytics/coremldata.bin` of compiled bundles: counts, and the hash of the model that was compiled.
//!
//! Little-endian; texts have a u64 length in front. Sections follow each other to the end: title, u64
//! number of entries, then name and value of each.

use std::fs;
use std::path::Path;

use super::compile::Origin;
use super::save::Whole;
use crate::diag::Result;

/// A title and its entries.
type Section<'a> = (&'a str, Vec<(&'a str, String)>);

/// Of a whole model.
pub(super) fn of(whole: &Whole, origin: &Origin) -> Vec<u8> {
    let details = match whole {
        Whole::Program(_) => program(),
        Whole::Pipeline(pipeline) => {
            let stages = pipeline.stages.len().to_string();
            ("PipelineModelDetails", vec![("modelDimension", stages)])
        }
    };
    bytes(&[details, specification(origin)])
}

/// Of a stage of a pipeline, which does not tell where it comes from.
pub(super) fn of_stage() -> Vec<u8> {
    bytes(&[program()])
}

/// Writes the file into its place in `folder`.
pub(super) fn write(folder: &Path, bytes: &[u8]) -> Result<()> {
    let folder = folder.join("analytics");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("coremldata.bin"), bytes)?;
    Ok(())
}

fn program() -> Section<'static> {
    let none = || "0".to_owned();
    let details = vec![("containsCustomLayer", none()), ("modelDimension", none())];
    ("NeuralNetworkModelDetails", details)
}

fn specification(origin: &Origin) -> Section<'static> {
    let entries = vec![
        ("modelHash", origin.model_hash.clone()),
        ("modelName", origin.model_name.clone()),
    ];
    ("SpecificationDetails", entries)
}

fn bytes(sections: &[Section]) -> Vec<u8> {
    let mut out = Vec::new();
    for (title, entries) in sections {
        text(&mut out, title);
        out.extend((entries.len() as u64).to_le_bytes());
        for (name, value) in entries {
            text(&mut out, name);
            text(&mut out, value);
        }
    }
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

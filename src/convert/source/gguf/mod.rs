//! GGUF files, as llama.cpp writes them: everything that a Hugging Face folder would hold, out of one file.

mod architecture;
mod config;
mod header;
mod layout;
mod metadata;
mod rope;
mod tensors;
mod tokenizer;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use self::architecture::Architecture;
use self::header::Header;
use self::tensors::GgufTensors;
use super::Checkpoint;
use crate::diag::{Context, Error, Result};

/// Opens a GGUF file: the names and layouts of its weights as Hugging Face's, `config.json` from its
/// metadata, `tokenizer.json`, `tokenizer_config.json` and `generation_config.json` rebuilt.
///
/// Weights stay in the file until they are read. Quantised ones come as fp32, others as they are.
pub fn open(path: &Path) -> Result<Checkpoint> {
    checkpoint(path).with_context(|| path.display().to_string())
}

fn checkpoint(path: &Path) -> Result<Checkpoint> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let header = Header::read(BufReader::new(file), size)?;
    if let Some(parts) = header
        .metadata
        .count_if("split.count")?
        .filter(|parts| *parts > 1)
    {
        return Err(Error::new(format!("the file is one of {parts} parts"))
            .hint("join them first: llama-gguf-split --merge"));
    }
    let Some(name) = header.metadata.text("general.architecture")? else {
        return Err(metadata::missing("general.architecture"));
    };
    let architecture = Architecture::named(&name)?;
    let config = config::config(architecture, &header, path)?;
    let weights = architecture.weights(&header)?;
    let companions = tokenizer::files(&header)?;
    let tensors = GgufTensors::new(path, weights);
    Ok(Checkpoint::new(config, companions, tensors))
}

#[cfg(test)]
mod tests;

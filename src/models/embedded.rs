//! The models that every `rlaif-repl` carries: a student that writes short reviews, and its judge.

use std::sync::Arc;

use super::coreml_model::{CoreMLModelWrapper, LoadOptions};
use crate::diag::{Error, Result};
use crate::package::Bundle;
use crate::tokenizer::Tokenizer;

/// Files of an embedded bundle: relative path and content.
type Files = &'static [(&'static str, &'static [u8])];

/// A file of an embedded bundle.
macro_rules! file {
    ($bundle:literal, $path:literal) => {
        (
            $path,
            include_bytes!(concat!("embedded/", $bundle, ".mlmodelc/", $path)).as_slice(),
        )
    };
}

macro_rules! bundle {
    ($name:literal) => {
        (
            $name,
            &[
                file!($name, "model.mil"),
                file!($name, "weights/weight.bin"),
                file!($name, "metadata.json"),
                file!($name, "coremldata.bin"),
                file!($name, "tokenizer.json"),
            ],
        )
    };
}

/// Names and files of the embedded models; `scripts/make_models.rhai` makes them.
pub const EMBEDDED: &[(&str, Files)] = &[bundle!("student"), bundle!("judge")];

/// Loads an embedded model by name, on the portable engine.
pub fn embedded(name: &str, options: &LoadOptions) -> Result<CoreMLModelWrapper> {
    let known = EMBEDDED.iter().map(|(known, _)| *known);
    let Some((_, files)) = EMBEDDED.iter().find(|(known, _)| *known == name) else {
        return Err(Error::unknown("embedded model", name, known));
    };
    let bundle = Bundle::from_files(name, files.iter().copied())?;
    let tokenizer = files.iter().find(|(path, _)| *path == "tokenizer.json");
    let tokenizer = tokenizer
        .map(|(_, json)| Tokenizer::from_bytes(json))
        .transpose()?;
    CoreMLModelWrapper::new(
        &format!("embedded:{name}"),
        Arc::new(bundle),
        tokenizer.map(Arc::new),
        options,
    )
}

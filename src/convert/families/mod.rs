//! Model families: what a configuration of each describes. A new one is a file here and a line below.

mod bert;
mod classes;
mod gemma2;
mod gemma3;
mod gpt2;
mod gpt_neox;
mod keys;
mod llama;
mod llama_like;
mod mistral;
mod modernbert;
mod olmo2;
mod phi3;
mod qwen2;
mod qwen3;
mod rope;
mod smollm3;

pub(super) use self::keys::Keys;
use super::Checkpoint;
use super::transformer::Transformer;
use crate::diag::{Error, Result};
use crate::fail;

/// A family of models.
struct Family {
    /// What `model_type` calls it.
    names: &'static [&'static str],
    describe: fn(&Checkpoint) -> Result<Transformer>,
}

const FAMILIES: &[Family] = &[
    bert::FAMILY,
    gemma2::FAMILY,
    gemma3::FAMILY,
    gpt2::FAMILY,
    gpt_neox::FAMILY,
    llama::FAMILY,
    mistral::FAMILY,
    modernbert::FAMILY,
    olmo2::FAMILY,
    phi3::FAMILY,
    qwen2::FAMILY,
    qwen3::FAMILY,
    smollm3::FAMILY,
];

/// The `model_type`s that [`describe`] knows.
pub fn known() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|family| family.names).copied()
}

/// What the checkpoint is, by its `config.json`.
///
/// Fails, with the names of those that are known, if its architecture is not; and if its configuration
/// lacks something or asks for what is not there.
pub fn describe(source: &Checkpoint) -> Result<Transformer> {
    let config = Keys(&source.config);
    let Some(name) = config.opt_text("model_type")? else {
        fail!("config.json has no \"model_type\"");
    };
    if let Some(quantized) = config.section("quantization_config")? {
        let how = quantized.opt_text("quant_method")?.unwrap_or("some method");
        let message = format!("the checkpoint's weights are quantised by {how}");
        return Err(Error::new(message).hint("convert the original, and quantise the result"));
    }
    let family = FAMILIES.iter().find(|family| family.names.contains(&name));
    let Some(family) = family else {
        let names: Vec<&str> = known().collect();
        let message = format!("the architecture \"{name}\" is not known");
        return Err(Error::new(message).hint(format!("known are {}", names.join(", "))));
    };
    let described = (family.describe)(source).and_then(|model| classes::scored(source, model));
    described.map_err(|error| error.context(format!("a model of type {name}")))
}

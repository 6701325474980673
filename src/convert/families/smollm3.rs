//! SmolLM 3 (Hugging Face 2025): Llama in which every fourth layer knows no positions (Yang et al. 2025).

use super::Family;
use super::keys::Keys;
use super::llama_like::Sizes;
use super::rope::rope;
use crate::convert::Checkpoint;
use crate::convert::transformer::Transformer;
use crate::diag::Result;
use crate::fail;

pub(super) const FAMILY: Family = Family {
    names: &["smollm3"],
    describe,
};

fn describe(source: &Checkpoint) -> Result<Transformer> {
    let config = Keys(&source.config);
    let sizes = Sizes::of(config, "model")?;
    let rope = rope(config, sizes.head_dim, 2_000_000.0)?;
    let bias = config.flag_or("attention_bias", false)?;
    let layer = |i| {
        let mut attention = sizes.attention(i, bias, bias);
        attention.rope = has_positions(config, i)?.then(|| rope.clone());
        attention.window = window(config, i)?;
        let feed_forward = sizes.feed_forward(i, config.flag_or("mlp_bias", false)?)?;
        Ok(sizes.pre_normed(i, attention, feed_forward))
    };
    let layers = (0..sizes.layers).map(layer).collect::<Result<_>>()?;
    sizes.decoder(layers, true)
}

/// Whether layer `i` turns its queries and keys: 1 in `no_rope_layers`, whatever its name says.
fn has_positions(config: Keys, i: usize) -> Result<bool> {
    if config.list("no_rope_layers")?.is_some() {
        let flags = config.numbers("no_rope_layers")?;
        return match flags.get(i) {
            Some(flag) => Ok(*flag != 0.0),
            None => fail!("config.json: \"no_rope_layers\" ends before layer {i}"),
        };
    }
    let interval = config.opt_size("no_rope_layer_interval")?.unwrap_or(4);
    Ok(interval == 0 || !(i + 1).is_multiple_of(interval))
}

/// The window of layer `i`: of those that know positions, if windows are used.
fn window(config: Keys, i: usize) -> Result<Option<usize>> {
    match config.flag_or("use_sliding_window", false)? && has_positions(config, i)? {
        true => config.opt_size("sliding_window"),
        false => Ok(None),
    }
}

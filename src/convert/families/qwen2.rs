//! Qwen 2 and 2.5 (Yang et al. 2024): Llama with biases on queries, keys and values.

use super::Family;
use super::keys::Keys;
use super::llama_like::Sizes;
use super::rope::rope;
use crate::convert::Checkpoint;
use crate::convert::transformer::Transformer;
use crate::diag::Result;

pub(super) const FAMILY: Family = Family {
    names: &["qwen2"],
    describe,
};

fn describe(source: &Checkpoint) -> Result<Transformer> {
    let config = Keys(&source.config);
    let sizes = Sizes::of(config, "model")?;
    let rope = rope(config, sizes.head_dim, 10_000.0)?;
    let layer = |i| {
        let mut attention = sizes.attention(i, true, false);
        attention.rope = Some(rope.clone());
        attention.window = window(config, i)?;
        Ok(sizes.pre_normed(i, attention, sizes.feed_forward(i, false)?))
    };
    let layers = (0..sizes.layers).map(layer).collect::<Result<_>>()?;
    sizes.decoder(layers, false)
}

/// The window of layer `i`: the first `max_window_layers` have none.
pub(super) fn window(config: Keys, i: usize) -> Result<Option<usize>> {
    let first = config.opt_size("max_window_layers")?.unwrap_or(28);
    match config.flag_or("use_sliding_window", false)? && i >= first {
        true => config.opt_size("sliding_window"),
        false => Ok(None),
    }
}

//! Mistral 7B and its kin (Jiang et al. 2023): Llama that sees a sliding window.

use super::Family;
use super::keys::Keys;
use super::llama_like::Sizes;
use super::rope::rope;
use crate::convert::Checkpoint;
use crate::convert::transformer::Transformer;
use crate::diag::Result;

pub(super) const FAMILY: Family = Family {
    names: &["mistral"],
    describe,
};

fn describe(source: &Checkpoint) -> Result<Transformer> {
    let config = Keys(&source.config);
    let sizes = Sizes::of(config, "model")?;
    let rope = rope(config, sizes.head_dim, 10_000.0)?;
    let window = config.opt_size("sliding_window")?;
    let layer = |i| {
        let mut attention = sizes.attention(i, false, false);
        attention.rope = Some(rope.clone());
        attention.window = window;
        Ok(sizes.pre_normed(i, attention, sizes.feed_forward(i, false)?))
    };
    let layers = (0..sizes.layers).map(layer).collect::<Result<_>>()?;
    sizes.decoder(layers, false)
}

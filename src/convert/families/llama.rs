//! Llama 2 and 3 (Touvron et al. 2023, Grattafiori et al. 2024), and SmolLM 2, which is one.

use super::Family;
use super::keys::Keys;
use super::llama_like::Sizes;
use super::rope::rope;
use crate::convert::Checkpoint;
use crate::convert::transformer::Transformer;
use crate::diag::Result;

pub(super) const FAMILY: Family = Family {
    names: &["llama"],
    describe,
};

fn describe(source: &Checkpoint) -> Result<Transformer> {
    let config = Keys(&source.config);
    let sizes = Sizes::of(config, "model")?;
    let bias = config.flag_or("attention_bias", false)?;
    let rope = rope(config, sizes.head_dim, 10_000.0)?;
    let layer = |i| {
        let mut attention = sizes.attention(i, bias, bias);
        attention.rope = Some(rope.clone());
        let feed_forward = sizes.feed_forward(i, config.flag_or("mlp_bias", false)?)?;
        Ok(sizes.pre_normed(i, attention, feed_forward))
    };
    let layers = (0..sizes.layers).map(layer).collect::<Result<_>>()?;
    sizes.decoder(layers, false)
}

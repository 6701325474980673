//! OLMo 2 (OLMo team 2024): norms after the parts of a layer, and over all queries and keys together.

use super::Family;
use super::keys::Keys;
use super::llama_like::Sizes;
use super::rope::rope;
use crate::convert::Checkpoint;
use crate::convert::transformer::{Layer, Norms, QkNorm, QkNormOver, Transformer};
use crate::diag::Result;

pub(super) const FAMILY: Family = Family {
    names: &["olmo2"],
    describe,
};

fn describe(source: &Checkpoint) -> Result<Transformer> {
    let config = Keys(&source.config);
    let sizes = Sizes::of(config, "model")?;
    let rope = rope(config, sizes.head_dim, 10_000.0)?;
    let bias = config.flag_or("attention_bias", false)?;
    let layer = |i| {
        let mut attention = sizes.attention(i, bias, bias);
        attention.rope = Some(rope.clone());
        attention.qk_norm = Some(QkNorm {
            q: sizes.norm(i, "self_attn.q_norm"),
            k: sizes.norm(i, "self_attn.k_norm"),
            over: QkNormOver::Width,
        });
        Ok(Layer {
            attention,
            feed_forward: sizes.feed_forward(i, false)?,
            attention_norms: Norms::after(sizes.norm(i, "post_attention_layernorm")),
            feed_forward_norms: Norms::after(sizes.norm(i, "post_feedforward_layernorm")),
            parallel: false,
        })
    };
    let layers = (0..sizes.layers).map(layer).collect::<Result<_>>()?;
    sizes.decoder(layers, false)
}

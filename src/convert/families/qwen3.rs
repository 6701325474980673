//! Qwen 3 (Yang et al. 2025): Llama with norms on the queries and keys of each head.

use super::Family;
use super::keys::Keys;
use super::llama_like::Sizes;
use super::qwen2::window;
use super::rope::rope;
use crate::convert::Checkpoint;
use crate::convert::transformer::{QkNorm, QkNormOver, Transformer};
use crate::diag::Result;

pub(super) const FAMILY: Family = Family {
    names: &["qwen3"],
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
        attention.window = window(config, i)?;
        attention.qk_norm = Some(QkNorm {
            q: sizes.norm(i, "self_attn.q_norm"),
            k: sizes.norm(i, "self_attn.k_norm"),
            over: QkNormOver::Head,
        });
        Ok(sizes.pre_normed(i, attention, sizes.feed_forward(i, false)?))
    };
    let layers = (0..sizes.layers).map(layer).collect::<Result<_>>()?;
    sizes.decoder(layers, false)
}

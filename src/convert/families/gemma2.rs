//! Gemma 2 (Gemma team 2024): norms around the parts of a layer, scores and logits kept within bounds, a window
//! in every other layer.

use super::Family;
use super::gemma3::{decoder, sandwiched};
use super::keys::Keys;
use super::llama_like::Sizes;
use super::rope::rope;
use crate::convert::Checkpoint;
use crate::convert::transformer::Transformer;
use crate::diag::Result;

pub(super) const FAMILY: Family = Family {
    names: &["gemma2"],
    describe,
};

fn describe(source: &Checkpoint) -> Result<Transformer> {
    let config = Keys(&source.config);
    let sizes = Sizes::of(config, "model")?;
    let rope = rope(config, sizes.head_dim, 10_000.0)?;
    let bias = config.flag_or("attention_bias", false)?;
    let layer = |i: usize| {
        let mut attention = sizes.attention(i, bias, bias);
        attention.rope = Some(rope.clone());
        attention.window = match i.is_multiple_of(2) {
            true => config.opt_size("sliding_window")?,
            false => None,
        };
        attention.scale = config.number("query_pre_attn_scalar")?.powf(-0.5);
        attention.softcap = config.opt_number("attn_logit_softcapping")?;
        sandwiched(&sizes, i, attention)
    };
    let layers = (0..sizes.layers).map(layer).collect::<Result<_>>()?;
    decoder(&sizes, layers)
}

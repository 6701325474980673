//! Gemma 3 (Gemma team 2025): norms around the parts of a layer, and windows in all but every sixth.

use super::Family;
use super::keys::Keys;
use super::llama_like::Sizes;
use super::rope::{rope, stated};
use crate::convert::Checkpoint;
use crate::convert::transformer::{
    Attention, Head, Layer, Norm, NormKind, Norms, QkNorm, QkNormOver, Rope, Transformer,
};
use crate::diag::Result;
use crate::fail;

pub(super) const FAMILY: Family = Family {
    names: &["gemma3_text", "gemma3"],
    describe,
};

fn describe(source: &Checkpoint) -> Result<Transformer> {
    let whole = Keys(&source.config);
    let (config, prefix) = match whole.section("text_config")? {
        Some(text) => (text, "language_model.model"),
        None => (whole, "model"),
    };
    let sizes = Sizes::of(config, prefix)?;
    let bias = config.flag_or("attention_bias", false)?;
    let scale = config
        .opt_number("query_pre_attn_scalar")?
        .unwrap_or(sizes.head_dim as f64);
    let [global, local] = ropes(config, sizes.head_dim)?;
    let layer = |i| {
        let mut attention = sizes.attention(i, bias, bias);
        let slides = slides(config, i)?;
        attention.rope = Some(if slides { &local } else { &global }.clone());
        attention.window = match slides {
            true => config.opt_size("sliding_window")?,
            false => None,
        };
        attention.scale = scale.powf(-0.5);
        attention.softcap = config.opt_number("attn_logit_softcapping")?;
        let norm = |name| plus_one(sizes.norm(i, name));
        attention.qk_norm = Some(QkNorm {
            q: norm("self_attn.q_norm"),
            k: norm("self_attn.k_norm"),
            over: QkNormOver::Head,
        });
        sandwiched(&sizes, i, attention)
    };
    let layers = (0..sizes.layers).map(layer).collect::<Result<_>>()?;
    decoder(&sizes, layers)
}

/// Layer `i`, with norms before and after its parts.
pub(super) fn sandwiched(sizes: &Sizes, i: usize, attention: Attention) -> Result<Layer> {
    let norm = |name| Some(plus_one(sizes.norm(i, name)));
    let around = |before, after| Norms {
        before: norm(before),
        after: norm(after),
        sum: None,
    };
    Ok(Layer {
        attention,
        feed_forward: sizes.feed_forward(i, false)?,
        attention_norms: around("input_layernorm", "post_attention_layernorm"),
        feed_forward_norms: around("pre_feedforward_layernorm", "post_feedforward_layernorm"),
        parallel: false,
    })
}

/// The whole, of these layers; its residual stream is known to outgrow fp16.
pub(super) fn decoder(sizes: &Sizes, layers: Vec<Layer>) -> Result<Transformer> {
    let mut decoder = sizes.decoder(layers, true)?;
    decoder.norm = decoder.norm.map(plus_one);
    decoder.wide = true;
    decoder.embedding.scale = Some((sizes.hidden as f64).sqrt());
    if let Head::Tokens { softcap, .. } = &mut decoder.head {
        *softcap = sizes.config.opt_number("final_logit_softcapping")?;
    }
    Ok(decoder)
}

fn plus_one(norm: Norm) -> Norm {
    Norm {
        kind: NormKind::RmsPlusOne,
        ..norm
    }
}

/// Rotary positions of layers that see everything, and of those that see a window.
fn ropes(config: Keys, head_dim: usize) -> Result<[Rope; 2]> {
    if let Some(section) = config.section("rope_parameters")? {
        let [global, local] =
            ["full_attention", "sliding_attention"].map(|kind| section.section(kind));
        if let (Some(global), Some(local)) = (global?, local?) {
            return Ok([
                stated(config, Some(global), head_dim, 1_000_000.0)?,
                stated(config, Some(local), head_dim, 10_000.0)?,
            ]);
        }
    }
    let local = config.opt_number("rope_local_base_freq")?;
    Ok([
        rope(config, head_dim, 1_000_000.0)?,
        Rope::new(head_dim, local.unwrap_or(10_000.0)),
    ])
}

/// Whether layer `i` sees a window only.
fn slides(config: Keys, i: usize) -> Result<bool> {
    if let Some(kinds) = config.list("layer_types")? {
        return match kinds.get(i).and_then(|kind| kind.as_str()) {
            Some("sliding_attention") => Ok(true),
            Some("full_attention") => Ok(false),
            other => fail!("config.json: layer {i} is of type {other:?}"),
        };
    }
    let every = match config.opt_size("sliding_window_pattern")? {
        Some(every) => every,
        None => config.opt_size("_sliding_window_pattern")?.unwrap_or(6),
    };
    Ok(every == 0 || !(i + 1).is_multiple_of(every))
}

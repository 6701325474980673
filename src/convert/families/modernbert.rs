//! ModernBERT (Warner et al. 2024): an encoder with rotary positions and gates, two of three layers see a window.

use super::Family;
use super::classes::{is_classifier, labels};
use super::keys::Keys;
use super::llama_like::activation;
use crate::convert::Checkpoint;
use crate::convert::transformer::{
    Attention, Embedding, FeedForward, Head, Layer, Linear, Norm, NormKind, Norms, Part, Pool,
    Rope, Sight, Transformer,
};
use crate::diag::{Error, Result};

pub(super) const FAMILY: Family = Family {
    names: &["modernbert"],
    describe,
};

fn describe(source: &Checkpoint) -> Result<Transformer> {
    let config = Keys(&source.config);
    let bare = "embeddings.tok_embeddings.weight";
    let prefix = match source.tensors.shapes().contains_key(bare) {
        true => "",
        false => "model.",
    };
    let hidden = config.size("hidden_size")?;
    let heads = config.size("num_attention_heads")?;
    let count = config.size("num_hidden_layers")?;
    let layer = |i| layer(config, [hidden, heads], prefix, i);
    Ok(Transformer {
        vocab: config.size("vocab_size")?,
        hidden,
        heads,
        kv_heads: heads,
        head_dim: hidden / heads.max(1),
        context: config.size("max_position_embeddings")?,
        wide: false,
        sight: Sight::Both,
        embedding: Embedding {
            norm: Some(norm(config, format!("{prefix}embeddings.norm"))?),
            ..Embedding::new(format!("{prefix}embeddings.tok_embeddings"))
        },
        layers: (0..count).map(layer).collect::<Result<_>>()?,
        norm: Some(norm(config, format!("{prefix}final_norm"))?),
        head: head(source, hidden)?,
        unused: &["head.", "decoder."],
    })
}

/// Classes by the first token or the mean, through a layer of their own; else the states themselves.
fn head(source: &Checkpoint, hidden: usize) -> Result<Head> {
    let config = Keys(&source.config);
    if !is_classifier(source)? {
        return Ok(Head::Hidden);
    }
    let pool = match config.opt_text("classifier_pooling")?.unwrap_or("cls") {
        "cls" => Pool::First,
        "mean" => Pool::Mean,
        other => return Err(Error::unknown("classifier_pooling", other, ["cls", "mean"])),
    };
    let bias = config.flag_or("classifier_bias", false)?;
    let dense = Linear::new("head.dense", [hidden, hidden], bias);
    let classes = labels(source, "classifier.weight")?;
    Ok(Head::Classes {
        pool,
        dense: Some((dense, activation(config, "classifier_activation", "gelu")?)),
        norm: Some(norm(config, "head.norm".to_owned())?),
        linear: Linear::new("classifier", [hidden, classes], true),
    })
}

fn norm(config: Keys, name: String) -> Result<Norm> {
    let kind = match config.flag_or("norm_bias", false)? {
        true => NormKind::Layer,
        false => NormKind::LayerUnbiased,
    };
    let epsilon = config.opt_number("norm_eps")?.unwrap_or(1e-5);
    Ok(Norm {
        name,
        kind,
        epsilon,
    })
}

fn layer(config: Keys, [hidden, heads]: [usize; 2], prefix: &str, i: usize) -> Result<Layer> {
    let name = format!("{prefix}layers.{i}");
    let inner = config.size("intermediate_size")?;
    let bias = config.flag_or("mlp_bias", false)?;
    let part = |label, start| Linear {
        part: Part::Run {
            label,
            start,
            of: 2 * inner,
        },
        ..Linear::new(format!("{name}.mlp.Wi"), [hidden, inner], bias)
    };
    // The embedding is normed already.
    let entering = match i {
        0 => Norms::default(),
        _ => Norms::before(norm(config, format!("{name}.attn_norm"))?),
    };
    Ok(Layer {
        attention: attention(config, [hidden, heads], format!("{name}.attn"), i)?,
        feed_forward: FeedForward {
            gate: Some(part("gate", 0)),
            up: part("up", inner),
            activation: activation(config, "hidden_activation", "gelu")?,
            down: Linear::new(format!("{name}.mlp.Wo"), [inner, hidden], bias),
        },
        attention_norms: entering,
        feed_forward_norms: Norms::before(norm(config, format!("{name}.mlp_norm"))?),
        parallel: false,
    })
}

fn attention(
    config: Keys,
    [hidden, heads]: [usize; 2],
    name: String,
    i: usize,
) -> Result<Attention> {
    let bias = config.flag_or("attention_bias", false)?;
    let part = |label, which| Linear {
        part: Part::Run {
            label,
            start: which * hidden,
            of: 3 * hidden,
        },
        ..Linear::new(format!("{name}.Wqkv"), [hidden, hidden], bias)
    };
    let every = config.opt_size("global_attn_every_n_layers")?.unwrap_or(3);
    let everything = every == 0 || i.is_multiple_of(every);
    let theta = config.opt_number("global_rope_theta")?.unwrap_or(160_000.0);
    let local = config.opt_number("local_rope_theta")?.unwrap_or(theta);
    let window = config.opt_size("local_attention")?.unwrap_or(128) / 2;
    let head_dim = hidden / heads.max(1);
    Ok(Attention {
        q: part("q", 0),
        k: part("k", 1),
        v: part("v", 2),
        o: Linear::new(format!("{name}.Wo"), [hidden, hidden], bias),
        qk_norm: None,
        rope: Some(Rope::new(head_dim, if everything { theta } else { local })),
        window: (!everything).then_some(window),
        scale: (head_dim as f64).powf(-0.5),
        softcap: None,
        name,
    })
}

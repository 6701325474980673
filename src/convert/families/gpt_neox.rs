//! GPT-NeoX (Black et al. 2022) and Pythia: attention and feed-forward side by side, positions in a part of each head.

use super::Family;
use super::keys::Keys;
use super::llama_like::activation;
use super::rope::rope;
use crate::convert::Checkpoint;
use crate::convert::transformer::{
    Attention, Embedding, FeedForward, Head, Layer, Linear, Norm, NormKind, Norms, Part, Rope,
    Sight, Transformer,
};
use crate::diag::Result;

pub(super) const FAMILY: Family = Family {
    names: &["gpt_neox"],
    describe,
};

fn describe(source: &Checkpoint) -> Result<Transformer> {
    let config = Keys(&source.config);
    let (hidden, vocab) = (config.size("hidden_size")?, config.size("vocab_size")?);
    let heads = config.size("num_attention_heads")?;
    let count = config.size("num_hidden_layers")?;
    let head_dim = hidden / heads.max(1);
    let layers = (0..count).map(|i| layer(config, hidden, heads, &format!("gpt_neox.layers.{i}")));
    let tied = config.flag_or("tie_word_embeddings", false)?;
    let head = Linear::new("embed_out", [hidden, vocab], false);
    Ok(Transformer {
        vocab,
        hidden,
        heads,
        kv_heads: heads,
        head_dim,
        context: config.size("max_position_embeddings")?,
        wide: false,
        sight: Sight::Causal,
        embedding: Embedding::new("gpt_neox.embed_in"),
        layers: layers.collect::<Result<_>>()?,
        norm: Some(norm(config, "gpt_neox.final_layer_norm".to_owned())?),
        head: Head::Tokens {
            linear: (!tied).then_some(head),
            softcap: None,
        },
        unused: &[],
    })
}

fn norm(config: Keys, name: String) -> Result<Norm> {
    Ok(Norm {
        name,
        kind: NormKind::Layer,
        epsilon: config.opt_number("layer_norm_eps")?.unwrap_or(1e-5),
    })
}

fn layer(config: Keys, hidden: usize, heads: usize, name: &str) -> Result<Layer> {
    let inner = config.size("intermediate_size")?;
    let linear = |part: &str, sizes| Linear::new(format!("{name}.mlp.{part}"), sizes, true);
    let before = |part: &str| norm(config, format!("{name}.{part}")).map(Norms::before);
    Ok(Layer {
        attention: attention(config, hidden, heads, format!("{name}.attention"))?,
        feed_forward: FeedForward {
            gate: None,
            up: linear("dense_h_to_4h", [hidden, inner]),
            activation: activation(config, "hidden_act", "gelu")?,
            down: linear("dense_4h_to_h", [inner, hidden]),
        },
        attention_norms: before("input_layernorm")?,
        feed_forward_norms: before("post_attention_layernorm")?,
        parallel: config.flag_or("use_parallel_residual", true)?,
    })
}

fn attention(config: Keys, hidden: usize, heads: usize, name: String) -> Result<Attention> {
    let bias = config.flag_or("attention_bias", true)?;
    let head_dim = hidden / heads.max(1);
    let part = |label, which| Linear {
        part: Part::PerHead {
            label,
            heads,
            which,
            of: 3,
        },
        ..Linear::new(format!("{name}.query_key_value"), [hidden, hidden], bias)
    };
    Ok(Attention {
        q: part("q", 0),
        k: part("k", 1),
        v: part("v", 2),
        o: Linear::new(format!("{name}.dense"), [hidden, hidden], bias),
        qk_norm: None,
        rope: Some(turns(config, head_dim)?),
        window: None,
        scale: (head_dim as f64).powf(-0.5),
        softcap: None,
        name,
    })
}

/// Rotary positions under this family's own keys.
fn turns(config: Keys, head_dim: usize) -> Result<Rope> {
    let theta = config.opt_number("rotary_emb_base")?;
    let mut rope = rope(config, head_dim, theta.unwrap_or(10_000.0))?;
    if let Some(share) = config.opt_number("rotary_pct")? {
        rope.dim = (head_dim as f64 * share) as usize;
    }
    Ok(rope)
}

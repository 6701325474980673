//! GPT-2 (Radford et al. 2019): learned positions, layer norms, matrices stored the other way round.

use super::Family;
use super::keys::Keys;
use super::llama_like::activation;
use crate::convert::Checkpoint;
use crate::convert::transformer::{
    Attention, Embedding, FeedForward, Head, Layer, Linear, Norm, NormKind, Norms, Part, Sight,
    Stored, Transformer,
};
use crate::diag::Result;
use crate::fail;

pub(super) const FAMILY: Family = Family {
    names: &["gpt2"],
    describe,
};

fn describe(source: &Checkpoint) -> Result<Transformer> {
    let config = Keys(&source.config);
    if config.flag_or("add_cross_attention", false)? {
        fail!("config.json: cross-attention is not what a language model has");
    }
    // The first checkpoints have the bare names.
    let bare = source.tensors.shapes().contains_key("wte.weight");
    let prefix = if bare { "" } else { "transformer." };
    let sizes = Sizes {
        hidden: config.size("n_embd")?,
        heads: config.size("n_head")?,
        epsilon: config.opt_number("layer_norm_epsilon")?.unwrap_or(1e-5),
    };
    let layer = |i| layer(config, &sizes, &format!("{prefix}h.{i}"), i);
    let count = config.size("n_layer")?;
    let (hidden, vocab) = (sizes.hidden, config.size("vocab_size")?);
    let tied = config.flag_or("tie_word_embeddings", true)?;
    let head = Linear::new("lm_head", [hidden, vocab], false);
    Ok(Transformer {
        vocab,
        hidden,
        heads: sizes.heads,
        kv_heads: sizes.heads,
        head_dim: hidden / sizes.heads.max(1),
        context: config.size("n_positions")?,
        wide: false,
        sight: Sight::Causal,
        embedding: Embedding {
            positions: Some(format!("{prefix}wpe")),
            ..Embedding::new(format!("{prefix}wte"))
        },
        layers: (0..count).map(layer).collect::<Result<_>>()?,
        norm: Some(sizes.norm(format!("{prefix}ln_f"))),
        head: Head::Tokens {
            linear: (!tied).then_some(head),
            softcap: None,
        },
        unused: &[],
    })
}

struct Sizes {
    hidden: usize,
    heads: usize,
    epsilon: f64,
}

impl Sizes {
    fn norm(&self, name: String) -> Norm {
        Norm {
            name,
            kind: NormKind::Layer,
            epsilon: self.epsilon,
        }
    }
}

fn layer(config: Keys, sizes: &Sizes, name: &str, i: usize) -> Result<Layer> {
    let inner = config.opt_size("n_inner")?.unwrap_or(4 * sizes.hidden);
    let column = |part: &str, from_to| Linear {
        stored: Stored::Columns,
        ..Linear::new(format!("{name}.{part}"), from_to, true)
    };
    Ok(Layer {
        attention: attention(config, sizes, format!("{name}.attn"), i)?,
        feed_forward: FeedForward {
            gate: None,
            up: column("mlp.c_fc", [sizes.hidden, inner]),
            activation: activation(config, "activation_function", "gelu_new")?,
            down: column("mlp.c_proj", [inner, sizes.hidden]),
        },
        attention_norms: Norms::before(sizes.norm(format!("{name}.ln_1"))),
        feed_forward_norms: Norms::before(sizes.norm(format!("{name}.ln_2"))),
        parallel: false,
    })
}

fn attention(config: Keys, sizes: &Sizes, name: String, i: usize) -> Result<Attention> {
    let hidden = sizes.hidden;
    let part = |label, which| Linear {
        stored: Stored::Columns,
        part: Part::Run {
            label,
            start: which * hidden,
            of: 3 * hidden,
        },
        ..Linear::new(format!("{name}.c_attn"), [hidden, hidden], true)
    };
    let mut scale = match config.flag_or("scale_attn_weights", true)? {
        true => ((hidden / sizes.heads.max(1)) as f64).powf(-0.5),
        false => 1.0,
    };
    if config.flag_or("scale_attn_by_inverse_layer_idx", false)? {
        scale /= (i + 1) as f64;
    }
    Ok(Attention {
        q: part("q", 0),
        k: part("k", 1),
        v: part("v", 2),
        o: Linear {
            stored: Stored::Columns,
            ..Linear::new(format!("{name}.c_proj"), [hidden, hidden], true)
        },
        qk_norm: None,
        rope: None,
        window: None,
        scale,
        softcap: None,
        name,
    })
}

//! BERT (Devlin et al. 2019), as sentence encoders such as MiniLM and as classifiers: positions seen both ways,
//! norms of sums.

use super::Family;
use super::classes::{is_classifier, labels};
use super::keys::Keys;
use super::llama_like::activation;
use crate::convert::Checkpoint;
use crate::convert::transformer::{
    Activation, Attention, Embedding, FeedForward, Head, Layer, Linear, Norm, NormKind, Norms,
    Pool, Sight, Transformer,
};
use crate::diag::{Error, Result};

pub(super) const FAMILY: Family = Family {
    names: &["bert"],
    describe,
};

fn describe(source: &Checkpoint) -> Result<Transformer> {
    let config = Keys(&source.config);
    let kind = config.opt_text("position_embedding_type")?;
    if let Some(other) = kind.filter(|kind| *kind != "absolute") {
        return Err(Error::unknown(
            "position_embedding_type",
            other,
            ["absolute"],
        ));
    }
    let bare = "embeddings.word_embeddings.weight";
    let prefix = match source.tensors.shapes().contains_key(bare) {
        true => "",
        false => "bert.",
    };
    let hidden = config.size("hidden_size")?;
    let heads = config.size("num_attention_heads")?;
    let count = config.size("num_hidden_layers")?;
    let layer = |i| {
        layer(
            config,
            [hidden, heads],
            &format!("{prefix}encoder.layer.{i}"),
        )
    };
    let named = |name: &str| format!("{prefix}embeddings.{name}");
    let kinds = config.opt_size("type_vocab_size")?.unwrap_or(2);
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
            positions: Some(named("position_embeddings")),
            types: Some((named("token_type_embeddings"), kinds)),
            norm: Some(norm(config, named("LayerNorm"))?),
            ..Embedding::new(named("word_embeddings"))
        },
        layers: (0..count).map(layer).collect::<Result<_>>()?,
        norm: None,
        head: head(source, prefix, hidden)?,
        unused: &["position_ids", "cls.", "pooler."],
    })
}

/// Classes by the first token, through the pooler; else the states themselves.
fn head(source: &Checkpoint, prefix: &str, hidden: usize) -> Result<Head> {
    if !is_classifier(source)? {
        return Ok(Head::Hidden);
    }
    let pooler = Linear::new(format!("{prefix}pooler.dense"), [hidden, hidden], true);
    let classes = labels(source, "classifier.weight")?;
    Ok(Head::Classes {
        pool: Pool::First,
        dense: Some((pooler, Activation::Tanh)),
        norm: None,
        linear: Linear::new("classifier", [hidden, classes], true),
    })
}

fn norm(config: Keys, name: String) -> Result<Norm> {
    Ok(Norm {
        name,
        kind: NormKind::Layer,
        epsilon: config.opt_number("layer_norm_eps")?.unwrap_or(1e-12),
    })
}

fn layer(config: Keys, [hidden, heads]: [usize; 2], name: &str) -> Result<Layer> {
    let inner = config.size("intermediate_size")?;
    let linear = |part: &str, sizes| Linear::new(format!("{name}.{part}"), sizes, true);
    let square = |part: &str| linear(part, [hidden, hidden]);
    let of_sum = |part: &str| {
        let name = format!("{name}.{part}.LayerNorm");
        norm(config, name).map(Norms::of_sum)
    };
    Ok(Layer {
        attention: Attention {
            name: format!("{name}.attention"),
            q: square("attention.self.query"),
            k: square("attention.self.key"),
            v: square("attention.self.value"),
            o: square("attention.output.dense"),
            qk_norm: None,
            rope: None,
            window: None,
            scale: ((hidden / heads.max(1)) as f64).powf(-0.5),
            softcap: None,
        },
        feed_forward: FeedForward {
            gate: None,
            up: linear("intermediate.dense", [hidden, inner]),
            activation: activation(config, "hidden_act", "gelu")?,
            down: linear("output.dense", [inner, hidden]),
        },
        attention_norms: of_sum("attention.output")?,
        feed_forward_norms: of_sum("output")?,
        parallel: false,
    })
}

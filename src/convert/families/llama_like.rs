//! Parts that most families took over from Llama, under its names.

use super::keys::Keys;
use crate::convert::transformer::{
    Activation, Attention, Embedding, FeedForward, Head, Layer, Linear, Norm, Norms, Sight,
    Transformer,
};
use crate::diag::{Error, Result};
use crate::fail;

/// Sizes under the keys that these families share.
pub(super) struct Sizes<'a> {
    pub config: Keys<'a>,
    /// Of the weights: `model`.
    pub prefix: &'a str,
    pub hidden: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub inner: usize,
    pub layers: usize,
    pub epsilon: f64,
}

impl<'a> Sizes<'a> {
    pub fn of(config: Keys<'a>, prefix: &'a str) -> Result<Self> {
        let hidden = config.size("hidden_size")?;
        let heads = config.size("num_attention_heads")?;
        let kv_heads = config.opt_size("num_key_value_heads")?.unwrap_or(heads);
        let head_dim = match config.opt_size("head_dim")? {
            Some(head_dim) => head_dim,
            None if heads > 0 && hidden.is_multiple_of(heads) => hidden / heads,
            None => {
                fail!("config.json: hidden_size {hidden} must divide into {heads} attention heads")
            }
        };
        Ok(Self {
            config,
            prefix,
            hidden,
            heads,
            kv_heads,
            head_dim,
            inner: config.size("intermediate_size")?,
            layers: config.size("num_hidden_layers")?,
            epsilon: config.opt_number("rms_norm_eps")?.unwrap_or(1e-6),
        })
    }

    /// The name of layer `i`.
    pub fn layer(&self, i: usize) -> String {
        format!("{}.layers.{i}", self.prefix)
    }

    /// Four projections; the first three with a bias if `qkv_bias`, the last if `o_bias`.
    pub fn attention(&self, i: usize, qkv_bias: bool, o_bias: bool) -> Attention {
        let name = format!("{}.self_attn", self.layer(i));
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let linear = |part: &str, sizes, bias| Linear::new(format!("{name}.{part}"), sizes, bias);
        Attention {
            q: linear("q_proj", [self.hidden, q], qkv_bias),
            k: linear("k_proj", [self.hidden, kv], qkv_bias),
            v: linear("v_proj", [self.hidden, kv], qkv_bias),
            o: linear("o_proj", [q, self.hidden], o_bias),
            qk_norm: None,
            rope: None,
            window: None,
            scale: 1.0 / (self.head_dim as f64).sqrt(),
            softcap: None,
            name,
        }
    }

    /// The gated feed-forward network of layer `i` (Shazeer 2020).
    pub fn feed_forward(&self, i: usize, bias: bool) -> Result<FeedForward> {
        let name = format!("{}.mlp", self.layer(i));
        let linear = |part: &str, sizes| Linear::new(format!("{name}.{part}"), sizes, bias);
        let key = match self.config.opt_text("hidden_activation")? {
            Some(_) => "hidden_activation",
            None => "hidden_act",
        };
        Ok(FeedForward {
            gate: Some(linear("gate_proj", [self.hidden, self.inner])),
            up: linear("up_proj", [self.hidden, self.inner]),
            activation: activation(self.config, key, "silu")?,
            down: linear("down_proj", [self.inner, self.hidden]),
        })
    }

    /// The norm `name` of layer `i`.
    pub fn norm(&self, i: usize, name: &str) -> Norm {
        Norm::rms(format!("{}.{name}", self.layer(i)), self.epsilon)
    }

    /// A layer with norms before its parts.
    pub fn pre_normed(&self, i: usize, attention: Attention, feed_forward: FeedForward) -> Layer {
        Layer {
            attention,
            feed_forward,
            attention_norms: Norms::before(self.norm(i, "input_layernorm")),
            feed_forward_norms: Norms::before(self.norm(i, "post_attention_layernorm")),
            parallel: false,
        }
    }

    /// The whole, of these layers; the head is the embedding if `tied` where the configuration says nothing.
    pub fn decoder(&self, layers: Vec<Layer>, tied: bool) -> Result<Transformer> {
        let vocab = self.config.size("vocab_size")?;
        let tied = self.config.flag_or("tie_word_embeddings", tied)?;
        let head = Linear::new("lm_head", [self.hidden, vocab], false);
        Ok(Transformer {
            vocab,
            hidden: self.hidden,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            context: self.config.size("max_position_embeddings")?,
            wide: false,
            sight: Sight::Causal,
            embedding: Embedding::new(format!("{}.embed_tokens", self.prefix)),
            layers,
            norm: Some(Norm::rms(format!("{}.norm", self.prefix), self.epsilon)),
            head: Head::Tokens {
                linear: (!tied).then_some(head),
                softcap: None,
            },
            unused: &[],
        })
    }
}

/// The activation that `key` names.
pub(super) fn activation(config: Keys, key: &str, absent: &str) -> Result<Activation> {
    Ok(match config.opt_text(key)?.unwrap_or(absent) {
        "silu" | "swish" => Activation::Silu,
        "gelu" => Activation::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Activation::GeluTanh,
        "relu" => Activation::Relu,
        other => {
            let known = ["silu", "gelu", "gelu_new", "gelu_pytorch_tanh", "relu"];
            return Err(Error::unknown("activation", other, known));
        }
    })
}

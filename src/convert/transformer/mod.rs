//! Transformers as plain data, and the writer that makes ML Programs of them: decoders that give logits of the
//! next token, and encoders and classifiers, which are the same but for what they see and give.
//!
//! A family (`families/`) describes its models with these types; nothing else of a model matters to the
//! program. Names are those of the checkpoint's weights, without `.weight` and `.bias`.

mod attention;
mod cache;
mod classes;
mod description;
mod frame;
mod layout;
mod mask;
mod norm;
mod rope;
mod tables;
mod weights;
mod writer;

use crate::diag::Result;
use crate::fail;

pub use layout::{Layout, Precision};
pub use rope::{Rope, Scaling};
pub(super) use weights::Weights;
pub use writer::bundle;

/// A transformer over tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Transformer {
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    pub heads: usize,
    /// Key and value heads, each shared by a group of query heads.
    pub kv_heads: usize,
    pub head_dim: usize,
    /// Longest sequence that the positions are defined for.
    pub context: usize,
    /// Whether the residual stream outgrows fp16, and is kept in fp32 by fp16 programs.
    pub wide: bool,
    pub sight: Sight,
    pub embedding: Embedding,
    pub layers: Vec<Layer>,
    pub norm: Option<Norm>,
    pub head: Head,
    /// Parts of names of weights that the program has no use for.
    pub unused: &'static [&'static str],
}

/// Which positions a token sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Itself and those before it.
    Causal,
    /// All that `attention_mask` counts.
    Both,
}

/// How tokens enter.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Of the matrix `[vocab, hidden]`.
    pub name: String,
    pub scale: Option<f64>,
    /// Of learned positions `[context, hidden]`, added to the tokens.
    pub positions: Option<String>,
    /// Of the kinds of tokens `[kinds, hidden]`, added to the tokens.
    pub types: Option<(String, usize)>,
    /// Of the sum.
    pub norm: Option<Norm>,
}

/// Attention and a feed-forward network, each added to the residual stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    pub attention: Attention,
    pub feed_forward: FeedForward,
    pub attention_norms: Norms,
    pub feed_forward_norms: Norms,
    /// Whether both see the same input (GPT-NeoX), instead of one after the other.
    pub parallel: bool,
}

/// Norms of what goes into a part of a layer, of what comes out of it, and of its sum with the residual stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Norms {
    pub before: Option<Norm>,
    pub after: Option<Norm>,
    pub sum: Option<Norm>,
}

/// A norm over the last axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    pub name: String,
    pub kind: NormKind,
    pub epsilon: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// x / √(mean(x²) + ε) · weight (Zhang and Sennrich 2019).
    Rms,
    /// The same, times 1 + weight.
    RmsPlusOne,
    /// (x − mean(x)) / √(var(x) + ε) · weight + bias (Ba et al. 2016).
    Layer,
    /// The same without a bias.
    LayerUnbiased,
}

/// softmax(scale · q kᵀ + mask) v, by heads.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Of the whole, for the labels of its values: `model.layers.0.self_attn`.
    pub name: String,
    pub q: Linear,
    pub k: Linear,
    pub v: Linear,
    pub o: Linear,
    pub qk_norm: Option<QkNorm>,
    /// Absent where a layer knows no positions.
    pub rope: Option<Rope>,
    /// How many positions a query sees, its own included, or on either side if it sees both; all if absent.
    pub window: Option<usize>,
    pub scale: f64,
    /// c · tanh(score / c) instead of a score.
    pub softcap: Option<f64>,
}

/// Norms of queries and keys before they are turned.
#[derive(Debug, Clone, PartialEq)]
pub struct QkNorm {
    pub q: Norm,
    pub k: Norm,
    pub over: QkNormOver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QkNormOver {
    /// Each head by itself.
    Head,
    /// All heads together.
    Width,
}

/// down(activation(gate(x)) · up(x)), or down(activation(up(x))) without a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedForward {
    pub gate: Option<Linear>,
    pub up: Linear,
    pub activation: Activation,
    pub down: Linear,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    Silu,
    Gelu,
    /// GELU by tanh, `gelu_new` and `gelu_pytorch_tanh`.
    GeluTanh,
    Relu,
    Tanh,
}

/// x · weightᵀ + bias.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    pub name: String,
    pub inputs: usize,
    pub outputs: usize,
    pub bias: bool,
    pub stored: Stored,
    pub part: Part,
}

/// How the checkpoint keeps a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// `[outputs, inputs]`, torch's `Linear`.
    Rows,
    /// `[inputs, outputs]`, GPT-2's `Conv1D`.
    Columns,
}

/// Which outputs of the checkpoint's matrix a linear map has: several may be stored as one.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    All,
    /// `outputs` of them from `start` on, of `of`; `label` tells the parts apart.
    Run {
        label: &'static str,
        start: usize,
        of: usize,
    },
    /// For each head, the `which`-th of `of` runs of its outputs, which lie head by head.
    PerHead {
        label: &'static str,
        heads: usize,
        which: usize,
        of: usize,
    },
}

/// What comes out.
#[derive(Debug, Clone, PartialEq)]
pub enum Head {
    /// `logits` of the next token at each position.
    Tokens {
        /// The embedding if absent.
        linear: Option<Linear>,
        /// c · tanh(logit / c) instead of a logit.
        softcap: Option<f64>,
    },
    /// `logits` of the classes of the whole text, `[batch, classes]`: linear(norm(activation(dense(x)))).
    Classes {
        pool: Pool,
        dense: Option<(Linear, Activation)>,
        norm: Option<Norm>,
        linear: Linear,
    },
    /// `last_hidden_state` `[batch, length, hidden]`, and its mean `embedding` `[batch, hidden]`.
    Hidden,
}

/// Which position stands for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    First,
    /// The last one that `attention_mask` counts.
    Last,
    /// The mean of those that `attention_mask` counts.
    Mean,
}

impl Transformer {
    /// Fails if its sizes do not fit together.
    fn check(&self) -> Result<()> {
        let divides = |n: usize, by: usize| by != 0 && n.is_multiple_of(by);
        let sizes = [self.vocab, self.hidden, self.head_dim, self.layers.len()];
        if sizes.contains(&0) || !divides(self.heads, self.kv_heads) {
            fail!(
                "hidden_size {} must divide into {} attention heads, and those into {} key/value heads",
                self.hidden,
                self.heads,
                self.kv_heads
            );
        }
        let ropes = self.layers.iter().filter_map(|l| l.attention.rope.as_ref());
        for rope in ropes {
            if rope.dim == 0 || rope.dim > self.head_dim || !rope.dim.is_multiple_of(2) {
                fail!(
                    "rotary positions turn {} entries of heads of {}, expected an even number of them",
                    rope.dim,
                    self.head_dim
                );
            }
        }
        Ok(())
    }

    /// Whether a weight of the checkpoint has nothing to say: a table that is computed, or a second copy
    /// of the embedding.
    fn ignores(&self, name: &str) -> bool {
        const TABLES: [&str; 5] = [
            ".rotary_emb.inv_freq",
            ".attn.bias",
            ".attn.masked_bias",
            ".attention.bias",
            ".attention.masked_bias",
        ];
        let tied = self.head.is_tied() || !self.gives_tokens();
        TABLES.iter().any(|table| name.ends_with(table))
            || self.unused.iter().any(|part| name.contains(part))
            || (tied && matches!(name, "lm_head.weight" | "embed_out.weight"))
    }

    /// Whether it is a language model.
    pub fn gives_tokens(&self) -> bool {
        matches!(self.head, Head::Tokens { .. })
    }

    /// Whether it is told which tokens count.
    fn takes_mask(&self) -> bool {
        self.sight == Sight::Both || !self.gives_tokens()
    }
}

impl Embedding {
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            scale: None,
            positions: None,
            types: None,
            norm: None,
        }
    }
}

impl Head {
    /// Whether it is the embedding again.
    pub fn is_tied(&self) -> bool {
        matches!(self, Head::Tokens { linear: None, .. })
    }
}

impl Linear {
    /// A matrix of its own, as torch keeps it.
    pub fn new(name: impl Into<String>, [inputs, outputs]: [usize; 2], bias: bool) -> Self {
        Self {
            name: name.into(),
            inputs,
            outputs,
            bias,
            stored: Stored::Rows,
            part: Part::All,
        }
    }

    /// The name, with the part that it is.
    pub(super) fn label(&self) -> String {
        match self.part {
            Part::All => self.name.clone(),
            Part::Run { label, .. } | Part::PerHead { label, .. } => {
                format!("{}.{label}", self.name)
            }
        }
    }

    /// Outputs that the checkpoint's matrix has.
    fn stored_outputs(&self) -> usize {
        match self.part {
            Part::All => self.outputs,
            Part::Run { of, .. } => of,
            Part::PerHead { of, .. } => self.outputs * of,
        }
    }
}

impl Norm {
    pub fn rms(name: impl Into<String>, epsilon: f64) -> Self {
        Self {
            name: name.into(),
            kind: NormKind::Rms,
            epsilon,
        }
    }
}

impl Norms {
    pub fn before(norm: Norm) -> Self {
        Self {
            before: Some(norm),
            ..Self::default()
        }
    }

    pub fn after(norm: Norm) -> Self {
        Self {
            after: Some(norm),
            ..Self::default()
        }
    }

    pub fn of_sum(norm: Norm) -> Self {
        Self {
            sum: Some(norm),
            ..Self::default()
        }
    }
}

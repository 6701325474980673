//! New Llamas with random weights, of any size.

use std::collections::BTreeMap;

use super::source::{Checkpoint, InMemory};
use super::transformer::{Layout, Precision};
use super::{families, transformer};
use crate::diag::{Error, Result};
use crate::fail;
use crate::numeric::{Array, Rng};
use crate::package::Bundle;

/// Sizes of a Llama; names as in Hugging Face's `config.json`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub max_position_embeddings: usize,
    pub rope_theta: f64,
    pub rms_norm_eps: f64,
    pub tie_word_embeddings: bool,
}

/// A Llama's sizes and weights, by Hugging Face's names (`model.layers.0.self_attn.q_proj.weight`).
pub struct Llama {
    pub config: LlamaConfig,
    pub weights: BTreeMap<String, Array>,
}

impl LlamaConfig {
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads.max(1)
    }

    fn check(&self) -> Result<()> {
        let heads = (self.num_attention_heads, self.num_key_value_heads);
        let divides = |n: usize, by: usize| by != 0 && n.is_multiple_of(by);
        let fits = divides(self.hidden_size, heads.0) && divides(heads.0, heads.1);
        let sizes = [
            self.vocab_size,
            self.hidden_size,
            self.intermediate_size,
            heads.0,
            heads.1,
        ];
        if !fits || sizes.contains(&0) || !self.head_dim().is_multiple_of(2) {
            fail!(
                "hidden_size {} must divide into {} attention heads of even size, and those into {} \
                 key/value heads",
                self.hidden_size,
                heads.0,
                heads.1
            );
        }
        Ok(())
    }

    /// Name and shape of every weight.
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let (h, m, d) = (self.hidden_size, self.intermediate_size, self.head_dim());
        let (q, kv) = (self.num_attention_heads * d, self.num_key_value_heads * d);
        let mut shapes = vec![(
            "model.embed_tokens.weight".to_owned(),
            vec![self.vocab_size, h],
        )];
        for i in 0..self.num_hidden_layers {
            let layer = [
                ("input_layernorm", vec![h]),
                ("self_attn.q_proj", vec![q, h]),
                ("self_attn.k_proj", vec![kv, h]),
                ("self_attn.v_proj", vec![kv, h]),
                ("self_attn.o_proj", vec![h, q]),
                ("post_attention_layernorm", vec![h]),
                ("mlp.gate_proj", vec![m, h]),
                ("mlp.up_proj", vec![m, h]),
                ("mlp.down_proj", vec![h, m]),
            ];
            let name = |part| format!("model.layers.{i}.{part}.weight");
            shapes.extend(layer.into_iter().map(|(part, shape)| (name(part), shape)));
        }
        shapes.push(("model.norm.weight".to_owned(), vec![h]));
        if !self.tie_word_embeddings {
            shapes.push(("lm_head.weight".to_owned(), vec![self.vocab_size, h]));
        }
        shapes
    }
}

impl Llama {
    /// Fresh weights: normal with standard deviation 0.02, projections back into the residual stream
    /// scaled by 1/√(2·layers) (GPT-2's rule), norms 1.
    pub fn random(config: LlamaConfig, seed: u64) -> Result<Self> {
        config.check()?;
        let residual = 0.02 / (2.0 * config.num_hidden_layers as f64).sqrt();
        let mut weights = BTreeMap::new();
        for (name, shape) in config.shapes() {
            let mut rng = Rng::named(seed, &name);
            let count: usize = shape.iter().product();
            let deviation = match () {
                _ if shape.len() == 1 => None,
                _ if name.contains("o_proj") || name.contains("down_proj") => Some(residual),
                _ => Some(0.02),
            };
            let values: Vec<f32> = match deviation {
                None => vec![1.0; count],
                Some(deviation) => (0..count)
                    .map(|_| (rng.normal() * deviation) as f32)
                    .collect(),
            };
            weights.insert(name, Array::from_f32(shape, &values)?);
        }
        Ok(Self { config, weights })
    }

    /// The model as a bundle: `input_ids` int32 `[batch, length]` → `logits` fp32 `[batch, length, vocab]`.
    pub fn bundle(&self) -> Result<Bundle> {
        self.config.check()?;
        let config = serde_json::to_value(&self.config);
        let mut config = match config {
            Ok(serde_json::Value::Object(config)) => config,
            other => return Err(Error::new(format!("not a configuration: {other:?}"))),
        };
        config.insert("model_type".to_owned(), "llama".into());
        let weights = InMemory::new(self.weights.clone());
        let source = Checkpoint::new(config, BTreeMap::new(), weights);
        let layout = Layout {
            precision: Precision::Fp32,
            context: self.config.max_position_embeddings,
            batch: MAX_BATCH,
            fixed: false,
            stateful: false,
        };
        transformer::bundle(&families::describe(&source)?, &source, layout)
    }
}

/// Core ML wants an upper bound for each flexible extent.
const MAX_BATCH: usize = 1024;

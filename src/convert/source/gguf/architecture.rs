//! The architectures that are read: what llama.cpp calls their weights and what Hugging Face does.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::config::{self, Keys};
use super::header::{Header, Stored};
use super::layout::Layout;
use crate::diag::{Error, Result};
use crate::fail;

/// A family of models as GGUF files know it.
pub(super) struct Architecture {
    /// `general.architecture`.
    pub name: &'static str,
    /// Makes `config.json`.
    pub config: fn(&Keys) -> Result<Map<String, Value>>,
    /// Weights outside of the layers.
    whole: &'static [Rule],
    /// What the names of a layer's weights begin with, before its number.
    layers: &'static str,
    /// Weights of each layer.
    layer: &'static [Rule],
}

/// Names here and there, without `.weight` and `.bias`, and how the layout differs.
type Rule = (&'static str, &'static str, Change);

#[derive(Clone, Copy)]
enum Change {
    Same,
    Queries,
    Keys,
    Grouped,
    Transposed,
    PlusOne,
}

use Change::{Grouped, Keys as KeyHeads, PlusOne, Queries, Same, Transposed};

const WHOLE: &[Rule] = &[
    ("token_embd", "model.embed_tokens", Same),
    ("output_norm", "model.norm", Same),
    ("output", "lm_head", Same),
];

const PLAIN: &[Rule] = &[
    ("attn_norm", "input_layernorm", Same),
    ("attn_q", "self_attn.q_proj", Same),
    ("attn_k", "self_attn.k_proj", Same),
    ("attn_v", "self_attn.v_proj", Same),
    ("attn_output", "self_attn.o_proj", Same),
    ("attn_q_norm", "self_attn.q_norm", Same),
    ("attn_k_norm", "self_attn.k_norm", Same),
    ("ffn_norm", "post_attention_layernorm", Same),
    ("ffn_gate", "mlp.gate_proj", Same),
    ("ffn_up", "mlp.up_proj", Same),
    ("ffn_down", "mlp.down_proj", Same),
];

const LLAMA: &[Rule] = &[
    ("attn_norm", "input_layernorm", Same),
    ("attn_q", "self_attn.q_proj", Queries),
    ("attn_k", "self_attn.k_proj", KeyHeads),
    ("attn_v", "self_attn.v_proj", Same),
    ("attn_output", "self_attn.o_proj", Same),
    ("ffn_norm", "post_attention_layernorm", Same),
    ("ffn_gate", "mlp.gate_proj", Same),
    ("ffn_up", "mlp.up_proj", Same),
    ("ffn_down", "mlp.down_proj", Same),
];

const GEMMA: &[Rule] = &[
    ("attn_norm", "input_layernorm", PlusOne),
    ("attn_q", "self_attn.q_proj", Same),
    ("attn_k", "self_attn.k_proj", Same),
    ("attn_v", "self_attn.v_proj", Same),
    ("attn_output", "self_attn.o_proj", Same),
    ("attn_q_norm", "self_attn.q_norm", PlusOne),
    ("attn_k_norm", "self_attn.k_norm", PlusOne),
    ("post_attention_norm", "post_attention_layernorm", PlusOne),
    ("ffn_norm", "pre_feedforward_layernorm", PlusOne),
    ("ffn_gate", "mlp.gate_proj", Same),
    ("ffn_up", "mlp.up_proj", Same),
    ("ffn_down", "mlp.down_proj", Same),
    ("post_ffw_norm", "post_feedforward_layernorm", PlusOne),
];

const OLMO2: &[Rule] = &[
    ("attn_q", "self_attn.q_proj", Same),
    ("attn_k", "self_attn.k_proj", Same),
    ("attn_v", "self_attn.v_proj", Same),
    ("attn_output", "self_attn.o_proj", Same),
    ("attn_q_norm", "self_attn.q_norm", Same),
    ("attn_k_norm", "self_attn.k_norm", Same),
    ("post_attention_norm", "post_attention_layernorm", Same),
    ("ffn_gate", "mlp.gate_proj", Same),
    ("ffn_up", "mlp.up_proj", Same),
    ("ffn_down", "mlp.down_proj", Same),
    ("post_ffw_norm", "post_feedforward_layernorm", Same),
];

const PHI3: &[Rule] = &[
    ("attn_norm", "input_layernorm", Same),
    ("attn_qkv", "self_attn.qkv_proj", Same),
    ("attn_output", "self_attn.o_proj", Same),
    ("ffn_norm", "post_attention_layernorm", Same),
    ("ffn_up", "mlp.gate_up_proj", Same),
    ("ffn_down", "mlp.down_proj", Same),
];

const GPT2: &[Rule] = &[
    ("attn_norm", "ln_1", Same),
    ("attn_qkv", "attn.c_attn", Transposed),
    ("attn_output", "attn.c_proj", Transposed),
    ("ffn_norm", "ln_2", Same),
    ("ffn_up", "mlp.c_fc", Transposed),
    ("ffn_down", "mlp.c_proj", Transposed),
];

const NEOX: &[Rule] = &[
    ("attn_norm", "input_layernorm", Same),
    ("attn_qkv", "attention.query_key_value", Grouped),
    ("attn_output", "attention.dense", Same),
    ("ffn_norm", "post_attention_layernorm", Same),
    ("ffn_up", "mlp.dense_h_to_4h", Same),
    ("ffn_down", "mlp.dense_4h_to_h", Same),
];

/// A family whose weights outside of the layers have the usual names.
const fn usual(
    name: &'static str,
    config: fn(&Keys) -> Result<Map<String, Value>>,
    layer: &'static [Rule],
) -> Architecture {
    Architecture {
        name,
        config,
        whole: WHOLE,
        layers: "model.layers",
        layer,
    }
}

const ALL: &[Architecture] = &[
    usual("llama", config::llama, LLAMA),
    usual("smollm3", config::smollm3, LLAMA),
    usual("qwen2", config::qwen2, PLAIN),
    usual("qwen3", config::qwen3, PLAIN),
    Architecture {
        whole: &[
            ("token_embd", "model.embed_tokens", Same),
            ("output_norm", "model.norm", PlusOne),
            ("output", "lm_head", Same),
        ],
        ..usual("gemma3", config::gemma3, GEMMA)
    },
    usual("phi3", config::phi3, PHI3),
    usual("olmo2", config::olmo2, OLMO2),
    Architecture {
        name: "gpt2",
        config: config::gpt2,
        whole: &[
            ("token_embd", "transformer.wte", Same),
            ("position_embd", "transformer.wpe", Same),
            ("output_norm", "transformer.ln_f", Same),
            ("output", "lm_head", Same),
        ],
        layers: "transformer.h",
        layer: GPT2,
    },
    Architecture {
        name: "gptneox",
        config: config::gptneox,
        whole: &[
            ("token_embd", "gpt_neox.embed_in", Same),
            ("output_norm", "gpt_neox.final_layer_norm", Same),
            ("output", "embed_out", Same),
        ],
        layers: "gpt_neox.layers",
        layer: NEOX,
    },
];

/// Tensors that tell of rotary positions; `config.json` holds what they say.
const ROPE: [&str; 3] = [
    "rope_freqs.weight",
    "rope_factors_long.weight",
    "rope_factors_short.weight",
];

impl Architecture {
    pub fn named(name: &str) -> Result<&'static Self> {
        let found = ALL.iter().find(|known| known.name == name);
        found
            .ok_or_else(|| Error::unknown("architecture", name, ALL.iter().map(|known| known.name)))
    }

    /// Every weight of the file by Hugging Face's name, and its layout.
    pub fn weights(&self, header: &Header) -> Result<BTreeMap<String, (Stored, Layout)>> {
        let keys = Keys {
            architecture: self.name,
            header,
        };
        let queries = keys.count("attention.head_count")?;
        let heads = (
            queries,
            keys.count_if("attention.head_count_kv")?.unwrap_or(queries),
        );
        let mut weights = BTreeMap::new();
        let tensors = header
            .tensors
            .iter()
            .filter(|(name, _)| !ROPE.contains(&name.as_str()));
        for (name, stored) in tensors {
            let Some((theirs, change)) = self.renamed(name) else {
                fail!("the tensor \"{name}\" is none of a {}'s", self.name);
            };
            let layout = change.layout(heads, stored.shape.len());
            weights.insert(theirs, (stored.clone(), layout));
        }
        Ok(weights)
    }

    fn renamed(&self, name: &str) -> Option<(String, Change)> {
        let (stem, kind) = name.rsplit_once('.')?;
        if !["weight", "bias"].contains(&kind) {
            return None;
        }
        let theirs = |rules: &[Rule], part: &str| {
            let rule = rules.iter().find(|(ours, ..)| *ours == part);
            rule.map(|(_, theirs, change)| (format!("{theirs}.{kind}"), *change))
        };
        let Some((layer, part)) = stem
            .strip_prefix("blk.")
            .and_then(|rest| rest.split_once('.'))
        else {
            return theirs(self.whole, stem);
        };
        let layer: u32 = layer.parse().ok()?;
        let (name, change) = theirs(self.layer, part)?;
        Some((format!("{}.{layer}.{name}", self.layers), change))
    }
}

impl Change {
    /// Given the numbers of query heads and of key heads, and the weight's rank.
    fn layout(self, (queries, keys): (usize, usize), rank: usize) -> Layout {
        match self {
            Same => Layout::Same,
            Queries => Layout::Heads(queries),
            KeyHeads => Layout::Heads(keys),
            Grouped => Layout::Grouped(queries),
            Transposed if rank == 2 => Layout::Transposed,
            Transposed => Layout::Same,
            PlusOne => Layout::PlusOne,
        }
    }
}

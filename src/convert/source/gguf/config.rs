//! `config.json` out of a GGUF file's metadata.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::architecture::Architecture;
use super::header::Header;
use super::metadata::missing;
use super::rope;
use crate::diag::Result;
use crate::fail;

type Config = Map<String, Value>;

/// The metadata of a file's architecture, and its tensors.
pub(super) struct Keys<'a> {
    pub architecture: &'static str,
    pub header: &'a Header,
}

/// The whole of `config.json`.
pub(super) fn config(architecture: &Architecture, header: &Header, path: &Path) -> Result<Config> {
    let keys = Keys {
        architecture: architecture.name,
        header,
    };
    let layers = keys.count("block_count")?;
    if layers > header.tensors.len() {
        fail!(
            "{layers} layers, and {} tensors in all",
            header.tensors.len()
        );
    }
    let mut config = (architecture.config)(&keys)?;
    if let Some(scaling) = rope::scaling(&keys, path)? {
        config.insert("rope_scaling".to_owned(), scaling);
    }
    config.insert("vocab_size".to_owned(), header.vocabulary()?.into());
    config.insert("torch_dtype".to_owned(), "float32".into());
    for (key, theirs) in [("bos", "bos"), ("eos", "eos"), ("padding", "pad")] {
        if let Some(id) = header
            .metadata
            .count_if(&format!("tokenizer.ggml.{key}_token_id"))?
        {
            config.insert(format!("{theirs}_token_id"), id.into());
        }
    }
    Ok(config)
}

impl Header {
    /// Rows of the embedding.
    pub fn vocabulary(&self) -> Result<usize> {
        match self
            .tensors
            .get("token_embd.weight")
            .map(|stored| stored.shape.as_slice())
        {
            Some([rows, _]) => Ok(*rows),
            Some(shape) => {
                fail!("the tensor \"token_embd.weight\" is {shape:?}, expected a matrix")
            }
            None => fail!("there is no tensor \"token_embd.weight\""),
        }
    }

    fn has(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor)
    }
}

impl Keys<'_> {
    pub fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    pub fn count(&self, name: &str) -> Result<usize> {
        self.header.metadata.count(&self.key(name))
    }

    pub fn count_if(&self, name: &str) -> Result<Option<usize>> {
        self.header.metadata.count_if(&self.key(name))
    }

    pub fn real_if(&self, name: &str) -> Result<Option<f64>> {
        self.header.metadata.float(&self.key(name))
    }

    fn real(&self, name: &str) -> Result<f64> {
        self.real_if(name)?.ok_or_else(|| missing(&self.key(name)))
    }

    /// Elements of an attention head.
    pub fn head_dim(&self) -> Result<usize> {
        if let Some(size) = self.count_if("attention.key_length")? {
            return Ok(size);
        }
        let (width, heads) = (
            self.count("embedding_length")?,
            self.count("attention.head_count")?,
        );
        if heads == 0 || !width.is_multiple_of(heads) {
            fail!("{heads} attention heads do not divide the width {width}");
        }
        Ok(width / heads)
    }

    /// What Llama and its descendants have in common.
    fn base(&self, model_type: &str, class: &str) -> Result<Config> {
        let heads = self.count("attention.head_count")?;
        let config = json!({
            "architectures": [class],
            "model_type": model_type,
            "hidden_size": self.count("embedding_length")?,
            "intermediate_size": self.count("feed_forward_length")?,
            "num_hidden_layers": self.count("block_count")?,
            "num_attention_heads": heads,
            "num_key_value_heads": self.count_if("attention.head_count_kv")?.unwrap_or(heads),
            "head_dim": self.head_dim()?,
            "max_position_embeddings": self.count("context_length")?,
            "rms_norm_eps": self.real("attention.layer_norm_rms_epsilon")?,
            "rope_theta": self.real_if("rope.freq_base")?.unwrap_or(10000.0),
            "hidden_act": "silu",
            "tie_word_embeddings": !self.header.has("output.weight"),
        });
        object(config)
    }
}

fn object(value: Value) -> Result<Config> {
    match value {
        Value::Object(map) => Ok(map),
        _ => fail!("config.json is no object"),
    }
}

fn with(mut config: Config, more: Value) -> Result<Config> {
    config.extend(object(more)?);
    Ok(config)
}

/// Llama 2 and 3, SmolLM 1 and 2, Mistral.
pub(super) fn llama(keys: &Keys) -> Result<Config> {
    let more = json!({
        "attention_bias": keys.header.has("blk.0.attn_q.bias"),
        "mlp_bias": keys.header.has("blk.0.ffn_gate.bias"),
    });
    with(keys.base("llama", "LlamaForCausalLM")?, more)
}

/// Every fourth layer has no positions; the file does not say so, llama.cpp knows it.
pub(super) fn smollm3(keys: &Keys) -> Result<Config> {
    const WITHOUT_ROPE: usize = 4;
    let layers = keys.count("block_count")?;
    let rope: Vec<u8> = (1..=layers)
        .map(|i| u8::from(!i.is_multiple_of(WITHOUT_ROPE)))
        .collect();
    let more = json!({
        "attention_bias": keys.header.has("blk.0.attn_q.bias"),
        "mlp_bias": keys.header.has("blk.0.ffn_gate.bias"),
        "no_rope_layers": rope,
        "no_rope_layer_interval": WITHOUT_ROPE,
        "use_sliding_window": false,
    });
    with(keys.base("smollm3", "SmolLM3ForCausalLM")?, more)
}

pub(super) fn qwen2(keys: &Keys) -> Result<Config> {
    let more = json!({ "use_sliding_window": false });
    with(keys.base("qwen2", "Qwen2ForCausalLM")?, more)
}

pub(super) fn qwen3(keys: &Keys) -> Result<Config> {
    let more = json!({
        "attention_bias": keys.header.has("blk.0.attn_q.bias"),
        "use_sliding_window": false,
    });
    with(keys.base("qwen3", "Qwen3ForCausalLM")?, more)
}

/// Every sixth layer looks at everything, the others at a window with positions of their own; the file
/// does not say so, llama.cpp knows it.
pub(super) fn gemma3(keys: &Keys) -> Result<Config> {
    const PATTERN: usize = 6;
    // The 27B model, which llama.cpp tells by its layers as well, scales by the width of the queries.
    const LAYERS_27B: usize = 62;
    let layers = keys.count("block_count")?;
    let scale = match layers {
        LAYERS_27B => keys.count("embedding_length")? / keys.count("attention.head_count")?.max(1),
        _ => keys.head_dim()?,
    };
    let kinds = (1..=layers).map(|i| match i.is_multiple_of(PATTERN) {
        true => "full_attention",
        false => "sliding_attention",
    });
    let more = json!({
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": scale,
        "sliding_window": keys.count("attention.sliding_window")?,
        "sliding_window_pattern": PATTERN,
        "layer_types": kinds.collect::<Vec<_>>(),
        "rope_theta": keys.real_if("rope.freq_base")?.unwrap_or(1e6),
        "rope_local_base_freq": keys.real_if("rope.freq_base_swa")?.unwrap_or(1e4),
        "attention_bias": false,
        "attn_logit_softcapping": keys.real_if("attn_logit_softcapping")?,
        "final_logit_softcapping": keys.real_if("final_logit_softcapping")?,
    });
    let mut base = keys.base("gemma3_text", "Gemma3ForCausalLM")?;
    base.remove("hidden_act");
    with(base, more)
}

pub(super) fn phi3(keys: &Keys) -> Result<Config> {
    let head_dim = keys.head_dim()?;
    let rotary = keys.count_if("rope.dimension_count")?.unwrap_or(head_dim);
    let more = json!({
        "partial_rotary_factor": rotary as f64 / head_dim.max(1) as f64,
        "original_max_position_embeddings": match keys.count_if("rope.scaling.original_context_length")? {
            Some(length) => length,
            None => keys.count("context_length")?,
        },
        "sliding_window": keys.count_if("attention.sliding_window")?.filter(|n| *n > 0),
    });
    with(keys.base("phi3", "Phi3ForCausalLM")?, more)
}

pub(super) fn olmo2(keys: &Keys) -> Result<Config> {
    let more = json!({ "attention_bias": false });
    with(keys.base("olmo2", "Olmo2ForCausalLM")?, more)
}

pub(super) fn gpt2(keys: &Keys) -> Result<Config> {
    let context = keys.count("context_length")?;
    object(json!({
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_embd": keys.count("embedding_length")?,
        "n_inner": keys.count("feed_forward_length")?,
        "n_layer": keys.count("block_count")?,
        "n_head": keys.count("attention.head_count")?,
        "n_positions": context,
        "n_ctx": context,
        "layer_norm_epsilon": keys.real("attention.layer_norm_epsilon")?,
        "activation_function": "gelu_new",
        "tie_word_embeddings": !keys.header.has("output.weight"),
    }))
}

pub(super) fn gptneox(keys: &Keys) -> Result<Config> {
    let head_dim = keys.head_dim()?;
    let rotary = keys.count_if("rope.dimension_count")?.unwrap_or(head_dim);
    let parallel = keys
        .header
        .metadata
        .flag(&keys.key("use_parallel_residual"))?;
    object(json!({
        "architectures": ["GPTNeoXForCausalLM"],
        "model_type": "gpt_neox",
        "hidden_size": keys.count("embedding_length")?,
        "intermediate_size": keys.count("feed_forward_length")?,
        "num_hidden_layers": keys.count("block_count")?,
        "num_attention_heads": keys.count("attention.head_count")?,
        "max_position_embeddings": keys.count("context_length")?,
        "layer_norm_eps": keys.real("attention.layer_norm_epsilon")?,
        "rotary_pct": rotary as f64 / head_dim.max(1) as f64,
        "rotary_emb_base": keys.real_if("rope.freq_base")?.unwrap_or(10000.0),
        "use_parallel_residual": parallel.unwrap_or(true),
        "hidden_act": "gelu",
        "attention_bias": keys.header.has("blk.0.attn_qkv.bias"),
        "tie_word_embeddings": !keys.header.has("output.weight"),
    }))
}

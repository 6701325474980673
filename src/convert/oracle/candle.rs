//! Models of `candle-transformers`, and what keeps it from computing a checkpoint as `transformers` does.
//!
//! What was found of candle-transformers 0.11.1, read and run against transformers 4.57:
//!
//! - GPT-2 and GPT-NeoX are not there.
//! - A window of n positions hides those more than n back, one fewer than transformers does, is left out for
//!   single tokens, and is taken for every layer of Gemma 2 and Qwen 2: windows count only beyond their length.
//! - Phi 3's stretched frequencies are multiplied by the factors that they are to be divided by, and cos and sin
//!   lack their factor; no other family but Llama (`llama3`) knows scaled positions.
//! - Gemma's query_pre_attn_scalar is read and not used.
//! - Llama has no biases; Mistral's head is never the embedding; heads of Llama, Qwen 2 and SmolLM 3 are as wide
//!   as hidden_size divided by their number.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{
    gemma2, gemma3, llama, mistral, olmo2, phi3, qwen2, qwen3, smol::smollm3,
};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::convert::families::Keys;
use crate::convert::source::Checkpoint;
use crate::diag::{Error, Result};

/// The logits after a token `[1, 1]` at a position; position 0 begins a new row.
pub(super) type Stepwise = Box<dyn FnMut(&Tensor, usize) -> candle_core::Result<Tensor> + Send>;

/// The model of `source` for rows of up to `longest` tokens; or what candle-transformers lacks.
pub(super) fn open(
    source: &Checkpoint,
    longest: usize,
    tied: bool,
) -> Result<Result<Stepwise, String>> {
    let facts = Facts::of(Keys(&source.config), longest, tied)?;
    if let Some(lack) = facts.lack()? {
        return Ok(Err(lack.to_owned()));
    }
    let weights = weights(source)?;
    Ok(Ok(facts.open(weights)?))
}

fn weights(source: &Checkpoint) -> Result<VarBuilder<'static>> {
    let mut tensors = HashMap::new();
    for name in source.tensors.shapes().keys() {
        let array = source.read(name)?;
        let tensor = Tensor::from_vec(array.to_f32s(), array.shape(), &Device::Cpu)?;
        tensors.insert(name.clone(), tensor);
    }
    Ok(VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu))
}

/// What the configurations of these families share.
struct Facts<'a> {
    config: Keys<'a>,
    family: &'a str,
    hidden: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    theta: Option<f64>,
    longest: usize,
    /// Whether the head is the embedding.
    tied: bool,
}

impl<'a> Facts<'a> {
    fn of(config: Keys<'a>, longest: usize, tied: bool) -> Result<Self> {
        let family = config.opt_text("model_type")?.unwrap_or_default();
        let either = |key, other| match config.opt_size(key)? {
            Some(size) => Ok(size),
            None => config.opt_size(other).map(Option::unwrap_or_default),
        };
        let hidden = either("hidden_size", "n_embd")?;
        let heads = either("num_attention_heads", "n_head")?.max(1);
        Ok(Self {
            config,
            family,
            hidden,
            heads,
            kv_heads: config.opt_size("num_key_value_heads")?.unwrap_or(heads),
            head_dim: config.opt_size("head_dim")?.unwrap_or(hidden / heads),
            theta: config.opt_number("rope_theta")?,
            longest,
            tied,
        })
    }

    /// What candle-transformers lacks for this model.
    fn lack(&self) -> Result<Option<&'static str>> {
        const KNOWN: [&str; 9] = [
            "gemma2",
            "gemma3_text",
            "llama",
            "mistral",
            "olmo2",
            "phi3",
            "qwen2",
            "qwen3",
            "smollm3",
        ];
        let config = self.config;
        let flag = |key: &str| config.flag_or(key, false);
        let biased = flag("attention_bias")? || flag("mlp_bias")?;
        let narrow = self.head_dim * self.heads != self.hidden;
        let family = |names: &[&str]| names.contains(&self.family);
        Ok(match () {
            _ if !KNOWN.contains(&self.family) => Some("does not have the family"),
            _ if self.theta.is_none() => Some("wants rope_theta stated"),
            _ if self.is_scaled()? => Some("lacks its scaling of positions"),
            _ if self.sees_window()? => Some("has other sliding windows"),
            _ if biased && family(&["llama", "smollm3"]) => Some("lacks its biases"),
            _ if narrow && family(&["llama", "qwen2", "smollm3"]) => {
                Some("takes its heads for wider")
            }
            _ if family(&["mistral"]) && self.tied => Some("wants a head of its own"),
            _ if family(&["gemma2", "gemma3_text"]) && !self.scale_is_plain()? => {
                Some("scales its scores otherwise")
            }
            _ if family(&["gemma3_text"]) && !self.windows_are_regular()? => {
                Some("has its windows in other layers")
            }
            () => None,
        })
    }

    fn is_scaled(&self) -> Result<bool> {
        let Some(scaling) = self.config.section("rope_scaling")? else {
            return Ok(self.config.section("rope_parameters")?.is_some());
        };
        let kind = match scaling.opt_text("rope_type")? {
            Some(kind) => Some(kind),
            None => scaling.opt_text("type")?,
        };
        let known = self.family == "llama" && matches!(kind, Some("llama3"));
        Ok(!known && !matches!(kind, None | Some("default")))
    }

    /// Whether a row is longer than a window.
    fn sees_window(&self) -> Result<bool> {
        let window = self.config.opt_size("sliding_window")?;
        let optional = ["qwen2", "qwen3", "smollm3"].contains(&self.family);
        let used = !optional || self.config.flag_or("use_sliding_window", false)?;
        let unknown = used && ["qwen3", "smollm3"].contains(&self.family);
        Ok(window.is_some_and(|window| used && (unknown || window < self.longest)))
    }

    /// Whether scores are divided by the root of the heads' width.
    fn scale_is_plain(&self) -> Result<bool> {
        let scale = self.config.opt_number("query_pre_attn_scalar")?;
        Ok(scale.is_none_or(|scale| scale == self.head_dim as f64))
    }

    /// Whether Gemma 3's layers see a window but for every sixth, or whatever the pattern says.
    fn windows_are_regular(&self) -> Result<bool> {
        let Some(kinds) = self.config.list("layer_types")? else {
            return Ok(true);
        };
        let every = self.pattern()?;
        let regular = kinds.iter().enumerate().all(|(i, kind)| {
            let full = (i + 1).is_multiple_of(every);
            (kind.as_str() == Some("full_attention")) == full
        });
        Ok(regular)
    }

    fn pattern(&self) -> Result<usize> {
        let every = match self.config.opt_size("sliding_window_pattern")? {
            Some(every) => every,
            None => self
                .config
                .opt_size("_sliding_window_pattern")?
                .unwrap_or(6),
        };
        Ok(every.max(1))
    }

    fn open(&self, vb: VarBuilder<'static>) -> Result<Stepwise> {
        macro_rules! stepwise {
            ($model:expr) => {{
                let mut model = $model;
                Box::new(move |id: &Tensor, at: usize| {
                    if at == 0 {
                        model.clear_kv_cache();
                    }
                    model.forward(id, at)
                })
            }};
        }
        Ok(match self.family {
            "gemma2" => stepwise!(gemma2::Model::new(false, &self.stated()?, vb)?),
            "gemma3_text" => stepwise!(gemma3::Model::new(false, &self.stated()?, vb)?),
            "llama" => {
                let config: llama::LlamaConfig = self.stated()?;
                let config = config.into_config(false);
                let model = llama::Llama::load(vb, &config)?;
                let new = move || llama::Cache::new(true, DType::F32, &config, &Device::Cpu);
                let mut cache = new()?;
                Box::new(move |id: &Tensor, at: usize| {
                    if at == 0 {
                        cache = new()?;
                    }
                    model.forward(id, at, &mut cache)
                })
            }
            "mistral" => stepwise!(mistral::Model::new(&self.stated()?, vb)?),
            "olmo2" => stepwise!(olmo2::Model::new(&self.stated()?, vb)?),
            "phi3" => stepwise!(phi3::Model::new(&self.stated()?, vb)?),
            "qwen2" => stepwise!(qwen2::ModelForCausalLM::new(&self.stated()?, vb)?),
            "qwen3" => stepwise!(qwen3::ModelForCausalLM::new(&self.stated()?, vb)?),
            "smollm3" => stepwise!(smollm3::ModelForCausalLM::new(&self.stated()?, vb)?),
            other => return Err(Error::new(format!("candle-transformers lacks {other}"))),
        })
    }

    /// The configuration with everything stated that candle-transformers wants to be.
    fn stated<T: DeserializeOwned>(&self) -> Result<T> {
        let mut config = self.config.0.clone();
        let has =
            |config: &Map<String, Value>, key: &str| config.get(key).is_some_and(|v| !v.is_null());
        let defaults = [
            ("attention_bias", json!(false)),
            ("hidden_act", json!("silu")),
            ("hidden_activation", json!("gelu_pytorch_tanh")),
            ("rms_norm_eps", json!(1e-6)),
            ("rope_local_base_freq", json!(10_000.0)),
        ];
        for (key, value) in defaults {
            if !has(&config, key) {
                config.insert(key.to_owned(), value);
            }
        }
        if self.family != "llama" {
            config.remove("rope_scaling");
        }
        config.remove("eos_token_id");
        // Rows are no longer than that: windows hide nothing, tables need not go beyond.
        let settled = [
            ("head_dim", json!(self.head_dim)),
            ("max_position_embeddings", json!(self.longest)),
            ("max_window_layers", json!(0)),
            ("num_key_value_heads", json!(self.kv_heads)),
            ("sliding_window", json!(self.longest)),
            ("sliding_window_pattern", json!(self.pattern()?)),
            ("tie_word_embeddings", json!(self.tied)),
            ("use_sliding_window", json!(false)),
        ];
        for (key, value) in settled {
            config.insert(key.to_owned(), value);
        }
        let stated = serde_json::from_value(Value::Object(config));
        stated.map_err(|error| Error::new(format!("config.json for candle-transformers: {error}")))
    }
}

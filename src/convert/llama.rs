//! The Llama family (Touvron et al. 2023) as an ML Program: RMSNorm, rotary positions, grouped-query
//! attention, SwiGLU, tied or separate output head; stateless, any batch, any length up to the context.

use std::collections::BTreeMap;

use super::builder::{Builder, In, Var};
use super::tables::{causal_mask, rotary_tables};
use crate::diag::{Error, Result};
use crate::fail;
use crate::mil::{Dim, Program, Type};
use crate::numeric::{Array, DType, Rng};
use crate::package::{
    Bundle, Description, Feature, FeatureKind, Flexibility, FunctionDescription, Metadata,
};

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
        let graph = Graph {
            config: &self.config,
            weights: &self.weights,
            b: Builder::default(),
        };
        let function = graph.build()?;
        let mut program = Program::default();
        program.functions.insert("main".to_owned(), function);
        Ok(Bundle::new(program, self.description()))
    }

    fn description(&self) -> Description {
        let length = self.config.max_position_embeddings;
        let array = |name: &str, dtype, shape: Vec<usize>, flexibility| Feature {
            name: name.to_owned(),
            description: String::new(),
            optional: false,
            kind: FeatureKind::Array {
                dtype,
                shape,
                flexibility,
                default: None,
            },
        };
        let ranges = Flexibility::Ranges(vec![(1, Some(MAX_BATCH)), (1, Some(length))]);
        let main = FunctionDescription {
            inputs: vec![array("input_ids", DType::Int32, vec![1, 1], ranges)],
            outputs: vec![array("logits", DType::Fp32, vec![], Flexibility::Fixed)],
            ..FunctionDescription::default()
        };
        Description {
            specification_version: 9,
            functions: BTreeMap::from([("main".to_owned(), main)]),
            default_function: "main".to_owned(),
            metadata: Metadata::default(),
            ..Description::default()
        }
    }
}

/// Core ML wants an upper bound for each flexible extent.
const MAX_BATCH: usize = 1024;

/// The program while it is written.
struct Graph<'a> {
    config: &'a LlamaConfig,
    weights: &'a BTreeMap<String, Array>,
    b: Builder,
}

/// Values that every layer uses.
struct Shared {
    /// Rotary tables for the positions present, `[length, head_dim]`.
    cos: Var,
    sin: Var,
    /// Added to attention scores: 0 where a position may look, a large negative number elsewhere.
    mask: Var,
    /// `[batch, length, heads, head_dim]` and so on, for `reshape`.
    split_q: Var,
    split_kv: Var,
    repeat_kv: Var,
    merge: Var,
}

const BATCH: Dim = Dim::Unknown;
const LENGTH: Dim = Dim::Unknown;

impl Graph<'_> {
    fn build(mut self) -> Result<crate::mil::Function> {
        let ids = Type::Tensor {
            dtype: DType::Int32,
            dims: vec![BATCH, LENGTH],
        };
        let ids = self.b.input("input_ids", ids);
        let shared = self.shared(&ids)?;
        let embedding = self.weight("model.embed_tokens.weight")?;
        let hidden = self.tensor(&[BATCH, LENGTH, Dim::Fixed(self.config.hidden_size)]);
        let mut x = self.b.op(
            "gather",
            "embed",
            hidden,
            &[
                ("x", In::Var(&embedding)),
                ("indices", In::Var(&ids)),
                ("axis", In::Int(0)),
                ("batch_dims", In::Int(0)),
                ("validate_indices", In::Bool(false)),
            ],
        )?;
        for i in 0..self.config.num_hidden_layers {
            x = self.layer(i, &x, &shared)?;
        }
        let x = self.norm("model.norm", &x)?;
        let head = match self.config.tie_word_embeddings {
            true => embedding,
            false => self.weight("lm_head.weight")?,
        };
        let logits = self.b.linear("logits", &x, &head)?;
        Ok(self.b.finish("ios18", &[&logits]))
    }

    fn tensor(&self, dims: &[Dim]) -> Type {
        Type::Tensor {
            dtype: DType::Fp32,
            dims: dims.to_vec(),
        }
    }

    fn weight(&mut self, name: &str) -> Result<Var> {
        match self.weights.get(name) {
            Some(array) => Ok(self.b.weight(name, array.clone())),
            None => Err(Error::new(format!("weight \"{name}\" is missing"))),
        }
    }

    fn shared(&mut self, ids: &Var) -> Result<Shared> {
        let c = self.config;
        let (max, d) = (c.max_position_embeddings, c.head_dim());
        let (heads, kv) = (c.num_attention_heads as i64, c.num_key_value_heads as i64);
        let shape = self.b.op(
            "shape",
            "ids_shape",
            Type::tensor(DType::Int32, &[2]),
            &[("x", In::Var(ids))],
        )?;
        let batch = self.extent("batch", &shape, 0)?;
        let length = self.extent("length", &shape, 1)?;
        let (cos, sin) = rotary_tables(max, d, c.rope_theta)?;
        let cos = self.b.weight("rope_cos", cos);
        let sin = self.b.weight("rope_sin", sin);
        let mask = self.b.weight("causal_mask", causal_mask(max)?);
        let rope_end = self
            .b
            .shape("rope_end", &[In::Var(&length), In::Int(d as i64)])?;
        let mask_end = self
            .b
            .shape("mask_end", &[In::Var(&length), In::Var(&length)])?;
        let d = d as i64;
        let (b, s) = (|| In::Var(&batch), || In::Var(&length));
        Ok(Shared {
            cos: self.head_of("cos", &cos, &rope_end, &[LENGTH, Dim::Fixed(d as usize)])?,
            sin: self.head_of("sin", &sin, &rope_end, &[LENGTH, Dim::Fixed(d as usize)])?,
            mask: self.head_of("mask", &mask, &mask_end, &[LENGTH, LENGTH])?,
            split_q: self
                .b
                .shape("split_q", &[b(), s(), In::Int(heads), In::Int(d)])?,
            split_kv: self
                .b
                .shape("split_kv", &[b(), s(), In::Int(kv), In::Int(d)])?,
            repeat_kv: self
                .b
                .shape("repeat_kv", &[b(), In::Int(heads), s(), In::Int(d)])?,
            merge: self.b.shape("merge", &[b(), s(), In::Int(heads * d)])?,
        })
    }

    /// Entry `i` of a shape, as `int32 [1]`.
    fn extent(&mut self, name: &str, shape: &Var, i: i64) -> Result<Var> {
        let ty = Type::tensor(DType::Int32, &[1]);
        let inputs = [
            ("x", In::Var(shape)),
            ("begin", In::Ints(&[i])),
            ("end", In::Ints(&[i + 1])),
        ];
        self.b.op("slice_by_index", name, ty, &inputs)
    }

    /// The first rows and columns of a table, up to `end`.
    fn head_of(&mut self, name: &str, table: &Var, end: &Var, dims: &[Dim]) -> Result<Var> {
        let ty = self.tensor(dims);
        let inputs = [
            ("x", In::Var(table)),
            ("begin", In::Ints(&[0, 0])),
            ("end", In::Var(end)),
        ];
        self.b.op("slice_by_index", name, ty, &inputs)
    }

    fn layer(&mut self, i: usize, x: &Var, shared: &Shared) -> Result<Var> {
        let at = format!("model.layers.{i}");
        let normed = self.norm(&format!("{at}.input_layernorm"), x)?;
        let attended = self.attention(&format!("{at}.self_attn"), &normed, shared)?;
        let x = self
            .b
            .binary("add", &format!("layer_{i}_attended"), x, In::Var(&attended))?;
        let normed = self.norm(&format!("{at}.post_attention_layernorm"), &x)?;
        let fed = self.feed_forward(&format!("{at}.mlp"), &normed)?;
        self.b
            .binary("add", &format!("layer_{i}"), &x, In::Var(&fed))
    }

    /// x / √(mean(x²) + ε) · weight, over the last extent.
    fn norm(&mut self, name: &str, x: &Var) -> Result<Var> {
        let label = name.replace('.', "_");
        let weight = self.weight(&format!("{name}.weight"))?;
        let square = self
            .b
            .binary("mul", &format!("{label}_square"), x, In::Var(x))?;
        let one = self.tensor(&[BATCH, LENGTH, Dim::Fixed(1)]);
        let mean = self.b.op(
            "reduce_mean",
            &format!("{label}_mean"),
            one.clone(),
            &[
                ("x", In::Var(&square)),
                ("axes", In::Ints(&[-1])),
                ("keep_dims", In::Bool(true)),
            ],
        )?;
        let inverse = self.b.op(
            "rsqrt",
            &format!("{label}_rsqrt"),
            one,
            &[
                ("x", In::Var(&mean)),
                ("epsilon", In::Float(self.config.rms_norm_eps)),
            ],
        )?;
        let scaled = self
            .b
            .binary("mul", &format!("{label}_scaled"), x, In::Var(&inverse))?;
        self.b.binary("mul", &label, &scaled, In::Var(&weight))
    }

    fn attention(&mut self, name: &str, x: &Var, shared: &Shared) -> Result<Var> {
        let c = self.config;
        let (heads, kv, d) = (c.num_attention_heads, c.num_key_value_heads, c.head_dim());
        let label = name.replace('.', "_");
        let q = self.heads(&format!("{name}.q_proj"), x, &shared.split_q, heads)?;
        let k = self.heads(&format!("{name}.k_proj"), x, &shared.split_kv, kv)?;
        let v = self.heads(&format!("{name}.v_proj"), x, &shared.split_kv, kv)?;
        let q = self.rotate(&format!("{label}_q"), &q, shared)?;
        let k = self.rotate(&format!("{label}_k"), &k, shared)?;
        let k = self.repeat(&format!("{label}_k"), &k, shared)?;
        let v = self.repeat(&format!("{label}_v"), &v, shared)?;
        let attended = self.b.op(
            "scaled_dot_product_attention",
            &format!("{label}_sdpa"),
            self.tensor(&[BATCH, Dim::Fixed(heads), LENGTH, Dim::Fixed(d)]),
            &[
                ("query", In::Var(&q)),
                ("key", In::Var(&k)),
                ("value", In::Var(&v)),
                ("attn_mask", In::Var(&shared.mask)),
            ],
        )?;
        let attended = self
            .b
            .transpose(&format!("{label}_back"), &attended, &[0, 2, 1, 3])?;
        let dims = [BATCH, LENGTH, Dim::Fixed(heads * d)];
        let merged = self
            .b
            .reshape(&format!("{label}_merged"), &attended, &shared.merge, &dims)?;
        let weight = self.weight(&format!("{name}.o_proj.weight"))?;
        self.b.linear(&format!("{label}_o_proj"), &merged, &weight)
    }

    /// A projection split into heads: `[batch, heads, length, head_dim]`.
    fn heads(&mut self, name: &str, x: &Var, split: &Var, heads: usize) -> Result<Var> {
        let label = name.replace('.', "_");
        let weight = self.weight(&format!("{name}.weight"))?;
        let projected = self.b.linear(&label, x, &weight)?;
        let dims = [
            BATCH,
            LENGTH,
            Dim::Fixed(heads),
            Dim::Fixed(self.config.head_dim()),
        ];
        let parts = self
            .b
            .reshape(&format!("{label}_split"), &projected, split, &dims)?;
        self.b
            .transpose(&format!("{label}_heads"), &parts, &[0, 2, 1, 3])
    }

    /// Rotary positions (Su et al. 2021) in the half-split layout of Hugging Face's Llama.
    fn rotate(&mut self, label: &str, x: &Var, shared: &Shared) -> Result<Var> {
        let mut half = x.dims().to_vec();
        half[3] = Dim::Fixed(self.config.head_dim() / 2);
        let half = self.tensor(&half);
        let halves = self.b.op_many(
            "split",
            &format!("{label}_half"),
            vec![half.clone(), half],
            &[
                ("x", In::Var(x)),
                ("num_splits", In::Int(2)),
                ("axis", In::Int(-1)),
            ],
        )?;
        let negated = self
            .b
            .binary("mul", &format!("{label}_neg"), &halves[1], In::Float(-1.0))?;
        let turned = self.b.op(
            "concat",
            &format!("{label}_turned"),
            x.ty.clone(),
            &[
                ("values", In::Vars(&[&negated, &halves[0]])),
                ("axis", In::Int(-1)),
                ("interleave", In::Bool(false)),
            ],
        )?;
        let along = self
            .b
            .binary("mul", &format!("{label}_cos"), x, In::Var(&shared.cos))?;
        let across = self.b.binary(
            "mul",
            &format!("{label}_sin"),
            &turned,
            In::Var(&shared.sin),
        )?;
        self.b
            .binary("add", &format!("{label}_rope"), &along, In::Var(&across))
    }

    /// Each key/value head repeated for the query heads that share it.
    fn repeat(&mut self, label: &str, x: &Var, shared: &Shared) -> Result<Var> {
        let c = self.config;
        let group = c.num_attention_heads / c.num_key_value_heads;
        if group == 1 {
            return Ok(x.clone());
        }
        let (kv, d) = (Dim::Fixed(c.num_key_value_heads), Dim::Fixed(c.head_dim()));
        let expanded = self.b.op(
            "expand_dims",
            &format!("{label}_expanded"),
            self.tensor(&[BATCH, kv, Dim::Fixed(1), LENGTH, d]),
            &[("x", In::Var(x)), ("axes", In::Ints(&[2]))],
        )?;
        let tiled = self.b.op(
            "tile",
            &format!("{label}_tiled"),
            self.tensor(&[BATCH, kv, Dim::Fixed(group), LENGTH, d]),
            &[
                ("x", In::Var(&expanded)),
                ("reps", In::Ints(&[1, 1, group as i64, 1, 1])),
            ],
        )?;
        let dims = [BATCH, Dim::Fixed(c.num_attention_heads), LENGTH, d];
        self.b.reshape(
            &format!("{label}_repeated"),
            &tiled,
            &shared.repeat_kv,
            &dims,
        )
    }

    /// SwiGLU (Shazeer 2020).
    fn feed_forward(&mut self, name: &str, x: &Var) -> Result<Var> {
        let label = name.replace('.', "_");
        let [gate, up, down] =
            ["gate_proj", "up_proj", "down_proj"].map(|p| format!("{name}.{p}.weight"));
        let (gate, up) = (self.weight(&gate)?, self.weight(&up)?);
        let gate = self.b.linear(&format!("{label}_gate_proj"), x, &gate)?;
        let gate = self.b.op(
            "silu",
            &format!("{label}_silu"),
            gate.ty.clone(),
            &[("x", In::Var(&gate))],
        )?;
        let up = self.b.linear(&format!("{label}_up_proj"), x, &up)?;
        let product = self
            .b
            .binary("mul", &format!("{label}_gated"), &gate, In::Var(&up))?;
        let down = self.weight(&down)?;
        self.b
            .linear(&format!("{label}_down_proj"), &product, &down)
    }
}

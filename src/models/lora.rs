//! What is trained of a model: low-rank adapters on any weight (LoRA, Hu et al. 2021), or weights whole.
//!
//! An adapter gives the program another weight, W + (α/r)·B·A, by the weight's name: one rule for linear,
//! convolution, embedding and matmul, dense or compressed, on every path that reads it.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor, Var};

use crate::diag::{Error, Result};
use crate::engine::portable::{Portable, Weight};
use crate::fail;
use crate::numeric::Rng;
use crate::optim::Parameters;

/// Low-rank adaptation.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraOptions {
    /// Rank r of the update.
    pub rank: usize,
    /// The update is scaled by alpha / rank.
    pub alpha: f64,
    /// Parts of weight names; empty: every matrix that a linear, conv or matmul reads.
    pub targets: Vec<String>,
}

impl Default for LoraOptions {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 32.0,
            targets: Vec::new(),
        }
    }
}

/// The trained part of a model.
#[derive(Debug)]
pub struct Adapters {
    parameters: Parameters,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    weight: String,
    base: Tensor,
    change: Change,
}

#[derive(Debug)]
enum Change {
    /// A `[r, in]`, B `[out, r]`.
    Lora {
        a: Var,
        b: Var,
        scale: f64,
    },
    Whole(Var),
}

impl Adapters {
    /// Adapters that change nothing yet: B is 0, A is uniform in ±1/√in as in PEFT.
    pub fn lora(
        engine: &Portable,
        function: &str,
        options: &LoraOptions,
        seed: u64,
    ) -> Result<Self> {
        if options.rank == 0 {
            fail!("rank must be at least 1");
        }
        let mut adapters = Self {
            parameters: Parameters::new(),
            entries: Vec::new(),
        };
        for weight in targets(engine.weights(function)?, &options.targets)? {
            if weight.shape.len() < 2 {
                continue;
            }
            let base = engine.weight(function, &weight.name)?;
            let (out, inner) = (weight.shape[0], weight.shape[1..].iter().product::<usize>());
            let mut rng = Rng::named(seed, &format!("lora {}", weight.name));
            let bound = 1.0 / (inner as f64).sqrt();
            let draws: Vec<f64> = (0..options.rank * inner)
                .map(|_| (2.0 * rng.uniform() - 1.0) * bound)
                .collect();
            let a = Tensor::from_vec(draws, (options.rank, inner), &Device::Cpu)?;
            let a = Var::from_tensor(&a.to_dtype(base.dtype())?.to_device(base.device())?)?;
            let b = Var::zeros((out, options.rank), base.dtype(), base.device())?;
            adapters
                .parameters
                .insert(format!("{}.lora_a", weight.name), a.clone())?;
            adapters
                .parameters
                .insert(format!("{}.lora_b", weight.name), b.clone())?;
            let scale = options.alpha / options.rank as f64;
            let change = Change::Lora { a, b, scale };
            adapters.entries.push(Entry {
                weight: weight.name,
                base,
                change,
            });
        }
        adapters.some()
    }

    /// Weights trained whole: those whose names contain one of `parts`; empty: all.
    pub fn whole(engine: &Portable, function: &str, parts: &[String]) -> Result<Self> {
        let mut adapters = Self {
            parameters: Parameters::new(),
            entries: Vec::new(),
        };
        let all = engine.weights(function)?.into_iter().filter(is_learned);
        for weight in all.filter(|w| parts.is_empty() || contains_any(&w.name, parts)) {
            let base = engine.weight(function, &weight.name)?;
            let var = Var::from_tensor(&base)?;
            adapters
                .parameters
                .insert(weight.name.clone(), var.clone())?;
            adapters.entries.push(Entry {
                weight: weight.name,
                base,
                change: Change::Whole(var),
            });
        }
        adapters.some()
    }

    /// The trained tensors, by name.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Which weights change how: "21 weights, by LoRA of rank 4 and scale 2".
    pub fn describe(&self) -> String {
        let count = self.entries.len();
        match self.entries.first().map(|entry| &entry.change) {
            Some(Change::Lora { a, scale, .. }) => {
                let rank = a.dims().first().copied().unwrap_or(0);
                format!("{count} weights, by LoRA of rank {rank} and scale {scale}")
            }
            _ => format!("{count} weights themselves"),
        }
    }

    /// Names of the weights that change.
    pub fn weights(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.weight.as_str())
    }

    /// The weights as they are now, with gradients to the parameters.
    pub fn given(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut given = BTreeMap::new();
        for Entry {
            weight,
            base,
            change,
        } in &self.entries
        {
            let tensor = match change {
                Change::Whole(var) => var.as_tensor().clone(),
                Change::Lora { a, b, scale } => {
                    let update = (b.matmul(a.as_tensor())? * *scale)?;
                    (base + update.reshape(base.shape())?)?
                }
            };
            given.insert(weight.clone(), tensor);
        }
        Ok(given)
    }

    /// The weights as they were at first.
    pub fn base(&self) -> BTreeMap<String, Tensor> {
        self.entries
            .iter()
            .map(|e| (e.weight.clone(), e.base.clone()))
            .collect()
    }

    fn some(self) -> Result<Self> {
        match self.entries.is_empty() {
            true => fail!("the program has no weight to train"),
            false => Ok(self),
        }
    }
}

/// Tables and masks are constants too; a weight is read by an operation that learns.
fn is_learned(weight: &Weight) -> bool {
    const LEARNED: [(&str, &str); 11] = [
        ("linear", "weight"),
        ("linear", "bias"),
        ("conv", "weight"),
        ("conv", "bias"),
        ("matmul", "x"),
        ("matmul", "y"),
        ("gather", "x"),
        ("layer_norm", "gamma"),
        ("layer_norm", "beta"),
        ("mul", "x"),
        ("mul", "y"),
    ];
    // A table of positions is sliced before it is used, a scale of one element is no weight.
    let elements: usize = weight.shape.iter().product();
    elements > 1
        && weight
            .uses
            .iter()
            .any(|(op, p)| LEARNED.contains(&(op.as_str(), p.as_str())))
}

fn is_matrix(weight: &Weight) -> bool {
    weight.shape.len() >= 2
        && weight
            .uses
            .iter()
            .all(|(op, _)| matches!(op.as_str(), "linear" | "conv" | "matmul"))
}

fn contains_any(name: &str, parts: &[String]) -> bool {
    parts.iter().any(|part| name.contains(part.as_str()))
}

fn targets(weights: Vec<Weight>, parts: &[String]) -> Result<Vec<Weight>> {
    let names: Vec<String> = weights.iter().map(|w| w.name.clone()).collect();
    for part in parts {
        if !names.iter().any(|name| name.contains(part.as_str())) {
            let known = names.iter().map(String::as_str);
            return Err(Error::unknown("weight", part, known));
        }
    }
    let chosen = |w: &Weight| match parts.is_empty() {
        true => is_matrix(w),
        false => contains_any(&w.name, parts),
    };
    Ok(weights.into_iter().filter(chosen).collect())
}

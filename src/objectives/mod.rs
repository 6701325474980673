//! Training objectives: losses on candle tensors, each with its formula, its paper and the convention
//! where tools differ. One file each; the building blocks are [`logprobs`], [`masked`], [`stable`].
//!
//! An objective sees log-probabilities, not models: the caller runs the model and picks the tokens with
//! [`logprobs::token_logprobs`]. All tensors of a batch share one float type and one device.
//!
//! A [`Loss`] is a mean over `weight` units (rows or tokens). Micro-batches add up to the whole batch
//! when their gradients are averaged by that weight, whatever their sizes.

mod advantages;
mod dpo;
mod grpo;
mod kl;
mod kto;
pub mod logprobs;
pub mod masked;
mod mismatch;
mod orpo;
mod pairs;
mod reward_model;
mod rows;
mod sft;
mod simpo;
pub mod stable;

pub use advantages::{Scale, advantages, reinforce_advantages, rloo_advantages};
pub use dpo::{Dpo, DpoLoss};
pub use grpo::{Grpo, GrpoBatch, Level, Reduction, Surrogate};
pub use kl::Kl;
pub use kto::{Kto, KtoBatch, mismatched_kl};
pub use mismatch::{Correction, Mismatch, mismatch};
pub use orpo::Orpo;
pub use pairs::{Answers, Pairs};
pub use reward_model::{RewardModel, ScoredPairs};
pub use sft::{Sft, SftBatch, token_accuracy};
pub use simpo::Simpo;

use candle_core::{DType, Device, Tensor};

use crate::diag::Result;

/// Something to minimise.
pub trait Objective {
    type Batch;

    fn loss(&self, batch: &Self::Batch) -> Result<Loss>;
}

/// A loss with what to log about it; metric names are TRL's.
#[derive(Debug, Clone)]
pub struct Loss {
    /// Scalar with gradient, a mean over `weight` units.
    pub value: Tensor,
    /// How many rows or tokens `value` is the mean of; 0 when everything is masked.
    pub weight: f64,
    pub metrics: Vec<(String, f64)>,
}

impl Loss {
    fn new<'a>(
        value: Tensor,
        weight: f64,
        metrics: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Self {
        let metrics = metrics.into_iter();
        Self {
            value,
            weight,
            metrics: metrics
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }

    /// The mean of one loss per row.
    fn of_rows<'a>(
        rows: &Tensor,
        metrics: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<Self> {
        let count = rows.elem_count() as f64;
        Ok(Self::new(rows.mean_all()?, count, metrics))
    }

    /// The metric of that name, if the objective reported it.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let found = self.metrics.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| *value)
    }
}

/// The value of a tensor with one element, as `f64`.
pub fn scalar(tensor: &Tensor) -> Result<f64> {
    let host = tensor.detach().to_device(&Device::Cpu)?;
    Ok(host
        .to_dtype(DType::F64)?
        .flatten_all()?
        .get(0)?
        .to_scalar()?)
}

/// All elements in row-major order, as `f64`.
pub fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    let host = tensor.detach().to_device(&Device::Cpu)?;
    Ok(host.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

fn mean(tensor: &Tensor) -> Result<f64> {
    scalar(&tensor.detach().mean_all()?)
}

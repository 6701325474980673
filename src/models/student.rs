//! The student: a Core ML model whose weights learn, in part (LoRA) or whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::coreml_model::{CoreMLModelWrapper, LoadOptions};
use super::lora::{Adapters, LoraOptions};
use super::policy::Policy;
use crate::diag::{Error, Kind, Result};
use crate::engine::device::scoped;
use crate::fail;
use crate::numeric::Array;
use crate::objectives::{Loss, scalar};
use crate::optim::{Accumulator, AdamW, AdamWOptions, AdamWState, Gradients, NamedArrays};
use crate::package::{Storage, StoredWeight};

/// What of the student learns.
#[derive(Debug, Clone, PartialEq)]
pub enum Trainable {
    Lora(LoraOptions),
    /// Weights whose names contain one of these parts; empty: all.
    Whole(Vec<String>),
}

impl Default for Trainable {
    fn default() -> Self {
        Trainable::Lora(LoraOptions::default())
    }
}

/// A model in training on the portable engine.
pub struct StudentModel {
    model: Arc<CoreMLModelWrapper>,
    adapters: Adapters,
    optimizer: AdamW,
    /// Runs with the trained weights given.
    policy: Policy,
}

/// What training had made of a student.
pub struct StudentState {
    weights: NamedArrays,
    optimizer: AdamWState,
}

impl StudentState {
    /// Bytes of memory: the numbers, and as many again for each of the two moments.
    pub fn bytes(&self) -> usize {
        let elements = self.weights.iter().map(|(_, array)| array.len());
        elements.sum::<usize>() * 12
    }
}

/// What one optimiser step did.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    pub loss: f64,
    /// Global norm of the gradient before clipping.
    pub grad_norm: f64,
    /// The objective's metrics, averaged over micro-batches by their weight.
    pub metrics: BTreeMap<String, f64>,
}

impl StudentModel {
    /// Loads a bundle as a student with default LoRA, holding it against what the caller expects of it.
    pub fn with_coreml(model_path: &Path, vocab_size: usize, max_seq_len: usize) -> Result<Self> {
        let model = Arc::new(CoreMLModelWrapper::load(
            model_path,
            &LoadOptions::default(),
        )?);
        let length = model.convention()?.length_max();
        if max_seq_len > length {
            fail!("the model takes {length} tokens at most, asked for {max_seq_len}");
        }
        let vocab = model.forward(&[0])?.ncols();
        if vocab != vocab_size {
            fail!("the model has a vocabulary of {vocab}, expected {vocab_size}");
        }
        Self::new(model, &Trainable::default(), AdamWOptions::default(), 0)
    }

    /// A student on top of `model`; `seed` draws the adapters.
    pub fn new(
        model: Arc<CoreMLModelWrapper>,
        trainable: &Trainable,
        options: AdamWOptions,
        seed: u64,
    ) -> Result<Self> {
        let engine = model.portable()?;
        let adapters = match trainable {
            Trainable::Lora(lora) => Adapters::lora(engine, model.function(), lora, seed)?,
            Trainable::Whole(parts) => Adapters::whole(engine, model.function(), parts)?,
        };
        let names: BTreeSet<String> = adapters.weights().map(str::to_owned).collect();
        let bound = engine.bind(model.function(), &names)?;
        let policy = Policy::new(bound, model.whole()?, model.interrupt())?;
        let optimizer = AdamW::new(adapters.parameters().clone(), options)?;
        Ok(Self {
            model,
            adapters,
            optimizer,
            policy,
        })
    }

    /// The model it started from.
    pub fn model(&self) -> &Arc<CoreMLModelWrapper> {
        &self.model
    }

    pub fn adapters(&self) -> &Adapters {
        &self.adapters
    }

    pub fn optimizer(&self) -> &AdamW {
        &self.optimizer
    }

    pub fn optimizer_mut(&mut self) -> &mut AdamW {
        &mut self.optimizer
    }

    /// The weights as they are now, without gradients: for sampling and frozen scoring.
    pub fn policy(&self) -> Result<Policy> {
        let given = self.adapters.given()?;
        let given = given
            .into_iter()
            .map(|(name, tensor)| (name, tensor.detach()))
            .collect();
        Ok(Policy {
            given,
            ..self.policy.clone()
        })
    }

    /// The weights as they are now, with gradients to what is trained.
    pub fn live(&self) -> Result<Policy> {
        Ok(Policy {
            given: self.adapters.given()?,
            ..self.policy.clone()
        })
    }

    /// The weights it started from: the reference of a KL term.
    pub fn reference(&self) -> Policy {
        Policy {
            given: self.adapters.base(),
            ..self.policy.clone()
        }
    }

    /// What training has made of it so far: the trained numbers and where the optimiser stands.
    ///
    /// # Errors
    /// The numbers can't be read.
    pub fn state(&self) -> Result<StudentState> {
        Ok(StudentState {
            weights: self.adapters.parameters().export()?,
            optimizer: self.optimizer.state(),
        })
    }

    /// Goes back to a state of this very student.
    ///
    /// # Errors
    /// The state is another student's; nothing changes.
    pub fn set_state(&mut self, state: &StudentState) -> Result<()> {
        self.adapters.parameters().import(&state.weights)?;
        self.optimizer.set_state(&state.optimizer);
        Ok(())
    }

    /// Why the program must be run whole at each sampled token; at the first call after that was found.
    pub fn remark(&self) -> Option<String> {
        self.policy.remark()
    }

    /// One optimiser step. `loss` is asked once per micro-batch, with a policy whose weights carry
    /// gradients; the gradients add up as if it were one batch.
    ///
    /// Fails, and leaves the weights as they were, when the loss or a gradient is not finite or a trained
    /// tensor gets no gradient.
    pub fn training_step(
        &mut self,
        learning_rate: f64,
        micro_batches: usize,
        loss: &mut dyn FnMut(&Policy, usize) -> Result<Loss>,
    ) -> Result<StepReport> {
        let mut accumulator = Accumulator::new();
        let mut sums = BTreeMap::new();
        let mut total = 0.0;
        for i in 0..micro_batches {
            self.policy.interrupt.check()?;
            let (gradients, loss, value) = scoped(|| self.gradients(i, loss))?;
            accumulator.add(gradients, loss.weight)?;
            total += value * loss.weight;
            for (name, metric) in loss.metrics {
                *sums.entry(name).or_insert(0.0) += metric * loss.weight;
            }
        }
        let weight = accumulator.weight();
        let Some(gradients) = accumulator.take()? else {
            fail!("the step has nothing to learn from")
        };
        let grad_norm = self.optimizer.apply(gradients, learning_rate)?;
        let metrics = sums
            .into_iter()
            .map(|(name, sum)| (name, sum / weight))
            .collect();
        Ok(StepReport {
            loss: total / weight,
            grad_norm,
            metrics,
        })
    }

    fn gradients(
        &self,
        index: usize,
        loss: &mut dyn FnMut(&Policy, usize) -> Result<Loss>,
    ) -> Result<(Gradients, Loss, f64)> {
        let loss = loss(&self.live()?, index)?;
        let value = scalar(&loss.value)?;
        if !value.is_finite() {
            return Err(Error::new(format!("the loss is {value}"))
                .hint("lower the learning rate or clip harder; the weights are those of the last good step")
                .kind_of(Kind::NonFinite));
        }
        let root = loss.value.clone();
        let store = self.policy.interrupt.leave(move || root.backward())??;
        Ok((
            Gradients::collect(self.adapters.parameters(), &store)?,
            loss,
            value,
        ))
    }

    /// The trained weights as arrays, by name.
    pub fn weights(&self) -> Result<BTreeMap<String, Array>> {
        let mut weights = BTreeMap::new();
        for (name, tensor) in self.policy()?.given {
            let shape = tensor.dims().to_vec();
            let flat = tensor.flatten_all()?.to_dtype(candle_core::DType::F32)?;
            weights.insert(name, Array::from_f32(shape, &flat.to_vec1::<f32>()?)?);
        }
        Ok(weights)
    }

    /// Writes the student as a bundle, its tokenizer inside; the form is told by the extension. Gives
    /// how each weight that changed is stored, the least faithful first.
    pub fn save(&self, path: &Path, storage: Storage) -> Result<Vec<StoredWeight>> {
        let bundle = self.model.bundle()?;
        let weights = self.weights()?;
        let (bundle, stored) = bundle.with_weights(self.model.function(), &weights, storage)?;
        self.model.save_as(&bundle, path)?;
        Ok(stored)
    }
}

//! Supervised fine-tuning: the student learns to say what the examples say.

use super::{Metrics, mask};
use crate::diag::Result;
use crate::fail;
use crate::models::{Policy, StudentModel};
use crate::numeric::Rng;
use crate::objectives::{Loss, Objective, Sft, SftBatch};
use crate::optim::Schedule;

/// Token ids of which those from `start` on are learnt (0 and 1 both mean: all that can be).
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    pub ids: Vec<u32>,
    pub start: usize,
}

/// How supervised training runs.
#[derive(Debug, Clone, PartialEq)]
pub struct SftOptions {
    /// Examples per step.
    pub batch: usize,
    /// Examples run at once; smaller needs less memory and changes nothing else.
    pub micro_batch: usize,
    pub schedule: Schedule,
    pub seed: u64,
}

/// Supervised training in progress: each epoch visits the examples in a fresh, seeded order.
pub struct SftTrainer {
    examples: Vec<Example>,
    options: SftOptions,
    order: Vec<usize>,
    epoch: usize,
    steps: usize,
}

/// Where a training stands: the order of its epoch, the epoch, the step.
pub struct SftPlace(Vec<usize>, usize, usize);

impl SftTrainer {
    pub fn new(examples: Vec<Example>, options: SftOptions) -> Result<Self> {
        if examples.is_empty() || options.batch == 0 || options.micro_batch == 0 {
            fail!("training needs examples and batches of at least 1");
        }
        if let Some(i) = examples
            .iter()
            .position(|e| e.ids.len() < 2 || e.start >= e.ids.len())
        {
            fail!("example {i} has nothing to learn after its prompt");
        }
        Ok(Self {
            examples,
            options,
            order: Vec::new(),
            epoch: 0,
            steps: 0,
        })
    }

    /// Where it stands, for going back.
    pub fn place(&self) -> SftPlace {
        SftPlace(self.order.clone(), self.epoch, self.steps)
    }

    /// Goes back to where it stood.
    pub fn go_back(&mut self, place: &SftPlace) {
        (self.order, self.epoch, self.steps) = (place.0.clone(), place.1, place.2);
    }

    pub fn options(&self) -> &SftOptions {
        &self.options
    }

    /// How many examples there are.
    pub fn examples(&self) -> usize {
        self.examples.len()
    }

    pub fn steps(&self) -> usize {
        self.steps
    }

    /// One optimiser step.
    pub fn step(&mut self, student: &mut StudentModel) -> Result<Metrics> {
        let picked: Vec<Example> = (0..self.options.batch).map(|_| self.next()).collect();
        let learning_rate = self.options.schedule.at(self.steps);
        let portions: Vec<&[Example]> = picked.chunks(self.options.micro_batch).collect();
        let report = student.training_step(learning_rate, portions.len(), &mut |policy, i| {
            loss(policy, portions[i])
        })?;
        self.steps += 1;
        let mut metrics = report.metrics;
        metrics.insert("loss".into(), report.loss);
        metrics.insert("grad_norm".into(), report.grad_norm);
        metrics.insert("learning_rate".into(), learning_rate);
        metrics.insert("epoch".into(), self.epoch as f64);
        Ok(metrics)
    }

    fn next(&mut self) -> Example {
        if self.order.is_empty() {
            self.order = (0..self.examples.len()).collect();
            let name = format!("epoch {}", self.epoch);
            Rng::named(self.options.seed, &name).shuffle(&mut self.order);
            self.epoch += 1;
        }
        let index = self.order.pop().unwrap_or(0);
        self.examples[index].clone()
    }
}

fn loss(policy: &Policy, examples: &[Example]) -> Result<Loss> {
    let rows: Vec<&[u32]> = examples.iter().map(|e| e.ids.as_slice()).collect();
    let starts: Vec<usize> = examples.iter().map(|e| e.start).collect();
    let scores = policy.score(&rows, 1.0)?;
    let mask = mask(&rows, &starts, scores.logprobs.device())?;
    Sft.loss(&SftBatch {
        logprobs: scores.logprobs,
        mask,
    })
}

//! Group relative policy optimisation (Shao et al. 2024, 2402.03300) of a student against a reward.
//!
//! One step: a group of completions for each of a few prompts is sampled from the student as it is; each
//! is rewarded; rewards become advantages within the group; the clipped surrogate with a KL term to the
//! starting weights is minimised. The ids that were sampled are the ids that are trained.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::{Metrics, mask};
use crate::diag::{Context, Result};
use crate::fail;
use crate::generate::{Finish, Rollout, Sampling, generate};
use crate::models::{Policy, StudentModel};
use crate::numeric::{Rng, stats};
use crate::objectives::{Grpo, GrpoBatch, Loss, Objective, Scale, advantages, values};
use crate::optim::Schedule;

/// How GRPO runs.
#[derive(Debug, Clone)]
pub struct GrpoOptions {
    /// Prompts per step.
    pub prompts: usize,
    /// Completions per prompt.
    pub group: usize,
    /// Optimiser steps on each batch of rollouts (μ).
    pub iterations: usize,
    /// Completions run at once in training.
    pub micro_batch: usize,
    pub sampling: Sampling,
    pub loss: Grpo,
    pub scale: Scale,
    pub schedule: Schedule,
    pub seed: u64,
}

/// A completion as the reward sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub prompt: String,
    pub completion: String,
    /// Whether it ended by itself.
    pub ended: bool,
}

/// Gives each sample a reward; `None` where there is no verdict.
pub type Reward<'a> = dyn FnMut(&[Sample]) -> Result<Vec<Option<f64>>> + 'a;

/// What one step did.
#[derive(Debug, Clone)]
pub struct GrpoStep {
    pub metrics: Metrics,
    pub samples: Vec<(Sample, Option<f64>)>,
}

/// GRPO in progress.
pub struct GrpoTrainer {
    prompts: Vec<(String, Vec<u32>)>,
    options: GrpoOptions,
    order: Vec<usize>,
    steps: usize,
}

/// Where a training stands: the order of its prompts, the step.
pub struct GrpoPlace(Vec<usize>, usize);

impl GrpoTrainer {
    /// `prompts` as text; they are encoded with the student's tokenizer.
    pub fn new(student: &StudentModel, prompts: &[String], options: GrpoOptions) -> Result<Self> {
        if prompts.is_empty() || options.prompts == 0 || options.group < 2 {
            fail!("GRPO needs prompts, and groups of at least 2 completions");
        }
        if options.iterations == 0 || options.micro_batch == 0 {
            fail!("iterations and micro_batch must be at least 1");
        }
        let tokenizer = student.model().tokenizer()?;
        let encode = |text: &String| Ok((text.clone(), tokenizer.encode(text, true)?));
        let prompts = prompts.iter().map(encode).collect::<Result<_>>()?;
        Ok(Self {
            prompts,
            options,
            order: Vec::new(),
            steps: 0,
        })
    }

    /// How many prompts there are.
    pub fn prompts(&self) -> usize {
        self.prompts.len()
    }

    pub fn options(&self) -> &GrpoOptions {
        &self.options
    }

    /// Where it stands, for going back.
    pub fn place(&self) -> GrpoPlace {
        GrpoPlace(self.order.clone(), self.steps)
    }

    /// Goes back to where it stood.
    pub fn go_back(&mut self, place: &GrpoPlace) {
        (self.order, self.steps) = (place.0.clone(), place.1);
    }

    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Samples, rewards and learns once.
    pub fn step(&mut self, student: &mut StudentModel, reward: &mut Reward) -> Result<GrpoStep> {
        let name = format!("step {}", self.steps);
        self.try_step(student, reward).context(name)
    }

    fn try_step(&mut self, student: &mut StudentModel, reward: &mut Reward) -> Result<GrpoStep> {
        let rollouts = self.sample(student)?;
        let samples = self.samples(student, &rollouts)?;
        let rewards = reward(&samples)?;
        if rewards.len() != samples.len() {
            fail!(
                "the reward gave {} values for {} samples",
                rewards.len(),
                samples.len()
            );
        }
        if let Some(bad) = rewards.iter().flatten().find(|r| !r.is_finite()) {
            fail!("the reward gave {bad}; a missing verdict is (), not a number");
        }
        let batch = self.batch(student, rollouts, &rewards)?;
        let learning_rate = self.options.schedule.at(self.steps);
        let mut metrics = Metrics::new();
        for _ in 0..self.options.iterations {
            let report = student.training_step(
                learning_rate,
                batch.portions(&self.options),
                &mut |policy, i| batch.loss(policy, i, &self.options),
            )?;
            metrics = report.metrics;
            metrics.insert("loss".into(), report.loss);
            metrics.insert("grad_norm".into(), report.grad_norm);
        }
        metrics.insert("learning_rate".into(), learning_rate);
        reward_metrics(&rewards, self.options.group, &mut metrics);
        batch.metrics(&mut metrics);
        self.steps += 1;
        Ok(GrpoStep {
            metrics,
            samples: samples.into_iter().zip(rewards).collect(),
        })
    }

    /// A group of completions for each of the next prompts.
    fn sample(&mut self, student: &StudentModel) -> Result<Vec<Rollout>> {
        let mut prompts = Vec::new();
        for _ in 0..self.options.prompts {
            let prompt = self.next();
            prompts.extend(std::iter::repeat_n(prompt, self.options.group));
        }
        let seed = Rng::named(self.options.seed, &format!("rollout {}", self.steps)).below(1 << 50);
        let sampling = Sampling {
            seed: seed as u64,
            ..self.options.sampling.clone()
        };
        let interrupt = student.model().interrupt();
        generate(
            &student.policy()?,
            &prompts,
            &sampling,
            interrupt,
            &mut |_| {},
        )
    }

    fn samples(&self, student: &StudentModel, rollouts: &[Rollout]) -> Result<Vec<Sample>> {
        let tokenizer = student.model().tokenizer()?;
        let text: BTreeMap<&[u32], &str> = self
            .prompts
            .iter()
            .map(|(text, ids)| (ids.as_slice(), text.as_str()))
            .collect();
        let sample = |rollout: &Rollout| {
            Ok(Sample {
                prompt: text
                    .get(rollout.prompt.as_slice())
                    .copied()
                    .unwrap_or_default()
                    .to_owned(),
                completion: rollout.text(tokenizer.vocabulary()),
                ended: rollout.finish.is_end(),
            })
        };
        rollouts.iter().map(sample).collect()
    }

    fn batch(
        &self,
        student: &StudentModel,
        rollouts: Vec<Rollout>,
        rewards: &[Option<f64>],
    ) -> Result<Batch> {
        let rows: Vec<Vec<u32>> = rollouts.iter().map(Rollout::ids).collect();
        let refs: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let temperature = self.options.sampling.scoring_temperature();
        let old = student.policy()?.score(&refs, temperature)?.logprobs;
        let reference = student.reference().score(&refs, temperature)?.logprobs;
        let advantages = advantages(rewards, self.options.group, self.options.scale)?;
        let drift = drift(&rollouts, &old)?;
        Ok(Batch {
            rollouts,
            rows,
            old,
            reference,
            advantages,
            drift,
        })
    }

    fn next(&mut self) -> Vec<u32> {
        if self.order.is_empty() {
            self.order = (0..self.prompts.len()).collect();
            let name = format!("prompts {}", self.steps);
            Rng::named(self.options.seed, &name).shuffle(&mut self.order);
        }
        let index = self.order.pop().unwrap_or(0);
        self.prompts[index].1.clone()
    }
}

/// Rollouts with all that their loss needs.
struct Batch {
    rollouts: Vec<Rollout>,
    rows: Vec<Vec<u32>>,
    /// `[rows, longest − 1]`, as are the reference's.
    old: Tensor,
    reference: Tensor,
    advantages: Vec<f64>,
    /// |log π of the sampler − log π of the trainer|, by token.
    drift: Vec<f64>,
}

impl Batch {
    fn portions(&self, options: &GrpoOptions) -> usize {
        self.rows.len().div_ceil(options.micro_batch)
    }

    fn loss(&self, policy: &Policy, portion: usize, options: &GrpoOptions) -> Result<Loss> {
        let start = portion * options.micro_batch;
        let count = options.micro_batch.min(self.rows.len() - start);
        let rows: Vec<&[u32]> = self.rows[start..start + count]
            .iter()
            .map(Vec::as_slice)
            .collect();
        let starts: Vec<usize> = self.rollouts[start..start + count]
            .iter()
            .map(|r| r.prompt.len())
            .collect();
        let scores = policy.score(&rows, options.sampling.scoring_temperature())?;
        let entropy = match options.loss.entropy_weight {
            // Only logged: no gradient needs to go through it.
            0.0 => scores.entropy()?.detach(),
            _ => scores.entropy()?,
        };
        let device = scores.logprobs.device();
        let width = scores.logprobs.dim(1)?;
        let part = |all: &Tensor| all.narrow(0, start, count)?.narrow(1, 0, width);
        let advantages = Tensor::new(&self.advantages[start..start + count], &Device::Cpu)?;
        options.loss.loss(&GrpoBatch {
            old: Some(part(&self.old)?),
            reference: Some(part(&self.reference)?),
            advantages: advantages
                .to_dtype(scores.logprobs.dtype())?
                .to_device(device)?,
            mask: mask(&rows, &starts, device)?,
            entropy: Some(entropy),
            weights: None,
            logprobs: scores.logprobs,
        })
    }

    fn metrics(&self, metrics: &mut Metrics) {
        let lengths: Vec<f64> = self
            .rollouts
            .iter()
            .map(|r| r.completion.len() as f64)
            .collect();
        let cut = self
            .rollouts
            .iter()
            .filter(|r| r.finish == Finish::Length)
            .count();
        let max = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let named = [
            (
                "completions/mean_length",
                stats::mean(&lengths).unwrap_or(0.0),
            ),
            ("completions/max_length", max(&lengths)),
            (
                "completions/clipped_ratio",
                cut as f64 / self.rollouts.len() as f64,
            ),
            ("num_tokens", self.rows.iter().map(|r| r.len() as f64).sum()),
            (
                "sampling/sampling_logp_difference/mean",
                stats::mean(&self.drift).unwrap_or(0.0),
            ),
            ("sampling/sampling_logp_difference/max", max(&self.drift)),
        ];
        metrics.extend(named.map(|(name, value)| (name.to_owned(), value)));
    }
}

/// How far the sampler's log-probabilities are from the trainer's, token by token.
fn drift(rollouts: &[Rollout], old: &Tensor) -> Result<Vec<f64>> {
    let width = old.dim(1)?;
    let trainer = values(old)?;
    let mut drift = Vec::new();
    for (i, rollout) in rollouts.iter().enumerate() {
        let first = i * width + rollout.prompt.len() - 1;
        drift.extend(
            rollout
                .logprobs
                .iter()
                .zip(&trainer[first..])
                .map(|(a, b)| (a - b).abs()),
        );
    }
    Ok(drift)
}

fn reward_metrics(rewards: &[Option<f64>], group: usize, metrics: &mut Metrics) {
    let known: Vec<f64> = rewards.iter().flatten().copied().collect();
    let deviations: Vec<f64> = rewards
        .chunks(group)
        .filter_map(|g| stats::std(&g.iter().flatten().copied().collect::<Vec<_>>()))
        .collect();
    let flat = deviations.iter().filter(|d| **d < 1e-9).count() as f64;
    let named = [
        ("reward", stats::mean(&known).unwrap_or(0.0)),
        ("reward_std", stats::mean(&deviations).unwrap_or(0.0)),
        (
            "frac_reward_zero_std",
            flat / deviations.len().max(1) as f64,
        ),
        ("rewards/missing", (rewards.len() - known.len()) as f64),
    ];
    metrics.extend(named.map(|(name, value)| (name.to_owned(), value)));
}

//! Objectives as a trainer uses them: gradients against finite differences through the logits, batches in
//! parts, and policies that must arrive at a known optimum.

use candle_core::{D, DType, Device, Tensor, Var};
use rlaif_repl::diag::Result;
use rlaif_repl::numeric::Rng;
use rlaif_repl::objectives::logprobs::{entropy, log_softmax, token_logprobs};
use rlaif_repl::objectives::*;
use rlaif_repl::optim::{Accumulator, Gradients, Parameters, check_gradients};

const ROWS: usize = 4;
const TOKENS: usize = 3;
const VOCAB: usize = 5;

/// Random logits as the trained parameter, and a ragged mask.
struct Toy {
    parameters: Parameters,
    logits: Var,
    ids: Tensor,
    mask: Tensor,
    rng: Rng,
}

impl Toy {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let size = ROWS * TOKENS * VOCAB;
        let logits: Vec<f64> = (0..size).map(|_| rng.normal()).collect();
        let logits = Var::from_vec(logits, (ROWS, TOKENS, VOCAB), &Device::Cpu).unwrap();
        let ids: Vec<u32> = (0..ROWS * TOKENS)
            .map(|_| rng.below(VOCAB) as u32)
            .collect();
        let mask: [[u8; TOKENS]; ROWS] = [[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 0, 0]];
        let mut parameters = Parameters::new();
        parameters.insert("logits", logits.clone()).unwrap();
        Self {
            parameters,
            logits,
            ids: Tensor::from_vec(ids, (ROWS, TOKENS), &Device::Cpu).unwrap(),
            mask: Tensor::new(&mask, &Device::Cpu).unwrap(),
            rng,
        }
    }

    fn noise(&mut self, shape: &[usize], scale: f64) -> Tensor {
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|_| scale * self.rng.normal()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn logprobs(&self) -> Result<Tensor> {
        token_logprobs(&self.logits, &self.ids, 0.8)
    }

    /// Rows 0 and 1 against rows 2 and 3.
    fn pairs(&self, reference: &Tensor, preference: Option<&Tensor>) -> Result<Pairs> {
        let logprobs = self.logprobs()?;
        let side = |from: usize| -> Result<Answers> {
            let part = |t: &Tensor| t.narrow(0, from, 2);
            Answers::from_tokens(
                &part(&logprobs)?,
                Some(&part(reference)?),
                &part(&self.mask)?,
            )
        };
        Ok(Pairs {
            chosen: side(0)?,
            rejected: side(2)?,
            preference: preference.cloned(),
        })
    }

    fn check(&self, what: &str, loss: impl Fn() -> Result<Tensor>) {
        let worst = check_gradients(&self.parameters, 1e-8, loss);
        assert!(worst.is_ok(), "{what}: {}", worst.unwrap_err());
    }
}

#[test]
fn gradients_of_the_supervised_and_reward_losses() {
    let toy = Toy::new(1);
    toy.check("sft", || {
        let batch = SftBatch {
            logprobs: toy.logprobs()?,
            mask: toy.mask.clone(),
        };
        Ok(Sft.loss(&batch)?.value)
    });
    toy.check("entropy", || Ok(entropy(&toy.logits, 0.8)?.sum_all()?));
    let label = Tensor::new(&[0.8, 0.3], &Device::Cpu).unwrap();
    let margin = Tensor::new(&[0.5, 0.0], &Device::Cpu).unwrap();
    toy.check("reward model", || {
        let scores = toy.logits.sum(D::Minus1)?.sum(D::Minus1)?;
        let batch = ScoredPairs {
            chosen: scores.narrow(0, 0, 2)?,
            rejected: scores.narrow(0, 2, 2)?,
            margin: Some(margin.clone()),
            preference: Some(label.clone()),
        };
        Ok(RewardModel { centering: 0.01 }.loss(&batch)?.value)
    });
}

#[test]
fn gradients_of_the_preference_losses() {
    let mut toy = Toy::new(2);
    let reference = (toy.logprobs().unwrap() + toy.noise(&[ROWS, TOKENS], 0.5)).unwrap();
    let reference = reference.detach();
    let soft = Tensor::new(&[0.8, 0.3], &Device::Cpu).unwrap();
    for preference in [None, Some(&soft)] {
        for loss in DpoLoss::ALL {
            let smooths = matches!(loss, DpoLoss::Conservative | DpoLoss::Robust);
            let dpo = Dpo {
                loss: *loss,
                beta: 0.5,
                label_smoothing: if smooths { 0.1 } else { 0.0 },
                positive_weight: 2.0,
            };
            toy.check(loss.name(), || {
                Ok(dpo.loss(&toy.pairs(&reference, preference)?)?.value)
            });
        }
        toy.check("orpo", || {
            Ok(Orpo { beta: 0.7 }
                .loss(&toy.pairs(&reference, preference)?)?
                .value)
        });
        for simpo in [Simpo::default(), Simpo::cpo()] {
            toy.check("simpo", || {
                Ok(simpo.loss(&toy.pairs(&reference, preference)?)?.value)
            });
        }
    }
    let desirable = Tensor::new(&[1.0, 0.0, 0.7, 0.0], &Device::Cpu).unwrap();
    toy.check("kto", || {
        let batch = KtoBatch {
            policy: masked::row_sums(&toy.logprobs()?, &toy.mask)?,
            reference: masked::row_sums(&reference, &toy.mask)?,
            desirable: desirable.clone(),
            kl: 0.2,
        };
        Ok(Kto::default().loss(&batch)?.value)
    });
}

/// Every combination of reduction, level and KL; old log-probabilities far enough for some clipping.
#[test]
fn gradients_of_grpo() {
    let mut toy = Toy::new(3);
    let now = toy.logprobs().unwrap().detach();
    let near = |toy: &mut Toy, scale| (&now + toy.noise(&[ROWS, TOKENS], scale)).unwrap();
    let (old, reference) = (near(&mut toy, 0.3), near(&mut toy, 0.5));
    let advantages = Tensor::new(&[1.2, -0.7, 0.4, -0.9], &Device::Cpu).unwrap();
    for reduction in Reduction::ALL {
        for level in Level::ALL {
            for kl in Kl::ALL {
                let grpo = Grpo {
                    reduction: *reduction,
                    level: *level,
                    kl: *kl,
                    beta: 0.3,
                    entropy_weight: 0.05,
                    ratio_max: Some(1.3),
                    max_completion_length: Some(7),
                    ..Grpo::default()
                };
                toy.check(&format!("{reduction} {level} {kl}"), || {
                    let batch = GrpoBatch {
                        logprobs: toy.logprobs()?,
                        old: Some(old.clone()),
                        reference: Some(reference.clone()),
                        advantages: advantages.clone(),
                        mask: toy.mask.clone(),
                        entropy: Some(entropy(&toy.logits, 0.8)?),
                        weights: Some((toy.mask.to_dtype(DType::F64)? * 0.9)?),
                    };
                    Ok(grpo.loss(&batch)?.value)
                });
            }
        }
    }
}

/// Micro-batches of any size add up to the whole batch, for every reduction that is a mean over units.
#[test]
fn parts_of_a_batch_add_up() {
    let mut toy = Toy::new(4);
    let old = (toy.logprobs().unwrap().detach() + toy.noise(&[ROWS, TOKENS], 0.2)).unwrap();
    let advantages = Tensor::new(&[1.2, -0.7, 0.4, -0.9], &Device::Cpu).unwrap();
    for reduction in [Reduction::Grpo, Reduction::Dapo, Reduction::DrGrpo] {
        let grpo = Grpo {
            reduction,
            max_completion_length: Some(5),
            ..Grpo::default()
        };
        let gradients = |from: usize, count: usize| {
            let part = |t: &Tensor| t.narrow(0, from, count).unwrap();
            let batch = GrpoBatch {
                logprobs: part(&toy.logprobs().unwrap()),
                old: Some(part(&old)),
                reference: None,
                advantages: part(&advantages),
                mask: part(&toy.mask),
                entropy: None,
                weights: None,
            };
            let loss = grpo.loss(&batch).unwrap();
            let store = loss.value.backward().unwrap();
            let gradients = Gradients::collect(&toy.parameters, &store).unwrap();
            (gradients, loss.weight)
        };
        let mut sum = Accumulator::new();
        for (from, count) in [(0, 1), (1, 3)] {
            let (part, weight) = gradients(from, count);
            sum.add(part, weight).unwrap();
        }
        let parts = values(sum.take().unwrap().unwrap().iter().next().unwrap()).unwrap();
        let whole = values(gradients(0, ROWS).0.iter().next().unwrap()).unwrap();
        for (part, whole) in parts.iter().zip(&whole) {
            assert!((part - whole).abs() < 1e-16, "{reduction}: {part} {whole}");
        }
    }
}

/// A policy over three answers, reference (.5, .3, .2), rewards (0, 1, 2), KL weight 1: each step uses
/// the exact expectation over all answers, weighted by their probability.
struct Bandit {
    policy: Var,
    reference: Tensor,
}

const REWARDS: [f64; 3] = [0.0, 1.0, 2.0];
const OPTIMUM: [f64; 3] = [0.179000, 0.291944, 0.529056];

impl Bandit {
    fn new() -> Self {
        let reference = Tensor::new(&[[0.5, 0.3, 0.2]], &Device::Cpu).unwrap();
        let reference = reference.log().unwrap();
        Self {
            policy: Var::from_tensor(&reference).unwrap(),
            reference,
        }
    }

    fn probabilities(&self) -> Vec<f64> {
        values(&log_softmax(&self.policy, 1.0).unwrap().exp().unwrap()).unwrap()
    }

    fn descend(&self, steps: usize, rate: f64, loss: impl Fn(&Tensor) -> Result<Tensor>) {
        for _ in 0..steps {
            let logprobs = log_softmax(&self.policy, 1.0).unwrap();
            let store = loss(&logprobs).unwrap().backward().unwrap();
            let gradient = store.get(&self.policy).unwrap();
            let moved = (self.policy.as_tensor() - (gradient * rate).unwrap()).unwrap();
            self.policy.set(&moved.detach()).unwrap();
        }
    }

    /// Where GRPO ends: one batch per answer, weighted by the answer's probability, is the expectation.
    fn grpo(&self, grpo: Grpo, scaled: bool) -> Vec<f64> {
        self.descend(400, 2.0, |logprobs| {
            let p = logprobs.exp()?.detach();
            let probabilities = values(&p)?;
            let mean: f64 = probabilities.iter().zip(REWARDS).map(|(p, r)| p * r).sum();
            let square = |(p, r): (&f64, f64)| p * (r - mean).powi(2);
            let variance: f64 = probabilities.iter().zip(REWARDS).map(square).sum();
            let scale = if scaled { variance.sqrt() + 1e-4 } else { 1.0 };
            let column = |t: &Tensor| t.reshape((3, 1));
            let batch = |row: usize| -> Result<Tensor> {
                let pick = |t: &Tensor| column(t)?.narrow(0, row, 1);
                let advantage = (REWARDS[row] - mean) / scale;
                let batch = GrpoBatch {
                    logprobs: pick(logprobs)?,
                    old: None,
                    reference: Some(pick(&self.reference)?),
                    advantages: Tensor::new(&[advantage], &Device::Cpu)?,
                    mask: Tensor::ones((1, 1), DType::U8, &Device::Cpu)?,
                    entropy: None,
                    weights: None,
                };
                Ok((grpo.loss(&batch)?.value * probabilities[row])?)
            };
            Ok(((batch(0)? + batch(1)?)? + batch(2)?)?)
        });
        self.probabilities()
    }
}

fn assert_close(got: &[f64], want: [f64; 3], tolerance: f64) {
    let near = got.iter().zip(want).all(|(g, w)| (g - w).abs() < tolerance);
    assert!(near, "{got:?} instead of {want:?}");
}

/// π* ∝ ρ·exp(r/β), and where other settings end; fixed points computed in NumPy.
#[test]
fn grpo_reaches_the_known_fixed_points() {
    let check = |kl, kl_importance, scaled, expected: [f64; 3]| {
        let grpo = Grpo {
            kl,
            kl_importance,
            beta: 1.0,
            ..Grpo::default()
        };
        assert_close(&Bandit::new().grpo(grpo, scaled), expected, 2e-6);
    };
    check(Kl::K2, false, false, OPTIMUM);
    check(Kl::K3, true, false, OPTIMUM);
    check(Kl::K3, false, false, [0.212456, 0.221659, 0.565885]);
    check(Kl::K2, false, true, [0.056078, 0.194485, 0.749436]);
    check(Kl::K3, false, true, [0.171897, 0.186315, 0.641788]);
}

/// DPO on infinitely many Bradley–Terry labels of all pairs of answers, as soft labels.
#[test]
fn dpo_reaches_the_analytic_optimum() {
    let bandit = Bandit::new();
    let pairs = [(0usize, 1usize), (0, 2), (1, 2)];
    let (first, second): (Vec<u32>, Vec<u32>) =
        pairs.map(|(a, b)| (a as u32, b as u32)).into_iter().unzip();
    let label = |(a, b): (usize, usize)| 1.0 / (1.0 + (REWARDS[b] - REWARDS[a]).exp());
    let labels = Tensor::new(&pairs.map(label), &Device::Cpu).unwrap();
    let dpo = Dpo {
        beta: 1.0,
        ..Dpo::default()
    };
    bandit.descend(800, 1.0, |logprobs| {
        let side = |ids: &[u32]| -> Result<Answers> {
            let pick = |t: &Tensor| {
                t.flatten_all()?
                    .index_select(&Tensor::new(ids, &Device::Cpu)?, 0)
            };
            Ok(Answers {
                policy: pick(logprobs)?,
                reference: Some(pick(&bandit.reference)?),
                lengths: Tensor::ones(3, DType::F64, &Device::Cpu)?,
            })
        };
        let batch = Pairs {
            chosen: side(&first)?,
            rejected: side(&second)?,
            preference: Some(labels.clone()),
        };
        Ok(dpo.loss(&batch)?.value)
    });
    assert_close(&bandit.probabilities(), OPTIMUM, 1e-6);
}

/// RLOO keeps its KL in the reward (k1, as a number): that too must reach the optimum.
#[test]
fn policy_gradient_with_the_kl_in_the_reward_reaches_the_optimum() {
    let bandit = Bandit::new();
    let loss = Grpo {
        reduction: Reduction::Grpo,
        level: Level::SequenceSum,
        ..Grpo::default()
    };
    bandit.descend(400, 2.0, |logprobs| {
        let p = logprobs.exp()?.detach();
        let k1 = values(&Kl::K1.estimate(&logprobs.detach(), &bandit.reference)?)?;
        let rewards: Vec<f64> = REWARDS.iter().zip(&k1).map(|(r, k)| r - k).collect();
        let probabilities = values(&p)?;
        let mean: f64 = probabilities.iter().zip(&rewards).map(|(p, r)| p * r).sum();
        // The mean over three rows times 3·π(answer) is the expectation.
        let weigh = |(p, r): (&f64, &f64)| 3.0 * p * (r - mean);
        let advantages: Vec<f64> = probabilities.iter().zip(&rewards).map(weigh).collect();
        let batch = GrpoBatch {
            logprobs: logprobs.reshape((3, 1))?,
            old: None,
            reference: None,
            advantages: Tensor::new(advantages, &Device::Cpu)?,
            mask: Tensor::ones((3, 1), DType::U8, &Device::Cpu)?,
            entropy: None,
            weights: None,
        };
        Ok(loss.loss(&batch)?.value)
    });
    assert_close(&bandit.probabilities(), OPTIMUM, 1e-6);
}

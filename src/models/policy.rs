//! A fixed set of weights as a policy: next-token logits for sampling, log-probabilities for scoring.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{D, DType as Candle, Tensor};
use ndarray::Array2;

use super::conventions::Whole;
use super::decoding::Increments;
use crate::diag::{Error, Interrupt, Result};
use crate::engine::Features;
use crate::engine::device::scoped;
use crate::engine::portable::batch::Lane;
use crate::engine::portable::{Bound, Value};
use crate::fail;
use crate::generate::{Decoder, NextLogits};
use crate::objectives::logprobs;

/// A program with the weights it is run with.
#[derive(Clone)]
pub struct Policy {
    pub(super) bound: Arc<Bound>,
    pub(super) convention: Arc<Whole>,
    pub(super) given: BTreeMap<String, Tensor>,
    pub(super) increments: Arc<Increments>,
    pub(super) interrupt: Interrupt,
}

/// Token log-probabilities of a batch of rows, aligned: position `t` is about token `t + 1`.
pub struct Scores {
    /// `[rows, longest − 1]`, nats, at the temperature asked for.
    pub logprobs: Tensor,
    /// Logits at each position, `[rows, longest − 1, vocab]`.
    pub logits: Tensor,
    temperature: f64,
}

impl Scores {
    /// Entropy of the distribution at each position, nats.
    pub fn entropy(&self) -> Result<Tensor> {
        logprobs::entropy(&self.logits, self.temperature)
    }
}

impl Policy {
    /// The function behind `bound`, which is still to be given its weights.
    pub(super) fn new(bound: Bound, convention: Whole, interrupt: &Interrupt) -> Result<Self> {
        let bound = Arc::new(bound);
        Ok(Self {
            increments: Arc::new(Increments::new(bound.clone(), &convention)?),
            bound,
            convention: Arc::new(convention),
            given: BTreeMap::new(),
            interrupt: interrupt.clone(),
        })
    }

    /// Logits of every position, `[rows, longest, vocab]`. Gradients flow if the weights carry any.
    pub fn logits(&self, rows: &[&[u32]]) -> Result<Tensor> {
        let mut parts = Vec::new();
        let longest = rows.iter().map(|r| r.len()).max().unwrap_or(0);
        for chunk in self.convention.batches(rows) {
            self.interrupt.check()?;
            parts.push(self.run(chunk, longest)?);
        }
        match parts.len() {
            0 => fail!("there are no rows to run"),
            1 => Ok(parts.remove(0)),
            _ => Ok(Tensor::cat(&parts, 0)?),
        }
    }

    /// Logits of each row without its padding, `[length, vocab]`, on the host.
    pub fn rows(&self, rows: &[&[u32]]) -> Result<Vec<Array2<f32>>> {
        let logits = self.logits(rows)?.to_dtype(Candle::F32)?;
        let cut = |(i, row): (usize, &&[u32])| -> Result<Array2<f32>> {
            let values = logits
                .get(i)?
                .narrow(0, 0, row.len())?
                .flatten_all()?
                .to_vec1()?;
            Array2::from_shape_vec((row.len(), values.len() / row.len()), values)
                .map_err(|error| Error::new(error.to_string()))
        };
        rows.iter().enumerate().map(cut).collect()
    }

    /// How likely each token of each row is, given those before it.
    pub fn score(&self, rows: &[&[u32]], temperature: f64) -> Result<Scores> {
        let longest = rows.iter().map(|r| r.len()).max().unwrap_or(0);
        if longest < 2 {
            fail!("rows need at least two tokens to be scored");
        }
        let next = |row: &&[u32]| {
            let ids = row[1..].iter().copied();
            ids.chain(std::iter::repeat(0))
                .take(longest - 1)
                .collect::<Vec<u32>>()
        };
        let targets: Vec<u32> = rows.iter().flat_map(next).collect();
        let logits = self.logits(rows)?.narrow(1, 0, longest - 1)?.contiguous()?;
        let targets = Tensor::from_vec(targets, (rows.len(), longest - 1), logits.device())?;
        let logprobs = logprobs::token_logprobs(&logits, &targets, temperature)?;
        Ok(Scores {
            logprobs,
            logits,
            temperature,
        })
    }

    /// The rows in one pass: `[rows, positions given, vocab]`.
    fn call(&self, rows: &[&[u32]]) -> Result<Tensor> {
        let calls = self.convention.calls(rows)?;
        let mut outputs = self.outputs(&calls.inputs)?;
        let Some(logits) = outputs.remove(&self.convention.logits) else {
            fail!("the model gave no \"{}\"", self.convention.logits);
        };
        let logits = logits.tensor()?.clone();
        let vocab = logits.dim(D::Minus1)?;
        let filled = (calls.rows * calls.inputs.len(), (), vocab);
        Ok(logits.reshape(filled)?.narrow(0, 0, rows.len())?)
    }

    /// The rows in one pass: `[rows, longest, vocab]`.
    fn run(&self, rows: &[&[u32]], longest: usize) -> Result<Tensor> {
        let logits = self.call(rows)?;
        let got = logits.dim(1)?;
        match got.cmp(&longest) {
            std::cmp::Ordering::Equal => Ok(logits),
            std::cmp::Ordering::Greater => Ok(logits.narrow(1, 0, longest)?),
            // This portion's rows are all shorter than the longest of the whole batch.
            std::cmp::Ordering::Less if rows.iter().all(|r| r.len() <= got) => {
                Ok(logits.pad_with_zeros(1, 0, longest - got)?)
            }
            std::cmp::Ordering::Less => {
                fail!(
                    "the model gives logits of {got} positions for {longest} tokens; training needs all"
                )
            }
        }
    }
}

impl Policy {
    /// The program's inputs.
    pub(super) fn inputs(&self, features: &Features) -> Result<BTreeMap<String, Value>> {
        let inputs = features.iter();
        let inputs = inputs.map(|(name, array)| Ok((name.clone(), self.bound.input(name, array)?)));
        inputs.collect()
    }

    /// The results of one call, or of several with an axis for these in front.
    fn outputs(&self, calls: &[Features]) -> Result<BTreeMap<String, Value>> {
        if let [only] = calls {
            return self
                .bound
                .run(&self.inputs(only)?, &self.given, &mut self.bound.states()?);
        }
        let lanes = Lane::of_features(calls, |name, array| self.bound.input(name, array))?;
        let mut states = self.bound.states_of(calls.len())?;
        self.bound
            .run_batch(calls.len(), &lanes, &self.given, &mut states)
    }

    /// The logits after the last token of each row, in one call if the program gives all positions.
    fn last(&self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let logits = self.call(rows)?.to_dtype(Candle::F32)?;
        let got = logits.dim(1)?;
        let at = |(i, row): (usize, &&[u32])| -> Result<Vec<f32>> {
            Ok(logits
                .get(i)?
                .get((row.len() - 1).min(got - 1))?
                .to_vec1()?)
        };
        let longest = rows.iter().map(|r| r.len()).max().unwrap_or(0);
        let given = self.convention.length(longest);
        match rows {
            _ if got >= longest || rows.iter().all(|r| r.len() == given) => {
                rows.iter().enumerate().map(at).collect()
            }
            [row] => fail!(
                "the model gives logits for the last of its {given} positions alone, and the row has \
                 {} tokens",
                row.len()
            ),
            rows => {
                let one = |row| Ok(self.last(std::slice::from_ref(row))?.remove(0));
                rows.iter().map(one).collect()
            }
        }
    }
}

impl NextLogits for Policy {
    fn next_logits(&self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        scoped(|| {
            let mut logits = Vec::with_capacity(rows.len());
            for chunk in self.convention.batches(rows) {
                self.interrupt.check()?;
                logits.extend(self.last(chunk)?);
            }
            Ok(logits)
        })
    }

    fn max_len(&self) -> usize {
        self.convention.length_max()
    }

    fn decoder(&self, longest: usize) -> Result<Option<Box<dyn Decoder + '_>>> {
        let decoder = self.incremental(longest)?;
        Ok(decoder.map(|decoder| Box::new(decoder) as Box<dyn Decoder>))
    }
}

//! A checkpoint's own forward pass, in fp32, which a program made of it is held against.
//!
//! It is that of `candle-transformers` for the models that it computes as `transformers` does. It was held
//! against transformers 4.57 on the fixtures in `tests/fixtures/families`; where it lacks something or differs,
//! a plain forward pass takes its place (see [`candle`]).

mod candle;
mod plain;

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Tensor};
use ndarray::Array2;

use self::candle::Stepwise;
use self::plain::Plain;
use super::families;
use super::source::Checkpoint;
use crate::diag::{Error, Interrupt, Result};
use crate::fail;
use crate::verify::RowLogits;

/// A checkpoint that gives logits.
pub struct Oracle {
    name: String,
    way: Way,
    vocab: usize,
    longest: usize,
    interrupt: Interrupt,
}

enum Way {
    /// candle-transformers, token by token: it gives the last position's logits only.
    Candle(Mutex<Stepwise>),
    /// A plain forward pass, with what candle-transformers lacks.
    Plain(Box<Plain>, String),
}

impl Oracle {
    /// The model of `source`, called `name`, for rows of up to `longest` tokens, as a program of the context
    /// `context` takes them.
    pub fn new(
        name: &str,
        source: &Arc<Checkpoint>,
        context: usize,
        longest: usize,
    ) -> Result<Self> {
        let model = families::describe(source)?;
        let vocab = model.vocab;
        let tied = model.head.is_tied();
        let found = match model.gives_tokens() {
            true => candle::open(source, longest, tied)?,
            false => Err("is asked for language models only".to_owned()),
        };
        let way = match found {
            Ok(stepwise) => Way::Candle(Mutex::new(stepwise)),
            Err(lack) => {
                let plain = Plain::new(source.clone(), model, context);
                Way::Plain(Box::new(plain), lack)
            }
        };
        let mut oracle = Self {
            name: String::new(),
            way,
            vocab,
            longest,
            interrupt: source.interrupt.clone(),
        };
        oracle.name = format!("{name} by {}", oracle.remark());
        Ok(oracle)
    }

    /// Tokens that it knows.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// Who computes, and why not candle-transformers if it is not.
    pub fn remark(&self) -> String {
        match &self.way {
            Way::Candle(_) => "candle-transformers".to_owned(),
            Way::Plain(_, lack) => {
                format!("a plain forward pass, as candle-transformers {lack}")
            }
        }
    }
}

impl RowLogits for Oracle {
    fn name(&self) -> &str {
        &self.name
    }

    /// Of a model that is none of language: its classes' logits `[1, classes]`, or its states
    /// `[length, hidden]`.
    fn row_logits(&self, ids: &[u32]) -> Result<Array2<f32>> {
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.vocab) {
            fail!("token {id} is not one of the {}", self.vocab);
        }
        if ids.is_empty() || ids.len() > self.longest {
            fail!(
                "a row of {} tokens, expected 1 to {}",
                ids.len(),
                self.longest
            );
        }
        let (rows, values) = match &self.way {
            Way::Plain(plain, _) => {
                let outputs = plain.outputs(ids)?;
                (outputs.dim(0)?, outputs.flatten_all()?.to_vec1()?)
            }
            Way::Candle(step) => {
                let mut step = step.lock().unwrap_or_else(PoisonError::into_inner);
                let mut values = Vec::with_capacity(ids.len() * self.vocab);
                for (at, id) in ids.iter().enumerate() {
                    self.interrupt.check()?;
                    let id = Tensor::new(&[[*id]], &Device::Cpu)?;
                    values.extend(step(&id, at)?.flatten_all()?.to_vec1::<f32>()?);
                }
                (ids.len(), values)
            }
        };
        let logits = Array2::from_shape_vec((rows, values.len() / rows.max(1)), values);
        logits.map_err(|error| Error::new(error.to_string()))
    }
}

#[cfg(test)]
mod tests;

//! Decoding with a model that keeps the past: rows that grow, each with a memory of its own.

use std::collections::BTreeMap;

use super::Runner;
use super::cached::{Cached, Sequence, Want};
use crate::diag::Result;
use crate::engine::device::scoped;
use crate::fail;
use crate::generate::{Decoder, Way, kept, twin};

/// The rows of one batch.
pub(super) struct Sequences<'a> {
    model: &'a Cached,
    run: Runner<'a>,
    rows: BTreeMap<usize, Sequence>,
}

impl<'a> Sequences<'a> {
    pub fn new(model: &'a Cached, run: Runner<'a>) -> Self {
        Self {
            model,
            run,
            rows: BTreeMap::new(),
        }
    }

    /// The logits after the last of `ids`, which row `key` is to hold.
    fn grow(&mut self, key: usize, ids: &[u32]) -> Result<Vec<f32>> {
        let mut sequence = match self.rows.remove(&key) {
            Some(sequence) => sequence,
            None => self.model.start(self.run.engine)?,
        };
        let known = kept(&sequence.ids, ids);
        self.model.rewind(&self.run, &mut sequence, known)?;
        let logits = self
            .model
            .extend(&self.run, &mut sequence, &ids[known..], Want::Last)?;
        self.rows.insert(key, sequence);
        match logits.rows().into_iter().next_back() {
            Some(last) => Ok(last.to_vec()),
            None => fail!("row {key} has no tokens"),
        }
    }

    /// Lets row `key` begin as a copy of row `twin`; `false` if that can't be.
    fn copy(&mut self, twin: usize, key: usize) -> Result<bool> {
        let Some(sequence) = self.rows.get(&twin) else {
            return Ok(false);
        };
        let fork = self.model.fork(sequence)?;
        let forked = fork.is_some();
        self.rows.extend(fork.map(|fork| (key, fork)));
        Ok(forked)
    }
}

impl Decoder for Sequences<'_> {
    fn way(&self) -> Way {
        self.model.keeper.way()
    }

    fn next(&mut self, rows: &[(usize, &[u32])]) -> Result<Vec<Vec<f32>>> {
        self.rows
            .retain(|key, _| rows.iter().any(|(row, _)| row == key));
        let mut logits: Vec<Vec<f32>> = Vec::with_capacity(rows.len());
        for (i, (key, ids)) in rows.iter().enumerate() {
            let fresh = !self.rows.contains_key(key);
            let made = match fresh.then(|| twin(rows, i)).flatten() {
                Some(twin) if self.copy(rows[twin].0, *key)? => logits[twin].clone(),
                _ => scoped(|| self.grow(*key, ids))?,
            };
            logits.push(made);
        }
        Ok(logits)
    }
}

//! Sequences that grow token by token: only what is new is computed.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::Increment;
use super::pass::{Pass, Sequence, Windows};
use super::program::Program;
use super::window::Window;
use crate::diag::Result;
use crate::engine::portable::value::Value;
use crate::fail;
use crate::numeric::{Array, DType};

/// Sequences that are decoded together with one set of weights.
pub struct Session {
    increment: Arc<Increment>,
    program: Arc<Program>,
    /// What no token reaches, by slot.
    fixed: BTreeMap<usize, Value>,
    sequences: BTreeMap<usize, Sequence>,
}

/// The tokens whose logits are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The last new one of each sequence.
    Last,
    /// All new ones.
    All,
}

impl Session {
    pub(super) fn new(
        increment: Arc<Increment>,
        program: Arc<Program>,
        given: &BTreeMap<String, Tensor>,
    ) -> Result<Self> {
        let detached = given.iter().map(|(name, t)| (name.clone(), t.detach()));
        let given: BTreeMap<String, Tensor> = detached.collect();
        let fixed = increment.with_ctx(|increment, ctx| {
            for (slot, value) in &program.fixed {
                ctx.slots[*slot] = Some(value.clone());
            }
            increment.schedule.fill(&given, &mut ctx.slots)?;
            for i in &program.fresh {
                ctx.step(increment.schedule.step(&increment.bound.plan, *i))?;
            }
            let used = program.used.iter();
            let held = used.filter_map(|slot| Some((*slot, ctx.slots[*slot].clone()?)));
            Ok(held.collect())
        })?;
        Ok(Self {
            increment,
            program,
            fixed,
            sequences: BTreeMap::new(),
        })
    }

    /// The most tokens that a sequence may have.
    pub fn capacity(&self) -> usize {
        self.program.capacity
    }

    /// Tokens of a sequence so far; 0 for one that was never extended.
    pub fn len(&self, sequence: usize) -> usize {
        self.sequences.get(&sequence).map_or(0, |s| s.len)
    }

    /// Takes a sequence back to its first `len` tokens.
    pub fn rewind(&mut self, sequence: usize, len: usize) {
        if let Some(sequence) = self.sequences.get_mut(&sequence) {
            sequence.len = sequence.len.min(len);
        }
    }

    /// Forgets a sequence.
    pub fn close(&mut self, sequence: usize) {
        self.sequences.remove(&sequence);
    }

    /// Makes `to` a copy of the first `len` tokens of `from`.
    pub fn fork(&mut self, from: usize, to: usize, len: usize) -> Result<()> {
        let mut copy = Sequence::default();
        if let Some(original) = self.sequences.get(&from) {
            copy.len = original.len.min(len);
            for (slot, cache) in &original.caches {
                let axis = self.program.kept.get(slot).copied().unwrap_or(0);
                copy.caches.insert(*slot, cache.fork(axis, copy.len)?);
            }
        }
        self.sequences.insert(to, copy);
        Ok(())
    }

    /// Adds tokens to sequences (each at most once, each at least one token), and gives logits `[n, vocab]`
    /// of the wanted ones, in their order.
    pub fn extend(&mut self, rows: &[(usize, &[u32])], want: Want) -> Result<Tensor> {
        let mut parts = Vec::with_capacity(rows.len());
        for (sequence, ids) in rows {
            let from = self.len(*sequence);
            if ids.is_empty() || from + ids.len() > self.capacity() {
                let most = self.capacity();
                fail!(
                    "a sequence of {from} tokens can't grow by {}; it may have {most}",
                    ids.len()
                );
            }
            parts.push((from, ids.len()));
        }
        let windows = windows(&parts, want)?;
        let mut sequences = Vec::with_capacity(rows.len());
        for (key, _) in rows {
            match self.sequences.remove(key) {
                Some(sequence) => sequences.push(sequence),
                None => sequences.push(Sequence::default()),
            }
        }
        let logits = self.run(rows, &windows, &mut sequences);
        for ((key, ids), mut sequence) in rows.iter().zip(sequences) {
            if logits.is_ok() {
                sequence.len += ids.len();
            }
            self.sequences.insert(*key, sequence);
        }
        logits
    }

    fn run(
        &self,
        rows: &[(usize, &[u32])],
        windows: &Windows,
        sequences: &mut [Sequence],
    ) -> Result<Tensor> {
        let program = &*self.program;
        let ids = rows
            .iter()
            .flat_map(|(_, ids)| ids.iter().map(|id| i64::from(*id)));
        let ids: Vec<i64> = ids.collect();
        let (slot, axis) = program.ids;
        let mut shape = vec![1; axis + 1];
        shape[axis] = ids.len();
        let ids = Value::host(Array::from_i64s(DType::Int32, shape, &ids)?);
        let logits = self.increment.with_ctx(|increment, ctx| {
            for (slot, value) in &self.fixed {
                ctx.slots[*slot] = Some(value.clone());
            }
            let mut pass = Pass::new(ctx, windows, sequences, &program.kept);
            pass.begin(slot, ids);
            for stage in &program.stages {
                let step = increment.schedule.step(&increment.bound.plan, stage.step);
                pass.stage(step, &stage.way, stage.all)?;
                stage.free.iter().for_each(|slot| pass.forget(*slot));
            }
            let (slot, axis) = program.logits;
            Ok((pass.rows(slot, axis, false)?, axis))
        });
        let (logits, axis) = logits?;
        let logits = logits.tensor()?;
        let vocab = logits.dims().last().copied().unwrap_or(1);
        let logits = crate::engine::portable::ops::shapes::moved(logits, axis, 0)?;
        Ok(logits.reshape((windows.of(false).count, vocab))?)
    }
}

fn windows(parts: &[(usize, usize)], want: Want) -> Result<Windows> {
    let all = Window::new(parts, &Device::Cpu)?;
    let wanted = match want {
        Want::Last if all.count > parts.len() => Some(all.last(&Device::Cpu)?),
        _ => None,
    };
    Ok(Windows { all, wanted })
}

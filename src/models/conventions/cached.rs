//! Models that keep the past of a sequence: they take its tokens in pieces.

use std::sync::OnceLock;

use ndarray::{Array2, Axis, s};

use super::sequences::Sequences;
use super::step::{Step, joined};
use super::{Convention, Runner, Whole};
use crate::diag::Result;
use crate::engine::{Engine, Features};
use crate::fail;
use crate::generate::{Decoder, Way};
use crate::numeric::Rng;

/// What keeps the past, however the model does it.
pub(super) trait Keeper: Send + Sync {
    /// An empty sequence.
    fn start(&self, engine: &dyn Engine) -> Result<Box<dyn Memory>>;

    fn way(&self) -> Way;
}

/// The past of one sequence.
pub(super) trait Memory: Send {
    /// Runs `step` on `ids` after the `done` tokens that are there, padded to `new` tokens.
    fn call(&mut self, engine: &dyn Engine, step: &Step, call: &Call) -> Result<Features>;

    /// Forgets all but the first `kept` tokens; `false` where that can't be done.
    fn rewind(&mut self, kept: usize) -> Result<bool>;

    /// Whether padding behind the tokens of a call does no harm.
    fn pads(&self) -> bool;

    /// A second sequence with the same past; none where the engine can't copy it.
    fn fork(&self) -> Result<Option<Box<dyn Memory>>>;
}

/// The tokens of one call.
pub(super) struct Call<'a> {
    pub ids: &'a [u32],
    /// Tokens before them.
    pub done: usize,
    /// Tokens given, the padding included.
    pub new: usize,
}

/// A model whose functions take tokens after others.
pub(super) struct Cached {
    /// For different numbers of tokens.
    pub steps: Vec<Step>,
    /// Tokens that a sequence can have.
    pub capacity: usize,
    pub keeper: Box<dyn Keeper>,
    /// What keeps the past, for tables.
    pub told: String,
    /// The function with fresh states on whole rows, where it takes any number of tokens.
    pub whole: Option<Whole>,
    /// Why tokens are taken one at a time, if they have to be; known after the first check.
    pub singly: OnceLock<Option<String>>,
}

/// One sequence of a model.
pub(super) struct Sequence {
    memory: Box<dyn Memory>,
    pub ids: Vec<u32>,
}

/// Which logits are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    None,
    Last,
    All,
}

/// Most tokens that one call takes, so that memory stays bounded.
const TOGETHER: usize = 2048;
/// A call is padded if at least one in so many of its tokens is real.
const FILLED: usize = 4;
/// Tokens of the numeric check.
const PROBE: usize = 3;
/// How far logits of the check may be apart, of the largest: caches may be of fp16.
const NEAR: f32 = 1e-2;

impl Cached {
    pub fn start(&self, engine: &dyn Engine) -> Result<Sequence> {
        Ok(Sequence {
            memory: self.keeper.start(engine)?,
            ids: Vec::new(),
        })
    }

    /// A second sequence like the first; none where the engine can't copy its past.
    pub fn fork(&self, sequence: &Sequence) -> Result<Option<Sequence>> {
        let memory = sequence.memory.fork()?;
        Ok(memory.map(|memory| Sequence {
            memory,
            ids: sequence.ids.clone(),
        }))
    }

    /// Adds tokens to a sequence. Gives their logits as wanted, `[tokens, vocab]`.
    pub fn extend(
        &self,
        run: &Runner,
        sequence: &mut Sequence,
        new: &[u32],
        want: Want,
    ) -> Result<Array2<f32>> {
        let mut made = Vec::new();
        let mut left = new;
        while !left.is_empty() {
            run.interrupt.check()?;
            let (step, padded) = self.plan(sequence, left.len())?;
            let (now, rest) = left.split_at(left.len().min(padded));
            let logits = self.call(run, sequence, step, now, padded)?;
            left = rest;
            let wanted = match want {
                Want::All => now,
                Want::Last if left.is_empty() => &now[now.len() - 1..],
                _ => continue,
            };
            let enough = logits.filter(|logits| logits.nrows() >= wanted.len());
            made.push(match enough {
                Some(logits) => last_rows(logits, wanted.len()),
                None => self.again(run, sequence, wanted)?,
            });
        }
        joined(&made, Axis(0))
    }

    /// The logits of the last tokens of a sequence, whose call did not give them: they are taken back, and
    /// run one by one.
    fn again(&self, run: &Runner, sequence: &mut Sequence, tokens: &[u32]) -> Result<Array2<f32>> {
        self.rewind(run, sequence, sequence.ids.len() - tokens.len())?;
        let gives = |step: &&Step| step.gives_logits() && step.ids.length().allows(1);
        let Some(step) = self.steps.iter().find(gives) else {
            fail!("no function of the model gives the logits of a single token");
        };
        let mut made = Vec::with_capacity(tokens.len());
        for token in tokens {
            run.interrupt.check()?;
            match self.call(run, sequence, step, &[*token], 1)? {
                Some(logits) => made.push(last_rows(logits, 1)),
                None => fail!("function \"{}\" gave no logits", step.function),
            }
        }
        joined(&made, Axis(0))
    }

    /// Forgets all but the first `kept` tokens of a sequence.
    pub fn rewind(&self, run: &Runner, sequence: &mut Sequence, kept: usize) -> Result<()> {
        if sequence.ids.len() == kept {
            return Ok(());
        }
        sequence.ids.truncate(kept);
        if kept > 0 && sequence.memory.rewind(kept)? {
            return Ok(());
        }
        let ids = std::mem::take(&mut sequence.ids);
        sequence.memory = self.keeper.start(run.engine)?;
        self.extend(run, sequence, &ids, Want::None)?;
        Ok(())
    }

    /// One call. Its logits, those of the padding left out, if it gave any that end with the last token's.
    fn call(
        &self,
        run: &Runner,
        sequence: &mut Sequence,
        step: &Step,
        ids: &[u32],
        new: usize,
    ) -> Result<Option<Array2<f32>>> {
        let done = sequence.ids.len();
        let call = Call { ids, done, new };
        let outputs = sequence.memory.call(run.engine, step, &call)?;
        sequence.ids.extend(ids);
        let logits = step.logits(&outputs)?;
        Ok(logits.and_then(|logits| match logits.nrows() {
            rows if rows == new => Some(logits.slice_move(s![..ids.len(), ..])),
            1 if new == ids.len() => Some(logits),
            _ => None,
        }))
    }

    /// The function for the next call, with the number of tokens that it is given.
    fn plan(&self, sequence: &Sequence, left: usize) -> Result<(&Step, usize)> {
        let room = self.capacity - sequence.ids.len().min(self.capacity);
        if left > room {
            fail!(
                "the sequence has {} tokens, the model takes {} at most",
                sequence.ids.len() + left,
                self.capacity
            );
        }
        let most = match self.singly.get() {
            Some(Some(_)) => 1,
            _ => left.min(TOGETHER),
        };
        let within = |step: &Step| step.ids.length().within(most).filter(|n| *n > 0);
        let exact = self
            .steps
            .iter()
            .filter_map(|step| Some((step, within(step)?)));
        let exact = exact.max_by_key(|(step, n)| (*n, step.gives_logits()));
        let padded = self.steps.iter();
        let padded = padded.map(|step| (step, step.ids.length().nearest(most)));
        let padded = padded.filter(|(_, n)| sequence.memory.pads() && (most..=room).contains(n));
        let padded = padded.min_by_key(|(_, n)| *n);
        match (exact, padded) {
            (Some((step, n)), _) if n == most => Ok((step, n)),
            (Some((step, n)), Some((_, long))) if most * FILLED < long => Ok((step, n)),
            (_, Some(padded)) => Ok(padded),
            (Some(exact), None) => Ok(exact),
            (None, None) => fail!(
                "no function of the model takes {most} tokens after {}",
                sequence.ids.len()
            ),
        }
    }

    /// Holds a piece of several tokens against single ones; where they differ, as with masks that mean
    /// something else, tokens are taken one at a time from then on.
    pub fn check(&self, run: &Runner) -> Result<()> {
        if self.singly.get().is_some() {
            return Ok(());
        }
        let single = |step: &Step| step.gives_logits() && step.ids.length().allows(1);
        let longest = self.steps.iter().max_by_key(|step| step.ids.length().most);
        let found = match longest.filter(|_| self.steps.iter().any(single)) {
            Some(step) => self.differs(run, step)?,
            None => None,
        };
        let _ = self.singly.set(found);
        Ok(())
    }

    fn differs(&self, run: &Runner, longest: &Step) -> Result<Option<String>> {
        let mut pieces = self.start(run.engine)?;
        let count = longest.ids.length().most.min(PROBE).min(self.capacity - 1);
        let new = longest.ids.length().nearest(count);
        if count < 2 || new > self.capacity || (new > count && !pieces.memory.pads()) {
            return Ok(None);
        }
        let mut rng = Rng::named(0, "probe");
        let ids: Vec<u32> = (0..=count).map(|_| (rng.uniform() * 4.0) as u32).collect();
        self.call(run, &mut pieces, longest, &ids[..count], new)?;
        let pieces = self.extend(run, &mut pieces, &ids[count..], Want::Last)?;
        let mut single = self.start(run.engine)?;
        let mut last = Array2::zeros((0, 0));
        for i in 0..=count {
            last = self.extend(run, &mut single, &ids[i..=i], Want::Last)?;
        }
        let scale = last.iter().fold(0f32, |most, v| most.max(v.abs()));
        let apart = pieces.iter().zip(&last).map(|(a, b)| (a - b).abs());
        let apart = apart.fold(0f32, |most, v| if v.is_nan() { v } else { most.max(v) });
        let differ = apart.is_nan() || apart > NEAR * scale;
        Ok(differ.then(|| {
            format!("the numeric check found logits that differ by {apart:.1e} of {scale:.1e}")
        }))
    }
}

/// The last `count` rows.
fn last_rows(logits: Array2<f32>, count: usize) -> Array2<f32> {
    let from = logits.nrows() - count;
    logits.slice_move(s![from.., ..])
}

impl Convention for Cached {
    fn told(&self) -> String {
        self.told.clone()
    }

    fn length_max(&self) -> usize {
        self.capacity
    }

    fn ids(&self) -> &str {
        self.steps.first().map_or("", |step| &step.ids.name)
    }

    fn whole(&self) -> Option<&Whole> {
        self.whole.as_ref()
    }

    fn way(&self) -> Option<Way> {
        Some(self.keeper.way())
    }

    fn remark(&self) -> Option<String> {
        let why = self.singly.get()?.as_ref()?;
        Some(format!("tokens are taken one at a time: {why}"))
    }

    fn forward(&self, run: &Runner, rows: &[&[u32]]) -> Result<Vec<Array2<f32>>> {
        self.check(run)?;
        let row = |row: &&[u32]| {
            let mut sequence = self.start(run.engine)?;
            self.extend(run, &mut sequence, row, Want::All)
        };
        rows.iter().map(row).collect()
    }

    fn decoder<'a>(&'a self, run: Runner<'a>) -> Result<Option<Box<dyn Decoder + 'a>>> {
        self.check(&run)?;
        Ok(Some(Box::new(Sequences::new(self, run))))
    }
}

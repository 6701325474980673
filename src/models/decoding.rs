//! Decoding with a policy: new tokens alone where the program allows it, all of them elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use candle_core::{DType as Candle, Tensor};

use super::conventions::Whole;
use super::policy::Policy;
use crate::diag::{Context, Result};
use crate::engine::device::scoped;
use crate::engine::portable::increment::{Increment, Session, Want};
use crate::engine::portable::{Bound, Precision};
use crate::fail;
use crate::generate::{Decoder, Way, kept, twin};
use crate::numeric::Rng;

/// How a model decodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoding {
    /// Each token is computed once: keys and values of the past are kept.
    Incremental,
    /// The same, by what the program itself keeps.
    Kept(Way),
    /// All tokens are computed again for each new one, for this reason.
    Recompute(String),
}

impl fmt::Display for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Decoding::Incremental => write!(f, "new tokens alone, keys and values are kept"),
            Decoding::Kept(way) => write!(f, "new tokens alone, by the program's {}", way.name()),
            Decoding::Recompute(why) => write!(f, "all tokens again for each new one: {why}"),
        }
    }
}

/// The increment transform of a program, and what was found of it.
pub(super) struct Increments {
    increment: Arc<Increment>,
    found: OnceLock<Decoding>,
    told: AtomicBool,
}

impl Increments {
    pub fn new(bound: Arc<Bound>, convention: &Whole) -> Result<Self> {
        let increment = Increment::new(bound, &convention.ids.name, &convention.logits)?;
        Ok(Self {
            increment: Arc::new(increment),
            found: OnceLock::new(),
            told: AtomicBool::new(false),
        })
    }

    /// What was found, once somebody has asked for a decoder.
    pub fn found(&self) -> Option<&Decoding> {
        self.found.get()
    }
}

/// Tokens of the numeric check.
const PROBE: usize = 8;
/// Most tokens that one pass takes, so that memory stays bounded.
const TOGETHER: usize = 4096;
/// The smallest length that a flexible program is analysed at.
const SHORTEST: usize = 16;

impl Policy {
    /// A decoder for rows of up to `longest` tokens; absent where the program must be run whole. The first
    /// call finds that out: by analysis, and by a numeric check against the plain run.
    pub fn incremental(&self, longest: usize) -> Result<Option<Incremental<'_>>> {
        if self.increments.found().is_none() {
            let found = match self.probe() {
                Ok(()) => Decoding::Incremental,
                Err(error) if error.is_interrupt() => return Err(error),
                Err(error) => Decoding::Recompute(error.to_string()),
            };
            let _ = self.increments.found.set(found);
        }
        if self.increments.found() != Some(&Decoding::Incremental) {
            return Ok(None);
        }
        Ok(Some(Incremental {
            policy: self,
            session: self.session(longest)?,
            done: BTreeMap::new(),
        }))
    }

    /// How this program decodes, once that is known.
    pub fn decoding(&self) -> Option<&Decoding> {
        self.increments.found()
    }

    /// Why the program must be run whole, for the user; at the first call after that was found.
    pub fn remark(&self) -> Option<String> {
        let found = self
            .decoding()
            .filter(|found| **found != Decoding::Incremental)?;
        let first = !self.increments.told.swap(true, Ordering::Relaxed);
        first.then(|| format!("decoding computes {found}"))
    }

    /// Sequences of up to `longest` tokens.
    fn session(&self, longest: usize) -> Result<Session> {
        let longest = longest.max(SHORTEST).next_power_of_two();
        let capacity = self.convention.length(longest);
        let calls = self.convention.calls(&[&vec![0; capacity]])?;
        let inputs = self.inputs(&calls.inputs[0])?;
        self.increments.increment.session(&inputs, &self.given)
    }

    /// Holds decoding against the plain run: two sequences of different lengths, in pieces and token by
    /// token.
    fn probe(&self) -> Result<()> {
        let count = PROBE.min(self.convention.length_max());
        if count < 4 {
            fail!("the program takes {count} tokens at most");
        }
        let mut session = self.session(count)?;
        let mut rng = Rng::named(0, "probe");
        let ids: Vec<u32> = (0..count).map(|_| (rng.uniform() * 4.0) as u32).collect();
        let plain = self.logits(&[&ids])?.detach().get(0)?;
        let scale = largest(&plain)?;
        let mut ends = [2, count / 2];
        let first = session.extend(&[(0, &ids[..2]), (1, &ids[..count / 2])], Want::All)?;
        self.agree(
            &first,
            &[plain.narrow(0, 0, 2)?, plain.narrow(0, 0, count / 2)?],
            scale,
        )?;
        while ends[1] < count {
            let rows: Vec<(usize, &[u32])> = (0..2)
                .map(|row| (row, &ids[ends[row]..=ends[row]]))
                .collect();
            let last = session.extend(&rows, Want::Last)?;
            let expected = ends.map(|end| plain.narrow(0, end, 1));
            let [a, b] = expected;
            self.agree(&last, &[a?, b?], scale)?;
            ends = ends.map(|end| end + 1);
        }
        Ok(())
    }

    fn agree(&self, got: &Tensor, expected: &[Tensor], scale: f64) -> Result<()> {
        let expected = Tensor::cat(expected, 0)?;
        let difference = largest(&(got - expected)?)?;
        let tolerance = match self.bound.precision() {
            Precision::Faithful => 2e-2,
            _ => 1e-4,
        };
        if difference.is_nan() || difference > tolerance * scale {
            fail!(
                "the numeric check found logits that differ by {difference:.1e} of {scale:.1e} from \
                 those of the whole sequence"
            );
        }
        Ok(())
    }
}

fn largest(tensor: &Tensor) -> Result<f64> {
    let flat = tensor
        .flatten_all()?
        .to_dtype(Candle::F64)?
        .to_vec1::<f64>()?;
    let largest = flat.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    Ok(if flat.iter().any(|v| v.is_nan()) {
        f64::NAN
    } else {
        largest
    })
}

/// Decodes rows by their new tokens.
pub struct Incremental<'a> {
    policy: &'a Policy,
    session: Session,
    /// What each row's sequence holds.
    done: BTreeMap<usize, Vec<u32>>,
}

impl Decoder for Incremental<'_> {
    fn way(&self) -> Way {
        Way::Increments
    }

    fn next(&mut self, rows: &[(usize, &[u32])]) -> Result<Vec<Vec<f32>>> {
        scoped(|| self.advance(rows)).context("incremental decoding")
    }
}

impl Incremental<'_> {
    fn advance(&mut self, rows: &[(usize, &[u32])]) -> Result<Vec<Vec<f32>>> {
        let longest = rows.iter().map(|(_, ids)| ids.len()).max().unwrap_or(0);
        if longest > self.session.capacity() {
            self.session = self.policy.session(longest)?;
            self.done.clear();
        }
        let over: Vec<usize> = self.done.keys().copied().collect();
        for key in over
            .into_iter()
            .filter(|key| rows.iter().all(|(row, _)| row != key))
        {
            self.session.close(key);
            self.done.remove(&key);
        }
        let mut logits: Vec<Vec<f32>> = vec![Vec::new(); rows.len()];
        let mut twins = Vec::new();
        let mut groups: Vec<Vec<usize>> = vec![Vec::new()];
        let mut size = 0;
        for (i, (key, ids)) in rows.iter().enumerate() {
            let new = ids.len() - self.known(*key, ids);
            let fresh = new == ids.len();
            match fresh.then(|| twin(rows, i)).flatten() {
                Some(twin) => twins.push((twin, i)),
                None if size > 0 && size + new > TOGETHER => {
                    groups.push(vec![i]);
                    size = new;
                }
                None => {
                    groups
                        .last_mut()
                        .into_iter()
                        .for_each(|group| group.push(i));
                    size += new;
                }
            }
        }
        for group in groups {
            let made = self.extend(&group.iter().map(|i| rows[*i]).collect::<Vec<_>>())?;
            group
                .into_iter()
                .zip(made)
                .for_each(|(i, row)| logits[i] = row);
        }
        for (twin, i) in twins {
            let (key, ids) = rows[i];
            self.session.fork(rows[twin].0, key, ids.len())?;
            self.done.insert(key, ids.to_vec());
            logits[i] = logits[twin].clone();
        }
        Ok(logits)
    }

    /// How many first tokens of a row are there.
    fn known(&self, key: usize, ids: &[u32]) -> usize {
        kept(self.done.get(&key).map_or(&[], Vec::as_slice), ids)
    }

    fn extend(&mut self, rows: &[(usize, &[u32])]) -> Result<Vec<Vec<f32>>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut new = Vec::with_capacity(rows.len());
        for (key, ids) in rows {
            let known = self.known(*key, ids);
            self.session.rewind(*key, known);
            new.push((*key, &ids[known..]));
        }
        let logits = self.session.extend(&new, Want::Last)?;
        for (key, ids) in rows {
            self.done.insert(*key, ids.to_vec());
        }
        Ok(logits.to_dtype(Candle::F32)?.to_vec2()?)
    }
}

//! One pass over a window: each stage is fed what its way says.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::cache::Cache;
use super::way::{Feed, Feeds, Origin, Tag, Way};
use super::window::{Span, Window};
use crate::diag::Result;
use crate::engine::portable::call::Arg;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::plan::Step;
use crate::engine::portable::value::Value;
use crate::fail;
use crate::numeric::Array;

/// One sequence: its tokens so far, and the past of each value that is looked back at.
#[derive(Debug, Default)]
pub struct Sequence {
    pub len: usize,
    pub caches: BTreeMap<usize, Cache>,
}

/// A value that depends on tokens: rows of the window, or the scores of each sequence.
struct Held {
    parts: Vec<Value>,
    /// Whether it has all tokens of the window, not those alone whose logits are wanted.
    all: bool,
}

/// The windows of a pass.
pub struct Windows {
    pub all: Window,
    /// The tokens whose logits are wanted, and where they stand; absent: all.
    pub wanted: Option<(Window, Tensor)>,
}

/// A pass while it runs. The slots of `ctx` hold what no token reaches.
pub struct Pass<'p, 'c> {
    pub ctx: &'p mut Ctx<'c>,
    windows: &'p Windows,
    sequences: &'p mut [Sequence],
    /// Slots whose past is kept, with their positions axis.
    kept: &'p BTreeMap<usize, usize>,
    held: BTreeMap<usize, Held>,
    /// What has been taken out of other values for this window: fixed entries, wanted rows.
    taken: BTreeMap<(usize, usize, bool), Value>,
}

impl<'p, 'c> Pass<'p, 'c> {
    pub fn new(
        ctx: &'p mut Ctx<'c>,
        windows: &'p Windows,
        sequences: &'p mut [Sequence],
        kept: &'p BTreeMap<usize, usize>,
    ) -> Self {
        Self {
            ctx,
            windows,
            sequences,
            kept,
            held: BTreeMap::new(),
            taken: BTreeMap::new(),
        }
    }

    /// Puts in the token ids.
    pub fn begin(&mut self, slot: usize, ids: Value) {
        let parts = vec![ids];
        self.held.insert(slot, Held { parts, all: true });
    }

    /// Runs a step on all tokens of the window, or on the wanted ones.
    pub fn stage(&mut self, step: &'c Step, way: &Way, all: bool) -> Result<()> {
        let windows = self.windows;
        let window = windows.of(all);
        let spans: Vec<Option<Span>> = match way.split {
            true => window.spans.iter().copied().map(Some).collect(),
            false => vec![None],
        };
        let mut results: Vec<Vec<Value>> = vec![Vec::with_capacity(spans.len()); way.tags.len()];
        for span in spans {
            let mut args = Vec::with_capacity(way.feeds.len());
            for (name, feeds) in &way.feeds {
                args.push((name.as_str(), self.arg(feeds, span, all)?));
            }
            let values = self.ctx.results(step, args)?;
            for (result, value) in results.iter_mut().zip(values) {
                result.push(value);
            }
        }
        for ((slot, tag), parts) in step.outputs.iter().zip(&way.tags).zip(results) {
            let parts = match tag {
                Tag::Rows { axis } if parts.len() > 1 => vec![joined(&parts, *axis)?],
                _ => parts,
            };
            self.keep(*slot, &parts[0])?;
            self.held.insert(*slot, Held { parts, all });
        }
        Ok(())
    }

    /// The rows of a slot: of the wanted tokens, or of all.
    pub fn rows(&mut self, slot: usize, axis: usize, all: bool) -> Result<Value> {
        let Some(held) = self.held.get(&slot) else {
            fail!("internal: value {slot} is not there when it is needed");
        };
        let value = held.parts[0].clone();
        let Some((_, places)) = self.windows.wanted.as_ref().filter(|_| held.all && !all) else {
            return Ok(value);
        };
        let places = places.clone();
        self.take((slot, axis, all), |_| {
            cut(&value, |t| {
                let places = places.to_device(t.device())?;
                Ok(t.contiguous()?.index_select(&places, axis)?)
            })
        })
    }

    /// Frees a value that nothing reads any more.
    pub fn forget(&mut self, slot: usize) {
        self.held.remove(&slot);
    }

    fn arg(&mut self, feeds: &Feeds, span: Option<Span>, all: bool) -> Result<Arg> {
        Ok(match feeds {
            Feeds::One(feed) => Arg::One(self.feed(feed, span, all)?),
            Feeds::Many(feeds) => {
                let values = feeds.iter().map(|feed| self.feed(feed, span, all));
                Arg::Many(values.collect::<Result<_>>()?)
            }
        })
    }

    fn feed(&mut self, feed: &Feed, span: Option<Span>, all: bool) -> Result<Value> {
        match (feed, span) {
            (Feed::Whole(origin), _) => self.fixed(origin),
            (Feed::At { origin, axis }, None) => self.at(origin, *axis, all),
            (Feed::At { origin, axis }, Some(span)) => {
                narrowed(&self.fixed(origin)?, *axis, span.from, span.count)
            }
            (Feed::Rows { slot, axis }, None) => self.rows(*slot, *axis, all),
            (Feed::Rows { slot, axis }, Some(span)) => narrowed(
                &self.rows(*slot, *axis, all)?,
                *axis,
                span.start,
                span.count,
            ),
            (Feed::Ints { ints, rows, keys }, span) => {
                let count = span.map_or(self.windows.of(all).count, |s| s.count);
                let past = span.map_or(count, |s| s.from + s.count);
                let mut ints = ints.clone();
                for (place, n) in [(rows, count), (keys, past)] {
                    if let Some(place) = place {
                        ints[*place] = n as i64;
                    }
                }
                let ints: Vec<i32> = ints.into_iter().map(|n| n as i32).collect();
                Ok(Value::host(Array::from_i32(vec![ints.len()], &ints)?))
            }
            (Feed::Square { origin, row, key }, Some(span)) => {
                let mut value = self.fixed(origin)?;
                if let Some(row) = row {
                    value = narrowed(&value, *row, span.from, span.count)?;
                }
                match key {
                    Some(key) => narrowed(&value, *key, 0, span.from + span.count),
                    None => Ok(value),
                }
            }
            (Feed::Keys { slot, axis }, Some(span)) => self.past(*slot, *axis, span),
            (Feed::Scores { slot }, Some(span)) => match self.held.get(slot) {
                Some(held) => Ok(held.parts[span.sequence].clone()),
                None => fail!("internal: scores {slot} are not there when they are needed"),
            },
            _ => fail!("internal: attention outside of a sequence"),
        }
    }

    fn fixed(&self, origin: &Origin) -> Result<Value> {
        match origin {
            Origin::Literal(value) => Ok(value.clone()),
            Origin::Slot(slot) => match &self.ctx.slots[*slot] {
                Some(value) => Ok(value.clone()),
                None => fail!("internal: value {slot} is not there when it is needed"),
            },
        }
    }

    /// Fixed entries at the window's positions.
    fn at(&mut self, origin: &Origin, axis: usize, all: bool) -> Result<Value> {
        let value = self.fixed(origin)?;
        let window = self.windows.of(all);
        if let [span] = window.spans.as_slice() {
            return narrowed(&value, axis, span.from, span.count);
        }
        let picked = |window: &Window| {
            cut(&value, |t| {
                let positions = window.positions.to_device(t.device())?;
                Ok(t.contiguous()?.index_select(&positions, axis)?)
            })
        };
        match origin {
            Origin::Slot(slot) => self.take((*slot, axis, all), picked),
            Origin::Literal(_) => picked(window),
        }
    }

    /// What `make` takes out of a value, once in a pass.
    fn take(
        &mut self,
        key: (usize, usize, bool),
        make: impl FnOnce(&Window) -> Result<Value>,
    ) -> Result<Value> {
        if let Some(value) = self.taken.get(&key) {
            return Ok(value.clone());
        }
        let value = make(self.windows.of(key.2))?;
        self.taken.insert(key, value.clone());
        Ok(value)
    }

    /// All rows of one sequence up to the end of `span`.
    fn past(&mut self, slot: usize, axis: usize, span: Span) -> Result<Value> {
        let count = span.from + span.count;
        let value = match self.held.get(&slot) {
            Some(held) => held.parts[0].clone(),
            None => fail!("internal: value {slot} is not there when it is needed"),
        };
        match self
            .sequences
            .get(span.sequence)
            .and_then(|s| s.caches.get(&slot))
        {
            Some(cache) => cut(&value, |_| cache.read(axis, count)),
            // Under analysis there is no past: the window is all there is.
            None => narrowed(&value, axis, 0, count),
        }
    }

    /// Adds the window's rows of a slot to the past of each sequence.
    fn keep(&mut self, slot: usize, rows: &Value) -> Result<()> {
        let Some(axis) = self.kept.get(&slot) else {
            return Ok(());
        };
        for span in &self.windows.all.spans {
            let rows = rows.tensor()?.narrow(*axis, span.start, span.count)?;
            let caches = &mut self.sequences[span.sequence].caches;
            caches
                .entry(slot)
                .or_default()
                .write(&rows, *axis, span.from)?;
        }
        Ok(())
    }
}

impl Windows {
    pub fn of(&self, all: bool) -> &Window {
        match &self.wanted {
            Some((wanted, _)) if !all => wanted,
            _ => &self.all,
        }
    }
}

/// A value of the same type made of this one's tensor.
fn cut(value: &Value, make: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Value> {
    let made = make(value.tensor()?)?;
    Ok(match value.dtype() {
        Some(dtype) => Value::Tensor {
            tensor: made,
            dtype,
        },
        None => made.into(),
    })
}

fn narrowed(value: &Value, axis: usize, start: usize, count: usize) -> Result<Value> {
    cut(value, |t| Ok(t.narrow(axis, start, count)?))
}

fn joined(parts: &[Value], axis: usize) -> Result<Value> {
    let tensors: Vec<&Tensor> = parts.iter().map(Value::tensor).collect::<Result<_>>()?;
    cut(&parts[0], |_| Ok(Tensor::cat(&tensors, axis)?))
}

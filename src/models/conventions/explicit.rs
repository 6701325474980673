//! Explicit caches: the program takes keys and values of the past as inputs (`past_key_values`,
//! `keyCache`) and gives them as outputs (`present_key_values`, `presentKeys`), which are the inputs of the
//! next call.
//!
//! A cache whose axis may have several extents grows by the tokens of each call. One of a fixed size has a
//! slot for each position, unless a mask has as many columns as the cache has slots and the call tokens:
//! then new keys stand behind the cache. Outputs are whole caches, or the new entries alone.

use std::sync::{Arc, OnceLock};

use super::cached::{Cached, Call, Keeper, Memory};
use super::companions::Span;
use super::extents::{Bounds, UNBOUNDED, bounds};
use super::pairs::pairs;
use super::stateful::slots;
use super::step::Step;
use crate::diag::{Context, Error, Result};
use crate::engine::{Engine, Features};
use crate::fail;
use crate::generate::Way;
use crate::numeric::{Array, DType};
use crate::package::{Description, FeatureKind};

/// A model of `function`, if it has caches among its inputs.
pub(super) fn of(
    description: &Description,
    function: &str,
    window: Option<usize>,
) -> Result<Option<Cached>> {
    let own = description.function(function)?;
    let pairs = pairs(own)?;
    if pairs.is_empty() {
        return Ok(None);
    }
    let names: Vec<&str> = pairs
        .iter()
        .flat_map(|(i, o)| [i.as_str(), o.as_str()])
        .collect();
    let step = Step::of(function, own, &names, window)?;
    let cache = |(input, output): &(String, String)| Cache::new(own.input(input)?, output);
    let caches: Vec<Cache> = pairs.iter().map(cache).collect::<Result<_>>()?;
    let (layout, capacity) = layout(&caches, &step)?;
    let told = match pairs.as_slice() {
        [(input, output)] => format!("{input} → {output}"),
        [(input, output), ..] => format!("{input} → {output} and so on, {} arrays", pairs.len()),
        [] => String::new(),
    };
    Ok(Some(Cached {
        told: format!("explicit cache {told}"),
        steps: vec![step],
        capacity,
        keeper: Box::new(Explicit {
            caches: caches.into(),
            layout,
        }),
        whole: None,
        singly: OnceLock::new(),
    }))
}

/// An input that carries the past.
struct Cache {
    input: String,
    output: String,
    dtype: DType,
    axes: Vec<Bounds>,
    /// The axis of the tokens, if it grows.
    grows: Option<usize>,
}

/// Where the entries of earlier tokens stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// One after the other, behind so many that belong to no token.
    Grown { lead: usize },
    /// Each in the slot of its position.
    Slots,
    /// In a cache of so many slots, before those of the call's tokens.
    Before(usize),
}

impl Cache {
    fn new(feature: &crate::package::Feature, output: &str) -> Result<Self> {
        let FeatureKind::Array { dtype, .. } = &feature.kind else {
            fail!("\"{}\" is not an array", feature.name);
        };
        let axes = bounds(feature)?;
        Ok(Self {
            input: feature.name.clone(),
            output: output.to_owned(),
            dtype: *dtype,
            // A batch stands before it.
            grows: axes.iter().rposition(|axis| axis.fixed().is_none()),
            axes,
        })
    }

    fn empty(&self) -> Result<Array> {
        let extent = |(i, axis): (usize, &Bounds)| match self.grows == Some(i) {
            true => axis.least,
            false => axis.nearest(1),
        };
        let shape: Vec<usize> = self.axes.iter().enumerate().map(extent).collect();
        let zeros = vec![0.0; shape.iter().product()];
        Array::from_f64s(self.dtype, shape, &zeros)
    }
}

fn layout(caches: &[Cache], step: &Step) -> Result<(Layout, usize)> {
    let growing = caches
        .iter()
        .filter_map(|cache| Some(&cache.axes[cache.grows?]));
    let growing: Vec<&Bounds> = growing.collect();
    let entries = step.entries();
    if let Some(first) = growing.first() {
        if growing.len() != caches.len() || growing.iter().any(|axis| axis.least != first.least) {
            fail!("some caches grow and some don't, or from other sizes");
        }
        let lead = first.least;
        if lead > 0 && !step.companions.iter().any(|c| c.entries().is_some()) {
            return Err(Error::new(format!(
                "the cache has {lead} entries at least, and no mask that hides them from the first token"
            ))
            .hint("convert it with a lower bound of 0, or with an attention mask as an input"));
        }
        let most = growing.iter().map(|axis| axis.most).min().unwrap_or(0);
        let most = (most + 1).min(entries.unwrap_or(UNBOUNDED));
        return Ok((Layout::Grown { lead }, most - lead.min(most)));
    }
    let has = |extent: usize| {
        let found = |cache: &Cache| cache.axes.iter().any(|axis| axis.most == extent);
        caches.iter().all(found)
    };
    let usual = caches.iter().filter_map(|cache| slots(&cache.axes));
    let usual = usual.min().unwrap_or(UNBOUNDED);
    let new = step.ids.length().most;
    Ok(match entries {
        None => (Layout::Slots, usual),
        Some(entries) if !has(entries) && entries > new && has(entries - new) => {
            (Layout::Before(entries - new), entries - new)
        }
        Some(entries) => (Layout::Slots, entries),
    })
}

struct Explicit {
    caches: Arc<[Cache]>,
    layout: Layout,
}

impl Keeper for Explicit {
    fn start(&self, _: &dyn Engine) -> Result<Box<dyn Memory>> {
        let values = self.caches.iter().map(Cache::empty);
        Ok(Box::new(Held {
            caches: self.caches.clone(),
            values: values.collect::<Result<_>>()?,
            layout: self.layout,
            shifts: false,
        }))
    }

    fn way(&self) -> Way {
        Way::ExplicitCache
    }
}

#[derive(Clone)]
struct Held {
    caches: Arc<[Cache]>,
    values: Vec<Array>,
    layout: Layout,
    /// Whether the program drops the oldest entries for the new ones, as its outputs showed.
    shifts: bool,
}

impl Held {
    fn span(&self, call: &Call) -> Span {
        let (before, seen) = match self.layout {
            Layout::Slots => (call.done, 0..call.done),
            Layout::Grown { lead } => (lead + call.done, lead..lead + call.done),
            Layout::Before(slots) if self.shifts => (slots, slots - call.done.min(slots)..slots),
            Layout::Before(slots) => (slots, 0..call.done),
        };
        Span {
            before,
            seen,
            ..Span::after(call.done, call.new, call.ids.len())
        }
    }

    /// What the next call is given, after this one gave `output`.
    fn next(&self, i: usize, output: &Array, call: &Call) -> Result<Array> {
        let (cache, value) = (&self.caches[i], &self.values[i]);
        let output = output.cast(cache.dtype)?;
        let (got, had) = (output.shape(), value.shape());
        let real = call.ids.len();
        let differing: Vec<usize> = (0..had.len())
            .filter(|axis| got.get(*axis) != had.get(*axis))
            .collect();
        let unlike = || Error::new(format!("a cache of shape {had:?} became one of {got:?}"));
        if got.len() != had.len() || differing.len() > 1 {
            return Err(unlike());
        }
        match (cache.grows, differing.first()) {
            (Some(axis), _) if got[axis] == had[axis] + call.new => {
                output.narrow(axis, 0, had[axis] + real)
            }
            (Some(axis), _) if got[axis] == call.new => {
                value.joined(&output.narrow(axis, 0, real)?, axis)
            }
            (None, None) => Ok(output),
            (None, Some(axis)) if got[*axis] == call.new => {
                value.overwritten(&output.narrow(*axis, 0, real)?, *axis, call.done)
            }
            _ => Err(unlike()),
        }
    }
}

impl Memory for Held {
    fn call(&mut self, engine: &dyn Engine, step: &Step, call: &Call) -> Result<Features> {
        let mut inputs = step.inputs(call.ids, &self.span(call))?;
        for (cache, value) in self.caches.iter().zip(&self.values) {
            inputs.insert(cache.input.clone(), value.clone());
        }
        let outputs = engine.predict(&step.function, &inputs, None)?;
        let mut values = Vec::with_capacity(self.values.len());
        for (i, cache) in self.caches.iter().enumerate() {
            let Some(output) = outputs.get(&cache.output) else {
                fail!("the model gave no \"{}\"", cache.output);
            };
            let next = self.next(i, output, call);
            values.push(next.with_context(|| format!("output \"{}\"", cache.output))?);
            let whole = output.shape() == self.values[i].shape();
            self.shifts |= whole && matches!(self.layout, Layout::Before(_));
        }
        self.values = values;
        Ok(outputs)
    }

    fn rewind(&mut self, kept: usize) -> Result<bool> {
        if let Layout::Grown { lead } = self.layout {
            for (cache, value) in self.caches.iter().zip(&mut self.values) {
                if let Some(axis) = cache.grows {
                    *value = value.narrow(axis, 0, lead + kept)?;
                }
            }
        }
        Ok(!self.shifts)
    }

    fn pads(&self) -> bool {
        !matches!(self.layout, Layout::Before(_))
    }

    fn fork(&self) -> Result<Option<Box<dyn Memory>>> {
        Ok(Some(Box::new(self.clone())))
    }
}

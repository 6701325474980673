//! Tracing: a run that notes, of every operation, what it gave, how long it took and what it holds in
//! memory; and how far rounding to fp16 leads away from f32, value by value.
//!
//! Values are looked at as they pass; [`Portable::results`] keeps those that are named. What no input reaches is made once, as in any run,
//! and is no part of a trace.

mod chrome;
mod drift;
mod kept;
mod memory;
mod nonfinite;
mod recorder;
mod stats;

pub use drift::Drift;
pub use kept::{Attention, Values};
pub use nonfinite::NonFinite;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::execute::{self, Draws, Scope};
use super::schedule::Schedule;
use super::state::States;
use super::value::Value;
use super::watch::{Observer, Watch};
use super::{Portable, Precision};
use crate::diag::{Error, Result};
use crate::engine::{Features, State};
use crate::fail;
use crate::mil;
use crate::numeric::{DType, Stats};
use recorder::{Names, Recorder};

/// The most operations that a trace keeps; a long loop has more.
const EVENTS_MAX: usize = 1 << 20;

/// How to trace.
#[derive(Clone, Copy)]
pub struct TraceOptions<'a> {
    /// Also run in f32 and with fp16 rounding, side by side, and compare.
    pub drift: bool,
    /// Trace what a prediction runs, in which the engine's passes fuse operations, rather than the
    /// operations that the program has. Not with `drift`.
    pub fused: bool,
    /// Runs before the traced one, so that weights are loaded and caches warm.
    pub warmup: usize,
    /// The clock; only differences count.
    pub now: &'a (dyn Fn() -> Duration + Sync),
}

/// What a traced run showed.
#[derive(Debug, Clone)]
pub struct Trace {
    pub function: String,
    pub precision: Precision,
    /// In the order in which they started; those of nested blocks follow the operation that holds them.
    pub events: Vec<Event>,
    /// Operations beyond the most that a trace keeps.
    pub dropped: usize,
    /// Time of all operations.
    pub total: Duration,
    /// Most bytes that values held at any time, constants apart.
    pub peak: u64,
    pub first_bad: Option<NonFinite>,
    /// Present if it was asked for.
    pub drift: Option<Drift>,
}

/// One operation as it ran.
#[derive(Debug, Clone)]
pub struct Event {
    /// Place in the order of starts.
    pub order: usize,
    pub op: &'static str,
    pub label: String,
    /// The nested block and its turn: `loop_1: turn 3`.
    pub place: Option<Arc<str>>,
    /// Since the run began; time that tracing itself takes is left out.
    pub start: Duration,
    /// With its nested blocks.
    pub time: Duration,
    /// Without them.
    pub own: Duration,
    /// Its results.
    pub values: Vec<Seen>,
    /// Bytes that the results take; views take none.
    pub allocated: u64,
    /// Bytes that all values held when it ended.
    pub live: u64,
}

/// A result as it passed.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub shape: Vec<usize>,
    /// The declared type; none for lists and states.
    pub dtype: Option<DType>,
    /// None for what has no numbers.
    pub stats: Option<Stats>,
    /// max |fp16-rounded − f32| / max |f32|; none if it was not asked for or there is nothing to compare.
    pub drift: Option<f64>,
}

impl Seen {
    fn of(value: &Value) -> Result<Self> {
        let shape = match value {
            Value::Tensor { tensor, .. } => tensor.dims().to_vec(),
            Value::Host(host) => host.array.shape().to_vec(),
            Value::Texts(texts) => vec![texts.len()],
            Value::List(items) => vec![items.len()],
            Value::Packed(matrix) => matrix.dims().to_vec(),
            Value::State(_) => Vec::new(),
        };
        Ok(Self {
            shape,
            dtype: value.dtype(),
            stats: stats::stats(value)?,
            drift: None,
        })
    }

    /// Statistics of the elements of all of `values`.
    fn total(values: &[Self]) -> Option<Stats> {
        values.iter().filter_map(|v| v.stats).reduce(Stats::with)
    }
}

impl Event {
    /// Statistics of the elements of all results.
    pub fn stats(&self) -> Option<Stats> {
        Seen::total(&self.values)
    }

    /// The largest of its results.
    pub fn drift(&self) -> Option<f64> {
        let drifts = self.values.iter().filter_map(|value| value.drift);
        drifts.reduce(f64::max)
    }
}

/// All operations of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct OpTotal {
    pub op: &'static str,
    pub count: usize,
    /// Without nested blocks, so that the times add up.
    pub time: Duration,
    pub allocated: u64,
    /// The largest of its results.
    pub drift: Option<f64>,
}

impl Trace {
    /// Totals by operation, the slowest first.
    pub fn by_op(&self) -> Vec<OpTotal> {
        let mut totals: BTreeMap<&str, OpTotal> = BTreeMap::new();
        for event in &self.events {
            let total = totals.entry(event.op).or_insert(OpTotal {
                op: event.op,
                count: 0,
                time: Duration::ZERO,
                allocated: 0,
                drift: None,
            });
            total.count += 1;
            total.time += event.own;
            total.allocated += event.allocated;
            total.drift = total
                .drift
                .into_iter()
                .chain(event.drift())
                .reduce(f64::max);
        }
        let mut totals: Vec<OpTotal> = totals.into_values().collect();
        totals.sort_by_key(|total| std::cmp::Reverse(total.time));
        totals
    }

    /// The share of the whole that `time` is; 0 if the clock stood still.
    pub fn share(&self, time: Duration) -> f64 {
        match self.total.is_zero() {
            true => 0.0,
            false => time.as_secs_f64() / self.total.as_secs_f64(),
        }
    }
}

/// What a run starts from.
struct Start {
    values: BTreeMap<String, Value>,
    states: States,
    schedule: Schedule,
}

impl Portable {
    /// Runs `function` on `inputs` as [`Engine::predict`](crate::engine::Engine::predict) does, and tells
    /// what passed. With a `state`, the traced run goes on from it and leaves it changed, the others leave
    /// it alone.
    pub fn trace(
        &self,
        function: &str,
        inputs: &Features,
        state: Option<&mut dyn State>,
        options: &TraceOptions,
    ) -> Result<Trace> {
        if options.fused && options.drift {
            return Err(
                Error::new("drift compares the operations that the program has")
                    .hint("leave out either fused or drift"),
            );
        }
        let mut start = self.start(function, inputs, options.fused)?;
        let kept = match state {
            None => None,
            Some(state) => match state.as_any_mut().downcast_mut::<States>() {
                Some(states) => Some(states),
                None => fail!("the state was made by another engine"),
            },
        };
        if let Some(states) = &kept {
            start.states = (*states).clone();
        }
        for _ in 0..options.warmup {
            self.observed(function, &start, &mut start.states.clone(), None)?;
        }
        let mut trace = {
            let names = Names::of(&self.function(function)?.plan);
            let recorder = Recorder::new(&names, &start.schedule, options.now);
            let mut states = start.states.clone();
            self.observed(function, &start, &mut states, Some(&recorder))?;
            if let Some(kept) = kept {
                *kept = states;
            }
            self.told(function, &start, recorder.finish())?
        };
        if options.drift {
            drift::measure(self, function, inputs, &start, &mut trace)?;
        }
        Ok(trace)
    }

    fn told(&self, function: &str, start: &Start, seen: recorder::Recorded) -> Result<Trace> {
        let top = seen.events.iter().filter(|event| event.place.is_none());
        let mut trace = Trace {
            function: function.to_owned(),
            precision: self.options.precision,
            total: top.map(|event| event.time).sum(),
            events: seen.events,
            dropped: seen.dropped,
            peak: seen.peak,
            first_bad: seen.first_bad,
            drift: None,
        };
        for (name, value) in &start.values {
            if let Some(bad) = NonFinite::of_input(name, value)? {
                trace.first_bad = Some(bad);
            }
        }
        Ok(trace)
    }

    fn start(&self, function: &str, inputs: &Features, fused: bool) -> Result<Start> {
        let plan = &self.function(function)?.plan;
        let described = self.bundle.description.function(function)?;
        let schedule = match fused {
            true => self.options.schedule(plan, &BTreeSet::new()),
            false => Schedule::new(plan, &BTreeSet::new()),
        };
        Ok(Start {
            schedule: schedule?,
            values: self.values(described, plan, inputs)?,
            states: States::new(&plan.inputs, &self.options)?,
        })
    }

    /// One run from the same random draws as any other.
    fn observed(
        &self,
        function: &str,
        start: &Start,
        states: &mut States,
        observer: Option<&dyn Observer>,
    ) -> Result<()> {
        let plan = &self.function(function)?.plan;
        let load = |value: &mil::Value| self.bundle.resolve(value);
        let draws = Draws::new(self.options.seed);
        let scope = Scope {
            watch: Watch(observer),
            ..super::scope(&self.options, &draws, &load)
        };
        let (schedule, values) = (&start.schedule, &start.values);
        execute::run(plan, schedule, &scope, values, &BTreeMap::new(), states).map(drop)
    }

    /// This engine, or one over the same bundle that computes in `precision`.
    fn computing_in(&self, precision: Precision) -> Result<Option<Portable>> {
        if self.options.precision == precision {
            return Ok(None);
        }
        let options = super::Options {
            precision,
            ..self.options.clone()
        };
        Portable::new(self.bundle.clone(), options).map(Some)
    }
}

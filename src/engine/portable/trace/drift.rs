//! fp16 against f32: two runs in step, each value compared as soon as both have made it.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::recorder::{Names, op};
use super::{NonFinite, Seen, Start, Trace};
use crate::diag::{Error, Result};
use crate::engine::Features;
use crate::engine::portable::plan::Step;
use crate::engine::portable::value::Value;
use crate::engine::portable::watch::Observer;
use crate::engine::portable::{Portable, Precision, float};

/// What the comparison showed besides the drift of each value.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// The operation at which the two runs took different ways (another branch, another number of
    /// turns); nothing after it is compared.
    pub parted: Option<String>,
    /// Where the run with fp16 rounding first makes NaN or infinity.
    pub first_bad: Option<NonFinite>,
}

/// Runs `function` in f32 and with fp16 rounding, and writes the drift of each value into `trace`.
pub(super) fn measure(
    portable: &Portable,
    function: &str,
    inputs: &Features,
    start: &Start,
    trace: &mut Trace,
) -> Result<()> {
    let (exact, rounded) = (
        portable.computing_in(Precision::F32)?,
        portable.computing_in(Precision::Faithful)?,
    );
    let run = |engine: &Option<Portable>, observer: &dyn Observer| {
        let engine = engine.as_ref().unwrap_or(portable);
        let own = engine.start(function, inputs, false)?;
        let mut states = start.states.computing_in(float(engine.options.precision))?;
        engine.observed(function, &own, &mut states, Some(observer))
    };
    let names = Names::of(&portable.function(function)?.plan);
    let (to, from) = sync_channel(1);
    let comparison = Comparison::new(from);
    let first_bad = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let sender = Sender::new(to, &names);
            run(&rounded, &sender)?;
            Ok(sender.first_bad())
        });
        let own = run(&exact, &comparison);
        comparison.lock().from = None;
        let panicked = |_| Err(Error::new("internal: the run with fp16 rounding panicked"));
        let first_bad = other.join().unwrap_or_else(panicked);
        own.and(first_bad)
    })?;
    let compared = comparison.state.into_inner();
    let mut compared = compared.unwrap_or_else(PoisonError::into_inner);
    for event in &mut trace.events {
        let drifts = compared.drifts.remove(&event.order);
        if let Some((_, drifts)) = drifts.filter(|(label, _)| *label == event.label) {
            for (value, drift) in event.values.iter_mut().zip(drifts) {
                value.drift = drift;
            }
        }
    }
    let parted = compared.parted;
    trace.drift = Some(Drift { parted, first_bad });
    Ok(())
}

/// An operation's results, on their way to be compared.
struct Made {
    label: String,
    values: Vec<Value>,
}

impl Made {
    fn by(step: &Step, slots: &[Option<Value>]) -> Self {
        let values = step.outputs.iter().filter_map(|slot| slots[*slot].clone());
        Self {
            label: step.label.clone(),
            values: values.collect(),
        }
    }
}

/// Watches the run with fp16 rounding.
struct Sender<'a> {
    /// Waits until the other run has come as far.
    to: SyncSender<Made>,
    names: &'a Names,
    first_bad: Mutex<Option<NonFinite>>,
}

impl<'a> Sender<'a> {
    fn new(to: SyncSender<Made>, names: &'a Names) -> Self {
        Self {
            to,
            names,
            first_bad: Mutex::new(None),
        }
    }

    fn first_bad(self) -> Option<NonFinite> {
        let first_bad = self.first_bad.into_inner();
        first_bad.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Sender<'_> {
    fn starts(&self, _: &Step) {}

    fn enters(&self, _: usize) {}

    fn leaves(&self) {}

    fn ends(&self, step: &Step, slots: &[Option<Value>]) -> Result<()> {
        let made = Made::by(step, slots);
        let mut first_bad = self
            .first_bad
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if first_bad.is_none() {
            let seen: Vec<Seen> = made.values.iter().map(Seen::of).collect::<Result<_>>()?;
            *first_bad = NonFinite::find(step, &seen, slots, self.names, None)?;
        }
        // Nobody listens once the runs have parted.
        let _ = self.to.send(made);
        Ok(())
    }
}

/// Watches the run in f32 and compares.
struct Comparison {
    state: Mutex<Compared>,
}

struct Compared {
    from: Option<Receiver<Made>>,
    started: usize,
    open: Vec<usize>,
    /// By order of start: label, and the drift of each result.
    drifts: BTreeMap<usize, (String, Vec<Option<f64>>)>,
    parted: Option<String>,
}

impl Comparison {
    fn new(from: Receiver<Made>) -> Self {
        Self {
            state: Mutex::new(Compared {
                from: Some(from),
                started: 0,
                open: Vec::new(),
                drifts: BTreeMap::new(),
                parted: None,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Compared> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Comparison {
    fn starts(&self, _: &Step) {
        let mut state = self.lock();
        let order = state.started;
        state.started += 1;
        state.open.push(order);
    }

    fn enters(&self, _: usize) {}

    fn leaves(&self) {}

    fn ends(&self, step: &Step, slots: &[Option<Value>]) -> Result<()> {
        let mut state = self.lock();
        let Some(order) = state.open.pop() else {
            return Ok(());
        };
        let Some(from) = &state.from else {
            return Ok(());
        };
        match from.recv() {
            Ok(made) if made.label == step.label => {
                let exact = Made::by(step, slots);
                let pairs = exact.values.iter().zip(&made.values);
                let drifts = pairs.map(|(exact, rounded)| drift(exact, rounded));
                let drifts = drifts.collect::<Result<_>>()?;
                state.drifts.insert(order, (made.label, drifts));
            }
            _ => {
                state.from = None;
                state.parted = Some(format!("{} at \"{}\"", op(step), step.label));
            }
        }
        Ok(())
    }
}

/// max |rounded − exact| over max |exact|; infinite if only one of them is finite somewhere, or if the
/// shapes differ. `None` for what has no numbers.
fn drift(exact: &Value, rounded: &Value) -> Result<Option<f64>> {
    let number = |value: &Value| matches!(value, Value::Tensor { .. } | Value::Host(_));
    if !number(exact) || !number(rounded) {
        return Ok(None);
    }
    let (exact, rounded) = (exact.floats()?, rounded.floats()?);
    if exact.len() != rounded.len() {
        return Ok(Some(f64::INFINITY));
    }
    let (mut scale, mut most) = (0f64, 0f64);
    for (exact, rounded) in exact.iter().zip(&rounded) {
        let same = exact == rounded || (exact.is_nan() && rounded.is_nan());
        let apart = (exact - rounded).abs();
        match (same, apart.is_finite()) {
            (true, _) => {}
            (false, true) => most = most.max(apart),
            (false, false) => most = f64::INFINITY,
        }
        if exact.is_finite() {
            scale = scale.max(exact.abs());
        }
    }
    Ok(Some(if most == 0.0 { 0.0 } else { most / scale }))
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn drift_is_relative_to_the_largest_element() {
        const INF: f32 = f32::INFINITY;
        let value = |x: &[f32]| Value::from(Tensor::new(x, &Device::Cpu).unwrap());
        let check = |exact: &[f32], rounded: &[f32], expected: f64| {
            let got = drift(&value(exact), &value(rounded)).unwrap();
            assert_eq!(got, Some(expected), "{exact:?} {rounded:?}");
        };
        check(&[1.0, -4.0], &[1.5, -4.0], 0.125);
        check(&[1.0, f32::NAN, INF], &[1.0, f32::NAN, INF], 0.0);
        check(&[70000.0, 1.0], &[INF, 1.0], f64::INFINITY);
        check(&[1.0, f32::NAN], &[1.0, 2.0], f64::INFINITY);
        check(&[0.0], &[1.0], f64::INFINITY);
        check(&[0.0], &[0.0], 0.0);
        check(&[1.0], &[1.0, 2.0], f64::INFINITY);
        assert_eq!(drift(&Value::text("a"), &Value::text("a")).unwrap(), None);
    }
}

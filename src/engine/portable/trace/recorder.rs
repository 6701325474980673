//! Watches a run and notes each operation: time, statistics of its results, memory, the first value that
//! is not finite.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::memory::Memory;
use super::{EVENTS_MAX, Event, NonFinite, Seen};
use crate::diag::Result;
use crate::engine::portable::plan::{Action, Plan, Source, Step};
use crate::engine::portable::schedule::Schedule;
use crate::engine::portable::value::Value;
use crate::engine::portable::watch::Observer;

/// An observer that makes [`Event`]s. What it takes itself counts as no time: its clock stands still
/// while it looks at values.
pub(super) struct Recorder<'a> {
    names: &'a Names,
    now: &'a (dyn Fn() -> Duration + Sync),
    notes: Mutex<Notes>,
}

struct Notes {
    events: Vec<Event>,
    dropped: usize,
    first_bad: Option<NonFinite>,
    memory: Memory,
    peak: u64,
    /// Operations that have started and not ended.
    open: Vec<Open>,
    /// Nested blocks that run, as text.
    places: Vec<Arc<str>>,
    started: usize,
    /// Time that watching took.
    watching: Duration,
}

struct Open {
    order: usize,
    start: Duration,
    /// Time of the operations inside.
    inside: Duration,
    turns: BTreeMap<usize, usize>,
    op: &'static str,
    label: String,
}

/// What a recorder has seen.
pub(super) struct Recorded {
    pub events: Vec<Event>,
    pub dropped: usize,
    pub first_bad: Option<NonFinite>,
    pub peak: u64,
}

impl<'a> Recorder<'a> {
    pub fn new(
        names: &'a Names,
        schedule: &Schedule,
        now: &'a (dyn Fn() -> Duration + Sync),
    ) -> Self {
        let notes = Notes {
            events: Vec::new(),
            dropped: 0,
            first_bad: None,
            memory: Memory::new(schedule.given().collect()),
            peak: 0,
            open: Vec::new(),
            places: Vec::new(),
            started: 0,
            watching: now(),
        };
        Self {
            names,
            now,
            notes: Mutex::new(notes),
        }
    }

    /// In the order in which the operations started.
    pub fn finish(self) -> Recorded {
        let notes = self.notes.into_inner();
        let mut notes = notes.unwrap_or_else(PoisonError::into_inner);
        notes.events.sort_by_key(|event| event.order);
        Recorded {
            events: notes.events,
            dropped: notes.dropped,
            first_bad: notes.first_bad,
            peak: notes.peak,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Recorder<'_> {
    fn starts(&self, step: &Step) {
        let mut notes = self.lock();
        let order = notes.started;
        notes.started += 1;
        let start = (self.now)().saturating_sub(notes.watching);
        notes.open.push(Open {
            order,
            start,
            inside: Duration::ZERO,
            turns: BTreeMap::new(),
            op: op(step),
            label: step.label.clone(),
        });
    }

    fn enters(&self, block: usize) {
        let mut notes = self.lock();
        let turn = notes.open.last_mut().map(|open| open.turn(block));
        let turn = turn.unwrap_or_default();
        let place = match notes.places.last() {
            Some(outer) => format!("{outer} / {turn}"),
            None => turn,
        };
        notes.places.push(place.into());
    }

    fn leaves(&self) {
        self.lock().places.pop();
    }

    fn ends(&self, step: &Step, slots: &[Option<Value>]) -> Result<()> {
        let now = (self.now)();
        let mut notes = self.lock();
        let end = now.saturating_sub(notes.watching);
        let Some(open) = notes.open.pop() else {
            return Ok(());
        };
        let time = end.saturating_sub(open.start);
        if let Some(outer) = notes.open.last_mut() {
            outer.inside += time;
        }
        let values = seen(step, slots)?;
        if notes.first_bad.is_none() {
            let place = notes.places.last();
            notes.first_bad = NonFinite::find(step, &values, slots, self.names, place)?;
        }
        let change = notes.memory.after(slots, &step.outputs);
        notes.peak = notes.peak.max(change.live);
        let event = Event {
            order: open.order,
            op: open.op,
            label: open.label,
            place: notes.places.last().cloned(),
            start: open.start,
            time,
            own: time.saturating_sub(open.inside),
            values,
            allocated: change.allocated,
            live: change.live,
        };
        match notes.events.len() < EVENTS_MAX {
            true => notes.events.push(event),
            false => notes.dropped += 1,
        }
        notes.watching += (self.now)().saturating_sub(now);
        Ok(())
    }
}

impl Open {
    /// The turn of a nested block that now begins, as text.
    fn turn(&mut self, block: usize) -> String {
        let turn = self.turns.entry(block).or_insert(0);
        *turn += 1;
        match (self.op, block) {
            ("cond", 0) => format!("{}: then", self.label),
            ("cond", _) => format!("{}: else", self.label),
            ("while_loop", 0) => format!("{}: condition, turn {turn}", self.label),
            (_, _) => format!("{}: turn {turn}", self.label),
        }
    }
}

pub(super) fn op(step: &Step) -> &'static str {
    match step.action {
        Action::Op(op) => op.name,
        Action::Constant(_) => "const",
    }
}

fn seen(step: &Step, slots: &[Option<Value>]) -> Result<Vec<Seen>> {
    let values = step.outputs.iter().filter_map(|slot| slots[*slot].as_ref());
    values.map(Seen::of).collect()
}

/// What values are called, by slot.
pub(super) struct Names(BTreeMap<usize, String>);

impl Names {
    pub fn of(plan: &Plan) -> Self {
        let mut names = BTreeMap::new();
        collect(&plan.block.steps, &mut names);
        names.extend(plan.slots.iter().map(|(name, slot)| (*slot, name.clone())));
        Self(names)
    }

    pub fn of_slot(&self, slot: usize) -> &str {
        self.0.get(&slot).map_or("", String::as_str)
    }
}

fn collect(steps: &[Step], names: &mut BTreeMap<usize, String>) {
    for step in steps {
        let outputs = step.outputs.iter();
        names.extend(outputs.map(|slot| (*slot, step.label.clone())));
        for block in &step.blocks {
            collect(&block.steps, names);
        }
    }
}

/// The slots that a step reads itself, with the parameter each is given for.
pub(super) fn arguments(step: &Step) -> impl Iterator<Item = (&str, usize)> {
    step.args.iter().flat_map(|(parameter, sources)| {
        sources.iter().filter_map(|source| match source {
            Source::Slot(slot) => Some((parameter.as_str(), *slot)),
            Source::Literal { .. } => None,
        })
    })
}

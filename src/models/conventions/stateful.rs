//! The stateful convention of iOS 18: keys and values stand in states (`keyCache`, `valueCache`) that the
//! program reads and writes, one slot a position. As Apple's Llama and Mistral have it, `causalMask` tells
//! by its columns where the tokens stand; others take positions beside a mask over all slots. Prompts may
//! have a function of their own (`prefill`), next to one for single tokens.

use std::sync::OnceLock;

use super::Whole;
use super::cached::{Cached, Call, Keeper, Memory};
use super::companions::Span;
use super::extents::{Bounds, UNBOUNDED, bounds};
use super::step::Step;
use crate::diag::Result;
use crate::engine::{Engine, Features, State};
use crate::generate::Way;
use crate::package::{Description, Feature, FunctionDescription};

/// A model of `function` and of those that share its states and take another number of tokens.
pub(super) fn of(
    description: &Description,
    function: &str,
    window: Option<usize>,
) -> Result<Cached> {
    let own = description.function(function)?;
    let mut steps = vec![Step::of(function, own, &[], window)?];
    for (name, other) in &description.functions {
        if name == function || other.states != own.states {
            continue;
        }
        let step = Step::of(name, other, &[], window);
        steps.extend(
            step.ok()
                .filter(|step| step.ids.length() != steps[0].ids.length()),
        );
    }
    // Two of a kind are variants of the model, of which one can't say which belongs to `function`.
    let length = |step: &Step| step.ids.length().clone();
    let alone = |step: &Step| steps.iter().filter(|s| length(s) == length(step)).count() == 1;
    let steps: Vec<Step> = steps.iter().filter(|step| alone(step)).cloned().collect();
    let capacity = capacity(own, &steps)?;
    let names: Vec<&str> = own.states.iter().map(|state| state.name.as_str()).collect();
    let functions: Vec<&str> = steps.iter().map(|step| step.function.as_str()).collect();
    // On fresh states it is as if it had none.
    let whole = (steps.iter())
        .find(|step| step.function == function)
        .filter(|step| step.ids.length().least == 1 && step.ids.length().most > 1)
        .and_then(|_| Whole::of(own, window).ok());
    Ok(Cached {
        told: format!("states {} in {}", names.join(", "), functions.join(", ")),
        keeper: Box::new(States {
            function: function.to_owned(),
            slots: own.states.iter().all(|state| has_extent(state, capacity)),
        }),
        steps,
        capacity,
        whole,
        singly: OnceLock::new(),
    })
}

/// Tokens that the states hold: as the masks tell, else as their axes are usually laid out.
fn capacity(function: &FunctionDescription, steps: &[Step]) -> Result<usize> {
    if let Some(entries) = steps.iter().filter_map(Step::entries).min() {
        return Ok(entries);
    }
    let axes = function.states.iter().map(bounds);
    let axes: Vec<Vec<Bounds>> = axes.collect::<Result<_>>()?;
    let least = axes.iter().filter_map(|axes| slots(axes)).min();
    Ok(least.unwrap_or(UNBOUNDED))
}

/// The axis of the positions as it is usually laid out: `[layers, batch, heads, slots, size]`, or `[batch,
/// channels, 1, slots]` for the Neural Engine.
pub(super) fn slots(axes: &[Bounds]) -> Option<usize> {
    match axes {
        [_, .., one, slots] if one.most == 1 => Some(slots.most),
        [_, .., slots, _] => Some(slots.most),
        _ => None,
    }
}

/// Whether a state has a slot for each position: then what stands behind a position can't be seen from it.
fn has_extent(state: &Feature, capacity: usize) -> bool {
    bounds(state).is_ok_and(|axes| axes.iter().any(|axis| axis.most == capacity))
}

struct States {
    function: String,
    /// Whether every state has a slot for each position.
    slots: bool,
}

impl Keeper for States {
    fn start(&self, engine: &dyn Engine) -> Result<Box<dyn Memory>> {
        Ok(Box::new(Kept {
            state: engine.new_state(&self.function)?,
            slots: self.slots,
        }))
    }

    fn way(&self) -> Way {
        Way::States
    }
}

struct Kept {
    state: Box<dyn State>,
    slots: bool,
}

impl Memory for Kept {
    fn call(&mut self, engine: &dyn Engine, step: &Step, call: &Call) -> Result<Features> {
        let span = Span::after(call.done, call.new, call.ids.len());
        let inputs = step.inputs(call.ids, &span)?;
        engine.predict(&step.function, &inputs, Some(&mut *self.state))
    }

    fn rewind(&mut self, _: usize) -> Result<bool> {
        Ok(self.slots)
    }

    fn pads(&self) -> bool {
        self.slots
    }

    fn fork(&self) -> Result<Option<Box<dyn Memory>>> {
        let slots = self.slots;
        let fork = self.state.fork()?;
        Ok(fork.map(|state| Box::new(Kept { state, slots }) as Box<dyn Memory>))
    }
}

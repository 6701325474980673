//! A function as a pass looks at it: who makes a value, what else reads it, what is constant.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use crate::engine::portable::ops::Op;
use crate::engine::portable::plan::{Action, Plan, Source, Sources, Step};
use crate::mil::{self, Data, Dim};
use crate::numeric::{Array, DType};

/// The steps of a function and who reads their results.
pub struct Graph<'a> {
    plan: &'a Plan,
    given: &'a BTreeSet<usize>,
    /// Slot → what reads it, once for each argument, result of the function and nested block: the name
    /// of the operation, empty for the others.
    readers: BTreeMap<usize, Vec<&'static str>>,
    packs: RefCell<Vec<Pack>>,
}

/// A constant that is wanted packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pack {
    pub slot: usize,
    /// Whether it is `[k, n]` rather than `[n, k]`.
    pub turned: bool,
    /// The slot of the packed form, behind those of the plan.
    pub to: usize,
}

impl<'a> Graph<'a> {
    pub fn new(plan: &'a Plan, given: &'a BTreeSet<usize>) -> Self {
        let mut readers: BTreeMap<usize, Vec<&'static str>> = BTreeMap::new();
        let mut note = |slot: usize, by| readers.entry(slot).or_default().push(by);
        plan.block.outputs.iter().for_each(|slot| note(*slot, ""));
        for step in &plan.block.steps {
            let sources = step.args.iter().flat_map(|(_, sources)| sources.iter());
            sources
                .filter_map(slot_of)
                .for_each(|slot| note(slot, name(step)));
            for block in &step.blocks {
                let inner = block.steps.iter().flat_map(Step::reads);
                let read: BTreeSet<usize> = block.outputs.iter().copied().chain(inner).collect();
                read.into_iter().for_each(|slot| note(slot, ""));
            }
        }
        Self {
            plan,
            given,
            readers,
            packs: RefCell::default(),
        }
    }

    /// The operation `op` that makes `source`, if it can be fused away: nobody gives its only result, and
    /// nothing else reads it.
    pub fn made_by(&self, source: &Source, op: &str) -> Option<&'a Step> {
        let step = self.maker(source)?;
        let readers = self.readers.get(step.outputs.first()?)?;
        let inner = step.outputs.len() == 1 && readers.len() == 1;
        (inner && name(step) == op).then_some(step)
    }

    /// The same; other operations may ask for the shape of its result.
    pub fn made_by_but_shape(&self, source: &Source, op: &str) -> Option<&'a Step> {
        let step = self.maker(source)?;
        let readers = self.readers.get(step.outputs.first()?)?;
        let inner = readers.iter().filter(|by| **by != "shape").count() <= 1;
        (inner && step.outputs.len() == 1 && name(step) == op).then_some(step)
    }

    /// The step that makes `source`, unless it is given.
    pub fn maker(&self, source: &Source) -> Option<&'a Step> {
        let slot = slot_of(source)?;
        let step = &self.plan.block.steps[*self.plan.producers.get(&slot)?];
        (!self.given.contains(&slot)).then_some(step)
    }

    /// Whether another step writes `state` after `read` and before `write`.
    pub fn writes_between(&self, read: &Step, write: &Step, state: &Source) -> bool {
        let steps = self.plan.block.steps.iter();
        let between = steps
            .skip_while(|step| !std::ptr::eq(*step, read))
            .take_while(|step| !std::ptr::eq(*step, write));
        let mut others = between.filter(|step| step.writes());
        others.any(|step| slot_of(state).is_none_or(|slot| step.reads().contains(&slot)))
    }

    /// The packed form of a constant matrix of floats.
    pub fn pack(&self, source: &Source, turned: bool) -> Option<Source> {
        if let Some(known) = self.packed(source, turned) {
            return Some(known);
        }
        let slot = slot_of(source)?;
        let maker = self.maker(source)?;
        let constant = matches!(maker.action, Action::Constant(_)) || maker.decompresses();
        let given = maker.reads().iter().any(|slot| self.given.contains(slot));
        let matrix = self.ty(source)?.shape()?.len() == 2;
        if !constant || given || !matrix || !self.is_float(source) {
            return None;
        }
        let mut packs = self.packs.borrow_mut();
        let to = self.plan.slot_count + packs.len();
        packs.push(Pack { slot, turned, to });
        Some(Source::Slot(to))
    }

    /// The same, if it is wanted already.
    pub fn packed(&self, source: &Source, turned: bool) -> Option<Source> {
        let slot = slot_of(source)?;
        let packs = self.packs.borrow();
        let known = packs
            .iter()
            .find(|p| (p.slot, p.turned) == (slot, turned))?;
        Some(Source::Slot(known.to))
    }

    pub fn into_packs(self) -> Vec<Pack> {
        self.packs.into_inner()
    }

    /// `source` before casts between float types, which change nothing that is computed.
    pub fn uncast(&self, source: &'a Source) -> &'a Source {
        let Some(step) = self.maker(source).filter(|step| name(step) == "cast") else {
            return source;
        };
        match arg(step, "x") {
            Some(inner) if self.is_float(source) && self.is_float(inner) => self.uncast(inner),
            _ => source,
        }
    }

    /// Like [`made_by`](Self::made_by), behind casts that nothing else reads.
    pub fn behind_casts(&self, source: &'a Source, op: &str) -> Option<&'a Step> {
        match self.made_by(source, "cast") {
            Some(cast) if self.is_float(source) => self.behind_casts(arg(cast, "x")?, op),
            _ => self.made_by(source, op),
        }
    }

    /// Whether both are the same value, casts aside.
    pub fn same(&self, a: &'a Source, b: &'a Source) -> bool {
        let (a, b) = (slot_of(self.uncast(a)), slot_of(self.uncast(b)));
        a.is_some() && a == b
    }

    pub fn dims(&self, source: &Source) -> Option<&'a [Dim]> {
        self.ty(source)?.dims()
    }

    /// The last extent.
    pub fn width(&self, source: &Source) -> Option<usize> {
        match self.dims(source)?.last()? {
            Dim::Fixed(n) => Some(*n),
            _ => None,
        }
    }

    pub fn is_float(&self, source: &Source) -> bool {
        let dtype = self.ty(source).and_then(mil::Type::dtype);
        dtype.is_some_and(DType::is_float)
    }

    fn ty(&self, source: &Source) -> Option<&'a mil::Type> {
        let slot = slot_of(source)?;
        match self.plan.producers.get(&slot) {
            Some(i) => {
                let step = &self.plan.block.steps[*i];
                let place = step.outputs.iter().position(|s| *s == slot)?;
                step.types.get(place)
            }
            None => {
                let place = self.plan.block.inputs.iter().position(|s| *s == slot)?;
                self.plan.inputs.get(place).map(|input| &input.ty)
            }
        }
    }

    /// A constant that stands in the program itself.
    fn constant(&self, source: &'a Source) -> Option<&'a Array> {
        let value = match source {
            Source::Literal { value, .. } => value,
            Source::Slot(_) => match &self.maker(source)?.action {
                Action::Constant(value) => value,
                Action::Op(_) => return None,
            },
        };
        match &value.data {
            Data::Array(array) => Some(array),
            _ => None,
        }
    }

    /// A constant number.
    pub fn number(&self, source: &'a Source) -> Option<f64> {
        let array = self.constant(source).filter(|array| array.len() == 1)?;
        array.to_f64s().first().copied()
    }

    /// Constant integers.
    pub fn ints(&self, source: &'a Source) -> Option<Vec<i64>> {
        let array = self.constant(source)?;
        (!array.dtype().is_float()).then(|| array.to_i64s())
    }

    /// Constant integers given for a parameter.
    pub fn ints_of(&self, step: &'a Step, parameter: &str) -> Option<Vec<i64>> {
        self.ints(arg(step, parameter)?)
    }
}

/// The operation's name; empty for a `const`.
pub fn name(step: &Step) -> &'static str {
    match step.action {
        Action::Op(op) => op.name,
        Action::Constant(_) => "",
    }
}

/// What is given for a parameter that takes one value.
pub fn arg<'a>(step: &'a Step, parameter: &str) -> Option<&'a Source> {
    let given = step.args.iter().find(|(name, _)| name == parameter);
    match &given?.1 {
        Sources::One(source) => Some(source),
        Sources::Many(sources) => sources.first().filter(|_| sources.len() == 1),
    }
}

/// The operands of a binary operation, in both orders.
pub fn operands(step: &Step) -> impl Iterator<Item = (&Source, &Source)> {
    let both = arg(step, "x").zip(arg(step, "y"));
    both.into_iter().flat_map(|(x, y)| [(x, y), (y, x)])
}

/// `op` with `args` in the place of `step`.
pub fn fused(step: &Step, op: &'static Op, args: Vec<(&str, Source)>) -> Step {
    let one = |(name, source): (&str, Source)| (name.to_owned(), Sources::One(source));
    Step {
        action: Action::Op(op),
        label: step.label.clone(),
        args: args.into_iter().map(one).collect(),
        outputs: step.outputs.clone(),
        types: step.types.clone(),
        blocks: Vec::new(),
        folded: OnceLock::new(),
        packed: Default::default(),
    }
}

/// A setting of a fused operation.
pub fn setting(value: f64) -> Option<Source> {
    let array = Array::from_f64s(DType::Fp64, Vec::new(), &[value]).ok()?;
    Some(Source::Literal {
        value: mil::Value::array(array),
        loaded: OnceLock::new(),
    })
}

pub fn slot_of(source: &Source) -> Option<usize> {
    match source {
        Source::Slot(slot) => Some(*slot),
        Source::Literal { .. } => None,
    }
}

//! Follows the positions of a sequence through a program, from the token ids to the logits.
//!
//! The program is taken at one length, its capacity. What no token reaches (position tables, masks, shape
//! arithmetic) is computed once, whole. The rest runs on a window of two tokens, and so shows its shapes.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType as Candle, Device, Tensor};

use super::pass::{Pass, Sequence, Windows};
use super::program::{Program, Stage};
use super::rules;
use super::sight::{Operand, Sight};
use super::way::{Feed, Origin, Tag, Way};
use super::window::Window;
use super::witness::Witnesses;
use crate::diag::{Error, Result};
use crate::engine::portable::call::Arg;
use crate::engine::portable::constants::{Keep, constants, packed};
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::plan::{Action, Plan, Source, Sources, Step};
use crate::engine::portable::schedule::Schedule;
use crate::engine::portable::value::Value;
use crate::fail;

/// A value that tokens reach.
struct Known {
    tag: Tag,
    /// At the full length.
    shape: Vec<usize>,
}

/// What the analysis is about.
pub struct Question<'a> {
    pub ids: &'a str,
    pub logits: &'a str,
    /// All inputs at the full length.
    pub inputs: &'a BTreeMap<String, Value>,
    pub given: &'a BTreeMap<String, Tensor>,
}

struct Analysis<'a> {
    plan: &'a Plan,
    schedule: &'a Schedule,
    capacity: usize,
    known: BTreeMap<usize, Known>,
    /// Slots that depend on weights given from outside, and the steps that make them.
    given: BTreeSet<usize>,
    fresh: Vec<usize>,
    stages: Vec<Stage>,
    witnesses: Witnesses,
    consumers: BTreeMap<usize, Vec<usize>>,
}

/// The program as it can be run on windows; fails with the first reason why it can't.
pub fn analyse<'a>(
    plan: &'a Plan,
    schedule: &'a Schedule,
    question: &Question,
    ctx: &mut Ctx<'a>,
) -> Result<Program> {
    let (slot, shape) = fill(plan, schedule, question, ctx)?;
    let axis = shape.len() - 1;
    let capacity = shape[axis];
    if capacity < 2 {
        fail!("the program takes one token at a time");
    }
    let tag = Tag::Rows { axis };
    let live: Vec<usize> = schedule.live.iter().map(|(i, _)| *i).collect();
    let mut analysis = Analysis {
        plan,
        schedule,
        capacity,
        known: BTreeMap::from([(
            slot,
            Known {
                tag,
                shape: shape.clone(),
            },
        )]),
        given: schedule.overridden().collect(),
        fresh: Vec::new(),
        stages: Vec::new(),
        witnesses: Witnesses::default(),
        consumers: consumers(plan, schedule, &live),
    };
    let windows = Windows {
        all: Window::new(&[(0, 2)], &Device::Cpu)?,
        wanted: None,
    };
    let (mut sequences, kept) = ([Sequence::default()], BTreeMap::new());
    let mut pass = Pass::new(ctx, &windows, &mut sequences, &kept);
    let ids = question.inputs[question.ids].tensor()?.narrow(axis, 0, 2)?;
    pass.begin(slot, ids.into());
    for i in live {
        analysis.step(i, &mut pass)?;
    }
    let logits = plan
        .output_names
        .iter()
        .position(|name| name == question.logits);
    let logits = logits.map(|i| plan.block.outputs[i]);
    analysis.finish((slot, axis), logits, &ctx.slots)
}

/// Puts what no token reaches into the slots; returns the slot of the token ids and their shape.
fn fill(
    plan: &Plan,
    schedule: &Schedule,
    question: &Question,
    ctx: &mut Ctx,
) -> Result<(usize, Vec<usize>)> {
    let mut ids = None;
    for (input, slot) in plan.inputs.iter().zip(&plan.block.inputs) {
        let Some(value) = question.inputs.get(&input.name) else {
            fail!("input \"{}\" is missing", input.name);
        };
        match input.name == question.ids {
            true => ids = Some((*slot, value.tensor()?.dims().to_vec())),
            false => ctx.slots[*slot] = Some(value.clone()),
        }
    }
    schedule.fill(question.given, &mut ctx.slots)?;
    let made = constants(plan, &schedule.constants, ctx.scope, Keep::Yes)?;
    for (slot, value) in schedule.constants.iter().zip(made) {
        ctx.slots[*slot] = Some(value);
    }
    let made = packed(plan, &schedule.packs, ctx.scope)?;
    for (pack, value) in schedule.packs.iter().zip(made) {
        ctx.slots[pack.to] = Some(value);
    }
    match ids {
        Some((_, shape)) if shape.iter().rev().skip(1).any(|n| *n != 1) => {
            fail!("the program takes several rows at a time: {shape:?}")
        }
        Some((slot, shape)) if !shape.is_empty() => Ok((slot, shape)),
        _ => fail!("the program has no token input \"{}\"", question.ids),
    }
}

fn consumers(plan: &Plan, schedule: &Schedule, live: &[usize]) -> BTreeMap<usize, Vec<usize>> {
    let mut consumers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for i in live {
        for slot in schedule.step(plan, *i).reads() {
            consumers.entry(slot).or_default().push(*i);
        }
    }
    consumers
}

impl<'a> Analysis<'a> {
    fn step(&mut self, i: usize, pass: &mut Pass<'_, 'a>) -> Result<()> {
        let step: &'a Step = self.schedule.step(self.plan, i);
        let Action::Op(op) = &step.action else {
            return pass.ctx.step(step);
        };
        let outcome = self.follow(i, op.name, pass);
        outcome.map_err(|error| match error.is_interrupt() {
            true => error,
            false => Error::new(format!("{} at \"{}\" {error}", op.name, step.label)),
        })
    }

    fn follow(&mut self, i: usize, op: &'static str, pass: &mut Pass<'_, 'a>) -> Result<()> {
        let step: &'a Step = self.schedule.step(self.plan, i);
        if step.has_effect() {
            fail!("keeps a state or draws random numbers");
        }
        let reads = step.reads();
        if !reads.iter().any(|slot| self.known.contains_key(slot)) {
            if reads.iter().any(|slot| self.given.contains(slot)) {
                self.given.extend(&step.outputs);
                self.fresh.push(i);
            }
            return pass.ctx.step(step);
        }
        if !step.blocks.is_empty() {
            fail!("goes by the tokens in what it runs");
        }
        let sight = self.sight(step, pass.ctx)?;
        if rules::OF_SHAPES.contains(&op) {
            return self.shape(&sight, step, pass.ctx);
        }
        let Some(rule) = rules::find(op) else {
            fail!("is not known to keep the positions of a sequence apart");
        };
        let way = rule(&sight)?;
        self.witnesses.follow(&sight, &way, step, pass.ctx)?;
        pass.stage(step, &way, true)?;
        self.learn(step, &way, pass)?;
        self.stages.push(Stage {
            step: i,
            way,
            all: false,
            free: Vec::new(),
        });
        Ok(())
    }

    fn sight<'s>(&self, step: &'s Step, ctx: &Ctx) -> Result<Sight<'s>> {
        let mut args = Vec::with_capacity(step.args.len());
        for (name, sources) in &step.args {
            let operands = sources.iter().map(|source| self.operand(source, ctx));
            let several = matches!(sources, Sources::Many(_));
            args.push((name.as_str(), several, operands.collect::<Result<_>>()?));
        }
        Ok(Sight {
            opset: self.plan.opset,
            args,
            results: step.outputs.len(),
            capacity: self.capacity,
            softmax: self.softmax_after(step, ctx),
        })
    }

    fn operand(&self, source: &Source, ctx: &Ctx) -> Result<Operand> {
        if let Source::Slot(slot) = source
            && let Some(Known { tag, shape }) = self.known.get(slot)
        {
            return Ok(Operand {
                origin: Origin::Slot(*slot),
                tag: *tag,
                shape: shape.clone(),
                value: None,
            });
        }
        let value = ctx.source(source)?;
        Ok(Operand {
            origin: match source {
                Source::Slot(slot) => Origin::Slot(*slot),
                Source::Literal { .. } => Origin::Literal(value.clone()),
            },
            tag: Tag::Fixed,
            shape: match value.tensor() {
                Ok(tensor) => tensor.dims().to_vec(),
                Err(_) => Vec::new(),
            },
            value: Some(value),
        })
    }

    /// The axis of the softmax that the results of `step` reach, entry by entry.
    fn softmax_after(&self, step: &Step, ctx: &Ctx) -> Option<i64> {
        let mut step = step;
        loop {
            let [next] = self.consumers.get(step.outputs.first()?)?.as_slice() else {
                return None;
            };
            step = self.schedule.step(self.plan, *next);
            let Action::Op(op) = &step.action else {
                return None;
            };
            if op.name == "softmax" {
                let axis = step.args.iter().find(|(name, _)| name == "axis");
                let source = axis.and_then(|(_, sources)| sources.iter().next());
                let ints = source.and_then(|source| ctx.source(source).ok()?.ints().ok());
                return Some(ints.and_then(|i| i.first().copied()).unwrap_or(-1));
            }
            if !rules::is_pointwise(op.name) {
                return None;
            }
        }
    }

    /// An operation that wants the shape of a value alone gets that of the full length.
    fn shape(&mut self, sight: &Sight, step: &'a Step, ctx: &mut Ctx<'a>) -> Result<()> {
        let mut args = Vec::with_capacity(sight.args.len());
        for (name, _, operands) in &sight.args {
            let [operand] = operands.as_slice() else {
                fail!("takes several values where it wants one");
            };
            let value = match &operand.value {
                Some(value) => value.clone(),
                None => {
                    let zero = Tensor::zeros((), Candle::F32, &Device::Cpu)?;
                    zero.broadcast_as(operand.shape.as_slice())?.into()
                }
            };
            args.push((*name, Arg::One(value)));
        }
        let values = ctx.results(step, args)?;
        for (slot, value) in step.outputs.iter().zip(values) {
            ctx.slots[*slot] = Some(value);
        }
        Ok(())
    }

    /// Notes what the results of a step are.
    fn learn(&mut self, step: &Step, way: &Way, pass: &mut Pass) -> Result<()> {
        for (slot, tag) in step.outputs.iter().zip(&way.tags) {
            let mut shape = pass.rows(*slot, 0, true)?.tensor()?.dims().to_vec();
            let axes = match *tag {
                Tag::Fixed => vec![],
                Tag::Rows { axis } => vec![axis],
                Tag::Scores { row, key } => vec![row, key],
            };
            for axis in axes {
                match shape.get_mut(axis) {
                    Some(extent) if *extent == 2 => *extent = self.capacity,
                    _ => fail!("gives a result that the positions do not fit"),
                }
            }
            self.known.insert(*slot, Known { tag: *tag, shape });
        }
        Ok(())
    }

    fn finish(
        self,
        ids: (usize, usize),
        logits: Option<usize>,
        slots: &[Option<Value>],
    ) -> Result<Program> {
        let known = logits.and_then(|slot| Some((slot, self.known.get(&slot)?)));
        let Some((slot, Known { tag, shape })) = known else {
            fail!("the logits do not depend on the tokens");
        };
        let axis = match *tag {
            Tag::Rows { axis } if axis + 1 < shape.len() => axis,
            _ => fail!("the logits are not rows of positions"),
        };
        let mut stages = self.stages;
        let kept = kept(&stages);
        mark(&mut stages, self.plan, &kept);
        free(&mut stages, self.plan, slot);
        let wanted = stages.iter().flat_map(|stage| stage.way.each());
        let mut used: BTreeSet<usize> = wanted.filter_map(fixed_slot).collect();
        for i in &self.fresh {
            used.extend(self.schedule.step(self.plan, *i).reads());
        }
        let fixed = used.iter().filter(|slot| !self.given.contains(slot));
        let fixed = fixed.filter_map(|slot| Some((*slot, slots[*slot].clone()?)));
        Ok(Program {
            capacity: self.capacity,
            fixed: fixed.collect(),
            fresh: self.fresh,
            used,
            stages,
            kept,
            ids,
            logits: (slot, axis),
        })
    }
}

/// Slots whose past is looked back at, with their positions axis.
fn kept(stages: &[Stage]) -> BTreeMap<usize, usize> {
    let feeds = stages.iter().flat_map(|stage| stage.way.each());
    let keys = feeds.filter_map(|feed| match feed {
        Feed::Keys { slot, axis } => Some((*slot, *axis)),
        _ => None,
    });
    keys.collect()
}

/// Marks the stages that every token has to go through, as later ones look back at what they lead to.
/// The others, the end of the last layer and the head, are for tokens whose logits are wanted.
fn mark(stages: &mut [Stage], plan: &Plan, kept: &BTreeMap<usize, usize>) {
    let mut needed: BTreeSet<usize> = kept.keys().copied().collect();
    for stage in stages.iter_mut().rev() {
        let outputs = &plan.block.steps[stage.step].outputs;
        stage.all = outputs.iter().any(|slot| needed.contains(slot));
        if stage.all {
            needed.extend(stage.way.each().filter_map(window_slot));
        }
    }
    // Scores stay with the tokens they were made for.
    let mut scores: BTreeSet<usize> = BTreeSet::new();
    for stage in stages.iter_mut() {
        let reads = stage.way.each().any(|feed| match feed {
            Feed::Scores { slot } => scores.contains(slot),
            _ => false,
        });
        stage.all |= reads;
        if stage.all {
            scores.extend(&plan.block.steps[stage.step].outputs);
        }
    }
}

/// Notes which values each stage reads last.
fn free(stages: &mut [Stage], plan: &Plan, logits: usize) {
    let mut seen = BTreeSet::from([logits]);
    for stage in stages.iter_mut().rev() {
        let outputs = &plan.block.steps[stage.step].outputs;
        let reads = stage.way.each().filter_map(|feed| match feed {
            Feed::Keys { slot, .. } => Some(*slot),
            feed => window_slot(feed),
        });
        let last = reads.chain(outputs.iter().copied());
        stage.free = last.filter(|slot| seen.insert(*slot)).collect();
    }
}

fn window_slot(feed: &Feed) -> Option<usize> {
    match feed {
        Feed::Rows { slot, .. } | Feed::Scores { slot } => Some(*slot),
        _ => None,
    }
}

fn fixed_slot(feed: &Feed) -> Option<usize> {
    match feed {
        Feed::Whole(Origin::Slot(slot))
        | Feed::At {
            origin: Origin::Slot(slot),
            ..
        }
        | Feed::Square {
            origin: Origin::Slot(slot),
            ..
        } => Some(*slot),
        _ => None,
    }
}

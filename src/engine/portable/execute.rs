//! Running a plan: only what the results need, constants once, each value freed after its last use.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{DType as Candle, Device, Tensor};

use super::Limits;
use super::batch::{self, Examples, Lane};
use super::call::{Arg, Call};
use super::constants::{Keep, constants, packed, small};
use super::ops::Op;
use super::plan::{Action, BlockPlan, Plan, Source, Sources, Step};
use super::schedule::Schedule;
use super::state::States;
use super::tally;
use super::value::Value;
use super::watch::Watch;
use crate::diag::{Context, Interrupt, Result};
use crate::fail;
use crate::mil::{self, Type};
use crate::numeric::{Array, DType, Rng};

/// What surrounds the evaluation of a program.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// Loads an immediate or blob literal.
    pub load: &'a (dyn Fn(&mil::Value) -> Result<Array> + Sync),
    pub device: &'a Device,
    /// Type that floats compute in.
    pub float: Candle,
    /// Round each fp16-typed result to fp16, as Core ML may.
    pub faithful: bool,
    pub interrupt: &'a Interrupt,
    pub limits: Limits,
    pub draws: &'a Draws,
    pub watch: Watch<'a>,
}

/// Random streams for operations without a seed: each call takes the next one.
pub struct Draws {
    seed: u64,
    taken: AtomicU64,
}

impl Draws {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            taken: AtomicU64::new(0),
        }
    }
}

/// What an operation may touch besides its arguments.
pub struct Ctx<'a> {
    pub scope: &'a Scope<'a>,
    pub states: &'a mut States,
    /// Set while several examples run together.
    pub(super) examples: Option<Examples>,
    opset: u32,
    pub(super) slots: Vec<Option<Value>>,
    /// The blocks of the step being evaluated.
    pub(super) blocks: &'a [BlockPlan],
    /// Whether a nested block runs: its constants are made once for all turns.
    nested: bool,
    /// Whether constants are wanted as they are stored.
    stored: bool,
    /// Bytes of the values in the slots.
    pub(super) held: usize,
    /// Turns that loops have taken.
    turns: usize,
}

/// Runs `plan` once. `inputs` and `given` are by name; the results are in the order of the function.
pub fn run(
    plan: &Plan,
    schedule: &Schedule,
    scope: &Scope,
    inputs: &BTreeMap<String, Value>,
    given: &BTreeMap<String, Tensor>,
    states: &mut States,
) -> Result<Vec<Value>> {
    let mut ctx = Ctx::new(plan, scope, states);
    ctx.bind_inputs(plan, |name| inputs.get(name))?;
    ctx.run(plan, schedule, given)
}

impl<'a> Ctx<'a> {
    /// Nothing is there yet.
    pub fn new(plan: &Plan, scope: &'a Scope<'a>, states: &'a mut States) -> Self {
        Self {
            scope,
            states,
            examples: None,
            opset: plan.opset,
            slots: vec![None; plan.slot_count],
            blocks: &[],
            nested: false,
            stored: false,
            held: 0,
            turns: 0,
        }
    }

    /// Puts the function's inputs into their slots.
    pub fn bind_inputs<'v>(
        &mut self,
        plan: &Plan,
        value_of: impl Fn(&str) -> Option<&'v Value>,
    ) -> Result<()> {
        for (input, slot) in plan.inputs.iter().zip(&plan.block.inputs) {
            let value = match &input.ty {
                Type::State(_) => Value::State(input.name.as_str().into()),
                _ => match value_of(&input.name) {
                    Some(value) => value.clone(),
                    None => fail!("input \"{}\" is missing", input.name),
                },
            };
            self.put(*slot, Some(value))?;
        }
        Ok(())
    }

    /// Runs the steps of `schedule` on inputs that are there.
    pub fn run(
        &mut self,
        plan: &'a Plan,
        schedule: &'a Schedule,
        given: &BTreeMap<String, Tensor>,
    ) -> Result<Vec<Value>> {
        schedule.fill(given, &mut self.slots)?;
        let size = |tensor: &Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
        self.held += given.values().map(size).sum::<usize>();
        let made = constants(plan, &schedule.constants, self.scope, Keep::Yes)?;
        for (slot, value) in schedule.constants.iter().zip(made) {
            self.put(*slot, Some(value))?;
        }
        self.slots
            .resize(plan.slot_count + schedule.packs.len(), None);
        for (pack, value) in schedule
            .packs
            .iter()
            .zip(packed(plan, &schedule.packs, self.scope)?)
        {
            self.put(pack.to, Some(value))?;
        }
        for (i, free) in &schedule.live {
            self.step(schedule.step(plan, *i))?;
            for slot in free {
                self.put(*slot, None)?;
            }
        }
        let outputs = plan.block.outputs.iter();
        outputs.map(|slot| self.take(*slot)).collect()
    }

    /// What a step makes of the values in its slots, in the form that is wanted.
    pub(super) fn evaluated(&mut self, step: &'a Step, stored: bool) -> Result<Vec<Value>> {
        self.stored = step.decompresses();
        let args = self.args(step)?;
        self.stored = stored;
        self.results(step, args)
    }

    /// Fills or empties a slot.
    pub(super) fn put(&mut self, slot: usize, value: Option<Value>) -> Result<()> {
        let limits = self.scope.limits;
        if let Some(Value::Tensor { tensor, .. }) = &value {
            limits.allow(tensor.dims(), 0, 0)?;
        }
        let new = value.as_ref().map_or(0, Value::bytes);
        let old = std::mem::replace(&mut self.slots[slot], value);
        let old = old.map_or(0, |value| value.bytes());
        self.held = self.held.saturating_sub(old).saturating_add(new);
        limits.hold(self.held)
    }

    /// Counts a turn of a loop.
    pub fn turn(&mut self) -> Result<()> {
        let most = self.scope.limits.turns;
        if self.turns == most {
            fail!("loops took more than the {most} turns allowed in a run");
        }
        self.turns += 1;
        self.scope.interrupt.check()
    }

    /// Evaluates an operation.
    pub(super) fn call(
        &mut self,
        op: &'static Op,
        types: &[Type],
        args: Vec<(&str, Arg)>,
    ) -> Result<Vec<Value>> {
        let limits = self.scope.limits;
        let call = Call::new(op.name, self.opset, types, args).limited(limits, self.held);
        let values = (op.eval)(&call, self)?;
        call.check_all_read()?;
        Ok(values)
    }

    /// Runs a nested block of the current operation with `args` for its inputs.
    pub fn run_block(&mut self, index: usize, args: Vec<Value>) -> Result<Vec<Value>> {
        let blocks = self.blocks;
        let Some(block) = blocks.get(index) else {
            fail!("block {index} is missing")
        };
        if block.inputs.len() != args.len() {
            fail!(
                "block {index} takes {} values, got {}",
                block.inputs.len(),
                args.len()
            );
        }
        for (slot, value) in block.inputs.iter().zip(args) {
            self.put(*slot, Some(value))?;
        }
        let outer = std::mem::replace(&mut self.nested, true);
        self.scope.watch.enters(index);
        for step in &block.steps {
            self.step(step)?;
        }
        self.scope.watch.leaves();
        (self.blocks, self.nested) = (blocks, outer);
        block.outputs.iter().map(|slot| self.take(*slot)).collect()
    }

    /// [`Ctx::run_block`] while several examples run together.
    pub fn run_block_together(&mut self, index: usize, args: Vec<Lane>) -> Result<Vec<Lane>> {
        let block = self.blocks.get(index);
        let mark = |ctx: &mut Self, slot: usize, batched: bool| {
            if let Some(examples) = &mut ctx.examples {
                examples.mark(slot, batched);
            }
        };
        for (slot, lane) in block.iter().flat_map(|b| &b.inputs).zip(&args) {
            mark(self, *slot, lane.batched);
        }
        let values = self.run_block(index, args.into_iter().map(|lane| lane.value).collect())?;
        let outputs = block.iter().flat_map(|b| &b.outputs);
        let has_axis = |slot| {
            self.examples
                .as_ref()
                .is_some_and(|e| e.slots.contains(slot))
        };
        let lane = |(value, slot)| Lane {
            value,
            batched: has_axis(slot),
        };
        Ok(values.into_iter().zip(outputs).map(lane).collect())
    }

    /// A random stream that no other call gets.
    pub fn fresh_stream(&self) -> Rng {
        let Draws { seed, taken } = self.scope.draws;
        let number = taken.fetch_add(1, Ordering::Relaxed);
        Rng::named(*seed, &format!("draw {number}"))
    }

    /// An array made by an operation, as a value in the form that is wanted.
    pub fn array(&self, array: Array) -> Result<Value> {
        match self.stored {
            true => Ok(Value::host(array)),
            false => Value::from_array(array, self.scope.float, self.scope.device),
        }
    }

    /// The value of a `const`; inside a nested block it is made once.
    fn constant(&self, step: &Step, value: &mil::Value) -> Result<Value> {
        if let Some([kept]) = step.folded.get().map(Vec::as_slice) {
            return Ok(kept.clone());
        }
        let made = self.load(value)?;
        if self.nested {
            let _ = step.folded.set(vec![made.clone()]);
        }
        Ok(made)
    }

    /// Evaluates one step and stores its results.
    pub(super) fn step(&mut self, step: &'a Step) -> Result<()> {
        self.scope.watch.starts(step);
        let values = self.evaluated(step, self.stored)?;
        for (slot, value) in step.outputs.iter().zip(values) {
            self.put(*slot, Some(value))?;
        }
        self.scope.watch.ends(step, &self.slots)
    }

    /// What a step makes of `args`, in its declared types.
    pub(super) fn results(&mut self, step: &'a Step, args: Vec<(&str, Arg)>) -> Result<Vec<Value>> {
        self.scope.interrupt.check()?;
        let values = match &step.action {
            Action::Constant(value) => vec![self.constant(step, value)?],
            Action::Op(op) => {
                self.blocks = &step.blocks;
                let values = tally::counted(op.name, || batch::step(self, step, op, args));
                values.with_context(|| format!("{} at \"{}\"", op.name, step.label))?
            }
        };
        if values.len() != step.outputs.len() {
            fail!(
                "\"{}\" made {} results, declared are {}",
                step.label,
                values.len(),
                step.outputs.len()
            );
        }
        let declared = |(value, ty)| {
            self.declared(value, ty)
                .with_context(|| format!("result \"{}\"", step.label))
        };
        values.into_iter().zip(&step.types).map(declared).collect()
    }

    fn args<'s>(&self, step: &'s Step) -> Result<Vec<(&'s str, Arg)>> {
        let mut args = Vec::with_capacity(step.args.len());
        for (name, sources) in &step.args {
            let arg = match sources {
                Sources::One(source) => Arg::One(self.source(source)?),
                Sources::Many(sources) => Arg::Many(
                    sources
                        .iter()
                        .map(|s| self.source(s))
                        .collect::<Result<_>>()?,
                ),
            };
            args.push((name.as_str(), arg));
        }
        Ok(args)
    }

    pub(super) fn source(&self, source: &Source) -> Result<Value> {
        match source {
            Source::Slot(slot) => self.take(*slot),
            Source::Literal { value, loaded } => match loaded.get() {
                Some(value) => Ok(value.clone()),
                None => {
                    let made = self.load(value)?;
                    if small(&made) && !self.stored {
                        let _ = loaded.set(made.clone());
                    }
                    Ok(made)
                }
            },
        }
    }

    pub(super) fn take(&self, slot: usize) -> Result<Value> {
        match &self.slots[slot] {
            Some(value) => Ok(value.clone()),
            None => fail!("internal: value {slot} is not there when it is needed"),
        }
    }

    fn load(&self, value: &mil::Value) -> Result<Value> {
        match &value.data {
            mil::Data::Texts(texts) => Ok(Value::Texts(texts.clone().into())),
            mil::Data::List(items) => {
                let items: Vec<_> = items
                    .iter()
                    .map(|i| self.load(i).map(Some))
                    .collect::<Result<_>>()?;
                Ok(Value::List(items.into()))
            }
            mil::Data::Array(_) | mil::Data::Blob { .. } => {
                let array = (self.scope.load)(value)?;
                self.scope.limits.allow(array.shape(), 0, 0)?;
                self.array(array)
            }
            mil::Data::Tuple(_) | mil::Data::Dict(_) => {
                fail!("a tuple or dictionary can't be a value of an operation")
            }
        }
    }

    /// Gives a result its declared type; a float where an integer is declared is a defect of the op.
    fn declared(&self, value: Value, ty: &Type) -> Result<Value> {
        let (Value::Tensor { tensor, .. }, Some(dtype)) = (&value, ty.dtype()) else {
            return Ok(value);
        };
        if tensor.dtype().is_float() != dtype.is_float() {
            fail!(
                "declared as {dtype}, computed as {}",
                tensor.dtype().as_str()
            );
        }
        let tensor = match self.scope.faithful && dtype == DType::Fp16 {
            true => tensor.to_dtype(Candle::F16)?.to_dtype(self.scope.float)?,
            false => tensor.clone(),
        };
        Ok(Value::Tensor { tensor, dtype })
    }
}

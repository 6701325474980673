//! A function compiled for execution: names become slots, operations are looked up, and what can't run
//! is reported at once, before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use super::kernels::Packed;
use super::ops::{self, Op};
use super::value::Value;
use crate::diag::{Error, Kind, Result};
use crate::fail;
use crate::mil;

/// Where an argument comes from.
#[derive(Clone)]
pub enum Source {
    Slot(usize),
    Literal {
        value: mil::Value,
        loaded: OnceLock<Value>,
    },
}

/// What is given for one parameter.
pub enum Sources {
    One(Source),
    Many(Vec<Source>),
}

/// What a step does.
pub enum Action {
    /// A `const`: the value is loaded from the bundle.
    Constant(mil::Value),
    Op(&'static Op),
}

/// The name of the fused operation that writes a part of a state.
pub const UPDATE_STATE: &str = "update_state";

/// One operation of the plan.
pub struct Step {
    pub action: Action,
    /// Debug label, for messages and traces.
    pub label: String,
    pub args: Vec<(String, Sources)>,
    pub outputs: Vec<usize>,
    pub types: Vec<mil::Type>,
    pub blocks: Vec<BlockPlan>,
    /// The results, if they do not depend on any input and were asked for.
    pub folded: OnceLock<Vec<Value>>,
    /// The result packed for products with it, as it is and turned.
    pub packed: [OnceLock<Arc<Packed>>; 2],
}

/// A straight list of steps; slots are shared with the enclosing function.
pub struct BlockPlan {
    pub inputs: Vec<usize>,
    pub steps: Vec<Step>,
    pub outputs: Vec<usize>,
}

/// A compiled function.
pub struct Plan {
    pub opset: u32,
    pub inputs: Vec<mil::NamedType>,
    pub output_names: Vec<String>,
    pub block: BlockPlan,
    pub slot_count: usize,
    /// Value name → slot, for the function's own block.
    pub slots: BTreeMap<String, usize>,
    /// Slot → the step of the function's block that makes it.
    pub producers: BTreeMap<usize, usize>,
}

impl Plan {
    /// Compiles `function`; an operation that the engine lacks fails the whole plan, naming all of them.
    pub fn new(name: &str, function: &mil::Function) -> Result<Self> {
        report_unsupported(name, function)?;
        let mut names = Names::default();
        let inputs: Vec<usize> = function
            .inputs
            .iter()
            .map(|i| names.define(&i.name))
            .collect();
        let mut block = names.block(&function.block)?;
        let slots = names.scopes.pop().unwrap_or_default();
        block.inputs = inputs;
        let mut producers = BTreeMap::new();
        for (i, step) in block.steps.iter().enumerate() {
            producers.extend(step.outputs.iter().map(|slot| (*slot, i)));
        }
        Ok(Self {
            opset: opset_number(&function.opset),
            inputs: function.inputs.clone(),
            output_names: function.block.outputs.clone(),
            block,
            slot_count: names.count,
            slots,
            producers,
        })
    }
}

impl Step {
    /// Slots that the step reads, those of its nested blocks included.
    pub fn reads(&self) -> BTreeSet<usize> {
        let mut reads = BTreeSet::new();
        for (_, sources) in &self.args {
            reads.extend(sources.iter().filter_map(|source| match source {
                Source::Slot(slot) => Some(*slot),
                Source::Literal { .. } => None,
            }));
        }
        for block in &self.blocks {
            reads.extend(&block.outputs);
            reads.extend(block.steps.iter().flat_map(Step::reads));
        }
        reads
    }

    /// Whether it computes, rather than being a `const`.
    pub fn is_op(&self) -> bool {
        matches!(self.action, Action::Op(_))
    }

    /// Whether the step makes a weight dense: its arguments are wanted as they are stored.
    pub fn decompresses(&self) -> bool {
        matches!(self.action, Action::Op(op) if op.name.starts_with("constexpr_"))
    }

    /// Whether the step, or one of its blocks, writes a state.
    pub fn writes(&self) -> bool {
        let own = matches!(self.action, Action::Op(op) if matches!(op.name, "write_state" | UPDATE_STATE));
        own || self.blocks.iter().flat_map(|b| &b.steps).any(Step::writes)
    }

    /// Whether the step must run each time: it reads or writes a state, or draws random numbers.
    pub fn has_effect(&self) -> bool {
        let own = match self.action {
            Action::Op(op) => {
                matches!(op.name, "write_state" | "read_state" | UPDATE_STATE)
                    || op.name.starts_with("random_")
            }
            Action::Constant(_) => false,
        };
        own || self
            .blocks
            .iter()
            .flat_map(|b| &b.steps)
            .any(Step::has_effect)
    }
}

impl Sources {
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        match self {
            Sources::One(source) => std::slice::from_ref(source),
            Sources::Many(sources) => sources,
        }
        .iter()
    }
}

/// Names in scope while compiling: inner blocks see outer names.
#[derive(Default)]
struct Names {
    scopes: Vec<BTreeMap<String, usize>>,
    count: usize,
}

impl Names {
    fn define(&mut self, name: &str) -> usize {
        if self.scopes.is_empty() {
            self.scopes.push(BTreeMap::new());
        }
        let slot = self.count;
        self.count += 1;
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.to_owned(), slot);
        }
        slot
    }

    fn find(&self, name: &str) -> Result<usize> {
        match self.scopes.iter().rev().find_map(|scope| scope.get(name)) {
            Some(slot) => Ok(*slot),
            None => fail!("value \"{name}\" is used before it is defined"),
        }
    }

    /// Compiles a block into the current scope.
    fn block(&mut self, block: &mil::Block) -> Result<BlockPlan> {
        if self.scopes.is_empty() {
            self.scopes.push(BTreeMap::new());
        }
        let inputs = block.inputs.iter().map(|i| self.define(&i.name)).collect();
        let mut steps = Vec::with_capacity(block.operations.len());
        for operation in &block.operations {
            let step = self.step(operation);
            steps.push(step.map_err(|e| e.context(place(operation)))?);
        }
        let outputs = block
            .outputs
            .iter()
            .map(|name| self.find(name))
            .collect::<Result<_>>()?;
        Ok(BlockPlan {
            inputs,
            steps,
            outputs,
        })
    }

    fn step(&mut self, operation: &mil::Operation) -> Result<Step> {
        let args = self.args(operation)?;
        let mut blocks = Vec::with_capacity(operation.blocks.len());
        for block in &operation.blocks {
            self.scopes.push(BTreeMap::new());
            blocks.push(self.block(block)?);
            self.scopes.pop();
        }
        let action = match (operation.constant(), ops::find(&operation.op)) {
            (Some(value), _) => Action::Constant(value.clone()),
            (None, Some(op)) => Action::Op(op),
            (None, None) => fail!("\"{}\" has no value or is not supported", operation.op),
        };
        Ok(Step {
            action,
            label: operation.label().to_owned(),
            args,
            outputs: operation
                .outputs
                .iter()
                .map(|o| self.define(&o.name))
                .collect(),
            types: operation.outputs.iter().map(|o| o.ty.clone()).collect(),
            blocks,
            folded: OnceLock::new(),
            packed: Default::default(),
        })
    }

    /// Inputs, and the attributes that stand for them in the constexpr operations of iOS 16.
    fn args(&self, operation: &mil::Operation) -> Result<Vec<(String, Sources)>> {
        let mut args = Vec::with_capacity(operation.inputs.len());
        for (name, argument) in &operation.inputs {
            let sources = match argument {
                mil::Argument::One(binding) => Sources::One(self.source(binding)?),
                mil::Argument::Many(bindings) => Sources::Many(
                    bindings
                        .iter()
                        .map(|b| self.source(b))
                        .collect::<Result<_>>()?,
                ),
            };
            args.push((name.clone(), sources));
        }
        for (name, value) in &operation.attributes {
            if name != "name" && operation.op != "const" {
                args.push((name.clone(), Sources::One(literal(value))));
            }
        }
        Ok(args)
    }

    fn source(&self, binding: &mil::Binding) -> Result<Source> {
        match binding {
            mil::Binding::Name(name) => Ok(Source::Slot(self.find(name)?)),
            mil::Binding::Value(value) => Ok(literal(value)),
        }
    }
}

fn literal(value: &mil::Value) -> Source {
    Source::Literal {
        value: value.clone(),
        loaded: OnceLock::new(),
    }
}

/// "`op` at `label`", to say where something went wrong.
fn place(operation: &mil::Operation) -> String {
    format!("{} at \"{}\"", operation.op, operation.label())
}

fn opset_number(opset: &str) -> u32 {
    match opset
        .strip_prefix("CoreML")
        .and_then(|n| n.parse::<u32>().ok())
    {
        Some(9) => 26,
        Some(n) => n.saturating_add(10),
        None => opset.trim_start_matches("ios").parse().unwrap_or(18),
    }
}

/// Names of operations of `function` that the engine lacks, each with one place.
pub fn unsupported(function: &mil::Function) -> BTreeMap<String, String> {
    let mut missing = BTreeMap::new();
    let mut blocks = vec![&function.block];
    while let Some(block) = blocks.pop() {
        for operation in &block.operations {
            blocks.extend(&operation.blocks);
            if operation.op != "const" && ops::find(&operation.op).is_none() {
                missing
                    .entry(operation.op.clone())
                    .or_insert_with(|| operation.label().to_owned());
            }
        }
    }
    missing
}

fn report_unsupported(name: &str, function: &mil::Function) -> Result<()> {
    let missing = unsupported(function);
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = missing
        .iter()
        .map(|(op, label)| format!("{op} (at \"{label}\")"))
        .collect();
    Err(Error::new(format!(
        "function \"{name}\" uses operations that the portable engine does not have: {}",
        list.join(", ")
    ))
    .hint("on a Mac, load it with the apple engine")
    .kind_of(Kind::Unsupported(missing.into_keys().collect())))
}

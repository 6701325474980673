//! Our own engine: runs an ML Program on candle, on any OS, in any batch, with gradients.
//!
//! [`Portable`] holds a bundle and a compiled plan for each function. [`Portable::bind`] fixes which
//! values (weights) come from outside; a [`Bound`] function then runs on candle tensors, so that
//! candle's backward pass reaches those weights. [`Engine::predict`] is the plain way.

pub mod batch;
mod call;
mod constants;
mod execute;
pub mod increment;
mod kernels;
mod limits;
pub mod ops;
mod passes;
mod plan;
mod schedule;
mod state;
mod tally;
mod trace;
mod value;
mod watch;

pub use call::Call;
pub use execute::Ctx;
pub use limits::Limits;
pub use passes::Passes;
pub use state::States;
pub use tally::{Spent, finish_tally, start_tally};
pub use trace::{Attention, Drift, Event, NonFinite, OpTotal, Seen, Trace, TraceOptions, Values};
pub use value::Value;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use candle_core::{DType as Candle, Device, Tensor};

use super::inputs::prepare;
use super::{Engine, Features, State};
use crate::diag::{Context, Error, Interrupt, Result};
use crate::fail;
use crate::mil;
use crate::numeric::{Array, DType};
use crate::package::{Bundle, Description, FeatureKind, FunctionDescription};
use constants::Keep;
use execute::{Draws, Scope};
use plan::Plan;
use schedule::Schedule;
use watch::Watch;

pub use plan::unsupported;

/// How floats compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// f32 throughout: Core ML's fp16 is a minimum, and f32 is exact enough to train.
    #[default]
    F32,
    /// f32 inside an operation, each fp16-typed result rounded to fp16.
    Faithful,
    /// f64, for checking gradients.
    F64,
}

impl std::str::FromStr for Precision {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "f32" => Ok(Precision::F32),
            "faithful" => Ok(Precision::Faithful),
            "f64" => Ok(Precision::F64),
            _ => Err(Error::unknown(
                "precision",
                name,
                ["f32", "faithful", "f64"],
            )),
        }
    }
}

/// How a program is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    pub precision: Precision,
    pub device: Device,
    pub interrupt: Interrupt,
    pub limits: Limits,
    /// Seed of random operations that have none of their own.
    pub seed: u64,
    /// What is fused; nothing is under [`Precision::Faithful`].
    pub passes: Passes,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            precision: Precision::F32,
            device: Device::Cpu,
            interrupt: Interrupt::default(),
            limits: Limits::default(),
            seed: 0,
            passes: Passes::default(),
        }
    }
}

/// A program that is ready to run on candle.
pub struct Portable {
    bundle: Arc<Bundle>,
    options: Options,
    plans: BTreeMap<String, Function>,
    draws: Arc<Draws>,
}

struct Function {
    plan: Arc<Plan>,
    schedule: Schedule,
    /// For a single example of a function with states.
    single: Option<Schedule>,
    apart: Apart,
}

/// Why the examples of a function have to run one by one, once that is known.
type Apart = Arc<OnceLock<String>>;

/// A float weight of a function: a constant, or the dense form of a compressed one.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    pub name: String,
    pub shape: Vec<usize>,
    pub dtype: DType,
    /// (operation, parameter) of each use.
    pub uses: Vec<(String, String)>,
    /// Whether it is stored compressed.
    pub compressed: bool,
}

impl Portable {
    /// Compiles every function of the bundle; unsupported operations are named here.
    pub fn new(bundle: Arc<Bundle>, options: Options) -> Result<Self> {
        let mut plans = BTreeMap::new();
        for (name, function) in &bundle.program.functions {
            let plan = Plan::new(name, function)?;
            let schedule = options.schedule(&plan, &BTreeSet::new())?;
            plans.insert(
                name.clone(),
                Function {
                    single: options.single(&plan)?,
                    plan: Arc::new(plan),
                    schedule,
                    apart: Apart::default(),
                },
            );
        }
        Ok(Self {
            bundle,
            draws: Arc::new(Draws::new(options.seed)),
            options,
            plans,
        })
    }

    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    pub fn options(&self) -> &Options {
        &self.options
    }

    /// `function` with the values `overrides` (weights, by value name) given at each run.
    pub fn bind(&self, function: &str, overrides: &BTreeSet<String>) -> Result<Bound> {
        let Function { plan, apart, .. } = self.function(function)?;
        let schedule = self.options.schedule(plan, overrides)?;
        Ok(Bound {
            plan: plan.clone(),
            schedule,
            apart: apart.clone(),
            bundle: self.bundle.clone(),
            options: self.options.clone(),
            draws: self.draws.clone(),
        })
    }

    /// Fused operations that a prediction of `function` runs, by name, with how many there are.
    pub fn fusions(&self, function: &str) -> Result<BTreeMap<&'static str, usize>> {
        let Function {
            schedule, single, ..
        } = self.function(function)?;
        Ok(single.as_ref().unwrap_or(schedule).fusions())
    }

    /// The float weights of `function`: constants (or dense forms of compressed ones) of rank 1 and more
    /// that an operation reads, in program order.
    pub fn weights(&self, function: &str) -> Result<Vec<Weight>> {
        self.function(function)?;
        let function = &self.bundle.program.functions[function];
        Ok(weights(&function.block))
    }

    /// The dense value of a constant.
    pub fn weight(&self, function: &str, name: &str) -> Result<Tensor> {
        Ok(self.constant(function, name)?.tensor()?.clone())
    }

    /// The dense value of a constant in its declared type.
    pub fn weight_array(&self, function: &str, name: &str) -> Result<Array> {
        let value = self.constant(function, name)?;
        value.to_array(value.dtype().unwrap_or(DType::Fp32))
    }

    fn constant(&self, function: &str, name: &str) -> Result<Value> {
        let plan = &self.function(function)?.plan;
        let slot = plan
            .slots
            .get(name)
            .ok_or_else(|| Error::unknown("weight", name, plan.slots.keys().map(String::as_str)))?;
        let load = |value: &mil::Value| self.bundle.resolve(value);
        let scope = scope(&self.options, &self.draws, &load);
        let mut made = constants::constants(plan, &[*slot], &scope, Keep::No)?;
        Ok(made.swap_remove(0))
    }

    fn function(&self, name: &str) -> Result<&Function> {
        self.plans
            .get(name)
            .ok_or_else(|| Error::unknown("function", name, self.plans.keys().map(String::as_str)))
    }
}

/// A function whose weights are partly given from outside.
pub struct Bound {
    plan: Arc<Plan>,
    schedule: Schedule,
    apart: Apart,
    bundle: Arc<Bundle>,
    options: Options,
    draws: Arc<Draws>,
}

impl Bound {
    /// Runs once on candle tensors. Results by name; gradients flow to `given` and to `inputs`.
    pub fn run(
        &self,
        inputs: &BTreeMap<String, Value>,
        given: &BTreeMap<String, Tensor>,
        states: &mut States,
    ) -> Result<BTreeMap<String, Value>> {
        let load = |value: &mil::Value| self.bundle.resolve(value);
        let scope = scope(&self.options, &self.draws, &load);
        let results = execute::run(&self.plan, &self.schedule, &scope, inputs, given, states)?;
        Ok(self
            .plan
            .output_names
            .iter()
            .cloned()
            .zip(results)
            .collect())
    }

    /// Fresh states for this function.
    pub fn states(&self) -> Result<States> {
        States::new(&self.plan.inputs, &self.options)
    }

    pub fn device(&self) -> &Device {
        &self.options.device
    }

    pub fn precision(&self) -> Precision {
        self.options.precision
    }

    /// An array as the input `name` of the function.
    pub fn input(&self, name: &str, array: &Array) -> Result<Value> {
        input(&self.plan, &self.options, name, array.clone())
    }

    /// Names of the values that each run must be given.
    pub fn overrides(&self) -> impl Iterator<Item = &str> {
        self.schedule.overrides()
    }
}

fn scope<'a>(
    options: &'a Options,
    draws: &'a Draws,
    load: &'a (dyn Fn(&mil::Value) -> Result<Array> + Sync),
) -> Scope<'a> {
    Scope {
        load,
        draws,
        limits: options.limits,
        device: &options.device,
        float: float(options.precision),
        faithful: options.precision == Precision::Faithful,
        interrupt: &options.interrupt,
        watch: Watch::default(),
    }
}

fn float(precision: Precision) -> Candle {
    match precision {
        Precision::F64 => Candle::F64,
        _ => Candle::F32,
    }
}

fn weights(block: &mil::Block) -> Vec<Weight> {
    let mut weights: Vec<Weight> = Vec::new();
    let mut index = BTreeMap::new();
    for operation in &block.operations {
        let compressed = operation.op.starts_with("constexpr_");
        if !compressed {
            record_uses(operation, &index, &mut weights);
        }
        if operation.op != "const" && !compressed {
            continue;
        }
        for output in &operation.outputs {
            let (Some(dtype), Some(shape)) = (output.ty.dtype(), output.ty.shape()) else {
                continue;
            };
            if dtype.is_float() && !shape.is_empty() {
                index.insert(output.name.clone(), weights.len());
                let name = output.name.clone();
                weights.push(Weight {
                    name,
                    shape,
                    dtype,
                    uses: Vec::new(),
                    compressed,
                });
            }
        }
    }
    weights.retain(|weight| !weight.uses.is_empty());
    weights
}

fn record_uses(
    operation: &mil::Operation,
    index: &BTreeMap<String, usize>,
    weights: &mut [Weight],
) {
    for (parameter, argument) in &operation.inputs {
        for binding in argument.bindings() {
            if let mil::Binding::Name(name) = binding
                && let Some(i) = index.get(name)
            {
                weights[*i]
                    .uses
                    .push((operation.op.clone(), parameter.clone()));
            }
        }
    }
    for block in &operation.blocks {
        for inner in &block.operations {
            record_uses(inner, index, weights);
        }
    }
}

impl Engine for Portable {
    fn name(&self) -> String {
        let device = match self.options.device {
            Device::Cpu => "cpu",
            Device::Cuda(_) => "cuda",
            Device::Metal(_) => "metal",
        };
        format!("portable ({device})")
    }

    fn description(&self) -> &Description {
        &self.bundle.description
    }

    fn new_state(&self, function: &str) -> Result<Box<dyn State>> {
        let plan = &self.function(function)?.plan;
        Ok(Box::new(States::new(&plan.inputs, &self.options)?))
    }

    fn predict(
        &self,
        function: &str,
        inputs: &Features,
        state: Option<&mut dyn State>,
    ) -> Result<Features> {
        let Function {
            plan,
            schedule,
            single,
            ..
        } = self.function(function)?;
        let schedule = single.as_ref().unwrap_or(schedule);
        let described = self.bundle.description.function(function)?;
        let values = self.values(described, plan, inputs)?;
        let mut fresh;
        let states = match state {
            None => {
                fresh = States::new(&plan.inputs, &self.options)?;
                &mut fresh
            }
            Some(state) => match state.as_any_mut().downcast_mut::<States>() {
                Some(states) => states,
                None => fail!("the state was made by another engine"),
            },
        };
        let load = |value: &mil::Value| self.bundle.resolve(value);
        let scope = scope(&self.options, &self.draws, &load);
        let results = execute::run(plan, schedule, &scope, &values, &BTreeMap::new(), states)?;
        features(plan, described, results)
    }

    fn predict_batch(&self, function: &str, examples: &[Features]) -> Result<Vec<Features>> {
        self.predict_together(function, examples)
    }

    fn remarks(&self) -> Vec<String> {
        let reasons = self.plans.iter();
        let reasons = reasons.filter_map(|(name, function)| Some((name, function.apart.get()?)));
        reasons
            .map(|(name, why)| format!("\"{name}\" runs its examples one by one: {why}"))
            .collect()
    }
}

/// The results of a function as its description declares them; texts are left out.
fn features(plan: &Plan, described: &FunctionDescription, results: Vec<Value>) -> Result<Features> {
    let mut outputs = Features::new();
    for (name, value) in plan.output_names.iter().zip(results) {
        if matches!(value, Value::Texts(_)) {
            continue;
        }
        let array = value.to_array(declared_dtype(described, name, &value));
        outputs.insert(
            name.clone(),
            array.with_context(|| format!("output \"{name}\""))?,
        );
    }
    Ok(outputs)
}

impl Portable {
    /// Checks `inputs` against the description and converts them.
    fn values(
        &self,
        described: &FunctionDescription,
        plan: &Plan,
        inputs: &Features,
    ) -> Result<BTreeMap<String, Value>> {
        let most = self.options.limits.elements;
        let prepared = prepare(described, inputs, most)?.into_iter();
        let value = |(name, array): (String, Array)| {
            let value = input(plan, &self.options, &name, array)?;
            Ok((name, value))
        };
        prepared.map(value).collect()
    }
}

/// An input in the type that the program takes.
fn input(plan: &Plan, options: &Options, name: &str, array: Array) -> Result<Value> {
    let declared = plan.inputs.iter().find(|input| input.name == name);
    let array = match declared.and_then(|input| input.ty.dtype()) {
        Some(dtype) => array.cast(dtype)?,
        None => array,
    };
    Value::from_array(array, float(options.precision), &options.device)
}

/// The element type an output is declared with, else the type the program computes.
fn declared_dtype(described: &FunctionDescription, name: &str, value: &Value) -> DType {
    let declared = described
        .outputs
        .iter()
        .find(|f| f.name == name)
        .and_then(|f| match &f.kind {
            FeatureKind::Array { dtype, .. } => Some(*dtype),
            _ => None,
        });
    declared.or(value.dtype()).unwrap_or(DType::Fp32)
}

//! `rlaif-repl predict`: one prediction, tensors in and out by safetensors files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use crate::diag::{Context, Result};
use crate::engine::apple::{self, AppleOptions, ComputeUnits};
use crate::engine::classifier::classification;
use crate::engine::portable::{Passes, Precision};
use crate::engine::{Engine, Features, State, device, pipeline};
use crate::files;
use crate::models::{EngineChoice, LoadOptions};
use crate::numeric::{from_safetensors, to_json, to_safetensors};
use crate::package::{FeatureKind, FunctionDescription, Model};

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The bundle: .mlpackage, .mlmodelc or .mlmodel.
    #[arg(long)]
    model: PathBuf,

    /// Function of a model that has several.
    #[arg(long)]
    function: Option<String>,

    /// Safetensors file of the state: read if it is there, written back after the prediction.
    #[arg(long)]
    state: Option<PathBuf>,

    /// Safetensors file of the inputs.
    #[arg(long)]
    inputs: PathBuf,

    /// Safetensors file for the outputs.
    #[arg(long)]
    outputs: PathBuf,

    #[command(flatten)]
    opening: Opening,
}

const PRECISIONS: &str =
    "How the portable engine computes: f32; faithful (fp16 where the program says so); f64";

/// How models are opened.
#[derive(clap::Args)]
pub(super) struct Opening {
    /// What runs the model.
    #[arg(long, value_enum, default_value_t)]
    engine: EngineName,

    /// Device of the portable engine: cpu, metal or cuda.
    #[arg(long, default_value = "cpu")]
    device: String,

    #[arg(long, default_value = "f32", help = PRECISIONS)]
    precision: Precision,

    /// What the portable engine fuses: rms_norm, rotary, silu_mul, attention, packed, packed_rows, update_state, joined by `+`; all, none.
    #[arg(long, default_value = "all")]
    passes: Passes,

    /// What Core ML may use: cpu, cpu+gpu, cpu+ane or all.
    #[arg(long, default_value = "all")]
    compute_units: String,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum EngineName {
    /// Ours, anywhere.
    #[default]
    Portable,
    /// Core ML, on a Mac.
    Apple,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    device::scoped(|| {
        let engine = args.opening.open(&args.model)?;
        let described = engine.description();
        let name = args
            .function
            .as_ref()
            .unwrap_or(&described.default_function);
        let function = described.function(name)?;
        let mut state = match &args.state {
            Some(path) => Some(load_state(&*engine, name, path)?),
            None => None,
        };
        let buffers = state.as_deref_mut().map(|state| state as &mut dyn State);
        let inputs = read_tensors(&args.inputs)?;
        let outputs = engine.predict(name, &inputs, buffers)?;
        write_tensors(&args.outputs, &outputs)?;
        if let (Some(path), Some(state)) = (&args.state, state) {
            let names = function.states.iter().map(|feature| feature.name.clone());
            let held = names.map(|name| Ok((name.clone(), state.read(&name)?)));
            write_tensors(path, &held.collect::<Result<_>>()?)?;
        }
        println!("{}", json!({ "values": values(function, &outputs)? }));
        Ok(ExitCode::SUCCESS)
    })
}

impl Opening {
    /// The model at `path`, ready to predict.
    pub(super) fn open(&self, path: &Path) -> Result<Box<dyn Engine>> {
        let options = self.load_options()?;
        if let EngineChoice::Apple(options) = &options.engine {
            return apple::open(path, options);
        }
        pipeline::portable(Model::open(path)?, options.portable())
    }

    /// The same for language models.
    pub(super) fn load_options(&self) -> Result<LoadOptions> {
        let engine = match self.engine {
            EngineName::Apple => EngineChoice::Apple(AppleOptions {
                compute_units: self.compute_units.parse::<ComputeUnits>()?,
                cache: std::env::temp_dir().join("rlaif-repl"),
            }),
            EngineName::Portable => EngineChoice::Portable,
        };
        Ok(LoadOptions {
            engine,
            precision: self.precision,
            passes: self.passes.clone(),
            device: device::open(&self.device)?,
            ..LoadOptions::default()
        })
    }
}

/// The arrays of a safetensors file.
pub(super) fn read_tensors(path: &Path) -> Result<Features> {
    from_safetensors(&files::read(path)?).with_context(|| path.display().to_string())
}

/// Writes a safetensors file.
pub(super) fn write_tensors(path: &Path, arrays: &Features) -> Result<()> {
    let bytes = to_safetensors(arrays).with_context(|| path.display().to_string())?;
    files::write_atomic(path, &bytes)
}

/// The outputs that are no tensors: a classifier's label and its probabilities.
pub(super) fn values(function: &FunctionDescription, outputs: &Features) -> Result<Value> {
    let mut values = Map::new();
    let Some(classes) = classification(function, outputs)? else {
        return Ok(Value::Object(values));
    };
    if let Some(name) = &function.predicted_feature {
        let whole = match function.output(name).map(|feature| &feature.kind) {
            Ok(FeatureKind::Other(kind)) if kind == "Int64" => classes.label.parse::<i64>().ok(),
            _ => None,
        };
        let label = whole.map_or_else(|| json!(classes.label), |label| json!(label));
        values.insert(name.clone(), label);
    }
    if let Some(name) = &function.predicted_probabilities {
        let each = classes.probabilities.into_iter();
        let each: Map<String, Value> = each.map(|(label, p)| (label, to_json(p))).collect();
        values.insert(name.clone(), Value::Object(each));
    }
    Ok(Value::Object(values))
}

fn load_state(engine: &dyn Engine, function: &str, path: &Path) -> Result<Box<dyn State>> {
    let mut state = engine.new_state(function)?;
    let held = match path.exists() {
        true => read_tensors(path)?,
        false => BTreeMap::new(),
    };
    for (name, value) in &held {
        let written = state.write(name, value);
        written.with_context(|| path.display().to_string())?;
    }
    Ok(state)
}

//! Opens bundles in all their forms.

use std::path::Path;

use coreml_proto::proto::{Model, ModelDescription, model};
use prost::Message;

use super::describe::Description;
use super::files::{Files, Weights};
use super::{Bundle, coremldata, derive, interface, manifest, metadata};
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::mil::{NamedType, Program, proto, text};

/// Opens what is at `path`.
pub(super) fn open(path: &Path) -> Result<Bundle> {
    let shown = path.display();
    if path.is_dir() {
        return folder(Files::Folder(path.to_owned())).with_context(|| shown.to_string());
    }
    if !path.exists() {
        fail!("there is no file or folder {shown}");
    }
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        fail!("{shown} has no readable name");
    };
    file(Files::Folder(parent.to_owned()), name).with_context(|| shown.to_string())
}

/// Opens the bundle whose root is the root of `files`.
pub(super) fn folder(files: Files) -> Result<Bundle> {
    if files.has("Manifest.json") {
        let model = manifest::model_path(&files.read("Manifest.json")?)?;
        let model_path = model.rsplit_once('/').map_or("", |(folder, _)| folder);
        let weights = Weights::new(files.clone(), model_path);
        return package(&files.read(&model)?, weights);
    }
    if files.has("model.mil") {
        return compiled(files);
    }
    if files.has("model0") {
        return Err(Error::new("this is a pipeline, not an ML Program")
            .hint("open one of its parts: the folders model0, model1, …"));
    }
    if files.has("model.espresso.net") {
        return Err(not_a_program("neural network"));
    }
    if files.has("coremldata.bin") {
        coremldata::read(&files.read("coremldata.bin")?)?;
    }
    Err(Error::new("there is no Core ML bundle here")
        .hint("a .mlmodelc holds model.mil, a .mlpackage holds Manifest.json"))
}

/// Opens a file that stands alone: a `.mlmodel`, or MIL text.
fn file(files: Files, name: &str) -> Result<Bundle> {
    let bytes = files.read(name)?;
    let weights = Weights::new(files.clone(), "");
    if bytes.trim_ascii_start().starts_with(b"program") {
        let program = parse(bytes, &files.display(name))?;
        let description = Description::from_program(&program)?;
        return Ok(Bundle::of(program, description, weights));
    }
    package(&bytes, weights)
}

/// A model in protobuf form.
fn package(bytes: &[u8], weights: Weights) -> Result<Bundle> {
    let model = match Model::decode(bytes) {
        Ok(model) => model,
        Err(error) => {
            let error = error.to_string();
            let reason = error.rsplit(": ").next().unwrap_or_default();
            fail!("this is not a readable Core ML model: {reason}")
        }
    };
    let program = match &model.r#type {
        Some(model::Type::MlProgram(program)) => proto::read(program)?,
        other => return Err(not_a_program(type_name(other.as_ref()))),
    };
    program.check()?;
    let described = model.description.unwrap_or_default();
    let version = model.specification_version;
    let description = complete(&described, version, &program)?;
    Ok(Bundle::of(program, description, weights))
}

/// A compiled bundle: text, and what Apple's compiler puts beside it.
fn compiled(files: Files) -> Result<Bundle> {
    let mut program = parse(files.read("model.mil")?, &files.display("model.mil"))?;
    let mut description = if files.has_content("coremldata.bin") {
        let bytes = files.read("coremldata.bin")?;
        let read = || {
            let container = coremldata::read(&bytes)?;
            let Ok(message) = ModelDescription::decode(container.description) else {
                fail!("its model description can't be read");
            };
            let version = container.specification_version;
            let mut description = complete(&message, version, &program)?;
            let default = description.default_function.clone();
            if let Some(function) = description.functions.get_mut(&default) {
                function.class_labels = container.class_labels;
            }
            Ok(description)
        };
        read().with_context(|| "coremldata.bin")?
    } else {
        Description::from_program(&program)?
    };
    if files.has_content("metadata.json") && !files.has_content("coremldata.bin") {
        metadata::read(&files.read("metadata.json")?, &mut description)
            .with_context(|| "metadata.json")?;
    }
    restore_order(&mut program, &description);
    Ok(Bundle::of(program, description, Weights::new(files, "")))
}

/// Text has a function's inputs sorted by name; the description has the author's order.
fn restore_order(program: &mut Program, description: &Description) {
    for (name, function) in &mut program.functions {
        let Some(interface) = description.functions.get(name) else {
            continue;
        };
        let described = || interface.inputs.iter().chain(&interface.states);
        let place = |input: &NamedType| described().position(|f| f.name == input.name);
        function
            .inputs
            .sort_by_key(|input| place(input).unwrap_or(usize::MAX));
    }
}

fn parse(bytes: Vec<u8>, source: &str) -> Result<Program> {
    let Ok(text) = String::from_utf8(bytes) else {
        fail!("{source} is not UTF-8 text");
    };
    let (program, _) = text::parse(&text, source)?;
    program.check()?;
    Ok(program)
}

/// The description of a model; functions that it leaves out are described by the program.
fn complete(proto: &ModelDescription, version: i32, program: &Program) -> Result<Description> {
    let derived = Description::from_program(program)?;
    let mut description = interface::read(proto, version, &derived.default_function)?;
    for (name, function) in derived.functions {
        description.functions.entry(name).or_insert(function);
    }
    for (name, function) in &program.functions {
        let labels = derive::class_labels(&function.block);
        if let (Some(interface), Some(labels)) = (description.functions.get_mut(name), labels) {
            interface.class_labels = labels;
        }
    }
    Ok(description)
}

fn not_a_program(kind: &str) -> Error {
    Error::new(format!("this is a {kind}, not an ML Program"))
        .hint("convert the original model with coremltools, convert_to=\"mlprogram\"")
}

/// Models of other types, as Core ML's format calls them.
fn type_name(ty: Option<&model::Type>) -> &'static str {
    use model::Type as T;
    match ty {
        None => "model without content",
        Some(T::Pipeline(_)) => "pipeline",
        Some(T::PipelineClassifier(_)) => "pipeline classifier",
        Some(T::PipelineRegressor(_)) => "pipeline regressor",
        Some(T::NeuralNetwork(_)) => "neural network",
        Some(T::NeuralNetworkClassifier(_)) => "neural network classifier",
        Some(T::NeuralNetworkRegressor(_)) => "neural network regressor",
        Some(T::KNearestNeighborsClassifier(_)) => "nearest neighbours classifier",
        Some(T::TreeEnsembleClassifier(_) | T::TreeEnsembleRegressor(_)) => "tree ensemble",
        Some(T::GlmClassifier(_) | T::GlmRegressor(_)) => "generalised linear model",
        Some(T::SupportVectorClassifier(_) | T::SupportVectorRegressor(_)) => {
            "support vector machine"
        }
        Some(T::CustomModel(_)) => "custom model",
        Some(T::LinkedModel(_)) => "linked model",
        Some(T::TextClassifier(_) | T::WordTagger(_) | T::WordEmbedding(_)) => {
            "natural language model"
        }
        Some(_) => "feature engineering model",
    }
}

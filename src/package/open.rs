//! Opens bundles in all their forms.

use std::path::Path;

use coreml_proto::proto::{self as messages, ModelDescription, model::Type};
use prost::Message;
use prost::encoding::decode_key;

use super::describe::Description;
use super::files::{Files, Weights};
use super::pipeline::{self, FUNCTION, Pipeline, PipelineKind};
use super::{Bundle, Model, coremldata, derive, interface, manifest, metadata};
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::mil::{NamedType, Program, proto, text};

/// Opens what is at `path`.
pub(super) fn open(path: &Path) -> Result<Model> {
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
pub(super) fn folder(files: Files) -> Result<Model> {
    if files.has("Manifest.json") {
        let model = manifest::model_path(&files.read("Manifest.json")?)?;
        let model_path = model.rsplit_once('/').map_or("", |(folder, _)| folder);
        let weights = Weights::new(files.clone(), model_path);
        return bytes(&files.read(&model)?, &weights);
    }
    if files.has("model0") {
        return compiled_pipeline(files);
    }
    compiled(files, "").map(Model::Program)
}

/// Opens a file that stands alone: a `.mlmodel`, or MIL text.
fn file(files: Files, name: &str) -> Result<Model> {
    let content = files.read(name)?;
    let weights = Weights::new(files.clone(), "");
    if content.trim_ascii_start().starts_with(b"program") {
        let program = parse(content, &files.display(name))?;
        let description = Description::from_program(&program)?;
        return Ok(Model::Program(Bundle::of(program, description, weights)));
    }
    bytes(&content, &weights)
}

/// A model in protobuf form.
fn bytes(bytes: &[u8], weights: &Weights) -> Result<Model> {
    match messages::Model::decode(bytes) {
        Ok(model) => message(model, weights),
        Err(error) => {
            let error = error.to_string();
            let reason = error.rsplit(": ").next().unwrap_or_default();
            fail!("this is not a readable Core ML model: {reason}")
        }
    }
}

fn message(model: messages::Model, weights: &Weights) -> Result<Model> {
    let described = model.description.unwrap_or_default();
    let version = model.specification_version;
    let (kind, pipeline) = match model.r#type {
        Some(Type::MlProgram(program)) => {
            let program = proto::read(&program)?;
            program.check()?;
            let description = complete(&described, version, &program)?;
            let bundle = Bundle::of(program, description, weights.clone());
            return Ok(Model::Program(bundle));
        }
        Some(Type::Pipeline(pipeline)) => (PipelineKind::Plain, Some(pipeline)),
        Some(Type::PipelineClassifier(of)) => (PipelineKind::Classifier, of.pipeline),
        Some(Type::PipelineRegressor(of)) => (PipelineKind::Regressor, of.pipeline),
        other => return Err(not_a_program(other.as_ref().map(tag))),
    };
    let pipeline = pipeline.unwrap_or_default();
    let models = pipeline.models.into_iter();
    let models = models.map(|model| message(model, weights));
    let stages = pipeline::stages(models, &pipeline.names)?;
    let description = interface::read(&described, version, FUNCTION)?;
    Pipeline::new(kind, description, stages).map(Model::Pipeline)
}

/// A compiled bundle in `folder` of `files` (empty for the root): text, and what Apple's compiler puts
/// beside it.
fn compiled(files: Files, folder: &str) -> Result<Bundle> {
    let at = |name: &str| match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    if !files.has(&at("model.mil")) {
        return Err(no_text(&files, &at)?);
    }
    let text = at("model.mil");
    let mut program = parse(files.read(&text)?, &files.display(&text))?;
    let mut description = if files.has_content(&at("coremldata.bin")) {
        let bytes = files.read(&at("coremldata.bin"))?;
        described(&bytes, &program).with_context(|| at("coremldata.bin"))?
    } else {
        Description::from_program(&program)?
    };
    if files.has_content(&at("metadata.json")) && !files.has_content(&at("coremldata.bin")) {
        metadata::read(&files.read(&at("metadata.json"))?, &mut description)
            .with_context(|| at("metadata.json"))?;
    }
    restore_order(&mut program, &description);
    Ok(Bundle::of(
        program,
        description,
        Weights::new(files, folder),
    ))
}

/// Why a folder without MIL text is no bundle.
fn no_text(files: &Files, at: &dyn Fn(&str) -> String) -> Result<Error> {
    if files.has_content(&at("coremldata.bin")) {
        let bytes = files.read(&at("coremldata.bin"))?;
        let data = coremldata::read(&bytes).with_context(|| at("coremldata.bin"))?;
        let tag = data.model_type;
        if tag != coremldata::PROGRAM {
            return Ok(not_a_program(Some(tag)));
        }
    }
    if files.has(&at("model.espresso.net")) {
        return Ok(not_a_program(Some(500)));
    }
    Ok(Error::new("there is no Core ML bundle here")
        .hint("a .mlmodelc holds model.mil, a .mlpackage holds Manifest.json"))
}

/// The description in the `coremldata.bin` of a program.
fn described(bytes: &[u8], program: &Program) -> Result<Description> {
    let container = coremldata::read(bytes)?;
    if container.model_type != coremldata::PROGRAM {
        return Err(not_a_program(Some(container.model_type)));
    }
    let message = container.description()?;
    let mut description = complete(&message, container.specification_version, program)?;
    let default = description.default_function.clone();
    if let Some(function) = description.functions.get_mut(&default) {
        function.class_labels = container.class_labels;
    }
    Ok(description)
}

/// A compiled pipeline: its own description, and a folder for each stage.
fn compiled_pipeline(files: Files) -> Result<Model> {
    let read = |path: &str| files.read(path);
    let data = read("coremldata.bin")?;
    let container = coremldata::read(&data).with_context(|| "coremldata.bin")?;
    let Some(kind) = PipelineKind::of_tag(container.model_type) else {
        return Err(not_a_program(Some(container.model_type)));
    };
    let message = container.description().with_context(|| "coremldata.bin")?;
    let description = interface::read(&message, container.specification_version, FUNCTION)?;
    let names = match files.has("modelNames/coremldata.bin") {
        true => coremldata::read_names(&read("modelNames/coremldata.bin")?)
            .with_context(|| "modelNames/coremldata.bin")?,
        false => Vec::new(),
    };
    let folders = (0..).map(|i| format!("model{i}"));
    let folders = folders.take_while(|folder| files.has(folder));
    let models = folders.map(|folder| compiled(files.clone(), &folder).map(Model::Program));
    let stages = pipeline::stages(models, &names)?;
    Pipeline::new(kind, description, stages).map(Model::Pipeline)
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

/// The number of a model's type in Core ML's format.
fn tag(ty: &Type) -> u32 {
    let mut bytes = Vec::new();
    ty.encode(&mut bytes);
    decode_key(&mut &bytes[..]).map_or(0, |(tag, _)| tag)
}

fn not_a_program(tag: Option<u32>) -> Error {
    let name = tag.map_or("model without content", type_name);
    Error::new(format!("this is a {name}, not an ML Program"))
        .hint("convert the original model with coremltools, convert_to=\"mlprogram\"")
}

/// Model types by their number in Core ML's format.
fn type_name(tag: u32) -> &'static str {
    match tag {
        200 => "pipeline classifier",
        201 => "pipeline regressor",
        202 => "pipeline",
        300 | 400 => "generalised linear model",
        301 | 401 => "support vector machine",
        302 | 402 => "tree ensemble",
        303 => "neural network regressor",
        304 => "Bayesian probit regressor",
        403 => "neural network classifier",
        404 => "nearest neighbours classifier",
        500 => "neural network",
        501 => "recommender of similar items",
        555 => "custom model",
        556 => "linked model",
        560 => "classifier with confidence thresholds",
        600..700 => "feature engineering model",
        900 => "model that returns its input",
        2000 | 2001 | 2004 | 2005 => "natural language model",
        2002 | 2003 | 2006 => "vision or sound model",
        3000 => "model in another serialised form",
        _ => "model of an unknown type",
    }
}

//! `rlaif-repl inspect`: what a bundle says of itself, and what it would take to run it. Weight files may
//! be absent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::drawing::Drawing;
use crate::diag::Result;
use crate::engine::portable::unsupported;
use crate::models::recognise;
use crate::package::{
    Bundle, Color, Description, Feature, FeatureKind, FunctionDescription, Model, Pipeline,
    PipelineKind, WeightForm, weight_forms,
};
use crate::repl::Terminal;
use crate::report::{Cell, Column, Display, Table};

/// Arguments of the command.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The bundle: .mlpackage, .mlmodelc, .mlmodel, or MIL text.
    model: PathBuf,

    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    drawing: Drawing,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let model = Model::open(&args.model)?;
    let terminal = Terminal::new();
    if let Some(told) = args.drawing.draw(&model)? {
        terminal.line(&told);
        return Ok(ExitCode::SUCCESS);
    }
    if args.json {
        terminal.line(&format!("{:#}", json(&model)));
        return Ok(ExitCode::SUCCESS);
    }
    let tables = match &model {
        Model::Program(bundle) => program(bundle)?,
        Model::Pipeline(pipeline) => stages(pipeline)?,
    };
    for table in tables.into_iter().filter(|table| !table.rows().is_empty()) {
        terminal.display(&Display::Table(table));
    }
    Ok(ExitCode::SUCCESS)
}

fn program(bundle: &Bundle) -> Result<Vec<Table>> {
    let functions = bundle.program.functions.iter();
    let several = bundle.description.functions.len() > 1;
    let functions = functions.map(|(name, function)| match several {
        true => format!("{name} ({})", function.opset),
        false => function.opset.clone(),
    });
    let functions: Vec<String> = functions.collect();
    let default = several.then(|| bundle.description.default_function.clone());
    let rows = [
        (
            if several { "functions" } else { "opset" },
            functions.join(", "),
        ),
        ("default function", default.unwrap_or_default()),
    ];
    let mut tables = vec![model("model", &bundle.description, &rows)?];
    tables.extend(interface(&bundle.description)?);
    tables.push(operations("operations", bundle)?);
    tables.push(weights("weights", bundle)?);
    tables.push(files("weight files", bundle)?);
    tables.push(missing("the portable engine can't run", bundle)?);
    Ok(tables)
}

/// The whole, and what each stage is made of.
fn stages(pipeline: &Pipeline) -> Result<Vec<Table>> {
    let names = pipeline.stages.iter().map(|stage| stage.name.as_str());
    let names: Vec<&str> = names.collect();
    let rows = [(kind_of(pipeline), names.join(" → "))];
    let mut tables = vec![model("model", &pipeline.description, &rows)?];
    tables.extend(interface(&pipeline.description)?);
    for stage in &pipeline.stages {
        let of = |title: &str| format!("{title} of stage {}", stage.name);
        let bundle = &stage.bundle;
        tables.push(operations(&of("operations"), bundle)?);
        tables.push(weights(&of("weights"), bundle)?);
        tables.push(files(&of("weight files"), bundle)?);
        tables.push(missing(&of("what the portable engine can't run"), bundle)?);
    }
    Ok(tables)
}

fn kind_of(pipeline: &Pipeline) -> &'static str {
    match pipeline.kind {
        PipelineKind::Plain => "pipeline",
        PipelineKind::Classifier => "pipeline classifier",
        PipelineKind::Regressor => "pipeline regressor",
    }
}

/// What the description says of the whole, with rows of one's own.
fn model(title: &str, description: &Description, rows: &[(&str, String)]) -> Result<Table> {
    let metadata = &description.metadata;
    let version = description.specification_version.to_string();
    let texts = [
        ("description", metadata.short_description.clone()),
        ("author", metadata.author.clone()),
        ("version", metadata.version.clone()),
        ("licence", metadata.license.clone()),
    ];
    let first = [("specification version", version)];
    let mut table = Table::new(title, ["", "value"]);
    let rows = first.iter().chain(rows).chain(&texts);
    for (name, value) in rows.filter(|(_, value)| !value.is_empty()) {
        table.push([(*name).to_owned(), value.clone()])?;
    }
    for (key, value) in &metadata.user {
        table.push([key.clone(), value.clone()])?;
    }
    for (name, function) in &description.functions {
        if !function.class_labels.is_empty() {
            let classes = function.class_labels.join(", ");
            table.push([format!("classes of {name}"), classes])?;
        }
    }
    for (name, told) in language_models(description) {
        table.push([format!("language model {name}"), told])?;
    }
    Ok(table)
}

/// The inputs, outputs and states of each function.
fn interface(description: &Description) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for (name, function) in &description.functions {
        let sides = [
            ("inputs", &function.inputs),
            ("outputs", &function.outputs),
            ("states", &function.states),
        ];
        for (side, listed) in sides {
            tables.push(features(&format!("{side} of {name}"), listed)?);
        }
    }
    Ok(tables)
}

type Told<'a> = &'a dyn Fn(&Feature) -> String;

/// Columns that would be empty are left out.
fn features(title: &str, features: &[Feature]) -> Result<Table> {
    let optional = |feature: &Feature| if feature.optional { "yes" } else { "" }.to_owned();
    let columns: [(&str, Told); 6] = [
        ("name", &|feature| feature.name.clone()),
        ("type", &kind),
        ("shape", &shapes),
        ("default", &default),
        ("optional", &optional),
        ("description", &|feature| feature.description.clone()),
    ];
    let told = |cell: Told| features.iter().any(|f| !cell(f).is_empty());
    let columns: Vec<_> = columns.iter().filter(|(_, cell)| told(cell)).collect();
    let mut table = Table::new(title, columns.iter().map(|(name, _)| *name));
    for feature in features {
        table.push(columns.iter().map(|(_, cell)| cell(feature)))?;
    }
    Ok(table)
}

fn kind(feature: &Feature) -> String {
    match &feature.kind {
        FeatureKind::Array { dtype, .. } => dtype.to_string(),
        FeatureKind::Image { color, .. } => match color {
            Color::Gray => "grey image",
            Color::Rgb => "RGB image",
            Color::Bgr => "BGR image",
            Color::GrayFp16 => "grey fp16 image",
        }
        .into(),
        FeatureKind::Other(kind) => kind.clone(),
    }
}

fn shapes(feature: &Feature) -> String {
    match &feature.kind {
        FeatureKind::Array { shape, .. } if shape.is_empty() => "not stated".into(),
        FeatureKind::Other(_) => String::new(),
        _ => feature.shapes(),
    }
}

/// The shape or value that is taken where the model allows several.
fn default(feature: &Feature) -> String {
    match &feature.kind {
        FeatureKind::Array {
            default: Some(value),
            ..
        } => value.to_string(),
        FeatureKind::Array { shape, .. } if format!("{shape:?}") != feature.shapes() => {
            format!("{shape:?}")
        }
        _ => String::new(),
    }
}

/// The most frequent first.
fn operations(title: &str, bundle: &Bundle) -> Result<Table> {
    let counts = histogram(bundle);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    let mut table = Table::new(format!("{title}: {total}"), ["operation", "count"]);
    for (op, count) in counts {
        table.push([Cell::from(op), count.into()])?;
    }
    Ok(table)
}

fn weights(title: &str, bundle: &Bundle) -> Result<Table> {
    let forms = weight_forms(&bundle.program);
    let columns = [
        "form",
        "stored as",
        "values",
        "tensors",
        "elements",
        "bytes",
    ];
    let columns = columns.map(Column::new).into_iter();
    let columns = columns.chain([Column::new("bits each").decimals(2)]);
    let bytes: u64 = forms.iter().map(|form| form.bytes).sum();
    let elements: u64 = forms.iter().map(|form| form.elements).sum();
    let title = format!("{title}: {elements} elements in {bytes} bytes");
    let mut table = Table::new(title, columns);
    for form in forms {
        table.push([
            Cell::from(form.form.as_str()),
            form.stored.name().into(),
            form.dense.name().into(),
            form.tensors.into(),
            (form.elements as usize).into(),
            (form.bytes as usize).into(),
            bits(&form).into(),
        ])?;
    }
    Ok(table)
}

fn bits(form: &WeightForm) -> Option<f64> {
    (form.elements > 0).then(|| 8.0 * form.bytes as f64 / form.elements as f64)
}

fn files(title: &str, bundle: &Bundle) -> Result<Table> {
    let mut table = Table::new(title, ["file", "bytes", "state"]);
    for (path, size) in bundle.weight_files() {
        let (size, state) = match size {
            Ok(size) => (Some(size as usize), "readable".to_owned()),
            Err(error) => (None, error.message().to_owned()),
        };
        table.push([Cell::from(path), size.into(), state.into()])?;
    }
    Ok(table)
}

fn missing(title: &str, bundle: &Bundle) -> Result<Table> {
    let mut table = Table::new(title, ["function", "operation", "for example at"]);
    for (name, function) in &bundle.program.functions {
        for (op, place) in unsupported(function) {
            table.push([name.clone(), op, place])?;
        }
    }
    Ok(table)
}

fn histogram(bundle: &Bundle) -> BTreeMap<&str, usize> {
    let mut counts = bundle.program.op_histogram();
    counts.remove("const");
    counts
}

/// The functions that take tokens and give logits, with how they do.
fn language_models(description: &Description) -> BTreeMap<&str, String> {
    let functions = description.functions.keys();
    let told =
        functions.filter_map(|name| Some((&**name, recognise(description, name).ok()?.told())));
    told.collect()
}

fn json(model: &Model) -> Value {
    let description = model.description();
    let metadata = &description.metadata;
    let mut json = json!({
        "specification_version": description.specification_version,
        "default_function": description.default_function,
        "metadata": {
            "description": metadata.short_description,
            "author": metadata.author,
            "version": metadata.version,
            "license": metadata.license,
            "user": metadata.user,
        },
        "language_models": language_models(description),
    });
    let content = match model {
        Model::Program(bundle) => program_json(bundle),
        Model::Pipeline(pipeline) => {
            let stages = pipeline.stages.iter().map(|stage| {
                let mut json = program_json(&stage.bundle);
                json.insert("name".into(), json!(stage.name));
                Value::Object(json)
            });
            let functions = description.functions.iter();
            let functions = functions.map(|(name, f)| (name.clone(), Value::Object(sides(f))));
            let content = [
                ("pipeline", json!(kind_of(pipeline))),
                ("functions", Value::Object(functions.collect())),
                ("stages", stages.collect()),
            ];
            content
                .map(|(key, value)| (key.to_owned(), value))
                .into_iter()
                .collect()
        }
    };
    if let Value::Object(json) = &mut json {
        json.extend(content);
    }
    json
}

fn sides(interface: &FunctionDescription) -> Map<String, Value> {
    let list = |features: &[Feature]| features.iter().map(feature).collect::<Value>();
    let sides = [
        ("inputs", list(&interface.inputs)),
        ("outputs", list(&interface.outputs)),
        ("states", list(&interface.states)),
        ("class_labels", json!(interface.class_labels)),
    ];
    sides
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

fn program_json(bundle: &Bundle) -> Map<String, Value> {
    let functions = bundle
        .description
        .functions
        .iter()
        .map(|(name, interface)| {
            let program = bundle.program.functions.get(name);
            let mut function = sides(interface);
            let opset = program.map(|function| function.opset.as_str());
            function.insert("opset".into(), json!(opset));
            let unsupported = program.map(unsupported).unwrap_or_default();
            function.insert("unsupported".into(), json!(unsupported));
            (name.clone(), Value::Object(function))
        });
    let weights = weight_forms(&bundle.program).into_iter().map(|form| {
        json!({
            "form": form.form,
            "stored": form.stored.name(),
            "dense": form.dense.name(),
            "tensors": form.tensors,
            "elements": form.elements,
            "bytes": form.bytes,
        })
    });
    let files = bundle.weight_files().into_iter();
    let files = files.map(|(path, size)| match size {
        Ok(bytes) => (path, json!({ "bytes": bytes })),
        Err(error) => (path, json!({ "error": error.to_string() })),
    });
    let content = [
        ("functions", Value::Object(functions.collect())),
        ("operations", json!(histogram(bundle))),
        ("weights", weights.collect()),
        ("weight_files", Value::Object(files.collect())),
    ];
    content
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

fn feature(feature: &Feature) -> Value {
    let mut json = json!({
        "name": feature.name,
        "type": kind(feature),
        "shapes": feature.shapes(),
        "optional": feature.optional,
        "description": feature.description,
    });
    if let FeatureKind::Array { shape, default, .. } = &feature.kind {
        json["shape"] = json!(shape);
        json["default"] = json!(default);
    }
    json
}

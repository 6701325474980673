//! `rlaif-repl inspect`: what a bundle says of itself, and what it would take to run it. Weight files may
//! be absent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use crate::diag::Result;
use crate::engine::portable::unsupported;
use crate::package::{Bundle, Color, Feature, FeatureKind, WeightForm, weight_forms};
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
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let bundle = Bundle::open(&args.model)?;
    let terminal = Terminal::new();
    if args.json {
        terminal.line(&format!("{:#}", json(&bundle)));
        return Ok(ExitCode::SUCCESS);
    }
    let tables = tables(&bundle)?;
    for table in tables.into_iter().filter(|table| !table.rows().is_empty()) {
        terminal.display(&Display::Table(table));
    }
    Ok(ExitCode::SUCCESS)
}

fn tables(bundle: &Bundle) -> Result<Vec<Table>> {
    let mut tables = vec![model(bundle)?];
    for (name, function) in &bundle.description.functions {
        let sides = [
            ("inputs", &function.inputs),
            ("outputs", &function.outputs),
            ("states", &function.states),
        ];
        for (side, listed) in sides {
            tables.push(features(&format!("{side} of {name}"), listed)?);
        }
    }
    tables.push(operations(bundle)?);
    tables.push(weights(bundle)?);
    tables.push(files(bundle)?);
    tables.push(missing(bundle)?);
    Ok(tables)
}

fn model(bundle: &Bundle) -> Result<Table> {
    let description = &bundle.description;
    let metadata = &description.metadata;
    let functions = bundle.program.functions.iter();
    let functions = functions.map(|(name, function)| match description.functions.len() {
        1 => function.opset.clone(),
        _ => format!("{name} ({})", function.opset),
    });
    let functions: Vec<String> = functions.collect();
    let several = functions.len() > 1;
    let default = several.then(|| description.default_function.clone());
    let rows = [
        (
            "specification version",
            description.specification_version.to_string(),
        ),
        (
            if several { "functions" } else { "opset" },
            functions.join(", "),
        ),
        ("default function", default.unwrap_or_default()),
        ("description", metadata.short_description.clone()),
        ("author", metadata.author.clone()),
        ("version", metadata.version.clone()),
        ("licence", metadata.license.clone()),
    ];
    let mut table = Table::new("model", ["", "value"]);
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        table.push([name.to_owned(), value])?;
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
    Ok(table)
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
fn operations(bundle: &Bundle) -> Result<Table> {
    let counts = histogram(bundle);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let total: usize = counts.iter().map(|(_, count)| count).sum();
    let mut table = Table::new(format!("operations: {total}"), ["operation", "count"]);
    for (op, count) in counts {
        table.push([Cell::from(op), count.into()])?;
    }
    Ok(table)
}

fn weights(bundle: &Bundle) -> Result<Table> {
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
    let title = format!("weights: {elements} elements in {bytes} bytes");
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

fn files(bundle: &Bundle) -> Result<Table> {
    let mut table = Table::new("weight files", ["file", "bytes", "state"]);
    for (path, size) in bundle.weight_files() {
        let (size, state) = match size {
            Ok(size) => (Some(size as usize), "readable".to_owned()),
            Err(error) => (None, error.message().to_owned()),
        };
        table.push([Cell::from(path), size.into(), state.into()])?;
    }
    Ok(table)
}

fn missing(bundle: &Bundle) -> Result<Table> {
    let title = "the portable engine can't run";
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

fn json(bundle: &Bundle) -> Value {
    let description = &bundle.description;
    let metadata = &description.metadata;
    let functions = description.functions.iter().map(|(name, interface)| {
        let program = bundle.program.functions.get(name);
        let list = |features: &[Feature]| features.iter().map(feature).collect::<Value>();
        let function = json!({
            "opset": program.map(|function| function.opset.as_str()),
            "inputs": list(&interface.inputs),
            "outputs": list(&interface.outputs),
            "states": list(&interface.states),
            "class_labels": interface.class_labels,
            "unsupported": program.map(unsupported).unwrap_or_default(),
        });
        (name.clone(), function)
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
    let files = bundle
        .weight_files()
        .into_iter()
        .map(|(path, size)| match size {
            Ok(bytes) => (path, json!({ "bytes": bytes })),
            Err(error) => (path, json!({ "error": error.to_string() })),
        });
    json!({
        "specification_version": description.specification_version,
        "default_function": description.default_function,
        "metadata": {
            "description": metadata.short_description,
            "author": metadata.author,
            "version": metadata.version,
            "license": metadata.license,
            "user": metadata.user,
        },
        "functions": functions.collect::<Map<String, Value>>(),
        "operations": histogram(bundle),
        "weights": weights.collect::<Value>(),
        "weight_files": files.collect::<Map<String, Value>>(),
    })
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

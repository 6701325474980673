//! `metadata.json` of compiled bundles: for people and tools; nothing needs it to run a model.
//!
//! Written files equal those of Apple's compiler (45 were compared), down to the order of keys, for
//! programs and pipelines of arrays up to specification version 9. Not seen in any of its files, and so
//! written by analogy: the entries of images, texts, dictionaries and states, `classLabels` and
//! `license`, ranges without upper bound, lists of shapes of rank 2 and more, the storage precision of
//! iOS 18's compressed weights, specification version 10, and (see [`histogram`]) the prefixes of
//! operations that no file had.

mod dictionary;
mod histogram;
mod precision;
mod schema;

use serde_json::{Map, Value, json};

use self::dictionary::{ordered, print};
use super::Stage;
use super::describe::{Description, FunctionDescription, Metadata};
use super::save::Whole;
use crate::diag::{Error, Result};
use crate::fail;
use crate::mil::{Function, Program};

/// Takes free text and the specification version from a bundle's `metadata.json`.
pub(super) fn read(bytes: &[u8], description: &mut Description) -> Result<()> {
    let json: Value = serde_json::from_slice(bytes)
        .map_err(|error| Error::new(format!("this is not JSON: {error}")))?;
    let first = &json[0];
    let text = |key: &str| first[key].as_str().unwrap_or_default().to_owned();
    let user = first["userDefinedMetadata"].as_object();
    let user = user.into_iter().flatten();
    description.metadata = Metadata {
        short_description: text("shortDescription"),
        author: text("author"),
        license: text("license"),
        version: text("version"),
        user: user
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
    };
    let version = first["specificationVersion"].as_i64();
    if let Some(version) = version.and_then(|version| i32::try_from(version).ok()) {
        description.specification_version = version;
    }
    Ok(())
}

/// A model as it was written.
pub(super) struct Written<'a> {
    pub whole: &'a Whole<'a>,
    /// The program, or those of a pipeline's stages.
    pub programs: &'a [Program],
    pub class_name: &'a str,
}

impl Written<'_> {
    /// The functions that run by default, one of each program.
    fn functions(&self) -> Result<Vec<&Function>> {
        let descriptions: Vec<&Description> = match self.whole {
            Whole::Program(bundle) => vec![&bundle.description],
            Whole::Pipeline(pipeline) => pipeline.stages.iter().map(Stage::description).collect(),
        };
        let pairs = self.programs.iter().zip(descriptions);
        let mut functions = Vec::new();
        for (program, description) in pairs {
            match program.functions.get(&description.default_function) {
                Some(function) => functions.push(function),
                None => fail!("there is no function \"{}\"", description.default_function),
            }
        }
        Ok(functions)
    }
}

/// The keys of the whole in an order of insertion that explains all orders seen.
const KEYS: [&str; 22] = [
    "generatedClassName",
    "version",
    "availability",
    "inputSchema",
    "functions",
    "outputSchema",
    "modelParameters",
    "modelType",
    "stateSchema",
    "author",
    "license",
    "metadataOutputVersion",
    "method",
    "shortDescription",
    "defaultFunctionName",
    "classLabels",
    "isUpdatable",
    "mlProgramOperationTypeHistogram",
    "userDefinedMetadata",
    "computePrecision",
    "specificationVersion",
    "storagePrecision",
];

/// The `metadata.json` of a model.
pub(super) fn write(written: &Written) -> Result<String> {
    let description = written.whole.description();
    let functions = written.functions()?;
    let default = description.function(&description.default_function)?;
    let mut json = made_of(&functions);
    json.extend(schemas(default));
    json.extend(texts(&description.metadata));
    let version = description.specification_version;
    let fixed = [
        ("metadataOutputVersion", json!("3.0")),
        ("specificationVersion", json!(version)),
        ("availability", availability(version)),
        ("modelType", model_type(written.whole)),
        ("modelParameters", json!([])),
        ("isUpdatable", json!("0")),
        ("method", json!("predict")),
        ("generatedClassName", json!(written.class_name)),
    ];
    json.extend(fixed.map(|(key, value)| (key.to_owned(), value)));
    if !default.class_labels.is_empty() {
        json.insert("classLabels".into(), json!(default.class_labels));
    }
    if let (Whole::Program(_), [program]) = (written.whole, written.programs)
        && !description.is_plain()
    {
        let functions = functions_of(description, program)?;
        json.insert("functions".into(), functions);
        let default = &description.default_function;
        json.insert("defaultFunctionName".into(), json!(default));
    }
    let whole = ordered(json, &KEYS);
    Ok(print(&Value::Array(vec![whole])))
}

/// What the functions, which make up a model together, consist of.
fn made_of(functions: &[&Function]) -> Map<String, Value> {
    let mut json = Map::new();
    let histogram = histogram::histogram(functions);
    json.insert("mlProgramOperationTypeHistogram".into(), histogram);
    if let Some(precision) = precision::compute(functions) {
        json.insert("computePrecision".into(), json!(precision));
    }
    if let Some(precision) = precision::storage(functions) {
        json.insert("storagePrecision".into(), json!(precision));
    }
    json
}

fn schemas(function: &FunctionDescription) -> Map<String, Value> {
    let sides = [
        ("inputSchema", &function.inputs),
        ("outputSchema", &function.outputs),
    ];
    let mut json = Map::new();
    for (key, features) in sides {
        let features = features.iter().map(schema::feature).collect();
        json.insert(key.into(), Value::Array(features));
    }
    let states = function.states.iter().map(schema::state).collect();
    json.insert("stateSchema".into(), Value::Array(states));
    json
}

fn texts(metadata: &Metadata) -> Map<String, Value> {
    let texts = [
        ("shortDescription", &metadata.short_description),
        ("author", &metadata.author),
        ("version", &metadata.version),
        ("license", &metadata.license),
    ];
    let told = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let mut json: Map<String, Value> = told.map(|(k, text)| (k.into(), json!(text))).collect();
    let user = metadata.user.iter().map(|(k, v)| (k.clone(), json!(v)));
    json.insert("userDefinedMetadata".into(), ordered(user.collect(), &[]));
    json
}

fn model_type(whole: &Whole) -> Value {
    const PROGRAM: &str = "MLModelType_mlProgram";
    match whole {
        Whole::Program(_) => json!({ "name": PROGRAM }),
        Whole::Pipeline(pipeline) => {
            let stages = pipeline.stages.iter();
            let stages: Vec<Value> = stages.map(|_| json!({ "name": PROGRAM })).collect();
            json!({ "name": "MLModelType_pipeline", "structure": stages })
        }
    }
}

fn functions_of(description: &Description, program: &Program) -> Result<Value> {
    const KEYS: [&str; 7] = [
        "outputSchema",
        "mlProgramOperationTypeHistogram",
        "inputSchema",
        "computePrecision",
        "storagePrecision",
        "stateSchema",
        "name",
    ];
    let functions = program.functions.iter().map(|(name, function)| {
        let mut json = made_of(&[function]);
        json.extend(schemas(description.function(name)?));
        json.insert("name".into(), json!(name));
        Ok(ordered(json, &KEYS))
    });
    functions.collect::<Result<Vec<_>>>().map(Value::Array)
}

/// The systems that a specification version came with.
fn availability(version: i32) -> Value {
    let (ios, macos, watchos, visionos) = match version {
        ..=6 => ("15.0", "12.0", "8.0", "1.0"),
        7 => ("16.0", "13.0", "9.0", "1.0"),
        8 => ("17.0", "14.0", "10.0", "1.0"),
        9 => ("18.0", "15.0", "11.0", "2.0"),
        _ => ("26.0", "26.0", "26.0", "26.0"),
    };
    json!({
        "macOS": macos,
        "tvOS": ios,
        "visionOS": visionos,
        "watchOS": watchos,
        "iOS": ios,
        "macCatalyst": ios,
    })
}

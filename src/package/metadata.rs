//! `metadata.json` of compiled bundles: for people and tools; nothing needs it to run a model.
//!
//! Written are the keys that tools read: schemas, versions, operation counts, free text. Left out are
//! `computePrecision` and `storagePrecision` (prose), and in the counts the opset prefix that Apple's
//! compiler gives to redefined operations (`Ios16.reduceMean`).

use serde_json::{Map, Value, json};

use super::Bundle;
use super::describe::{
    Description, Feature, FeatureKind, Flexibility, FunctionDescription, Metadata,
};
use crate::diag::{Error, Result};
use crate::numeric::DType;

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

/// The `metadata.json` of a bundle.
pub(super) fn write(bundle: &Bundle) -> Result<String> {
    let description = &bundle.description;
    let mut json = Map::new();
    json.insert("metadataOutputVersion".into(), json!("3.0"));
    let texts = [
        ("shortDescription", &description.metadata.short_description),
        ("author", &description.metadata.author),
        ("version", &description.metadata.version),
        ("license", &description.metadata.license),
    ];
    for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        json.insert(key.into(), json!(text));
    }
    let version = description.specification_version;
    json.insert("specificationVersion".into(), json!(version));
    json.insert("availability".into(), availability(version));
    json.insert("modelType".into(), json!({"name": "MLModelType_mlProgram"}));
    json.insert("modelParameters".into(), json!([]));
    json.insert("isUpdatable".into(), json!("0"));
    json.insert("method".into(), json!("predict"));
    json.insert(
        "userDefinedMetadata".into(),
        json!(description.metadata.user),
    );
    json.insert("mlProgramOperationTypeHistogram".into(), histogram(bundle));
    let default = description.function(&description.default_function)?;
    json.extend(schemas(default));
    if description.functions.len() > 1 {
        let functions = description.functions.iter().map(|(name, function)| {
            let mut json = schemas(function);
            json.insert("name".into(), json!(name));
            Value::Object(json)
        });
        json.insert("functions".into(), functions.collect());
        let default = &description.default_function;
        json.insert("defaultFunctionName".into(), json!(default));
    }
    Ok(format!("{:#}", json!([json])))
}

fn schemas(function: &FunctionDescription) -> Map<String, Value> {
    let schema = |features: &[Feature]| features.iter().map(schema).collect::<Value>();
    let mut json = Map::new();
    json.insert("inputSchema".into(), schema(&function.inputs));
    json.insert("outputSchema".into(), schema(&function.outputs));
    json.insert("stateSchema".into(), schema(&function.states));
    if !function.class_labels.is_empty() {
        json.insert("classLabels".into(), json!(function.class_labels));
    }
    json
}

fn schema(feature: &Feature) -> Value {
    let mut json = Map::new();
    let mut put = |key: &str, value: String| json.insert(key.into(), json!(value));
    put("name", feature.name.clone());
    put("shortDescription", feature.description.clone());
    put("isOptional", u8::from(feature.optional).to_string());
    match &feature.kind {
        FeatureKind::Array {
            dtype,
            shape,
            flexibility,
            ..
        } => {
            let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
            put("type", "MultiArray".into());
            put("dataType", type_name(*dtype).into());
            put("shape", format!("{shape:?}"));
            let sizes = sizes.join(" × ");
            put(
                "formattedType",
                format!("MultiArray ({} {sizes})", type_name(*dtype)),
            );
            put_flexibility(flexibility, &mut put);
        }
        FeatureKind::Image { height, width, .. } => {
            put("type", "Image".into());
            put("height", height.to_string());
            put("width", width.to_string());
        }
        FeatureKind::Other(kind) => {
            put("type", kind.clone());
        }
    }
    Value::Object(json)
}

fn put_flexibility(flexibility: &Flexibility, put: &mut impl FnMut(&str, String) -> Option<Value>) {
    let flexible = !matches!(flexibility, Flexibility::Fixed);
    put("hasShapeFlexibility", u8::from(flexible).to_string());
    match flexibility {
        Flexibility::Fixed => {}
        Flexibility::Enumerated(shapes) => {
            put("enumeratedShapes", format!("{shapes:?}"));
        }
        Flexibility::Ranges(ranges) => {
            let high = |high: &Option<usize>| high.map_or(-1, |high| high as i64);
            let pairs: Vec<String> = ranges
                .iter()
                .map(|(low, h)| format!("[{low}, {}]", high(h)))
                .collect();
            put("shapeRange", format!("[{}]", pairs.join(", ")));
            let spans: Vec<String> = ranges
                .iter()
                .map(|(low, h)| match h {
                    Some(high) if high == low => low.to_string(),
                    Some(high) => format!("{low}...{high}"),
                    None => format!("{low}..."),
                })
                .collect();
            put("shapeFlexibility", spans.join(" × "));
        }
    }
}

fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Fp16 => "Float16",
        DType::Fp64 => "Double",
        DType::Int8 => "Int8",
        DType::Int32 => "Int32",
        _ => "Float32",
    }
}

/// Counts by name, in upper camel case, constants left out.
fn histogram(bundle: &Bundle) -> Value {
    let counts = bundle.program.op_histogram().into_iter();
    let counts = counts.filter(|(op, _)| *op != "const");
    let json: Map<String, Value> = counts.map(|(op, n)| (camel(op), json!(n))).collect();
    Value::Object(json)
}

fn camel(op: &str) -> String {
    let parts = op.split('_').map(|part| {
        let (first, rest) = part.split_at(usize::from(part.is_char_boundary(1)).min(part.len()));
        first.to_uppercase() + rest
    });
    parts.collect()
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
        "iOS": ios,
        "macCatalyst": ios,
        "macOS": macos,
        "tvOS": ios,
        "visionOS": visionos,
        "watchOS": watchos,
    })
}

//! Models in several bundles, as ANEMLL cuts them for the Neural Engine: embeddings, chunks of layers with
//! functions for prompts (`prefill`) and single tokens (`infer`), the head with its logits in parts. What
//! is where tells candle-coreml's `ModelConfig` (JSON), ANEMLL's `meta.yaml`, or else the files' names.

mod files;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use files::{Files, only_bundle};

use super::conventions::logits;
use crate::diag::{Context, Error, Result};
use crate::engine::Engine;
use crate::engine::parts::{Line, Part, Parts};
use crate::engine::portable::Limits;
use crate::fail;
use crate::package::{Feature, FeatureKind, FunctionDescription};

/// Opens one bundle on the engine that was asked for.
type Open<'a> = &'a dyn Fn(&Path) -> Result<Arc<dyn Engine>>;

/// The parts as one model, whose functions are `prefill` and `infer`, or `main` where one does for both.
pub fn open(files: &Files, engine: Open) -> Result<Parts> {
    let embeddings = part("embeddings", engine(&files.embeddings)?, None, Role::First)?;
    let head = part("head", engine(&files.head)?, None, Role::Last)?;
    let prompts = chunks(&files.prefill, engine, "prefill")?;
    let single = chunks(&files.infer, engine, "infer")?;
    let same = |(a, b): (&Part, &Part)| a.function == b.function;
    let alone = files.prefill == files.infer && prompts.iter().zip(&single).all(same);
    let default = if alone { "main" } else { "infer" };
    let mut lines = BTreeMap::new();
    let middle = [&[embeddings], single.as_slice(), &[head]].concat();
    lines.insert(
        default.to_owned(),
        Line {
            parts: middle.clone(),
            output: Some("logits".to_owned()),
        },
    );
    if !alone {
        // What chunks for prompts give is not what the head wants: it need not be of the last position.
        let parts = [&middle[..1], prompts.as_slice()].concat();
        let output = None;
        lines.insert("prefill".to_owned(), Line { parts, output });
    }
    Parts::new(lines, default, Limits::default())
}

/// The chunks' function of that name, or the only one they have.
fn chunks(paths: &[PathBuf], engine: Open, function: &str) -> Result<Vec<Part>> {
    let chunk = |(i, path): (usize, &PathBuf)| {
        let name = match paths.len() {
            1 => "chunk".to_owned(),
            _ => format!("chunk{}", i + 1),
        };
        part(&name, engine(path)?, Some(function), Role::Middle)
    };
    paths.iter().enumerate().map(chunk).collect()
}

/// Where a part stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    First,
    Middle,
    Last,
}

fn part(name: &str, engine: Arc<dyn Engine>, wanted: Option<&str>, role: Role) -> Result<Part> {
    let description = engine.description();
    let function = match wanted.filter(|name| description.functions.contains_key(*name)) {
        Some(name) => name.to_owned(),
        None => description.default_function.clone(),
    };
    let interface = description.function(&function)?;
    let ends = ends(interface, role).with_context(|| format!("part \"{name}\""));
    let (takes, gives) = ends?;
    Ok(Part {
        name: name.to_owned(),
        function,
        takes,
        gives,
        engine,
    })
}

/// The input that takes what came before, and the outputs that go on.
fn ends(interface: &FunctionDescription, role: Role) -> Result<(String, Vec<String>)> {
    let hidden = |feature: &&Feature| {
        let float = matches!(&feature.kind, FeatureKind::Array { dtype, .. } if dtype.is_float());
        float && !feature.name.contains("mask")
    };
    let whole = |feature: &&Feature| !hidden(feature);
    let inputs = interface.inputs.iter();
    let inputs: Vec<&Feature> = match role {
        Role::First => inputs.filter(whole).collect(),
        _ => inputs.filter(hidden).collect(),
    };
    let [takes] = inputs.as_slice() else {
        let names: Vec<&str> = interface.inputs.iter().map(|f| f.name.as_str()).collect();
        fail!("expected one input of {}, among {names:?}", role.takes());
    };
    let outputs: Vec<&str> = interface.outputs.iter().map(|f| f.name.as_str()).collect();
    let gives = match (role, outputs.as_slice()) {
        (Role::Last, _) => logits(interface, &[]),
        (_, [only]) => vec![(*only).to_owned()],
        (_, several) => {
            let hidden = several.iter().find(|name| name.contains("hidden"));
            hidden.map(|name| (*name).to_owned()).into_iter().collect()
        }
    };
    if gives.is_empty() || gives.iter().any(|name| name.contains("argmax")) {
        return Err(
            Error::new(format!("{} among the outputs {outputs:?}", role.lacks()))
                .hint("convert the head without argmax_in_model, so that it gives logits"),
        );
    }
    Ok((takes.name.clone(), gives))
}

impl Role {
    fn takes(self) -> &'static str {
        match self {
            Role::First => "token ids",
            _ => "hidden states",
        }
    }

    fn lacks(self) -> &'static str {
        match self {
            Role::Last => "there are no logits",
            _ => "there are no hidden states",
        }
    }
}

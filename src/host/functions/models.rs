//! Loading models, looking at their logits, letting them write.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rhai::{Array, Dynamic};

use super::logits::Logits;
use super::samples::{PROMPTS, Prompts, from_rollouts};
use super::sampling::{SAMPLING, sampling};
use super::writing::{WRITING, write};
use crate::diag::{Error, Interrupt, Result, nearest};
use crate::engine::apple::{AppleOptions, ComputeUnits};
use crate::engine::device;
use crate::engine::portable::{Passes, Precision};
use crate::fail;
use crate::host::{
    Call, Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, function, method, property,
};
use crate::hub::or_fetch;
use crate::models::{CoreMLModelWrapper, EMBEDDED, EngineChoice, LoadOptions, embedded};
use crate::package::{Feature, FeatureKind};
use crate::report::{Column, Display, Table};

pub(super) const TOPIC: Topic = Topic {
    name: "models",
    summary: "Core ML language models: load, look, generate.",
    functions,
    types: || vec![TypeEntry::of::<Model>()],
};

/// A model as scripts hold it.
#[derive(Clone)]
pub(super) struct Model(pub Arc<CoreMLModelWrapper>);

impl ScriptValue for Model {
    const NAME: &'static str = "Model";
    const SUMMARY: &'static str = "A Core ML language model that is ready to predict.";

    fn line(&self) -> String {
        format!("Model({:?}, {})", self.0.name(), self.0.engine().name())
    }

    fn digest(&self) -> Option<String> {
        self.0.content().ok()
    }

    fn show(&self) -> Display {
        match card(&self.0) {
            Ok(table) => Display::Table(table),
            Err(_) => Display::Text(self.line()),
        }
    }
}

const LOAD: &[Key] = &[
    Key::choice(
        "engine",
        &["portable", "apple"],
        "portable",
        "What runs it: our engine anywhere, or Core ML on a Mac.",
    ),
    Key::word(
        "device",
        &["cpu", "metal", "cuda"],
        "cpu",
        "Where the portable engine computes: cpu, metal, cuda or cuda:1.",
    ),
    Key::choice(
        "precision",
        &["f32", "faithful"],
        "f32",
        "Floats in f32 throughout, or fp16-typed results rounded as Core ML may.",
    ),
    Key::optional(
        "passes",
        Kind::List(&Passes::NAMES),
        "What the portable engine fuses: rms_norm, rotary, silu_mul, attention, packed, packed_rows, update_state; all of it if left out.",
    ),
    Key::choice(
        "compute_units",
        &["cpu", "cpu+gpu", "cpu+ane", "all"],
        "all",
        "What Core ML may use: cpu, cpu+gpu, cpu+ane or all.",
    ),
    Key::optional(
        "function",
        Kind::Text,
        "The function of the program; its default one if left out.",
    ),
    Key::optional(
        "tokenizer",
        Kind::Path(&["json"]),
        "A tokenizer.json; looked for in and beside the bundle if left out.",
    ),
];

/// What `generate` tells beyond its first sentence.
pub(super) const GENERATE: &str = "\
Each is a map; one prompt gives one map. \
The options are applied in the order of transformers: bias, penalties, choices or regex, temperature, top_k, top_p, min_p. \
Ctrl-C keeps what came: it is the result of the cell.";

/// The maps that `generate` gives.
pub(super) const SAMPLE: &[(&str, &str)] = &[
    ("prompt", "The text that was continued."),
    (
        "completion",
        "The text that came; it ends before the end-of-sequence token or stop string.",
    ),
    ("prompt_ids", "The prompt's tokens."),
    (
        "ids",
        "The tokens that were sampled, with the end-of-sequence token or those of a stop string.",
    ),
    (
        "logprobs",
        "Of the model itself at this temperature (greedy: at 1), before penalties, bias, constraint and truncation.",
    ),
    (
        "top_logprobs",
        "The likeliest tokens of each step, if asked for.",
    ),
    ("ended", "Whether it came to an end of its own."),
    (
        "finish",
        "How: eos, stop, complete (all that choices or regex allow), length, unfinished.",
    ),
    (
        "decoding",
        "What is kept of the past: states, explicit cache, increments or recompute.",
    ),
];

fn functions() -> Vec<ScriptFn> {
    vec![
        function("load", "Loads a Core ML language model with its tokenizer.")
            .param("path", Kind::Bundle(&["mlmodelc", "mlpackage", "mlmodel"]), "The bundle or pipeline, a folder of parts, or \"embedded:student\" or \"embedded:judge\".")
            .options(LOAD)
            .returns("Model")
            .example("[load(\"embedded:student\")]", "[Model(\"embedded:student\", portable (cpu))]")
            .run(load),
        property::<Model>("name", "Where it was loaded from.")
            .returns("string")
            .example("load(\"embedded:student\").name", "\"embedded:student\"")
            .run(|call| Ok(call.receiver::<Model>()?.0.name().to_owned())),
        property::<Model>("vocab_size", "How many tokens its tokenizer knows.")
            .returns("int")
            .example("load(\"embedded:student\").vocab_size > 256", "true")
            .run(|call| Ok(call.receiver::<Model>()?.0.tokenizer()?.vocab_size())),
        method::<Model>("card", "What the model is: inputs, outputs, size, engine.")
            .returns("Table")
            .example("[load(\"embedded:student\").card()]", "[Table(7 rows, 2 columns)]")
            .run(|call| card(&call.receiver::<Model>()?.0)),
        method::<Model>("weights", "Its weights: name, shape, type, what reads them.")
            .returns("Table")
            .example("[load(\"embedded:student\").weights()]", "[Table(32 rows, 4 columns)]")
            .run(|call| weights(&call.receiver::<Model>()?.0)),
        method::<Model>("tokenize", "The token ids of a text.")
            .param("text", Kind::Text, "The text.")
            .returns("array")
            .example("let m = load(\"embedded:student\"); m.decode(m.tokenize(\"the soup was good\"))", "\"the soup was good\"")
            .run(|call| Ok(ids_to_script(&encode(call, "text")?))),
        method::<Model>("decode", "The text of token ids.")
            .param("ids", Kind::Array, "The ids.")
            .returns("string")
            .example("let m = load(\"embedded:student\"); m.decode(m.tokenize(\"tea\"))", "\"tea\"")
            .run(|call| {
                let model = call.receiver::<Model>()?;
                model.0.tokenizer()?.decode(&call.get::<Vec<u32>>("ids")?, false)
            }),
        method::<Model>("forward", "The logits after each token of a text (or of token ids).")
            .param("text", Kind::Either(&[Kind::Text, Kind::Array]), "The text or ids.")
            .returns("Logits")
            .example("[load(\"embedded:student\").forward(\"the soup was\").top(1)]", "[Table(1 row, 7 columns)]")
            .run(forward),
        method::<Model>("generate", "Continuations of prompts, sampled token by token.")
            .param("prompts", PROMPTS, "A text or its token ids, or an array of such.")
            .options(SAMPLING)
            .options(WRITING)
            .returns("array | map")
            .details(GENERATE)
            .fields(SAMPLE)
            .example("load(\"embedded:student\").generate(\"the soup\", #{temperature: 0.0, max_new_tokens: 1}).ids.len()", "1")
            .run(generate),
    ]
}

/// Options that every way of loading shares.
fn load_options(call: &Call) -> Result<LoadOptions> {
    let options = &call.options;
    let units: String = options.get("compute_units")?;
    let engine = match options.get::<String>("engine")?.as_str() {
        "apple" => EngineChoice::Apple(AppleOptions {
            compute_units: units.parse::<ComputeUnits>()?,
            cache: call.host.base().join(".coreml-cache"),
        }),
        _ => EngineChoice::Portable,
    };
    let precision = match options.get::<String>("precision")?.as_str() {
        "faithful" => Precision::Faithful,
        _ => Precision::F32,
    };
    let passes = match options.get::<Option<Vec<String>>>("passes")? {
        Some(names) => Passes::named(names.iter().map(String::as_str))?,
        None => Passes::default(),
    };
    Ok(LoadOptions {
        engine,
        precision,
        passes,
        device: device::open(&options.get::<String>("device")?)?,
        function: options.get("function")?,
        tokenizer: options.get("tokenizer")?,
        interrupt: Interrupt::from(call.host.interrupt().clone()),
    })
}

fn load(call: &mut Call) -> Result<Model> {
    let options = load_options(call)?;
    let name: String = call.get("path")?;
    if let Some(name) = name.strip_prefix("embedded:") {
        return Ok(Model(Arc::new(embedded(name, &options)?)));
    }
    let path: PathBuf = call.get("path")?;
    call.host.note_read(&path);
    let model = CoreMLModelWrapper::load(&path, &options);
    let model = model.map_err(|error| or_embedded(or_fetch(error, &name, &path), &name, &path))?;
    Ok(Model(Arc::new(model)))
}

/// Tells of the models that are always there, where a bare word names no file.
fn or_embedded(error: Error, name: &str, path: &Path) -> Error {
    let known: Vec<&str> = EMBEDDED.iter().map(|(known, _)| *known).collect();
    let meant = nearest(name, &known).filter(|_| !path.exists());
    match meant {
        Some(meant) => error.hint(format!("did you mean \"embedded:{meant}\"?")),
        None => error,
    }
}

fn card(model: &CoreMLModelWrapper) -> Result<Table> {
    let mut table = Table::new("", ["model", model.name()]);
    let description = model.description();
    let mut row = |name: &str, text: String| table.push([name.to_owned(), text]);
    row("engine", model.engine().name())?;
    let function = &description.functions[model.function()];
    for (kind, features) in [
        ("input", &function.inputs),
        ("output", &function.outputs),
        ("state", &function.states),
    ] {
        for feature in features {
            row(kind, feature_line(feature))?;
        }
    }
    if description.functions.len() > 1 {
        let names: Vec<&str> = description.functions.keys().map(String::as_str).collect();
        row("functions", names.join(", "))?;
    }
    if let Ok(convention) = model.convention() {
        row("convention", convention.told())?;
        let decoding = model.decoding().map(|decoding| decoding.to_string());
        let decoding = decoding.unwrap_or_else(|| "found out at the first text".to_owned());
        row("decoding", decoding)?;
    }
    if let Ok(portable) = model.portable() {
        let weights = portable.weights(model.function())?;
        let count: usize = weights
            .iter()
            .map(|w| w.shape.iter().product::<usize>())
            .sum();
        row(
            "weights",
            format!("{} in {} tensors", grouped(count), weights.len()),
        )?;
    }
    match model.tokenizer() {
        Ok(tokenizer) => row(
            "tokenizer",
            format!("{} tokens", grouped(tokenizer.vocab_size())),
        )?,
        Err(_) => row("tokenizer", "none".to_owned())?,
    }
    for remark in model.engine().remarks() {
        row("note", remark)?;
    }
    let about = &description.metadata.short_description;
    if !about.is_empty() {
        row("about", about.clone())?;
    }
    Ok(table)
}

/// Name, element type and shapes, as far as the bundle tells.
fn feature_line(feature: &Feature) -> String {
    let shapes = feature.shapes();
    match &feature.kind {
        FeatureKind::Array { dtype, .. } if shapes == "[]" => format!("{}: {dtype}", feature.name),
        FeatureKind::Array { dtype, .. } => format!("{}: {dtype} {shapes}", feature.name),
        _ => format!("{}: {shapes}", feature.name),
    }
}

/// 1234567 as "1,234,567".
pub(super) fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    groups
        .iter()
        .map(|g| String::from_utf8_lossy(g))
        .collect::<Vec<_>>()
        .join(",")
}

fn weights(model: &CoreMLModelWrapper) -> Result<Table> {
    let columns = ["weight", "shape", "type"].map(Column::new);
    let columns = columns.into_iter().chain([Column::new("read by").spare()]);
    let mut table = Table::new("", columns);
    for weight in model.portable()?.weights(model.function())? {
        let mut uses: Vec<(String, usize)> = Vec::new();
        for (op, parameter) in &weight.uses {
            let text = format!("{op}.{parameter}");
            match uses.iter_mut().find(|(known, _)| *known == text) {
                Some((_, count)) => *count += 1,
                None => uses.push((text, 1)),
            }
        }
        let uses = uses.into_iter().map(|(text, count)| match count {
            1 => text,
            _ => format!("{count} × {text}"),
        });
        let dtype = match weight.compressed {
            true => format!("{} (compressed)", weight.dtype),
            false => weight.dtype.to_string(),
        };
        table.push([
            weight.name,
            format!("{:?}", weight.shape),
            dtype,
            uses.collect::<Vec<_>>().join(", "),
        ])?;
    }
    Ok(table)
}

fn encode(call: &Call, parameter: &str) -> Result<Vec<u32>> {
    let model = call.receiver::<Model>()?;
    model
        .0
        .tokenizer()?
        .encode(&call.get::<String>(parameter)?, true)
}

/// Ids as a script array.
pub(super) fn ids_to_script(ids: &[u32]) -> Array {
    ids.iter()
        .map(|id| Dynamic::from_int(i64::from(*id)))
        .collect()
}

fn forward(call: &mut Call) -> Result<Logits> {
    let model = call.receiver::<Model>()?.0;
    let ids = match call.get::<Vec<u32>>("text") {
        Ok(ids) => ids,
        Err(_) => encode(call, "text")?,
    };
    if ids.is_empty() {
        fail!("there are no tokens to run the model on");
    }
    let logits = model.forward(&ids)?;
    let tokenizer = model.tokenizer().ok().cloned();
    Ok(Logits::new(model.name(), ids, logits, tokenizer))
}

fn generate(call: &mut Call) -> Result<Dynamic> {
    let model = call.receiver::<Model>()?.0;
    let tokenizer = model.tokenizer()?.clone();
    let prompts = Prompts::read(call, &tokenizer)?;
    let sampling = sampling(call, &tokenizer)?;
    let written = write(call, &*model, &prompts.ids, &sampling)?;
    tell(call, model.remark());
    tell(call, model.news());
    let maps = from_rollouts(&prompts.texts, &written.rollouts, written.way, &tokenizer);
    written.give(call.host, prompts.answer(maps))
}

/// Shows the user what is to be known of how texts were made.
pub(super) fn tell(call: &Call, remarks: impl IntoIterator<Item = String>) {
    for remark in remarks {
        call.host.show(Display::Text(format!("note: {remark}")));
    }
}

//! Core ML models of Hugging Face folders and GGUF files.

use std::path::PathBuf;

use super::models::Model;
use crate::convert::{ConvertOptions, Job, Precision, stored_weights};
use crate::diag::{Interrupt, Result};
use crate::files::refuse_existing;
use crate::host::{Call, Key, Kind, Topic, function};
use crate::hub::or_fetch;
use crate::models::{Compression, LoadOptions};
use crate::report::Display;

pub(super) const TOPIC: Topic = Topic {
    name: "conversion",
    summary: "Core ML models of Hugging Face folders and GGUF files.",
    functions: || {
        vec![
            function(
                "convert",
                "Makes a Core ML model of a Hugging Face folder or a GGUF file.",
            )
            .param(
                "source",
                Kind::Path(&["gguf"]),
                "The folder with config.json and *.safetensors, or the file.",
            )
            .options(CONVERT)
            .returns("Model")
            .details(DETAILS)
            .example(
                "try { convert(\"missing.gguf\") } catch (e) { print(\"no such model\") }",
                "no such model",
            )
            .run(convert),
        ]
    },
    types: Vec::new,
};

const DETAILS: &str = "\
Decoders of the families Llama, SmolLM, Mistral, Qwen, Gemma, GPT-2, GPT-NeoX, Phi and OLMo become programs for iOS 18 and macOS 15. \
Stateless ones take input_ids [batch, length] and give logits [batch, length, vocab]; they can be trained, and decode by increments here. \
Stateful ones keep keys and values in states, as swift-transformers runs them, with functions for prompts (prefill) and single tokens (decode). \
The check runs both on a text and shows how far their logits are apart; if that is more than the precision explains, nothing is written. \
The tokenizer's and configuration files are put into the bundle.";

const CONVERT: &[Key] = &[
    Key::optional(
        "out",
        Kind::Output(&["mlpackage", "mlmodelc"]),
        "Where to write it; it stays in memory if left out.",
    ),
    Key::bool("force", false, "Replace what is there."),
    Key::choice(
        "precision",
        &["fp16", "fp32"],
        "fp16",
        "What weights and intermediate values are.",
    ),
    Key::optional(
        "context",
        Kind::Int,
        "Longest row; what the model was made for if left out, 2048 at most.",
    ),
    Key::optional("batch", Kind::Int, "Most rows in a call; 64 if left out."),
    Key::bool(
        "fixed",
        false,
        "Take rows of just `context` tokens, `batch` of them, as the Neural Engine likes it.",
    ),
    Key::bool("stateful", false, "Keep keys and values in states."),
    Key::optional(
        "quantize",
        Kind::Choice(&Compression::NAMES),
        "Make the matrices smaller.",
    ),
    Key::bool(
        "check",
        true,
        "Hold the result against the source's own forward pass.",
    ),
];

fn convert(call: &mut Call) -> Result<Model> {
    let path: PathBuf = call.get("source")?;
    let out: Option<PathBuf> = call.options.get("out")?;
    if let Some(out) = &out {
        refuse_existing(out, call.options.get("force")?, "#{force: true}")?;
    }
    let load = LoadOptions {
        interrupt: Interrupt::from(call.host.interrupt().clone()),
        ..LoadOptions::default()
    };
    let words: String = call.get("source")?;
    let made = job(call)?.run(&path, &load);
    let made = made.map_err(|error| or_fetch(error, &words, &path))?;
    call.host.check()?;
    if let Some(out) = &out {
        made.save(out)?;
    }
    if !made.stored.is_empty() {
        call.host
            .show(Display::Table(stored_weights(&made.stored, "")?));
    }
    if let Some(found) = &made.found {
        call.host.show(Display::Table(found.table()?));
    }
    Ok(Model(made.model))
}

fn job(call: &Call) -> Result<Job> {
    let options = &call.options;
    let precision = match options.get::<String>("precision")?.as_str() {
        "fp32" => Precision::Fp32,
        _ => Precision::Fp16,
    };
    let compression = options.get::<Option<String>>("quantize")?;
    let compression = compression
        .map(|name| Compression::named(&name))
        .transpose()?;
    Ok(Job {
        options: ConvertOptions {
            precision,
            context: options.get("context")?,
            batch: options.get("batch")?,
            fixed: options.get("fixed")?,
            stateful: options.get("stateful")?,
        },
        compression: compression.map(Into::into),
        check: options.get("check")?,
    })
}

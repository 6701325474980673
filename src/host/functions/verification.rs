//! How far one model is from another: quantised from whole, converted from source.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rhai::Dynamic;

use super::models::Model;
use crate::convert::{Subject, verify};
use crate::diag::{Error, Interrupt, Result};
use crate::host::{
    Call, Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, function, method, property,
};
use crate::models::LoadOptions;
use crate::report::{Display, Table};
use crate::verify::{Comparison, SAMPLE};

pub(super) const TOPIC: Topic = Topic {
    name: "verification",
    summary: "How far one model is from another.",
    functions,
    types: || vec![TypeEntry::of::<Verification>()],
};

/// What a comparison found.
#[derive(Clone)]
struct Verification(Arc<Comparison>);

impl ScriptValue for Verification {
    const NAME: &'static str = "Verification";
    const SUMMARY: &'static str = "How far one model is from another.";

    fn line(&self) -> String {
        let Comparison { a, b, kl_mean, .. } = &*self.0;
        format!("Verification({a:?}, {b:?}, mean KL {kl_mean:.3e})")
    }

    fn show(&self) -> Display {
        match self.0.table() {
            Ok(table) => Display::Table(table),
            Err(_) => Display::Text(self.line()),
        }
    }
}

const MODEL: Kind = Kind::Either(&[
    Kind::object::<Model>(),
    Kind::Path(&["mlpackage", "mlmodelc", "mlmodel", "gguf"]),
]);

const VERIFY: &[Key] = &[
    Key::optional(
        "text",
        Kind::Text,
        "What to compare on; a page of English if left out.",
    ),
    Key::optional(
        "window",
        Kind::Int,
        "Tokens of a row at most; 256 if left out, less where a model takes less.",
    ),
];

/// An example: a measure of a model and itself.
macro_rules! of_itself {
    ($name:literal, $shows:literal) => {
        [
            concat!(
                "let m = load(\"embedded:student\"); verify(m, m, #{text: \"the soup was good\"}).",
                $name
            ),
            $shows,
        ]
    };
}

fn functions() -> Vec<ScriptFn> {
    vec![
        function("verify", "Compares two models on a text: logits, distributions, likeliest tokens, perplexities.")
            .param("a", MODEL, "The model that is taken for right, or its path.")
            .param("b", MODEL, "The model that is held against it, or its path.")
            .options(VERIFY)
            .returns("Verification")
            .details("A path is a bundle's, a Hugging Face folder's or a GGUF file's; the latter compute by their own forward pass in fp32. Both must make the same tokens of the text. The text is cut into rows of `window` tokens; a row's first token has no probability and counts in no perplexity.")
            .example("let m = load(\"embedded:student\"); m.quantize(\"q.mlpackage\"); verify(m, \"q.mlpackage\", #{text: \"the soup was good\"}).agreement > 0.5", "true")
            .run(run),
        method::<Verification>("table", "The measures as a table.")
            .returns("Table")
            .example("let m = load(\"embedded:student\"); [verify(m, m, #{text: \"the soup was good\"}).table()]", "[Table(7 rows, 3 columns)]")
            .run(|call| -> Result<Table> { call.receiver::<Verification>()?.0.table() }),
        method::<Verification>("data", "The measures as a map.")
            .returns("map")
            .fields(&[
                ("a", "The first model's name."),
                ("b", "The second's."),
                ("rows", "Rows compared."),
                ("positions", "Positions in them."),
                ("delta_max", "The largest difference of logits."),
                ("delta_mean", "The mean difference."),
                ("scale", "The largest |logit| of a."),
                ("kl_mean", "Mean KL(a ‖ b) in nats."),
                ("kl_max", "The largest KL in nats."),
                ("worst", "Row and position of kl_max."),
                ("agreement", "The share of positions where both find the same token likeliest."),
                ("perplexity_a", "Of the first model."),
                ("perplexity_b", "Of the second."),
            ])
            .example("let m = load(\"embedded:student\"); verify(m, m, #{text: \"the soup was good\"}).data().delta_max", "0.0")
            .run(|call| -> Result<Dynamic> {
                let found = call.receiver::<Verification>()?.0;
                rhai::serde::to_dynamic(&*found).map_err(|error| Error::new(error.to_string()))
            }),
        measure("relative", "The largest difference of logits, as a part of the largest logit.", of_itself!("relative", "0.0"), Comparison::relative),
        measure("kl", "Mean KL(a ‖ b), nats a token.", of_itself!("kl", "0.0"), |found| found.kl_mean),
        measure("agreement", "The share of positions where both have the same likeliest token.", of_itself!("agreement", "1.0"), |found| found.agreement),
        measure("perplexity_change", "How much larger b's perplexity is than a's, as a part of a's.", of_itself!("perplexity_change", "0.0"), Comparison::perplexity_change),
    ]
}

/// A measure of the comparison.
fn measure(
    name: &'static str,
    doc: &'static str,
    example: [&'static str; 2],
    value: fn(&Comparison) -> f64,
) -> ScriptFn {
    property::<Verification>(name, doc)
        .returns("float")
        .example(example[0], example[1])
        .run(move |call| Ok(value(&call.receiver::<Verification>()?.0)))
}

fn run(call: &mut Call) -> Result<Verification> {
    let (a, b) = (subject(call, "a")?, subject(call, "b")?);
    let text: Option<String> = call.options.get("text")?;
    let window = call.options.get("window")?;
    let mut progress = call.host.progress("verify", 0);
    let found = verify(
        [&a, &b],
        text.as_deref().unwrap_or(SAMPLE),
        window,
        &mut |done, rows| {
            progress.set(done as u64, format!("of {rows} rows"));
            Ok(())
        },
    )?;
    Ok(Verification(Arc::new(found)))
}

/// A model, or the one at a path.
fn subject(call: &Call, parameter: &str) -> Result<Subject> {
    if let Ok(model) = call.get::<Model>(parameter) {
        return Subject::of(model.0);
    }
    let path: PathBuf = match call.get::<String>(parameter)? {
        name if name.starts_with("embedded:") => name.into(),
        _ => call.get(parameter)?,
    };
    call.host.note_read(&path);
    let options = LoadOptions {
        interrupt: Interrupt::from(call.host.interrupt().clone()),
        ..LoadOptions::default()
    };
    Subject::open(Path::new(&path), &options)
}

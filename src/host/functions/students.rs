//! Students: models whose weights learn, and what they say as they are now.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{Dynamic, Map};

use super::cards;
use super::logits::Logits;
use super::models::{GENERATE, Model, SAMPLE, tell};
use super::samples::{PROMPTS, Prompts, from_rollouts, to_rollout};
use super::sampling::{SAMPLING, sampling};
use super::writing::{WRITING, write};
use crate::convert::stored_weights;
use crate::diag::{Context as _, Result};
use crate::files::sha256;
use crate::host::{
    Call, Kept, Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, function, method, property,
};
use crate::models::{LoraOptions, StudentModel, Trainable};
use crate::numeric::Array;
use crate::optim::AdamWOptions;
use crate::package::Storage;
use crate::report::{Cell, Display, Table};
use crate::tokenizer::Tokenizer;
use crate::train::kl_to_reference;

pub(super) const TOPIC: Topic = Topic {
    name: "students",
    summary: "Models whose weights learn.",
    functions,
    types: || vec![TypeEntry::of::<Student>()],
};

/// A model in training.
#[derive(Clone)]
pub(super) struct Student(Arc<Mutex<StudentModel>>);

impl Student {
    pub fn lock(&self) -> MutexGuard<'_, StudentModel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tokenizer(&self) -> Result<Arc<Tokenizer>> {
        self.lock().model().tokenizer().cloned()
    }
}

impl ScriptValue for Student {
    const NAME: &'static str = "Student";
    const SUMMARY: &'static str = "A model whose weights learn.";
    const CHANGES: bool = true;

    fn keep(&self) -> Result<Option<Kept>> {
        let state = self.lock().state()?;
        let student = self.clone();
        Ok(Some(Kept {
            bytes: state.bytes(),
            put_back: Box::new(move || student.lock().set_state(&state)),
        }))
    }

    fn digest(&self) -> Option<String> {
        let student = self.lock();
        let model = student.model().content().ok()?;
        let arrays = student.adapters().parameters().export().ok()?;
        let one = |(name, array): &(String, Array)| {
            format!("{name} {:?} {}\n", array.shape(), sha256(array.bytes()))
        };
        let arrays: String = arrays.iter().map(one).collect();
        Some(sha256(format!("{model}\n{arrays}").as_bytes()))
    }

    fn bytes(&self) -> usize {
        self.lock().adapters().parameters().elements() * 12
    }

    fn line(&self) -> String {
        let student = self.lock();
        let parameters = student.adapters().parameters();
        format!(
            "Student({:?}, {} trained numbers in {} tensors, {} steps)",
            student.model().name(),
            parameters.elements(),
            parameters.len(),
            student.optimizer().steps()
        )
    }

    fn show(&self) -> Display {
        let card = cards::of_student(&self.lock());
        card.or(self.line())
    }
}

const STUDENT: &[Key] = &[
    Key::choice(
        "train",
        &["lora", "all"],
        "lora",
        "Low-rank adapters, or the weights themselves.",
    ),
    Key::int("rank", 16, "Rank of the adapters.").at_least(1.0),
    Key::float(
        "alpha",
        32.0,
        "The adapters' update is scaled by alpha / rank.",
    ),
    Key::optional(
        "targets",
        Kind::Array,
        "Parts of the names of the weights that learn.",
    ),
    Key::float("weight_decay", 0.0, "Decoupled weight decay of AdamW.").at_least(0.0),
    Key::float("beta2", 0.999, "AdamW's second-moment decay.").between(0.0, 1.0),
    Key::float(
        "max_grad_norm",
        1.0,
        "Gradients are scaled down to this norm.",
    )
    .at_least(0.0),
];

fn functions() -> Vec<ScriptFn> {
    vec![
        function("student", "A model whose weights learn, from a loaded one.")
            .param("model", Kind::object::<Model>(), "The model to start from; it stays as it is.")
            .options(STUDENT)
            .returns("Student")
            .example("type_of(student(load(\"embedded:student\"), #{rank: 4}))", "\"Student\"")
            .run(student),
        property::<Student>("trained", "How many numbers learn.")
            .returns("int")
            .example("student(load(\"embedded:student\"), #{rank: 1}).trained > 0", "true")
            .run(|call| Ok(call.receiver::<Student>()?.lock().adapters().parameters().elements())),
        method::<Student>("parameters", "The tensors that learn.")
            .returns("Table")
            .example("let s = student(load(\"embedded:student\"), #{rank: 1}); [s.parameters()]", "[Table(42 rows, 2 columns)]")
            .run(parameters),
        method::<Student>("forward", "The logits after each token of a text, by the weights as they are now.")
            .param("text", Kind::Text, "The text.")
            .returns("Logits")
            .example("let s = student(load(\"embedded:student\"), #{rank: 1}); s.forward(\"the soup\").shape[0]", "2")
            .run(forward),
        method::<Student>("generate", "Continuations of prompts by the weights as they are now.")
            .param("prompts", PROMPTS, "A text or its token ids, or an array of such.")
            .options(SAMPLING)
            .options(WRITING)
            .returns("array | map")
            .details(GENERATE)
            .fields(SAMPLE)
            .example("student(load(\"embedded:student\"), #{rank: 1}).generate([\"the soup\"], #{max_new_tokens: 1}).len()", "1")
            .run(generate_samples),
        method::<Student>("kl", "Mean distance from the starting weights on samples of its own, in nats per token.")
            .param("samples", Kind::Array, "Samples as `generate` gives them.")
            .options(&[Key::float("temperature", 1.0, "At which they were sampled.").at_least(1e-9)])
            .returns("float")
            .example("let s = student(load(\"embedded:student\"), #{rank: 1}); s.kl(s.generate([\"the soup\"], #{max_new_tokens: 2}))", "0.0")
            .run(|call| {
                let samples: Vec<Map> = call.get("samples")?;
                let rollouts = samples.iter().map(to_rollout).collect::<Result<Vec<_>>>()?;
                let temperature = call.options.get("temperature")?;
                kl_to_reference(&call.receiver::<Student>()?.lock(), &rollouts, temperature)
            }),
        method::<Student>("save", "Writes the student as a bundle with its tokenizer; the ending tells the form.")
            .param("path", Kind::Output(&["mlpackage", "mlmodelc"]), "Where to.")
            .options(&[Key::choice("compress", &["same", "none"], "same", "Compressed weights that changed are compressed again in the same way, or stored dense.")])
            .returns("Table")
            .details("The table tells for each weight that changed how it is stored and how far that is from what was trained, the worst first; weights that did not change stay as they are to the bit.")
            .example("let s = student(load(\"embedded:student\"), #{rank: 1}); s.save(\"s.mlpackage\"); load(\"s.mlpackage\").vocab_size == load(\"embedded:student\").vocab_size", "true")
            .run(save),
    ]
}

fn student(call: &mut Call) -> Result<Student> {
    let options = &call.options;
    let targets = options
        .get::<Option<Vec<String>>>("targets")?
        .unwrap_or_default();
    let trainable = match options.get::<String>("train")?.as_str() {
        "all" => Trainable::Whole(targets),
        _ => Trainable::Lora(LoraOptions {
            rank: options.get("rank")?,
            alpha: options.get("alpha")?,
            targets,
        }),
    };
    let optimizer = AdamWOptions {
        weight_decay: options.get("weight_decay")?,
        beta2: options.get("beta2")?,
        max_grad_norm: Some(options.get::<f64>("max_grad_norm")?).filter(|norm| *norm > 0.0),
        ..AdamWOptions::default()
    };
    let model = call.get::<Model>("model")?.0;
    let student = StudentModel::new(model, &trainable, optimizer, call.host.seed())?;
    Ok(Student(Arc::new(Mutex::new(student))))
}

fn parameters(call: &mut Call) -> Result<Table> {
    let student = call.receiver::<Student>()?;
    let mut table = Table::new("", ["parameter", "shape"]);
    for (name, var) in student.lock().adapters().parameters().iter() {
        table.push([
            Cell::Text(name.to_owned()),
            Cell::Text(format!("{:?}", var.dims())),
        ])?;
    }
    Ok(table)
}

fn forward(call: &mut Call) -> Result<Logits> {
    let student = call.receiver::<Student>()?;
    let tokenizer = student.tokenizer()?;
    let ids = tokenizer.encode(&call.get::<String>("text")?, true)?;
    let logits = student.lock().policy()?.rows(&[&ids])?.remove(0);
    let name = format!("student of {}", student.lock().model().name());
    Ok(Logits::new(&name, ids, logits, Some(tokenizer)))
}

fn generate_samples(call: &mut Call) -> Result<Dynamic> {
    let student = call.receiver::<Student>()?;
    let tokenizer = student.tokenizer()?;
    let prompts = Prompts::read(call, &tokenizer)?;
    let sampling = sampling(call, &tokenizer)?;
    let policy = student.lock().policy()?;
    let written = write(call, &policy, &prompts.ids, &sampling)?;
    tell(call, policy.remark());
    tell(call, student.lock().model().news());
    let maps = from_rollouts(&prompts.texts, &written.rollouts, written.way, &tokenizer);
    written.give(call.host, prompts.answer(maps))
}

fn save(call: &mut Call) -> Result<Table> {
    let path: PathBuf = call.get("path")?;
    let storage = match call.options.get::<String>("compress")?.as_str() {
        "none" => Storage::Dense,
        _ => Storage::Same,
    };
    let student = call.receiver::<Student>()?;
    let stored = student.lock().save(&path, storage);
    let stored = stored.with_context(|| format!("can't save {}", path.display()))?;
    stored_weights(&stored, "")
}

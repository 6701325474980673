//! A checkpoint: a language model's sizes, weights and tokenizer files, in Hugging Face's terms whatever
//! kind of file they come from.

mod folder;
mod gguf;
mod memory;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use crate::diag::{Context, Error, Interrupt, Result};
use crate::numeric::Array;
use crate::tokenizer::Tokenizer;

pub use memory::InMemory;

/// Files that stay with a model.
const COMPANIONS: &[&str] = &[
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
];

/// Opens what a model comes in: a folder as Hugging Face's hub has it, or a GGUF file.
pub fn open(path: &Path) -> Result<Checkpoint> {
    if path.is_dir() {
        return folder::open(path).with_context(|| path.display().to_string());
    }
    gguf::open(path)
}

/// A model that is to be converted.
pub struct Checkpoint {
    /// `config.json`.
    pub config: Map<String, Value>,
    /// Files that stay with the model, by name: `tokenizer.json`, `tokenizer_config.json`,
    /// `generation_config.json`, `chat_template.jinja` and the like.
    pub companions: BTreeMap<String, Vec<u8>>,
    /// Its weights by Hugging Face's names (`model.layers.0.self_attn.q_proj.weight`), in the layout that
    /// `transformers` keeps them in.
    pub tensors: Arc<dyn Tensors>,
    /// Once it is set no weight is read any more.
    pub interrupt: Interrupt,
    parsed: OnceLock<Option<Arc<Tokenizer>>>,
}

/// Weights that are read when they are asked for.
pub trait Tensors: Send + Sync {
    /// Name and shape of every weight, by name.
    fn shapes(&self) -> &BTreeMap<String, Vec<usize>>;

    /// The weight called `name`, which is one of [`Tensors::shapes`]. Quantised weights come as fp32.
    fn read(&self, name: &str) -> Result<Array>;
}

impl Checkpoint {
    pub fn new(
        config: Map<String, Value>,
        companions: BTreeMap<String, Vec<u8>>,
        tensors: impl Tensors + 'static,
    ) -> Self {
        Self {
            config,
            companions,
            tensors: Arc::new(tensors),
            interrupt: Interrupt::default(),
            parsed: OnceLock::new(),
        }
    }

    /// Its tokenizer, if it has one; large ones take a while the first time.
    pub fn tokenizer(&self) -> Result<Option<Arc<Tokenizer>>> {
        if let Some(parsed) = self.parsed.get() {
            return Ok(parsed.clone());
        }
        let files = self.companions.clone();
        let parse = move || match files.contains_key("tokenizer.json") {
            true => Tokenizer::from_files(&files).map(|tokenizer| Some(Arc::new(tokenizer))),
            false => Ok(None),
        };
        let parsed = self.interrupt.leave(parse)??;
        Ok(self.parsed.get_or_init(|| parsed).clone())
    }

    /// The weight called `name`, which must have the shape `expected`.
    pub fn weight(&self, name: &str, expected: &[usize]) -> Result<Array> {
        let shapes = self.tensors.shapes();
        let Some(shape) = shapes.get(name) else {
            let known = shapes.keys().map(String::as_str);
            return Err(Error::unknown("weight", name, known)
                .or_hint("the files are incomplete, or config.json is of another model"));
        };
        if shape != expected {
            return Err(Error::new(format!(
                "weight \"{name}\" is {shape:?}, expected {expected:?} by config.json"
            )));
        }
        self.read(name)
    }

    /// The weight called `name`, whatever its shape.
    pub(super) fn read(&self, name: &str) -> Result<Array> {
        let (tensors, name) = (self.tensors.clone(), name.to_owned());
        self.interrupt.leave(move || tensors.read(&name))?
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let weights = self.tensors.shapes().len();
        write!(f, "Checkpoint({weights} weights)")
    }
}

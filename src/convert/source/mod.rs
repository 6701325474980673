//! A checkpoint: a language model's sizes, weights and tokenizer files, in Hugging Face's terms whatever
//! kind of file they come from.

mod folder;
mod gguf;
mod memory;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

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
    pub tensors: Box<dyn Tensors>,
    /// Once it is set no weight is read any more.
    pub interrupt: Interrupt,
}

/// Weights that are read when they are asked for.
pub trait Tensors: Send + Sync {
    /// Name and shape of every weight, by name.
    fn shapes(&self) -> &BTreeMap<String, Vec<usize>>;

    /// The weight called `name`, which is one of [`Tensors::shapes`]. Quantised weights come as fp32.
    fn read(&self, name: &str) -> Result<Array>;
}

impl Checkpoint {
    /// Its tokenizer, if it has one.
    pub fn tokenizer(&self) -> Result<Option<Tokenizer>> {
        match self.companions.contains_key("tokenizer.json") {
            true => Tokenizer::from_files(&self.companions).map(Some),
            false => Ok(None),
        }
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
        self.interrupt.check()?;
        self.tensors.read(name)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let weights = self.tensors.shapes().len();
        write!(f, "Checkpoint({weights} weights)")
    }
}

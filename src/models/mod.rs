//! Language models: a bundle, its tokenizer and an engine as one thing that gives logits and text; and
//! the student, whose weights learn.

mod companions;
mod compress;
mod convention;
mod coreml_model;
mod decoding;
mod embedded;
mod lora;
mod policy;
mod student;

pub use companions::Companion;
pub use compress::{CompressOptions, Compression, compress};
pub use convention::Convention;
pub use coreml_model::{CoreMLModelWrapper, EngineChoice, LoadOptions};
pub use decoding::Decoding;
pub use embedded::{EMBEDDED, embedded};
pub use lora::{Adapters, LoraOptions};
pub use policy::{Policy, Scores};
pub use student::{StepReport, StudentModel, Trainable};

//! Language models: a bundle, its tokenizer and an engine as one thing that gives logits and text; and
//! the student, whose weights learn.

mod compress;
mod conventions;
mod coreml_model;
mod decoding;
mod embedded;
mod lora;
mod opened;
mod parts;
mod policy;
mod student;
mod texts;

pub use compress::{BLOCK, CompressOptions, Compression, ELEMENTS_MIN, MIXED_LOSS, compress};
pub use conventions::{
    Bounds, Calls, Companion, Convention, Runner, Span, TASK, Tokens, Whole, recognise,
};
pub use coreml_model::{CoreMLModelWrapper, EngineChoice, LoadOptions};
pub use decoding::Decoding;
pub use embedded::{EMBEDDED, embedded};
pub use lora::{Adapters, LoraOptions};
pub use policy::{Policy, Scores};
pub use student::{StepReport, StudentModel, StudentState, Trainable};
pub use texts::text_outputs;

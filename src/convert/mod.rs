//! Making ML Programs: a small builder of MIL and the model families described on it.

mod builder;
mod llama;
mod source;
mod tables;

pub use builder::{Builder, Var};
pub use llama::{Llama, LlamaConfig};
pub use source::{Checkpoint, Tensors, open};

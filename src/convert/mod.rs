//! Making ML Programs: a small builder of MIL and the model families described on it.

mod builder;
mod llama;
mod tables;

pub use builder::{Builder, Var};
pub use llama::{Llama, LlamaConfig};

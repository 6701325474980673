//! Making ML Programs: a small builder of MIL and the model families described on it.

mod builder;
mod conversion;
mod decoder;
mod families;
mod llama;
mod oracle;
mod source;

pub use builder::{Builder, Var};
pub use conversion::{BATCH, CONTEXT, ConvertOptions, convert};
pub use decoder::Precision;
pub use llama::{Llama, LlamaConfig};
pub use oracle::Oracle;
pub use source::{Checkpoint, Tensors, open};

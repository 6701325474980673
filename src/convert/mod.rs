//! Making ML Programs: a small builder of MIL and the model families described on it.

mod builder;
mod conversion;
mod distance;
mod families;
mod job;
mod llama;
mod oracle;
mod quantize;
mod source;
mod subject;
mod transformer;

pub use builder::{Builder, Var};
pub use conversion::{BATCH, CONTEXT, ConvertOptions, convert};
pub use distance::Distance;
pub use job::{Converted, Found, Job};
pub use llama::{Llama, LlamaConfig};
pub use oracle::Oracle;
pub use quantize::{Quantized, quantize, stored_weights};
pub use source::{Checkpoint, Tensors, open};
pub use subject::{Subject, verify};
pub use transformer::Precision;

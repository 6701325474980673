//! What is fuzzed. Each function takes any bytes and returns; a panic, a hang or an allocation beyond all
//! limits is a finding. The targets of `cargo fuzz` and the replay of the corpora in `cargo test` call
//! the same ones.

mod arguments;
mod dice;
pub mod formats;
pub mod operations;
mod programs;

pub use formats::{blob, metadata, proto, text};
pub use operations::operations;
pub use programs::bundle;

/// Takes any bytes.
pub type Body = fn(&[u8]);

/// Every body under the name of its target and corpus.
pub const BODIES: [(&str, Body); 6] = [
    ("text", text),
    ("proto", proto),
    ("blob", blob),
    ("metadata", metadata),
    ("bundle", bundle),
    ("operations", operations),
];

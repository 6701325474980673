//! Files from a small writer: every architecture, the tokenizers, what is wrong with damaged ones.

mod architectures;
mod hostile;
mod tokenizers;
mod writer;

use std::io::Write as _;
use std::ops::Deref;

use tempfile::{NamedTempFile, TempPath};

use self::writer::Writer;
use super::open;
use crate::convert::source::Checkpoint;
use crate::diag::Result;

/// A checkpoint and the file that its weights are read from.
struct Opened(
    Checkpoint,
    #[allow(dead_code, reason = "is removed when dropped")] TempPath,
);

impl Deref for Opened {
    type Target = Checkpoint;

    fn deref(&self) -> &Checkpoint {
        &self.0
    }
}

/// Opens a file of these bytes.
fn opened(bytes: &[u8]) -> Result<Opened> {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Ok(Opened(open(file.path())?, file.into_temp_path()))
}

/// The metadata of a small model without a tokenizer, and its embedding: 4 tokens, width 8, 2 heads.
fn small(architecture: &str) -> Writer {
    let key = |name: &str| format!("{architecture}.{name}");
    Writer::default()
        .text("general.architecture", architecture)
        .count(&key("block_count"), 1)
        .count(&key("context_length"), 16)
        .count(&key("embedding_length"), 8)
        .count(&key("feed_forward_length"), 12)
        .count(&key("attention.head_count"), 2)
        .float(&key("attention.layer_norm_rms_epsilon"), 1e-5)
        .float(&key("attention.layer_norm_epsilon"), 1e-5)
        .tensor("token_embd.weight", &[4, 8])
}

//! Core ML's weight blobs (`weight.bin`), both ways, memory-mapped.

use std::path::Path;

use crate::diag::Result;
use crate::numeric::{Array, DType};

/// A memory-mapped weight file.
pub struct Blob {}

impl Blob {
    /// Maps `path` and checks its header.
    pub fn open(_path: &Path) -> Result<Self> {
        unimplemented!()
    }

    /// The entry whose metadata stands at `offset`, as an array of `dtype` and `shape`; sub-byte
    /// elements are unpacked to a byte each.
    pub fn read(&self, _offset: u64, _dtype: DType, _shape: &[usize]) -> Result<Array> {
        unimplemented!()
    }
}

//! Writes weight files, storing equal data once.

use std::collections::HashMap;
use std::io::{Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use super::layout::{self, ALIGNMENT, SENTINEL, VERSION};
use crate::diag::Result;
use crate::fail;
use crate::numeric::{Array, DType, pack};

/// Writes a weight file entry by entry.
pub struct BlobWriter<W: Write + Seek> {
    out: W,
    position: u64,
    count: u32,
    /// Hash of element type and data → offset of the metadata.
    written: HashMap<[u8; 32], u64>,
}

impl<W: Write + Seek> BlobWriter<W> {
    /// Starts a file at the beginning of `out`.
    pub fn new(mut out: W) -> Result<Self> {
        out.write_all(&[0; ALIGNMENT as usize])?;
        Ok(Self {
            out,
            position: ALIGNMENT,
            count: 0,
            written: HashMap::new(),
        })
    }

    /// Whether blobs can hold `dtype`.
    pub fn holds(dtype: DType) -> bool {
        layout::code(dtype).is_some()
    }

    /// Stores `array`; returns the offset by which a program refers to it. Equal data of the same
    /// type is stored once.
    pub fn append(&mut self, array: &Array) -> Result<u64> {
        let dtype = array.dtype();
        if dtype.bits() < 8 {
            let padding = (8 - array.len() * dtype.bits() % 8) % 8;
            return self.append_packed(dtype, &pack(array), padding as u64);
        }
        self.append_packed(dtype, array.bytes(), 0)
    }

    /// Stores bytes as they lie in a blob; `padding` is the number of unused bits in the last byte.
    pub fn append_packed(&mut self, dtype: DType, bytes: &[u8], padding: u64) -> Result<u64> {
        let Some(code) = layout::code(dtype) else {
            fail!("weight files can't hold {dtype}");
        };
        let key: [u8; 32] = Sha256::new()
            .chain_update(code.to_le_bytes())
            .chain_update(padding.to_le_bytes())
            .chain_update(bytes)
            .finalize()
            .into();
        if let Some(offset) = self.written.get(&key) {
            return Ok(*offset);
        }
        self.align()?;
        let offset = self.position;
        let mut metadata = [0u8; ALIGNMENT as usize];
        metadata[0..4].copy_from_slice(&SENTINEL.to_le_bytes());
        metadata[4..8].copy_from_slice(&code.to_le_bytes());
        metadata[8..16].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        metadata[16..24].copy_from_slice(&(offset + ALIGNMENT).to_le_bytes());
        metadata[24..32].copy_from_slice(&padding.to_le_bytes());
        self.write(&metadata)?;
        self.write(bytes)?;
        self.count += 1;
        self.written.insert(key, offset);
        Ok(offset)
    }

    /// Completes the header.
    pub fn finish(mut self) -> Result<W> {
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&self.count.to_le_bytes())?;
        self.out.write_all(&VERSION.to_le_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn align(&mut self) -> Result<()> {
        let gap = (ALIGNMENT - self.position % ALIGNMENT) % ALIGNMENT;
        self.write(&[0; ALIGNMENT as usize][..gap as usize])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

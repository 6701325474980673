//! Reads weight files: mapped or embedded, every bound checked.

use std::borrow::Cow;
use std::ops::Deref;
use std::path::Path;

use super::Mapped;
use super::layout::{self, ALIGNMENT, SENTINEL, VERSION};
use crate::diag::{Context, Result};
use crate::fail;
use crate::numeric::{Array, DType, unpack};

/// A weight file, mapped from disk or embedded in the program.
pub struct Blob {
    bytes: Bytes,
}

enum Bytes {
    Mapped(Mapped),
    Memory(Cow<'static, [u8]>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Memory(bytes) => bytes,
        }
    }
}

/// One entry: what its metadata says, checked against the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub dtype: DType,
    /// Absolute offset of the data.
    pub data: usize,
    /// Size of the data in bytes.
    pub size: usize,
}

impl Blob {
    /// Maps `path` and checks its header.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || Self::new(Bytes::Mapped(Mapped::open(path)?));
        open().with_context(|| format!("weight file {}", path.display()))
    }

    /// A weight file whose bytes are in memory.
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self> {
        Self::new(Bytes::Memory(bytes.into()))
    }

    fn new(bytes: Bytes) -> Result<Self> {
        let blob = Self { bytes };
        match blob.u32_at(4) {
            Some(VERSION) => Ok(blob),
            Some(other) => fail!("blob storage version {other} where {VERSION} is expected"),
            None => fail!("{} bytes are too few for a weight file", blob.bytes.len()),
        }
    }

    /// The entry whose metadata stands at `offset`.
    pub fn entry(&self, offset: u64) -> Result<Entry> {
        let Some(metadata) = self.slice(offset, ALIGNMENT) else {
            fail!(
                "offset {offset} is past the end of the weight file ({} bytes)",
                self.bytes.len()
            );
        };
        let u32_at = |i: usize| u32::from_le_bytes(metadata[i..i + 4].try_into().unwrap_or([0; 4]));
        let u64_at = |i: usize| u64::from_le_bytes(metadata[i..i + 8].try_into().unwrap_or([0; 8]));
        if u32_at(0) != SENTINEL {
            fail!("there is no weight entry at offset {offset}: its sentinel is missing");
        }
        let Some(dtype) = layout::dtype(u32_at(4)) else {
            fail!(
                "the entry at offset {offset} has the unknown element type {}",
                u32_at(4)
            );
        };
        let (size, data) = (u64_at(8), u64_at(16));
        if self.slice(data, size).is_none() {
            fail!(
                "the entry at offset {offset} has {size} bytes at {data}, past the end of the file ({} bytes)",
                self.bytes.len()
            );
        }
        Ok(Entry {
            dtype,
            data: data as usize,
            size: size as usize,
        })
    }

    /// The stored bytes of the entry at `offset`, without a copy; sub-byte types are packed in it.
    /// Fails unless the entry has `dtype` and just the size of `shape`.
    pub fn packed(&self, offset: u64, dtype: DType, shape: &[usize]) -> Result<&[u8]> {
        let entry = self.entry(offset)?;
        if entry.dtype != dtype {
            fail!(
                "the entry at offset {offset} holds {} where the program says {dtype}",
                entry.dtype
            );
        }
        let bits = shape
            .iter()
            .try_fold(dtype.bits(), |n, extent| n.checked_mul(*extent));
        if bits.map(|bits| bits.div_ceil(8)) != Some(entry.size) {
            fail!(
                "the entry at offset {offset} has {} bytes, which is not {dtype} of shape {shape:?}",
                entry.size
            );
        }
        Ok(&self.bytes[entry.data..entry.data + entry.size])
    }

    /// The entry whose metadata stands at `offset`, as an array of `dtype` and `shape`; sub-byte
    /// elements are unpacked to a byte each.
    pub fn read(&self, offset: u64, dtype: DType, shape: &[usize]) -> Result<Array> {
        let packed = self.packed(offset, dtype, shape)?;
        let bytes = if dtype.bits() < 8 {
            unpack(packed, dtype, shape.iter().product())
        } else {
            packed.to_vec()
        };
        Array::new(dtype, shape.to_vec(), bytes)
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn slice(&self, start: u64, length: u64) -> Option<&[u8]> {
        let start = usize::try_from(start).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        self.bytes.get(start..end)
    }

    fn u32_at(&self, at: u64) -> Option<u32> {
        let bytes = self.slice(at, 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::weights::BlobWriter;

    fn file(arrays: &[Array]) -> (Vec<u8>, Vec<u64>) {
        let mut out = Cursor::new(Vec::new());
        let mut writer = BlobWriter::new(&mut out).unwrap();
        let offsets = arrays.iter().map(|a| writer.append(a).unwrap()).collect();
        writer.finish().unwrap();
        (out.into_inner(), offsets)
    }

    fn blob(bytes: Vec<u8>) -> Result<Blob> {
        Blob::from_bytes(bytes)
    }

    #[test]
    fn what_is_written_is_read() {
        let arrays = [
            Array::from_f64s(DType::Fp16, vec![2, 3], &[1.0, -2.0, 0.5, 1e-7, 6e4, 0.0]).unwrap(),
            Array::from_i64s(DType::Int4, vec![3], &[-8, 7, -1]).unwrap(),
            Array::from_i64s(DType::Uint3, vec![5], &[0, 1, 2, 7, 5]).unwrap(),
            Array::from_i32(vec![1], &[-7]).unwrap(),
        ];
        let (bytes, offsets) = file(&arrays);
        assert_eq!(offsets, [64, 192, 320, 448]);
        assert_eq!(bytes[..8], [4, 0, 0, 0, 2, 0, 0, 0]);
        let blob = blob(bytes).unwrap();
        for (array, offset) in arrays.iter().zip(offsets) {
            let read = blob.read(offset, array.dtype(), array.shape()).unwrap();
            assert_eq!(read, *array);
        }
    }

    #[test]
    fn wrong_requests_say_what_is_there() {
        let array = Array::from_f64s(DType::Fp16, vec![3], &[1.0, 2.0, 3.0]).unwrap();
        let (bytes, _) = file(&[array]);
        let blob = blob(bytes).unwrap();
        let error = |offset, dtype, shape: &[usize]| {
            blob.read(offset, dtype, shape).unwrap_err().to_string()
        };
        for (error, message) in [
            (
                error(64, DType::Fp32, &[3]),
                "holds fp16 where the program says fp32",
            ),
            (
                error(64, DType::Fp16, &[4]),
                "has 6 bytes, which is not fp16 of shape [4]",
            ),
            (
                error(64, DType::Fp16, &[usize::MAX, 3]),
                "which is not fp16",
            ),
            (
                error(128, DType::Fp16, &[3]),
                "past the end of the weight file",
            ),
            (error(0, DType::Fp16, &[3]), "sentinel is missing"),
            (error(u64::MAX, DType::Fp16, &[3]), "past the end"),
        ] {
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn damaged_files_are_refused() {
        let (bytes, _) = file(&[Array::from_i32(vec![2], &[1, 2]).unwrap()]);
        assert!(blob(bytes[..7].to_vec()).is_err());
        let mut old = bytes.clone();
        old[4] = 1;
        assert!(blob(old).is_err());
        for (at, value) in [(68, 99), (72, 200), (80, 255), (87, 255)] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            assert!(blob(damaged).unwrap().read(64, DType::Int32, &[2]).is_err());
        }
    }
}

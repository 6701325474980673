//! What stands before the weights of a GGUF file: metadata, and where each tensor is.
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. A file may be anything: nothing
//! is allocated by a length that the file itself could not hold.

use std::collections::BTreeMap;
use std::io::Read;

use candle_core::quantized::GgmlDType;

use super::metadata::{Metadata, Value};
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::numeric::elements;

/// Metadata and tensors of a file.
pub(super) struct Header {
    pub metadata: Metadata,
    pub tensors: BTreeMap<String, Stored>,
}

/// A tensor as it lies in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    pub form: GgmlDType,
    /// Slowest first, as everywhere but in GGUF.
    pub shape: Vec<usize>,
    /// From the start of the file.
    pub offset: u64,
    pub bytes: usize,
}

/// What tensors begin at multiples of, unless the metadata says otherwise.
const ALIGNMENT: u64 = 32;
const ALIGNMENT_MAX: i64 = 1 << 16;
const RANK_MAX: u32 = 4;

impl Header {
    /// Reads the head of a file of `size` bytes.
    pub fn read(source: impl Read, size: u64) -> Result<Self> {
        let mut cursor = Cursor {
            source,
            at: 0,
            size,
            wide: true,
        };
        if cursor.bytes(4)? != b"GGUF" {
            fail!("not a GGUF file: it does not begin with \"GGUF\"");
        }
        match cursor.u32()? {
            1 => cursor.wide = false,
            2 | 3 => {}
            version if version.swap_bytes() <= 3 => {
                fail!("the file is for big-endian machines, expected a little-endian one")
            }
            version => fail!("GGUF version {version}, expected 1 to 3"),
        }
        let (tensors, entries) = (cursor.length()?, cursor.length()?);
        let mut metadata = Metadata::default();
        for _ in 0..entries {
            let key = cursor.text().context("a key of the metadata")?;
            let value = cursor.u32().and_then(|kind| cursor.value(kind));
            metadata.insert(&key, value.with_context(|| format!("metadata \"{key}\""))?)?;
        }
        let mut places = BTreeMap::new();
        for _ in 0..tensors {
            let name = cursor.text().context("a tensor's name")?;
            let place = cursor
                .tensor()
                .with_context(|| format!("tensor \"{name}\""))?;
            if places.insert(name.clone(), place).is_some() {
                fail!("there are two tensors \"{name}\"");
            }
        }
        let start = cursor.at.next_multiple_of(alignment(&metadata)?);
        for (name, place) in &mut places {
            let end = start
                .checked_add(place.offset)
                .inspect(|at| place.offset = *at);
            let end = end.and_then(|at| at.checked_add(place.bytes as u64));
            if end.is_none_or(|end| end > size) {
                return Err(truncated(size).context(format!("tensor \"{name}\"")));
            }
        }
        Ok(Self {
            metadata,
            tensors: places,
        })
    }
}

fn alignment(metadata: &Metadata) -> Result<u64> {
    match metadata.int("general.alignment")? {
        None => Ok(ALIGNMENT),
        Some(n) if (1..=ALIGNMENT_MAX).contains(&n) => Ok(n as u64),
        Some(n) => fail!("general.alignment is {n}, expected 1 to {ALIGNMENT_MAX}"),
    }
}

fn truncated(size: u64) -> Error {
    Error::new(format!("the file ends too early, after {size} bytes"))
        .hint("it is cut off or damaged: download it again")
}

/// A place in the file.
struct Cursor<R> {
    source: R,
    at: u64,
    size: u64,
    /// Whether lengths have 64 bits.
    wide: bool,
}

impl<R: Read> Cursor<R> {
    fn bytes(&mut self, count: u64) -> Result<Vec<u8>> {
        if count > self.size - self.at {
            return Err(truncated(self.size));
        }
        let mut bytes = vec![0; count as usize];
        self.source.read_exact(&mut bytes)?;
        self.at += count;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        if N as u64 > self.size - self.at {
            return Err(truncated(self.size));
        }
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn length(&mut self) -> Result<u64> {
        match self.wide {
            true => self.u64(),
            false => self.u32().map(u64::from),
        }
    }

    fn text(&mut self) -> Result<String> {
        let length = self.length()?;
        String::from_utf8(self.bytes(length)?).map_err(|_| Error::new("text that is not UTF-8"))
    }

    fn whole(&mut self, kind: u32) -> Result<i64> {
        Ok(match kind {
            0 => self.array::<1>()?[0].into(),
            1 => self.array().map(i8::from_le_bytes)?.into(),
            2 => self.array().map(u16::from_le_bytes)?.into(),
            3 => self.array().map(i16::from_le_bytes)?.into(),
            4 => self.u32()?.into(),
            5 => self.array().map(i32::from_le_bytes)?.into(),
            10 => match i64::try_from(self.u64()?) {
                Ok(value) => value,
                Err(_) => fail!("a number is too large"),
            },
            _ => self.array().map(i64::from_le_bytes)?,
        })
    }

    fn flag(&mut self) -> Result<bool> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => fail!("a truth value is {other}, expected 0 or 1"),
        }
    }

    fn value(&mut self, kind: u32) -> Result<Value> {
        Ok(match kind {
            0..=5 | 10 | 11 => Value::Int(self.whole(kind)?),
            6 => Value::Float(self.array().map(f32::from_le_bytes).map(decimal)?),
            12 => Value::Float(self.array().map(f64::from_le_bytes)?),
            7 => Value::Flag(self.flag()?),
            8 => Value::Text(self.text()?),
            9 => {
                let kind = self.u32()?;
                let count = self.length()?;
                self.list(kind, count)?
            }
            other => fail!("type {other} is unknown, expected 0 to 12"),
        })
    }

    fn list(&mut self, kind: u32, count: u64) -> Result<Value> {
        // Grows as elements are read: a false count ends at the end of the file.
        Ok(match kind {
            0..=5 | 10 | 11 => Value::Ints(
                (0..count)
                    .map(|_| self.whole(kind))
                    .collect::<Result<_>>()?,
            ),
            6 => Value::Floats(
                (0..count)
                    .map(|_| self.array().map(f32::from_le_bytes).map(f64::from))
                    .collect::<Result<_>>()?,
            ),
            12 => Value::Floats(
                (0..count)
                    .map(|_| self.array().map(f64::from_le_bytes))
                    .collect::<Result<_>>()?,
            ),
            7 => Value::Ints(
                (0..count)
                    .map(|_| self.flag().map(i64::from))
                    .collect::<Result<_>>()?,
            ),
            8 => Value::Texts((0..count).map(|_| self.text()).collect::<Result<_>>()?),
            9 => fail!("lists of lists are not read"),
            other => fail!("type {other} is unknown, expected 0 to 12"),
        })
    }

    fn tensor(&mut self) -> Result<Stored> {
        let rank = self.u32()?;
        if rank > RANK_MAX {
            fail!("{rank} extents, expected {RANK_MAX} at most");
        }
        let mut shape = Vec::new();
        for _ in 0..rank {
            shape.push(usize::try_from(self.length()?).unwrap_or(usize::MAX));
        }
        let form = form(self.u32()?)?;
        // An offset from the first tensor's place, until that is known.
        let offset = self.u64()?;
        let (block, width) = (form.block_size(), form.type_size());
        if shape
            .first()
            .is_some_and(|inner| !inner.is_multiple_of(block))
        {
            fail!(
                "rows of {} elements do not divide into blocks of {block} as {form:?} has",
                shape[0]
            );
        }
        shape.reverse();
        let bytes = elements(&shape).and_then(|count| (count / block).checked_mul(width));
        match bytes {
            Some(bytes) if bytes > 0 => Ok(Stored {
                form,
                shape,
                offset,
                bytes,
            }),
            _ => fail!("its shape {shape:?} is no tensor's"),
        }
    }
}

/// The shortest decimal number that is `value`: 1e-5 rather than 9.999999747378752e-6.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

/// How a tensor is stored, by its number in the format.
fn form(number: u32) -> Result<GgmlDType> {
    let others = OTHERS.iter().find(|(known, _)| *known == number);
    match (FORMS.iter().find(|(known, _)| *known == number), others) {
        (Some((_, form)), _) => Ok(*form),
        (None, Some((_, name))) => Err(Error::new(format!(
            "its weights are stored as {name}, which is not read"
        ))
        .hint("take a file in F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 or Q2_K to Q6_K")),
        (None, None) => fail!("its storage type {number} is unknown"),
    }
}

/// What candle dequantises.
const FORMS: [(u32, GgmlDType); 13] = [
    (0, GgmlDType::F32),
    (1, GgmlDType::F16),
    (2, GgmlDType::Q4_0),
    (3, GgmlDType::Q4_1),
    (6, GgmlDType::Q5_0),
    (7, GgmlDType::Q5_1),
    (8, GgmlDType::Q8_0),
    (10, GgmlDType::Q2K),
    (11, GgmlDType::Q3K),
    (12, GgmlDType::Q4K),
    (13, GgmlDType::Q5K),
    (14, GgmlDType::Q6K),
    (30, GgmlDType::BF16),
];

const OTHERS: [(u32, &str); 20] = [
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
];

//! A dense array in host memory, with its MIL element type: the currency between files and engines.

use std::sync::Arc;

use half::{bf16, f16};

use super::DType;
use crate::diag::Result;
use crate::fail;

/// A dense, row-major, little-endian array.
///
/// Sub-byte integers take one byte each (`int4` as `i8`, `uintN` as `u8`); booleans are 0 or 1. Clones share
/// the elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    dtype: DType,
    shape: Vec<usize>,
    bytes: Arc<Vec<u8>>,
}

impl Array {
    /// Wraps `bytes`; fails unless they hold exactly the elements of `shape`.
    pub fn new(dtype: DType, shape: Vec<usize>, bytes: Vec<u8>) -> Result<Self> {
        let need = elements(&shape).and_then(|n| n.checked_mul(dtype.bytes()));
        if need != Some(bytes.len()) || dtype == DType::String {
            fail!(
                "{dtype} array of shape {shape:?} can't be made from {} bytes",
                bytes.len()
            );
        }
        Ok(Self {
            dtype,
            shape,
            bytes: Arc::new(bytes),
        })
    }

    pub fn from_f32(shape: Vec<usize>, values: &[f32]) -> Result<Self> {
        Self::new(DType::Fp32, shape, bytes(values, |v| v.to_le_bytes()))
    }

    pub fn from_i32(shape: Vec<usize>, values: &[i32]) -> Result<Self> {
        Self::new(DType::Int32, shape, bytes(values, |v| v.to_le_bytes()))
    }

    /// Rounds `values` to a float type (fp16, bf16, fp32 or fp64).
    pub fn from_f64s(dtype: DType, shape: Vec<usize>, values: &[f64]) -> Result<Self> {
        let bytes = match dtype {
            DType::Fp16 => bytes(values, |v| f16::from_f64(*v).to_le_bytes()),
            DType::Bf16 => bytes(values, |v| bf16::from_f64(*v).to_le_bytes()),
            DType::Fp32 => bytes(values, |v| (*v as f32).to_le_bytes()),
            DType::Fp64 => bytes(values, |v| v.to_le_bytes()),
            other => fail!("{other} is not a float type to write"),
        };
        Self::new(dtype, shape, bytes)
    }

    /// Stores integers as any integer type or bool; a value out of the type's range is an error.
    pub fn from_i64s(dtype: DType, shape: Vec<usize>, values: &[i64]) -> Result<Self> {
        let (low, high) = int_range(dtype)?;
        if let Some(bad) = values
            .iter()
            .find(|v| i128::from(**v) < low || i128::from(**v) > high)
        {
            fail!("{bad} is out of the range of {dtype}");
        }
        let size = dtype.bytes();
        let bytes = values
            .iter()
            .flat_map(|v| v.to_le_bytes().into_iter().take(size))
            .collect();
        Self::new(dtype, shape, bytes)
    }

    /// The same values in another element type: floats are rounded to nearest; a value that an integer
    /// type can't hold exactly is an error.
    pub fn cast(&self, dtype: DType) -> Result<Self> {
        if dtype == self.dtype {
            return Ok(self.clone());
        }
        if dtype.is_float() {
            return Self::from_f64s(dtype, self.shape.clone(), &self.to_f64s());
        }
        if self.dtype.is_float()
            && let Some(bad) = self
                .to_f64s()
                .iter()
                .find(|v| v.fract() != 0.0 || v.abs() >= 2f64.powi(63))
        {
            fail!("{bad} is not a whole number in range, expected {dtype}");
        }
        Self::from_i64s(dtype, self.shape.clone(), &self.to_i64s())
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.dtype.bytes()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The same elements in another shape of equal size.
    pub fn reshaped(self, shape: Vec<usize>) -> Result<Self> {
        if elements(&shape) != Some(self.len()) {
            fail!(
                "{} elements of shape {:?} have no shape {shape:?}",
                self.len(),
                self.shape
            );
        }
        Ok(Self { shape, ..self })
    }

    /// All elements as `f32`; integers and booleans are converted.
    pub fn to_f32s(&self) -> Vec<f32> {
        match self.dtype {
            DType::Fp32 => self.chunks(f32::from_le_bytes),
            DType::Fp16 => self.chunks(|b| f16::from_le_bytes(b).to_f32()),
            _ => self.to_f64s().into_iter().map(|v| v as f32).collect(),
        }
    }

    /// All elements as `f64`; exact for every type but large 64-bit integers.
    pub fn to_f64s(&self) -> Vec<f64> {
        match self.dtype {
            DType::Fp16 => self.chunks(|b| f16::from_le_bytes(b).to_f64()),
            DType::Bf16 => self.chunks(|b| bf16::from_le_bytes(b).to_f64()),
            DType::Fp32 => self.chunks(|b| f64::from(f32::from_le_bytes(b))),
            DType::Fp64 => self.chunks(f64::from_le_bytes),
            DType::Fp8E4M3FN => self.bytes.iter().map(|b| fp8(*b, 4, 7, false)).collect(),
            DType::Fp8E5M2 => self.bytes.iter().map(|b| fp8(*b, 5, 15, true)).collect(),
            _ => self.to_i64s().into_iter().map(|v| v as f64).collect(),
        }
    }

    /// All elements as `i64`; floats are truncated towards zero, `uint64` wraps.
    pub fn to_i64s(&self) -> Vec<i64> {
        match self.dtype {
            DType::Int4 | DType::Int8 => self.chunks(|b| i64::from(i8::from_le_bytes(b))),
            DType::Int16 => self.chunks(|b| i64::from(i16::from_le_bytes(b))),
            DType::Int32 => self.chunks(|b| i64::from(i32::from_le_bytes(b))),
            DType::Int64 => self.chunks(i64::from_le_bytes),
            DType::Uint16 => self.chunks(|b| i64::from(u16::from_le_bytes(b))),
            DType::Uint32 => self.chunks(|b| i64::from(u32::from_le_bytes(b))),
            DType::Uint64 => self.chunks(|b| u64::from_le_bytes(b) as i64),
            d if d.is_float() => self.to_f64s().into_iter().map(|v| v as i64).collect(),
            _ => self.bytes.iter().map(|b| i64::from(*b)).collect(),
        }
    }

    fn chunks<const N: usize, T>(&self, read: impl Fn([u8; N]) -> T) -> Vec<T> {
        self.bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|chunk| read(*chunk))
            .collect()
    }
}

/// The bytes of all values, in their order.
fn bytes<T, const N: usize>(values: &[T], write: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
    values
        .iter()
        .map(write)
        .collect::<Vec<_>>()
        .into_flattened()
}

/// Number of elements of a shape, unless it overflows.
pub(crate) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))
}

fn int_range(dtype: DType) -> Result<(i128, i128)> {
    let bits = dtype.bits() as u32;
    Ok(match dtype {
        DType::Bool => (0, 1),
        DType::Int4 | DType::Int8 | DType::Int16 | DType::Int32 | DType::Int64 => {
            (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
        }
        d if d.is_int() => (0, (1i128 << bits) - 1),
        other => fail!("{other} is not an integer type"),
    })
}

/// An 8-bit float (OCP 8-bit floating point specification, 2023); `infinite` as in E5M2.
fn fp8(byte: u8, exponent_bits: u32, bias: i32, infinite: bool) -> f64 {
    let mantissa_bits = 7 - exponent_bits;
    let sign = if byte & 0x80 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((byte & 0x7f) >> mantissa_bits);
    let mantissa = f64::from(byte & ((1 << mantissa_bits) - 1)) / f64::from(1 << mantissa_bits);
    let top = (1 << exponent_bits) - 1;
    match (infinite, exponent == top) {
        (true, true) if mantissa == 0.0 => sign * f64::INFINITY,
        (true, true) => f64::NAN,
        (false, true) if byte & 0x7f == 0x7f => f64::NAN,
        _ if exponent == 0 => sign * mantissa * 2f64.powi(1 - bias),
        _ => sign * (1.0 + mantissa) * 2f64.powi(exponent - bias),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_byte_count_is_an_error() {
        assert!(Array::new(DType::Fp16, vec![3], vec![0; 5]).is_err());
        assert!(Array::new(DType::Fp16, vec![usize::MAX, 4], vec![]).is_err());
    }

    #[test]
    fn integers_keep_their_sign_and_range() {
        let array = Array::from_i64s(DType::Int4, vec![2], &[-8, 7]).unwrap();
        assert_eq!(array.to_i64s(), [-8, 7]);
        assert!(Array::from_i64s(DType::Int4, vec![1], &[8]).is_err());
    }

    #[test]
    fn a_cast_keeps_values_or_says_why_not() {
        let check = |value: f64, dtype, expected: Option<f64>| {
            let array = Array::from_f64s(DType::Fp64, vec![1], &[value]).unwrap();
            let cast = array.cast(dtype).ok();
            assert_eq!(cast.map(|a| a.to_f64s()[0]), expected, "{value} as {dtype}");
        };
        check(-3.0, DType::Int32, Some(-3.0));
        check(1.0, DType::Bool, Some(1.0));
        check(0.1, DType::Fp16, Some(0.0999755859375));
        check(0.5, DType::Int32, None);
        check(f64::NAN, DType::Int32, None);
        check(f64::INFINITY, DType::Int8, None);
        check(300.0, DType::Uint8, None);
        check(1e30, DType::Int64, None);
    }

    #[test]
    fn fp8_reads_the_specification_extremes() {
        let read = |dtype, byte| Array::new(dtype, vec![1], vec![byte]).unwrap().to_f64s()[0];
        assert_eq!(read(DType::Fp8E4M3FN, 0x7e), 448.0);
        assert_eq!(read(DType::Fp8E5M2, 0x7b), 57344.0);
        assert_eq!(read(DType::Fp8E4M3FN, 0x01), 2f64.powi(-9));
        assert!(read(DType::Fp8E5M2, 0xfc).is_infinite());
    }
}

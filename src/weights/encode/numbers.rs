//! The numbers that an element type holds.

use half::f16;

use crate::diag::Result;
use crate::fail;
use crate::numeric::{Array, DType};

/// An element type that compressed weights are stored in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Numbers {
    /// Whole numbers of a range.
    Whole {
        dtype: DType,
        low: f32,
        high: f32,
    },
    Fp16,
    Fp32,
}

impl Numbers {
    pub fn of(dtype: DType) -> Result<Self> {
        let bits = dtype.bits() as i32;
        Ok(match dtype {
            DType::Fp16 => Numbers::Fp16,
            DType::Fp32 => Numbers::Fp32,
            DType::Int4 | DType::Int8 => Numbers::Whole {
                dtype,
                low: -(2f32.powi(bits - 1)),
                high: 2f32.powi(bits - 1) - 1.0,
            },
            _ if dtype.is_int() && bits <= 8 => Numbers::Whole {
                dtype,
                low: 0.0,
                high: 2f32.powi(bits) - 1.0,
            },
            other => fail!("weights are not stored as {other}"),
        })
    }

    /// The number of this type that is nearest to `value`; ties go to the even one.
    pub fn nearest(self, value: f32) -> f32 {
        match self {
            Numbers::Whole { low, high, .. } => value.round_ties_even().clamp(low, high),
            Numbers::Fp16 => f16::from_f32(value).to_f32(),
            Numbers::Fp32 => value,
        }
    }

    /// The offset that makes a range symmetric: 0 for signed types, the middle for unsigned ones.
    pub fn middle(self) -> f32 {
        match self {
            Numbers::Whole { low, high, .. } => (low + high + 1.0) / 2.0,
            Numbers::Fp16 | Numbers::Fp32 => 0.0,
        }
    }

    /// The smallest positive number.
    pub fn smallest(self) -> f32 {
        match self {
            Numbers::Whole { .. } => 1.0,
            Numbers::Fp16 => f16::from_bits(1).to_f32(),
            Numbers::Fp32 => f32::from_bits(1),
        }
    }

    /// Numbers of this type as an array.
    pub fn array(self, shape: Vec<usize>, values: &[f32]) -> Result<Array> {
        match self {
            Numbers::Fp32 => Array::from_f32(shape, values),
            Numbers::Fp16 => {
                let halves = values.iter().map(|v| f16::from_f32(*v));
                let bytes = halves.flat_map(|half| half.to_le_bytes()).collect();
                Array::new(DType::Fp16, shape, bytes)
            }
            Numbers::Whole { dtype, .. } => {
                let bytes = values.iter().map(|v| *v as i16 as u8).collect();
                Array::new(dtype, shape, bytes)
            }
        }
    }
}

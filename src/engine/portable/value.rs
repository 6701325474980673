//! Values at run time: candle tensors with their MIL type, lists, strings, states; and the way between
//! candle tensors and plain [`Array`]s.
//!
//! Floats compute in one candle type (f32, or f64 for gradient checks), whatever a program declares;
//! integers are i64 and booleans u8, both on the CPU. An op that combines them with floats moves them.

use std::sync::{Arc, OnceLock};

use candle_core::{DType as Candle, Device, Tensor};
use half::f16;
use half::slice::HalfFloatSliceExt as _;
use rayon::prelude::*;

use super::kernels::Packed;
use crate::diag::Result;
use crate::fail;
use crate::numeric::{Array, DType};

/// What flows between operations.
#[derive(Debug, Clone)]
pub enum Value {
    Tensor {
        tensor: Tensor,
        /// The declared type: compute may be wider.
        dtype: DType,
    },
    /// A constant of integers or booleans, kept as it is stored until an op needs a tensor.
    Host(Arc<Host>),
    /// A string, or a tensor of strings.
    Texts(Arc<Vec<String>>),
    /// A MIL list; items not yet written are `None`.
    List(Arc<Vec<Option<Value>>>),
    /// A constant matrix as the kernels want it.
    Packed(Arc<Packed>),
    /// A reference to a state of the function, by name.
    State(Arc<str>),
}

/// An array in host memory with its tensor form, made when first asked for.
#[derive(Debug)]
pub struct Host {
    pub array: Array,
    tensor: OnceLock<Tensor>,
}

impl Value {
    pub fn host(array: Array) -> Self {
        Value::Host(Arc::new(Host {
            array,
            tensor: OnceLock::new(),
        }))
    }

    pub fn text(text: &str) -> Self {
        Value::Texts(Arc::new(vec![text.to_owned()]))
    }

    /// The tensor; fails for strings, lists and states.
    pub fn tensor(&self) -> Result<&Tensor> {
        match self {
            Value::Tensor { tensor, .. } => Ok(tensor),
            Value::Host(host) => match host.tensor.get() {
                Some(tensor) => Ok(tensor),
                None => {
                    let tensor = integers(&host.array)?;
                    Ok(host.tensor.get_or_init(|| tensor))
                }
            },
            other => fail!("expected a tensor, got {}", other.kind()),
        }
    }

    pub fn dtype(&self) -> Option<DType> {
        match self {
            Value::Tensor { dtype, .. } => Some(*dtype),
            Value::Host(host) => Some(host.array.dtype()),
            Value::Texts(_) => Some(DType::String),
            _ => None,
        }
    }

    /// Bytes that the value takes, as if it shared none.
    pub fn bytes(&self) -> usize {
        let size = |tensor: &Tensor| tensor.elem_count() * tensor.dtype().size_in_bytes();
        match self {
            Value::Tensor { tensor, .. } => size(tensor),
            Value::Host(host) => host.array.bytes().len() + host.tensor.get().map_or(0, size),
            Value::Texts(texts) => texts.iter().map(String::len).sum(),
            Value::List(items) => {
                let held = items.iter().flatten().map(Value::bytes);
                held.fold(size_of_val(items.as_slice()), usize::saturating_add)
            }
            Value::Packed(matrix) => matrix.bytes(),
            Value::State(_) => 0,
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Value::Tensor { .. } | Value::Host(_) => "a tensor",
            Value::Texts(_) => "a string",
            Value::List(_) => "a list",
            Value::Packed(_) => "a packed matrix",
            Value::State(_) => "a state",
        }
    }

    /// All elements as integers; fails for floats.
    pub fn ints(&self) -> Result<Vec<i64>> {
        match self {
            Value::Host(host) => Ok(host.array.to_i64s()),
            _ => {
                let tensor = self.tensor()?;
                if tensor.dtype().is_float() {
                    fail!("expected integers, got {}", tensor.dtype().as_str());
                }
                Ok(tensor.flatten_all()?.to_dtype(Candle::I64)?.to_vec1()?)
            }
        }
    }

    /// All elements as floats.
    pub fn floats(&self) -> Result<Vec<f64>> {
        match self {
            Value::Host(host) => Ok(host.array.to_f64s()),
            _ => Ok(self
                .tensor()?
                .flatten_all()?
                .to_dtype(Candle::F64)?
                .to_vec1()?),
        }
    }

    /// Reads an array: floats become `float` tensors on `device`, the rest stays on the host.
    pub fn from_array(array: Array, float: Candle, device: &Device) -> Result<Self> {
        if !array.dtype().is_float() {
            return Ok(Value::host(array));
        }
        let dtype = array.dtype();
        Ok(Value::Tensor {
            tensor: floats(&array, float, device)?,
            dtype,
        })
    }

    /// The value as an array of `dtype`, rounded or truncated to it.
    pub fn to_array(&self, dtype: DType) -> Result<Array> {
        if let Value::Host(host) = self
            && host.array.dtype() == dtype
        {
            return Ok(host.array.clone());
        }
        let shape = self.tensor()?.dims().to_vec();
        if self.tensor()?.dtype() == Candle::F32 {
            let values = self.tensor()?.flatten_all()?.to_vec1::<f32>()?;
            match dtype {
                DType::Fp32 => return Array::new(dtype, shape, full_bytes(&values)),
                DType::Fp16 => return Array::new(dtype, shape, half_bytes(&values)),
                _ => {}
            }
        }
        if dtype.is_float() {
            return Array::from_f64s(dtype, shape, &self.floats()?);
        }
        let values: Vec<i64> = match self.tensor()?.dtype().is_float() {
            true => self.floats()?.into_iter().map(|v| v as i64).collect(),
            false => self.ints()?,
        };
        Array::from_i64s(dtype, shape, &values)
    }
}

/// Ops return bare tensors; the executor replaces the type by the declared one.
impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        let dtype = match tensor.dtype() {
            Candle::U8 => DType::Bool,
            Candle::I64 => DType::Int32,
            _ => DType::Fp32,
        };
        Value::Tensor { tensor, dtype }
    }
}

/// Elements that one task converts.
const CHUNK: usize = 16 * 1024;

fn full_bytes(values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; values.len() * 4];
    let parts = bytes
        .par_chunks_mut(4 * CHUNK)
        .zip(values.par_chunks(CHUNK));
    parts.for_each(|(bytes, values)| {
        for (bytes, value) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
            *bytes = value.to_le_bytes();
        }
    });
    bytes
}

/// Rounded to the nearest, to the even one of two.
fn half_bytes(values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; values.len() * 2];
    let parts = bytes
        .par_chunks_mut(2 * CHUNK)
        .zip(values.par_chunks(CHUNK));
    parts.for_each(|(bytes, values)| {
        let mut halves = vec![f16::ZERO; values.len()];
        halves.convert_from_f32_slice(values);
        for (bytes, half) in bytes.as_chunks_mut().0.iter_mut().zip(halves) {
            *bytes = half.to_le_bytes();
        }
    });
    bytes
}

/// A float array as a candle tensor of type `float`.
pub fn floats(array: &Array, float: Candle, device: &Device) -> Result<Tensor> {
    if float == Candle::F64 {
        return Ok(Tensor::from_vec(array.to_f64s(), array.shape(), device)?);
    }
    let values: Vec<f32> = match array.dtype() {
        DType::Fp16 => {
            let halves = array.bytes().as_chunks::<2>().0;
            halves
                .par_iter()
                .map(|b| f16::from_le_bytes(*b).to_f32())
                .collect()
        }
        _ => array.to_f32s(),
    };
    Ok(Tensor::from_vec(values, array.shape(), device)?.to_dtype(float)?)
}

fn integers(array: &Array) -> Result<Tensor> {
    Ok(match array.dtype() {
        DType::Bool => Tensor::from_slice(array.bytes(), array.shape(), &Device::Cpu)?,
        _ => Tensor::from_vec(array.to_i64s(), array.shape(), &Device::Cpu)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_hold_what_tensors_do() {
        let count = CHUNK + 3;
        let values: Vec<f32> = (0..count).map(|i| (i as f32 - 900.0) / 7.0).collect();
        let tensor = Tensor::from_vec(values.clone(), (count, 1), &Device::Cpu).unwrap();
        for dtype in [DType::Fp32, DType::Fp16, DType::Fp64] {
            let array = Value::from(tensor.t().unwrap()).to_array(dtype).unwrap();
            let exact: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
            assert_eq!(
                array,
                Array::from_f64s(dtype, vec![1, count], &exact).unwrap()
            );
        }
    }
}

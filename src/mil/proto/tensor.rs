//! Immediate tensors, both ways.
//!
//! fp16, bf16, fp8, int8, uint8, uint32 and all sub-byte types lie in a byte field, little-endian and
//! packed; int16, uint16 and int32 in 32-bit integers; 64-bit integers, fp32, fp64, booleans and
//! strings each in a field of their own.

use coreml_proto::proto::mil_spec::TensorValue;
use coreml_proto::proto::mil_spec::tensor_value::{
    RepeatedBools, RepeatedBytes, RepeatedDoubles, RepeatedFloats, RepeatedInts, RepeatedLongInts,
    RepeatedStrings, Value,
};

use crate::diag::Result;
use crate::fail;
use crate::mil::{Data, Dim};
use crate::numeric::{Array, DType};

/// Reads a tensor of `dtype` and declared extents `dims`.
pub(super) fn read(value: &TensorValue, dtype: DType, dims: &[Dim]) -> Result<Data> {
    let empty = Value::Bytes(RepeatedBytes::default());
    let value = value.value.as_ref().unwrap_or(&empty);
    if let (Value::Strings(texts), DType::String) = (value, dtype) {
        shape(dims, texts.values.len())?;
        return Ok(Data::Texts(texts.values.clone()));
    }
    let bytes = match value {
        Value::Floats(v) if dtype == DType::Fp32 => {
            v.values.iter().flat_map(|v| v.to_le_bytes()).collect()
        }
        Value::Doubles(v) if dtype == DType::Fp64 => {
            v.values.iter().flat_map(|v| v.to_le_bytes()).collect()
        }
        Value::Bools(v) if dtype == DType::Bool => v.values.iter().map(|v| u8::from(*v)).collect(),
        Value::Ints(v) if dtype.is_int() => {
            integers(dtype, v.values.iter().map(|v| i64::from(*v)).collect())?
        }
        Value::LongInts(v) if dtype == DType::Uint64 => {
            v.values.iter().flat_map(|v| v.to_le_bytes()).collect()
        }
        Value::LongInts(v) if dtype.is_int() => integers(dtype, v.values.clone())?,
        Value::Bytes(v) if dtype == DType::Bool => {
            v.values.iter().map(|v| u8::from(*v != 0)).collect()
        }
        Value::Bytes(v) if dtype != DType::String => unpack(dtype, dims, &v.values)?,
        _ => fail!("a tensor of {dtype} is stored as another type"),
    };
    let shape = shape(dims, bytes.len().checked_div(dtype.bytes()).unwrap_or(0))?;
    Array::new(dtype, shape, bytes).map(Data::Array)
}

fn integers(dtype: DType, values: Vec<i64>) -> Result<Vec<u8>> {
    let array = Array::from_i64s(dtype, vec![values.len()], &values)?;
    Ok(array.bytes().to_vec())
}

fn unpack(dtype: DType, dims: &[Dim], bytes: &[u8]) -> Result<Vec<u8>> {
    if dtype.bits() >= 8 {
        return Ok(bytes.to_vec());
    }
    let most = bytes.len().saturating_mul(8) / dtype.bits();
    let declared = dims.iter().try_fold(1usize, |n, dim| match dim {
        Dim::Fixed(size) => n.checked_mul(*size),
        _ => None,
    });
    let Some(count) = declared else {
        fail!(
            "a tensor of {dtype} with extents {dims:?}: packed elements do not tell their number"
        );
    };
    if count > most {
        fail!("{count} elements of {dtype} were declared, but {most} are stored");
    }
    Ok(crate::numeric::unpack(bytes, dtype, count))
}

/// The shape of `count` elements under the declared extents; one extent may be unknown.
fn shape(dims: &[Dim], count: usize) -> Result<Vec<usize>> {
    let known = dims.iter().try_fold(1usize, |n, dim| match dim {
        Dim::Fixed(size) => n.checked_mul(*size),
        _ => Some(n),
    });
    let unknown = dims.iter().filter(|d| !matches!(d, Dim::Fixed(_))).count();
    let rest = match (known, unknown) {
        (Some(known), 0) if known == count => 1,
        (Some(known), 1) if known > 0 && count.is_multiple_of(known) => count / known,
        (Some(0), 1) if count == 0 => 0,
        _ => fail!("{count} elements were given for a tensor of extents {dims:?}"),
    };
    let extent = |dim: &Dim| match dim {
        Dim::Fixed(size) => *size,
        _ => rest,
    };
    Ok(dims.iter().map(extent).collect())
}

pub(super) fn write(array: &Array) -> TensorValue {
    let value = match array.dtype() {
        DType::Bool => Value::Bools(RepeatedBools {
            values: array.bytes().iter().map(|b| *b != 0).collect(),
        }),
        DType::Fp32 => Value::Floats(RepeatedFloats {
            values: array.to_f32s(),
        }),
        DType::Fp64 => Value::Doubles(RepeatedDoubles {
            values: array.to_f64s(),
        }),
        DType::Int16 | DType::Uint16 | DType::Int32 => Value::Ints(RepeatedInts {
            values: array.to_i64s().iter().map(|v| *v as i32).collect(),
        }),
        DType::Int64 | DType::Uint64 => Value::LongInts(RepeatedLongInts {
            values: array.to_i64s(),
        }),
        dtype if dtype.bits() < 8 => Value::Bytes(RepeatedBytes {
            values: crate::numeric::pack(array),
        }),
        _ => Value::Bytes(RepeatedBytes {
            values: array.bytes().to_vec(),
        }),
    };
    TensorValue { value: Some(value) }
}

pub(super) fn write_texts(texts: &[String]) -> TensorValue {
    TensorValue {
        value: Some(Value::Strings(RepeatedStrings {
            values: texts.to_vec(),
        })),
    }
}

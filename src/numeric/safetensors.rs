//! Named arrays in the safetensors format (<https://huggingface.co/docs/safetensors>), both ways.

use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::{Array, DType};
use crate::diag::{Context, Error, Result};
use crate::fail;

/// What each element type is written as; the first row of a safetensors type is what it is read as.
/// The format lacks integers below a byte: they are widened, as [`Array`] holds them.
const DTYPES: [(DType, Dtype); 21] = [
    (DType::Bool, Dtype::BOOL),
    (DType::Fp16, Dtype::F16),
    (DType::Fp32, Dtype::F32),
    (DType::Fp64, Dtype::F64),
    (DType::Bf16, Dtype::BF16),
    (DType::Fp8E4M3FN, Dtype::F8_E4M3),
    (DType::Fp8E5M2, Dtype::F8_E5M2),
    (DType::Int8, Dtype::I8),
    (DType::Int16, Dtype::I16),
    (DType::Int32, Dtype::I32),
    (DType::Int64, Dtype::I64),
    (DType::Uint8, Dtype::U8),
    (DType::Uint16, Dtype::U16),
    (DType::Uint32, Dtype::U32),
    (DType::Uint64, Dtype::U64),
    (DType::Int4, Dtype::I8),
    (DType::Uint1, Dtype::U8),
    (DType::Uint2, Dtype::U8),
    (DType::Uint3, Dtype::U8),
    (DType::Uint4, Dtype::U8),
    (DType::Uint6, Dtype::U8),
];

/// The arrays of a safetensors file with the content `bytes`.
pub fn from_safetensors(bytes: &[u8]) -> Result<BTreeMap<String, Array>> {
    let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    let arrays = file.iter().map(|(name, view)| {
        let array = array(view.dtype(), view.shape(), view.data());
        let array = array.with_context(|| format!("tensor \"{name}\""))?;
        Ok((name.to_owned(), array))
    });
    arrays.collect()
}

/// Where the tensors of a safetensors file lie, so that each can be read when it is asked for.
pub struct SafetensorsIndex(BTreeMap<String, Entry>);

struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    place: Range<usize>,
}

impl SafetensorsIndex {
    /// Of the file with the content `bytes`.
    pub fn of(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let entry = |(name, view): (&str, TensorView)| {
            let start = view.data().as_ptr() as usize - bytes.as_ptr() as usize;
            let entry = Entry {
                dtype: view.dtype(),
                shape: view.shape().to_vec(),
                place: start..start + view.data().len(),
            };
            (name.to_owned(), entry)
        };
        Ok(Self(file.iter().map(entry).collect()))
    }

    /// Name and shape of every tensor, by name.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        let entries = self.0.iter();
        entries.map(|(name, entry)| (name.as_str(), entry.shape.as_slice()))
    }

    /// The tensor called `name`; `bytes` is the file that the index is of.
    pub fn read(&self, bytes: &[u8], name: &str) -> Result<Array> {
        let Some(entry) = self.0.get(name) else {
            let known = self.0.keys().map(String::as_str);
            return Err(Error::unknown("tensor", name, known));
        };
        let Some(bytes) = bytes.get(entry.place.clone()) else {
            fail!("tensor \"{name}\" lies past the end of the file");
        };
        array(entry.dtype, &entry.shape, bytes).with_context(|| format!("tensor \"{name}\""))
    }
}

/// The content of a safetensors file with `arrays`; the same arrays give the same bytes.
pub fn to_safetensors(arrays: &BTreeMap<String, Array>) -> Result<Vec<u8>> {
    let views = arrays.iter().map(|(name, array)| {
        let view = view(array).with_context(|| format!("tensor \"{name}\""))?;
        Ok((name, view))
    });
    let views: Vec<_> = views.collect::<Result<_>>()?;
    serialize(views, None).map_err(|error| Error::new(error.to_string()))
}

fn array(stored: Dtype, shape: &[usize], bytes: &[u8]) -> Result<Array> {
    let Some((dtype, _)) = DTYPES.iter().find(|(_, known)| *known == stored) else {
        fail!("element type {stored} is not one of Core ML's");
    };
    Array::new(*dtype, shape.to_vec(), bytes.to_vec())
}

fn view(array: &Array) -> Result<TensorView<'_>> {
    let Some((_, stored)) = DTYPES.iter().find(|(dtype, _)| *dtype == array.dtype()) else {
        fail!("safetensors files can't hold {}", array.dtype());
    };
    let view = TensorView::new(*stored, array.shape().to_vec(), array.bytes());
    view.map_err(|error| Error::new(error.to_string()))
}

fn unreadable(error: safetensors::SafeTensorError) -> Error {
    Error::new(format!("this is not a safetensors file: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_type_survives() {
        for (dtype, stored) in DTYPES {
            let bytes = vec![1; 6 * dtype.bytes()];
            let array = Array::new(dtype, vec![2, 3], bytes).unwrap();
            let file = to_safetensors(&[("x".to_owned(), array.clone())].into()).unwrap();
            let read = &from_safetensors(&file).unwrap()["x"];
            let index = SafetensorsIndex::of(&file).unwrap();
            assert_eq!(index.read(&file, "x").unwrap(), *read);
            assert_eq!(read.to_f64s(), array.to_f64s(), "{dtype}");
            assert_eq!(read.shape(), array.shape());
            let (first, _) = DTYPES.iter().find(|(_, s)| *s == stored).unwrap();
            assert_eq!(read.dtype(), *first);
        }
    }

    #[test]
    fn scalars_and_empty_arrays_survive() {
        let arrays = [
            ("none".to_owned(), Array::from_i32(vec![0, 4], &[]).unwrap()),
            ("one".to_owned(), Array::from_f32(vec![], &[2.5]).unwrap()),
        ];
        let arrays = BTreeMap::from(arrays);
        let file = to_safetensors(&arrays).unwrap();
        assert_eq!(from_safetensors(&file).unwrap(), arrays);
        assert_eq!(file, to_safetensors(&arrays).unwrap());
    }

    #[test]
    fn other_files_are_refused() {
        for bytes in [&b""[..], b"{}", b"\x02\0\0\0\0\0\0\0{}extra", &[255; 16]] {
            let error = from_safetensors(bytes).unwrap_err().to_string();
            assert!(
                error.starts_with("this is not a safetensors file"),
                "{error}"
            );
        }
    }
}

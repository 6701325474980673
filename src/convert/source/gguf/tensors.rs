//! The weights of a GGUF file under Hugging Face's names, dequantised one by one when they are asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::{GgmlDType, ggml_file};

use super::header::Stored;
use super::layout::Layout;
use crate::convert::source::Tensors;
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::numeric::{Array, DType};

/// Weights in a file.
pub(super) struct GgufTensors {
    path: PathBuf,
    weights: BTreeMap<String, (Stored, Layout)>,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl GgufTensors {
    /// `weights`: by Hugging Face's name, where each lies and how.
    pub fn new(path: &Path, weights: BTreeMap<String, (Stored, Layout)>) -> Self {
        let shape = |(name, (stored, layout)): (&String, &(Stored, Layout))| {
            (name.clone(), layout.shape(&stored.shape))
        };
        Self {
            path: path.to_owned(),
            shapes: weights.iter().map(shape).collect(),
            weights,
        }
    }
}

impl Tensors for GgufTensors {
    fn shapes(&self) -> &BTreeMap<String, Vec<usize>> {
        &self.shapes
    }

    fn read(&self, name: &str) -> Result<Array> {
        let Some((stored, layout)) = self.weights.get(name) else {
            return Err(Error::unknown(
                "weight",
                name,
                self.weights.keys().map(String::as_str),
            ));
        };
        let array = File::open(&self.path)
            .map_err(Error::from)
            .and_then(|file| read(file, stored));
        let array = array.and_then(|array| layout.undo(array));
        array.with_context(|| format!("{}: weight \"{name}\"", self.path.display()))
    }
}

/// A tensor as it lies in the file, dequantised.
pub(super) fn read(mut file: impl Read + Seek, stored: &Stored) -> Result<Array> {
    let mut bytes = vec![0; stored.bytes];
    file.seek(SeekFrom::Start(stored.offset))?;
    file.read_exact(&mut bytes)?;
    let shape = stored.shape.clone();
    match stored.form {
        GgmlDType::F32 => Array::new(DType::Fp32, shape, bytes),
        GgmlDType::F16 => Array::new(DType::Fp16, shape, bytes),
        GgmlDType::BF16 => Array::new(DType::Bf16, shape, bytes),
        form => {
            let quantised =
                ggml_file::qtensor_from_ggml(form, &bytes, shape.clone(), &Device::Cpu)?;
            let values = quantised
                .dequantize(&Device::Cpu)?
                .flatten_all()?
                .to_vec1::<f32>()?;
            if values.len() * form.type_size() != bytes.len() * form.block_size() {
                fail!("{} values of shape {shape:?}", values.len());
            }
            Array::from_f32(shape, &values)
        }
    }
}

//! The weight files of a bundle that is written.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use super::{Bundle, constant::is_constant};
use crate::diag::{Context, Result};
use crate::fail;
use crate::mil::{Data, Function, Operation, Program, Value};
use crate::numeric::{Array, DType};
use crate::weights::BlobWriter;

/// Smaller arrays stay in the program, as coremltools has it.
const ELEMENTS_MIN: usize = 10;
const WEIGHT_PATH: &str = "weights/weight.bin";

/// A weight file in the making.
pub(super) struct Blobs<'a> {
    bundle: &'a Bundle,
    writer: BlobWriter<BufWriter<File>>,
    /// Old path and offset → new offset.
    moved: BTreeMap<(String, u64), u64>,
}

impl<'a> Blobs<'a> {
    /// Writes the weights of `bundle` below `folder`, its model path; returns the program that refers
    /// to them, and whether there are any.
    ///
    /// If all large arrays lie in weight files already, these are copied as they are, offsets and all;
    /// else everything goes to one new file.
    pub(super) fn write(bundle: &'a Bundle, folder: &Path) -> Result<(Cow<'a, Program>, bool)> {
        let mut paths = BTreeSet::new();
        let mut rewrite = false;
        for function in bundle.program.functions.values() {
            for operation in function.operations() {
                for value in operation.values() {
                    match &value.data {
                        Data::Blob { path, .. } => {
                            paths.insert(path.as_str());
                        }
                        data => rewrite |= belongs_in_blob(function, operation, data),
                    }
                }
            }
        }
        if !rewrite {
            for path in &paths {
                bundle.weights.copy(path, folder)?;
            }
            return Ok((Cow::Borrowed(&bundle.program), !paths.is_empty()));
        }
        let path = folder.join(WEIGHT_PATH);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        let mut blobs = Blobs {
            bundle,
            writer: BlobWriter::new(BufWriter::new(File::create(&path)?))?,
            moved: BTreeMap::new(),
        };
        let move_value = &mut |function: &Function, operation: &Operation, value: &Value| {
            blobs.moved_value(function, operation, value)
        };
        let program = bundle.program.try_map_values(move_value)?;
        blobs.writer.finish()?;
        Ok((Cow::Owned(program), true))
    }

    fn moved_value(
        &mut self,
        function: &Function,
        operation: &Operation,
        value: &Value,
    ) -> Result<Value> {
        let offset = match &value.data {
            Data::Blob { path, offset } => self.copy(value, path, *offset)?,
            Data::Array(array) if belongs_in_blob(function, operation, &value.data) => {
                self.writer.append(array)?
            }
            _ => return Ok(value.clone()),
        };
        Ok(Value {
            ty: value.ty.clone(),
            data: Data::Blob {
                path: format!("@model_path/{WEIGHT_PATH}"),
                offset,
            },
        })
    }

    /// Copies an entry of an old weight file.
    fn copy(&mut self, value: &Value, path: &str, offset: u64) -> Result<u64> {
        let key = (path.to_owned(), offset);
        if let Some(moved) = self.moved.get(&key) {
            return Ok(*moved);
        }
        let (Some(dtype), Some(shape)) = (value.ty.dtype(), value.ty.shape()) else {
            fail!("the weight at offset {offset} of {path} has no fixed shape");
        };
        let blob = self.bundle.weights.blob(path)?;
        let bytes = blob.packed(offset, dtype, &shape).context(path)?;
        let bits = shape.iter().product::<usize>() * dtype.bits();
        let padding = (bytes.len() * 8 - bits) as u64;
        let moved = self.writer.append_packed(dtype, bytes, padding)?;
        self.moved.insert(key, moved);
        Ok(moved)
    }
}

/// Whether an immediate array is a weight that goes to a weight file.
fn belongs_in_blob(function: &Function, operation: &Operation, data: &Data) -> bool {
    let Data::Array(array) = data else {
        return false;
    };
    is_constant(operation) && array.len() >= ELEMENTS_MIN && fits_blob(function, array)
}

/// Until iOS 18, weight files held four types only.
fn fits_blob(function: &Function, array: &Array) -> bool {
    let old = matches!(
        array.dtype(),
        DType::Fp16 | DType::Fp32 | DType::Int8 | DType::Uint8
    );
    let modern = function.specification().is_none_or(|version| version >= 9);
    old || modern && BlobWriter::<BufWriter<File>>::holds(array.dtype())
}

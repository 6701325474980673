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
/// What blob paths begin with: the folder of the model.
const MODEL_PATH: &str = "@model_path/";

/// Where the weights of a bundle go, below its model path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// Weight files keep their names; what has none yet goes to `weights/weight.bin`.
    Own,
    /// One file of this name.
    File(&'a str),
}

/// A weight file in the making.
pub(super) struct Blobs<'a> {
    bundle: &'a Bundle,
    writer: BlobWriter<BufWriter<File>>,
    /// As the program calls it.
    path: String,
    /// Old path and offset → new offset.
    moved: BTreeMap<(String, u64), u64>,
}

impl<'a> Blobs<'a> {
    /// Writes the weights of `bundle` below `folder`, its model path; returns the program that refers
    /// to them, and whether there are any.
    ///
    /// If all large arrays lie in weight files already, these are copied as they are, offsets and all;
    /// else, and to bring several files into one, everything goes to one new file.
    pub(super) fn write(
        bundle: &'a Bundle,
        folder: &Path,
        place: Place,
    ) -> Result<(Cow<'a, Program>, bool)> {
        let (paths, rewrite) = stored(&bundle.program);
        let target = match (place, paths.len()) {
            (Place::Own, _) if !rewrite => None,
            (Place::Own, _) => Some("weights/weight.bin"),
            (Place::File(_), 0) if !rewrite => return Ok((Cow::Borrowed(&bundle.program), false)),
            (Place::File(name), _) => Some(name),
        };
        match target {
            Some(name) if rewrite || paths.len() > 1 => {
                return Ok((Cow::Owned(Self::rewrite(bundle, folder, name)?), true));
            }
            _ => {}
        }
        let mut names = BTreeMap::new();
        for path in &paths {
            let name = target.map_or_else(|| own_name(path), str::to_owned);
            bundle.weights.copy(path, folder, &name)?;
            names.insert(*path, format!("{MODEL_PATH}{name}"));
        }
        let renamed = names.iter().any(|(old, new)| old != new);
        let program = match renamed {
            true => Cow::Owned(bundle.program.try_map_values(&mut |_, _, value| {
                Ok(with_path(value, |path| names.get(path).cloned()))
            })?),
            false => Cow::Borrowed(&bundle.program),
        };
        Ok((program, !paths.is_empty()))
    }

    /// Writes one new weight file.
    fn rewrite(bundle: &'a Bundle, folder: &Path, name: &str) -> Result<Program> {
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        let mut blobs = Blobs {
            bundle,
            writer: BlobWriter::new(BufWriter::new(File::create(&file)?))?,
            path: format!("{MODEL_PATH}{name}"),
            moved: BTreeMap::new(),
        };
        let move_value = &mut |function: &Function, operation: &Operation, value: &Value| {
            blobs.moved_value(function, operation, value)
        };
        let program = bundle.program.try_map_values(move_value)?;
        blobs.writer.finish()?;
        Ok(program)
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
                path: self.path.clone(),
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

/// The weight files that `program` refers to, and whether it holds weights itself.
fn stored(program: &Program) -> (BTreeSet<&str>, bool) {
    let mut paths = BTreeSet::new();
    let mut immediate = false;
    for function in program.functions.values() {
        for operation in function.operations() {
            for value in operation.values() {
                match &value.data {
                    Data::Blob { path, .. } => {
                        paths.insert(path.as_str());
                    }
                    data => immediate |= belongs_in_blob(function, operation, data),
                }
            }
        }
    }
    (paths, immediate)
}

/// Where a bundle of its own keeps the file that a program calls `path`; a stage may have shared it with
/// others, a folder above.
fn own_name(path: &str) -> String {
    let mut name = path.strip_prefix(MODEL_PATH).unwrap_or(path);
    while let Some(rest) = name.strip_prefix("../") {
        name = rest;
    }
    name.to_owned()
}

/// The value with another weight file, if it is in one and `rename` knows another name.
fn with_path(value: &Value, rename: impl FnOnce(&str) -> Option<String>) -> Value {
    let mut value = value.clone();
    if let Data::Blob { path, .. } = &mut value.data
        && let Some(new) = rename(path)
    {
        *path = new;
    }
    value
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

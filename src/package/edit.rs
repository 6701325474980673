//! New values for the weights of a bundle: in a copy, or in its weight file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Bundle;
use crate::diag::{Context, Error, Kind, Result};
use crate::fail;
use crate::mil::{Attributes, Binding, Block, Data, NamedType, Operation, Value};
use crate::numeric::{Array, pack};

/// See [`Bundle::with_weights`].
pub(super) fn with_weights(
    bundle: &Bundle,
    function: &str,
    new: &BTreeMap<String, Array>,
) -> Result<Bundle> {
    let mut edited = bundle.clone();
    let known = bundle.program.functions.keys().map(String::as_str);
    let Some(target) = edited.program.functions.get_mut(function) else {
        return Err(Error::unknown("function", function, known));
    };
    for (name, array) in new {
        let Some(operation) = find(&mut target.block, name) else {
            fail!("function \"{function}\" has no value \"{name}\"");
        };
        replace(operation, name, array).with_context(|| format!("weight \"{name}\""))?;
    }
    remove_unused(&mut target.block);
    Ok(edited)
}

/// The operation whose result `name` is, in the block or the blocks in it.
fn find<'a>(block: &'a mut Block, name: &str) -> Option<&'a mut Operation> {
    for operation in &mut block.operations {
        if operation.outputs.iter().any(|output| output.name == name) {
            return Some(operation);
        }
        let mut nested = operation.blocks.iter_mut();
        if let Some(found) = nested.find_map(|block| find(block, name)) {
            return Some(found);
        }
    }
    None
}

/// Makes `operation` a `const` of `array`.
fn replace(operation: &mut Operation, name: &str, array: &Array) -> Result<()> {
    let output = match &operation.outputs[..] {
        [output] if super::is_constant(operation) => output.clone(),
        _ => fail!("it is a result of {}, not a weight", operation.op),
    };
    let array = rounded(array, &output)?;
    let label = operation.attributes.remove("name");
    let mut attributes = Attributes::from([("val".to_owned(), Value::array(array))]);
    attributes.insert("name".into(), label.unwrap_or_else(|| Value::text(name)));
    *operation = Operation {
        op: "const".into(),
        outputs: vec![output],
        attributes,
        ..Operation::default()
    };
    Ok(())
}

/// `array` in the declared type of the weight; a value that is not finite there is an error.
fn rounded(array: &Array, declared: &NamedType) -> Result<Array> {
    let (Some(dtype), Some(shape)) = (declared.ty.dtype(), declared.ty.shape()) else {
        fail!("it is not a tensor of fixed shape");
    };
    if array.shape() != shape {
        fail!(
            "the new value has shape {:?}, expected {shape:?}",
            array.shape()
        );
    }
    let rounded = array.cast(dtype)?;
    if dtype.is_float() && array.dtype() != dtype {
        let pairs = array.to_f64s().into_iter().zip(rounded.to_f64s());
        for (i, (value, rounded)) in pairs.enumerate() {
            if value.is_nan() || value.is_finite() != rounded.is_finite() {
                let message = format!("{value} at element {i} does not fit {dtype}");
                return Err(Error::new(message).kind_of(Kind::NonFinite));
            }
        }
    }
    Ok(rounded)
}

/// Drops compressed weights that nothing refers to any more.
fn remove_unused(block: &mut Block) {
    loop {
        let mut used: BTreeSet<String> = block.outputs.iter().cloned().collect();
        for operation in block.operations() {
            used.extend(operation.blocks.iter().flat_map(|b| b.outputs.clone()));
            let arguments = operation.inputs.values().flat_map(|a| a.bindings());
            used.extend(arguments.filter_map(|binding| match binding {
                Binding::Name(name) => Some(name.clone()),
                Binding::Value(_) => None,
            }));
        }
        let before = block.operations.len();
        block.operations.retain(|op| {
            !op.op.starts_with("constexpr_") || op.outputs.iter().any(|o| used.contains(&o.name))
        });
        if block.operations.len() == before {
            return;
        }
    }
}

/// Bytes to write at an offset of a weight file.
type Patches = BTreeMap<u64, Vec<u8>>;

/// See [`super::update_in_place`].
pub(super) fn update_in_place(
    path: &Path,
    function: &str,
    new: &BTreeMap<String, Array>,
) -> Result<()> {
    let bundle = Bundle::open(path)?;
    let mut patches: BTreeMap<PathBuf, Patches> = BTreeMap::new();
    let known = bundle.program.functions.keys().map(String::as_str);
    let Some(target) = bundle.program.functions.get(function) else {
        return Err(Error::unknown("function", function, known));
    };
    for (name, array) in new {
        let place = || format!("weight \"{name}\"");
        let mut operations = target.operations();
        let found = operations.find(|op| op.outputs.iter().any(|o| o.name == *name));
        let Some(operation) = found else {
            fail!("function \"{function}\" has no value \"{name}\"");
        };
        let (file, offset, bytes) = patch(&bundle, operation, array).with_context(place)?;
        let old = patches
            .entry(file)
            .or_default()
            .insert(offset, bytes.clone());
        if old.is_some_and(|old| old != bytes) {
            fail!("{}: another new value goes to the same place", place());
        }
    }
    let mut ready = Vec::new();
    for (file, patches) in patches {
        let write = || patched(&file, &patches);
        ready.push((write().with_context(|| file.display().to_string())?, file));
    }
    for (temporary, file) in ready {
        let persisted = temporary.persist(&file).map_err(|error| error.error);
        persisted.with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// File, offset and bytes of a blob-backed constant's new value.
fn patch(bundle: &Bundle, operation: &Operation, array: &Array) -> Result<(PathBuf, u64, Vec<u8>)> {
    let (Some(value), Some(output)) = (operation.constant(), operation.outputs.first()) else {
        return Err(
            Error::new(format!("it is a result of {}, not a const", operation.op))
                .hint("make a new bundle with the new weights and save it"),
        );
    };
    let Data::Blob { path, offset } = &value.data else {
        return Err(
            Error::new("it is kept in the program, not in a weight file")
                .hint("make a new bundle with the new weights and save it"),
        );
    };
    let array = rounded(array, output)?;
    let blob = bundle.weights.blob(path)?;
    let size = blob.packed(*offset, array.dtype(), array.shape())?.len();
    let bytes = match array.dtype().bits() {
        ..8 => pack(&array),
        _ => array.bytes().to_vec(),
    };
    if bytes.len() != size {
        fail!("the new value takes {} bytes, expected {size}", bytes.len());
    }
    let data = blob.entry(*offset)?.data as u64;
    Ok((bundle.weights.locate(path)?, data, bytes))
}

/// A copy of `file`, beside it, with the patches applied.
fn patched(file: &Path, patches: &Patches) -> Result<tempfile::NamedTempFile> {
    let parent = file.parent().unwrap_or(Path::new("."));
    let mut copy = tempfile::Builder::new()
        .prefix(".saving-")
        .tempfile_in(parent)?;
    std::io::copy(&mut std::fs::File::open(file)?, &mut copy)?;
    for (offset, bytes) in patches {
        copy.seek(SeekFrom::Start(*offset))?;
        copy.write_all(bytes)?;
    }
    copy.as_file().sync_all()?;
    copy.as_file()
        .set_permissions(file.metadata()?.permissions())?;
    Ok(copy)
}

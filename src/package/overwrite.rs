//! New values for weights, written over the old ones in a bundle's weight file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::edit::rounded;
use super::{Bundle, Storage, save};
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::mil::{Data, Operation};
use crate::numeric::{Array, pack};

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
    let mut shared = false;
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
        shared |= old.is_some_and(|old| old != bytes);
    }
    if shared {
        let (edited, _) = bundle.with_weights(function, new, Storage::Same)?;
        return anew(&edited, path);
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

/// Puts `bundle` in the place of the one at `path`, as a whole; files beside those of a bundle stay.
fn anew(bundle: &Bundle, path: &Path) -> Result<()> {
    let (parent, Some(name)) = (path.parent().unwrap_or(Path::new("")), path.file_name()) else {
        fail!("the path has no name");
    };
    let work = tempfile::Builder::new()
        .prefix(".saving-")
        .tempdir_in(Path::new(".").join(parent))?;
    let written = work.path().join(name);
    bundle.save(&written)?;
    keep_others(path, &written)?;
    save::replace(path, |folder| {
        fs::remove_dir(folder)?;
        Ok(fs::rename(&written, folder)?)
    })
}

/// Copies the files of `old` that `new` lacks.
fn keep_others(old: &Path, new: &Path) -> Result<()> {
    for entry in fs::read_dir(old)? {
        let entry = entry?;
        let target = new.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            keep_others(&entry.path(), &target)?;
        } else if !target.exists() {
            fs::copy(entry.path(), &target)?;
        }
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
    std::io::copy(&mut fs::File::open(file)?, &mut copy)?;
    for (offset, bytes) in patches {
        copy.seek(SeekFrom::Start(*offset))?;
        copy.write_all(bytes)?;
    }
    copy.as_file().sync_all()?;
    copy.as_file()
        .set_permissions(file.metadata()?.permissions())?;
    Ok(copy)
}

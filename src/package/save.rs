//! Writes bundles, all or nothing.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use super::blobs::Blobs;
use super::{Bundle, Format, coremldata, encode, flexible, manifest, metadata};
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::mil::{Function, Program, text};

/// Writes `bundle` to `path`; see [`Bundle::save`].
pub(super) fn save(bundle: &Bundle, path: &Path) -> Result<()> {
    let format = Format::of(path)?;
    let bundle = &checked(bundle)?;
    let write = |folder: &Path| match format {
        Format::Package => package(bundle, folder),
        Format::Compiled => compiled(bundle, folder),
    };
    replace(path, write).with_context(|| format!("saving {}", path.display()))
}

impl Format {
    /// The form that the extension of `path` names.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("mlpackage") => Ok(Format::Package),
            Some("mlmodelc") => Ok(Format::Compiled),
            _ => Err(
                Error::new(format!("{} does not name a form of bundle", path.display()))
                    .hint("end the path in .mlpackage or .mlmodelc"),
            ),
        }
    }
}

/// The bundle with a specification version that its program needs, if the description fits it.
fn checked(bundle: &Bundle) -> Result<Cow<'_, Bundle>> {
    bundle.program.check()?;
    let described: Vec<&String> = bundle.description.functions.keys().collect();
    let defined: Vec<&String> = bundle.program.functions.keys().collect();
    if described != defined {
        fail!("the description has the functions {described:?}, the program {defined:?}");
    }
    for (name, function) in &bundle.program.functions {
        let interface = bundle.description.function(name)?;
        let mut described: Vec<&str> = interface.inputs.iter().map(|f| f.name.as_str()).collect();
        described.extend(interface.states.iter().map(|f| f.name.as_str()));
        described.sort_unstable();
        let mut defined: Vec<&str> = function.inputs.iter().map(|i| i.name.as_str()).collect();
        defined.sort_unstable();
        if described != defined {
            fail!(
                "function \"{name}\": the description has the inputs {described:?}, the program {defined:?}"
            );
        }
    }
    let needed = needed_specification(&bundle.program);
    if bundle.description.specification_version >= needed {
        return Ok(Cow::Borrowed(bundle));
    }
    let mut bundle = bundle.clone();
    bundle.description.specification_version = needed;
    Ok(Cow::Owned(bundle))
}

fn needed_specification(program: &Program) -> i32 {
    let opsets = program
        .functions
        .values()
        .filter_map(Function::specification);
    let several = if program.functions.len() > 1 { 9 } else { 6 };
    opsets.max().unwrap_or(6).max(several)
}

fn package(bundle: &Bundle, folder: &Path) -> Result<()> {
    const MODEL_PATH: &str = "Data/com.apple.CoreML";
    let data = folder.join(MODEL_PATH);
    fs::create_dir_all(&data)?;
    let (mut program, has_weights) = Blobs::write(bundle, &data)?;
    for (name, function) in &mut program.to_mut().functions {
        let interface = bundle.description.function(name)?;
        let classifies = function.operations().any(|op| op.op == "classify");
        if interface.predicted_feature.is_some() && !classifies {
            return Err(Error::new(format!(
                "function \"{name}\" of this classifier has no classify operation: compiling removed it"
            ))
            .hint("save it as .mlmodelc"));
        }
        // The description holds flexible shapes; the attribute is a matter of compiled programs.
        function.attributes.remove(flexible::ATTRIBUTE);
    }
    let model = encode::model(&program, &bundle.description)?;
    let manifest = manifest::write(&model, has_weights);
    fs::write(data.join("model.mlmodel"), model)?;
    fs::write(folder.join("Manifest.json"), manifest)?;
    Ok(())
}

fn compiled(bundle: &Bundle, folder: &Path) -> Result<()> {
    let (mut program, _) = Blobs::write(bundle, folder)?;
    for (name, function) in &mut program.to_mut().functions {
        let interface = bundle.description.function(name)?;
        if flexible::read(&function.attributes)? == flexible::of(&interface.inputs) {
            continue;
        }
        function.attributes.remove(flexible::ATTRIBUTE);
        if let Some(value) = flexible::write(&interface.inputs)? {
            function
                .attributes
                .insert(flexible::ATTRIBUTE.into(), value);
        }
    }
    let version = bundle.description.specification_version;
    let dialect = text::Dialect::of_specification(version);
    fs::write(folder.join("model.mil"), text::print(&program, dialect))?;
    fs::write(
        folder.join("coremldata.bin"),
        coremldata::write(&bundle.description)?,
    )?;
    fs::write(folder.join("metadata.json"), metadata::write(bundle)?)?;
    Ok(())
}

/// Has `write` fill a new folder beside `path`, then puts it in the place of `path`.
fn replace(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let Some(name) = path.file_name() else {
        fail!("the path has no name");
    };
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    fs::create_dir_all(&parent)?;
    let work = tempfile::Builder::new()
        .prefix(".saving-")
        .tempdir_in(&parent)?;
    let (new, old) = (work.path().join("new"), work.path().join("old"));
    fs::create_dir(&new)?;
    write(&new)?;
    let target = parent.join(name);
    let exists = target.symlink_metadata().is_ok();
    if exists {
        fs::rename(&target, &old)?;
    }
    if let Err(error) = fs::rename(&new, &target) {
        if exists {
            fs::rename(&old, &target)?;
        }
        return Err(error.into());
    }
    Ok(())
}

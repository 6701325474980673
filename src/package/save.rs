//! Writes bundles, all or nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::compile::Origin;
use super::{Bundle, Description, Format, Model, Pipeline, Stage, compiled, packaged};
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::mil::{Function, Program};

/// A model that is written.
#[derive(Clone)]
pub(super) enum Whole<'a> {
    Program(Cow<'a, Bundle>),
    Pipeline(Cow<'a, Pipeline>),
}

impl Whole<'_> {
    pub(super) fn description(&self) -> &Description {
        match self {
            Whole::Program(bundle) => &bundle.description,
            Whole::Pipeline(pipeline) => &pipeline.description,
        }
    }
}

impl<'a> From<&'a Model> for Whole<'a> {
    fn from(model: &'a Model) -> Self {
        match model {
            Model::Program(bundle) => Whole::Program(Cow::Borrowed(bundle)),
            Model::Pipeline(pipeline) => Whole::Pipeline(Cow::Borrowed(pipeline)),
        }
    }
}

/// Files that are put into a bundle beside the model: content by name.
pub type Companions = BTreeMap<String, Vec<u8>>;

/// Writes `whole` to `path`, with `companions` in it; see [`Model::save`].
pub(super) fn save(whole: Whole, path: &Path, companions: &Companions) -> Result<()> {
    let format = Format::of(path)?;
    let write = |folder: &Path| {
        let whole = checked(whole)?;
        match format {
            Format::Package => packaged::write(&whole, folder)?,
            Format::Compiled => {
                compiled::write(&whole, folder, &|written| Origin::of(&whole, written, path))?;
            }
        }
        for (name, content) in companions {
            let target = folder.join(name);
            if target.parent() != Some(folder) || target.exists() {
                fail!("\"{name}\" can't be the name of a file beside the model");
            }
            fs::write(target, content).with_context(|| name.clone())?;
        }
        Ok(())
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

/// The model with specification versions that its programs need, if the descriptions fit them.
pub(super) fn checked(whole: Whole) -> Result<Whole> {
    let pipeline = match whole {
        Whole::Program(bundle) => return checked_program(bundle).map(Whole::Program),
        Whole::Pipeline(pipeline) => pipeline,
    };
    let mut description = pipeline.description.clone();
    let mut stages = Vec::new();
    for stage in &pipeline.stages {
        let bundle = checked_program(Cow::Borrowed(&stage.bundle));
        let bundle = bundle.with_context(|| format!("stage \"{}\"", stage.name))?;
        let version = bundle.description.specification_version;
        description.specification_version = description.specification_version.max(version);
        stages.push(Stage {
            name: stage.name.clone(),
            bundle: bundle.into_owned(),
        });
    }
    let pipeline = Pipeline::new(pipeline.kind, description, stages)?;
    Ok(Whole::Pipeline(Cow::Owned(pipeline)))
}

fn checked_program(mut bundle: Cow<'_, Bundle>) -> Result<Cow<'_, Bundle>> {
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
    if bundle.description.specification_version < needed {
        bundle.to_mut().description.specification_version = needed;
    }
    Ok(bundle)
}

fn needed_specification(program: &Program) -> i32 {
    let opsets = program
        .functions
        .values()
        .filter_map(Function::specification);
    let several = if program.functions.len() > 1 { 9 } else { 6 };
    opsets.max().unwrap_or(6).max(several)
}

/// Has `write` fill a new folder beside `path`, then puts it in the place of `path`.
pub(super) fn replace(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
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

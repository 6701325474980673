//! Writes `.mlmodelc` folders.
//!
//! What Apple's compiler puts there, file by file:
//!
//! | file | as written here |
//! |---|---|
//! | `model.mil` | equal, but for `buildInfo` (tools name themselves there; ours adds nothing) and the opaque keys of enumerated shapes |
//! | `weights/…` | the source's bytes; Apple's compiler copies them too |
//! | `coremldata.bin` | equal, but for what [`coremldata`] tells |
//! | `metadata.json` | equal, but for what [`metadata`] tells |
//! | `analytics/coremldata.bin` | equal |
//! | pipelines: `model0/…`, `modelNames/coremldata.bin` | equal; a stage has no `metadata.json` |

use std::fs;
use std::path::Path;

use super::blobs::{Blobs, Place};
use super::compile::Origin;
use super::metadata::Written;
use super::save::Whole;
use super::{Bundle, Pipeline, analytics, classes, coremldata, flexible, metadata};
use crate::diag::{Context, Result};
use crate::mil::{Program, text};

/// Tells where the model comes from, given its programs as they were written.
type Tell<'a> = &'a dyn Fn(&[Program]) -> Result<Origin>;

/// Fills `folder`.
pub(super) fn write(whole: &Whole, folder: &Path, origin: Tell) -> Result<()> {
    let programs = match whole {
        Whole::Program(bundle) => vec![program(bundle, folder, false)?],
        Whole::Pipeline(pipeline) => stages(pipeline, folder)?,
    };
    let origin = origin(&programs)?;
    analytics::write(folder, &analytics::of(whole, &origin))?;
    let written = Written {
        whole,
        programs: &programs,
        class_name: &origin.class_name,
    };
    fs::write(folder.join("metadata.json"), metadata::write(&written)?)?;
    Ok(())
}

fn stages(pipeline: &Pipeline, folder: &Path) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for (i, stage) in pipeline.stages.iter().enumerate() {
        let folder = folder.join(format!("model{i}"));
        fs::create_dir(&folder)?;
        let program = program(&stage.bundle, &folder, true);
        programs.push(program.with_context(|| format!("stage \"{}\"", stage.name))?);
        analytics::write(&folder, &analytics::of_stage())?;
    }
    let data = coremldata::write_pipeline(pipeline)?;
    fs::write(folder.join("coremldata.bin"), data)?;
    if let Some(names) = pipeline.given_names() {
        let folder = folder.join("modelNames");
        fs::create_dir(&folder)?;
        fs::write(
            folder.join("coremldata.bin"),
            coremldata::write_names(&names),
        )?;
    }
    Ok(programs)
}

/// Writes text, weights and description; returns the program as it was written.
fn program(bundle: &Bundle, folder: &Path, stage: bool) -> Result<Program> {
    let (program, _) = Blobs::write(bundle, folder, Place::Own)?;
    let mut program = program.into_owned();
    for (name, function) in &mut program.functions {
        let interface = bundle.description.function(name)?;
        classes::lower(function);
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
    let data = coremldata::write(&bundle.description, stage)?;
    fs::write(folder.join("coremldata.bin"), data)?;
    Ok(program)
}

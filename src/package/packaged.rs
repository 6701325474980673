//! Writes `.mlpackage` folders.

use std::fs;
use std::path::Path;

use super::blobs::{Blobs, Place};
use super::save::Whole;
use super::{Bundle, Pipeline, classes, encode, flexible, manifest};
use crate::diag::{Context, Result};
use crate::mil::Program;

/// The folder of the model, `@model_path` of its blobs.
const MODEL_PATH: &str = "Data/com.apple.CoreML";

/// Fills `folder`.
pub(super) fn write(whole: &Whole, folder: &Path) -> Result<()> {
    let data = folder.join(MODEL_PATH);
    fs::create_dir_all(&data)?;
    let (model, has_weights) = match whole {
        Whole::Program(bundle) => {
            let (program, has_weights) = program(bundle, &data, Place::Own)?;
            (encode::model(&program, &bundle.description)?, has_weights)
        }
        Whole::Pipeline(pipeline) => stages(pipeline, &data)?,
    };
    let manifest = manifest::write(&model, has_weights);
    fs::write(data.join("model.mlmodel"), model)?;
    fs::write(folder.join("Manifest.json"), manifest)?;
    Ok(())
}

/// Writes the weights of a program; returns it as it is to be written, and whether there are weights.
fn program(bundle: &Bundle, data: &Path, place: Place) -> Result<(Program, bool)> {
    let (program, has_weights) = Blobs::write(bundle, data, place)?;
    let mut program = program.into_owned();
    for (name, function) in &mut program.functions {
        let interface = bundle.description.function(name)?;
        let place = || format!("function \"{name}\"");
        classes::raise(function, interface).with_context(place)?;
        // The description holds flexible shapes; the attribute is a matter of compiled programs.
        function.attributes.remove(flexible::ATTRIBUTE);
    }
    Ok((program, has_weights))
}

/// Each stage has a weight file of its own, named as coremltools names them.
fn stages(pipeline: &Pipeline, data: &Path) -> Result<(Vec<u8>, bool)> {
    let mut messages = Vec::new();
    let mut has_weights = false;
    for (i, stage) in pipeline.stages.iter().enumerate() {
        let file = format!("weights/{i}-weight.bin");
        let written = program(&stage.bundle, data, Place::File(&file));
        let (program, weights) = written.with_context(|| format!("stage \"{}\"", stage.name))?;
        messages.push(encode::stage(&program, stage.description())?);
        has_weights |= weights;
    }
    Ok((encode::pipeline(pipeline, &messages)?, has_weights))
}

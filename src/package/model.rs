//! What a path holds: an ML Program, or a pipeline of them.

use std::path::Path;

use super::{Bundle, Companions, Description, Pipeline, open, save};
use crate::diag::{Error, Result};

/// A Core ML model that can be run here.
#[derive(Clone)]
pub enum Model {
    Program(Bundle),
    Pipeline(Pipeline),
}

impl Model {
    /// Reads a model of any form, as [`Bundle::open`] does, pipelines too.
    ///
    /// Other types of model are an error that names the type; so is a pipeline with such a stage.
    pub fn open(path: &Path) -> Result<Self> {
        open::open(path)
    }

    /// The interface of the whole.
    pub fn description(&self) -> &Description {
        match self {
            Model::Program(bundle) => &bundle.description,
            Model::Pipeline(pipeline) => &pipeline.description,
        }
    }

    /// Writes the whole model, as [`Bundle::save`] does.
    ///
    /// Each stage of a pipeline keeps a weight file of its own: `model0/weights/…` in a `.mlmodelc`,
    /// `weights/0-weight.bin` in a `.mlpackage`.
    pub fn save(&self, path: &Path) -> Result<()> {
        save::save(self.into(), path, &Companions::new())
    }

    /// The ML Program; fails for a pipeline.
    pub(super) fn into_program(self) -> Result<Bundle> {
        match self {
            Model::Program(bundle) => Ok(bundle),
            Model::Pipeline(_) => Err(Error::new("this is a pipeline, not an ML Program")
                .hint("predict, serve, inspect and compile take it whole; compiled, its stages are the folders model0, model1, …")),
        }
    }
}

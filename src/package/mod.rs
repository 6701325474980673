//! Core ML bundles on disk: `.mlmodelc`, `.mlpackage`, bare `.mlmodel`; reading, writing, describing.

#![allow(dead_code, reason = "writing bundles is not wired up yet")]

mod constant;
mod coremldata;
mod derive;
mod describe;
mod digest;
mod encode;
mod files;
mod flexible;
mod interface;
mod manifest;
mod metadata;
mod open;

pub use constant::is_constant;
pub use describe::{
    Color, Description, Feature, FeatureKind, Flexibility, FunctionDescription, Metadata,
};
pub use digest::digest;

use std::collections::BTreeMap;
use std::path::Path;

use self::files::{Files, Weights};
use crate::diag::{Context, Result};
use crate::fail;
use crate::mil::{Data, Program, Value};
use crate::numeric::Array;

/// An ML Program with its description and its weights.
///
/// Weights stay in their files, mapped when first used; clones share them.
#[derive(Clone)]
pub struct Bundle {
    pub program: Program,
    pub description: Description,
    weights: Weights,
}

/// The form in which a bundle is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `.mlpackage`: protobuf, Apple's interchange form.
    Package,
    /// `.mlmodelc`: text, the compiled form.
    Compiled,
}

impl Bundle {
    /// Reads a bundle; the form is told by what the path holds: a `.mlmodelc` or `.mlpackage` folder,
    /// a `.mlmodel` file, a file of MIL text. Weights are mapped, not read.
    ///
    /// A pipeline, or a model that is not an ML Program, is an error that names the type.
    pub fn open(path: &Path) -> Result<Self> {
        open::open(path)
    }

    /// A bundle of a model that is kept in memory: (relative path, content) of each file.
    pub fn from_files(name: &str, files: &[(&str, &'static [u8])]) -> Result<Self> {
        let files = Files::Memory {
            name: name.to_owned(),
            files: files.iter().map(|(p, b)| ((*p).to_owned(), *b)).collect(),
        };
        open::folder(files).with_context(|| name)
    }

    /// A new bundle of a program whose weights are immediate arrays.
    pub fn new(program: Program, description: Description) -> Self {
        Self::of(program, description, Weights::none())
    }

    fn of(program: Program, description: Description, weights: Weights) -> Self {
        Self {
            program,
            description,
            weights,
        }
    }

    /// The array of an immediate or blob value.
    pub fn resolve(&self, value: &Value) -> Result<Array> {
        match (&value.data, value.ty.dtype(), value.ty.shape()) {
            (Data::Array(array), ..) => Ok(array.clone()),
            (Data::Blob { path, offset }, Some(dtype), Some(shape)) => self
                .weights
                .blob(path)?
                .read(*offset, dtype, &shape)
                .with_context(|| path),
            (Data::Blob { path, offset }, ..) => {
                fail!("the weight at offset {offset} of {path} has no fixed shape")
            }
            _ => fail!("the value is not a tensor of numbers"),
        }
    }

    /// Writes the whole bundle to `path` in the form its extension names; nothing is left behind
    /// half-written on failure.
    pub fn save(&self, _path: &Path) -> Result<()> {
        unimplemented!()
    }

    /// The bundle with new values for some weights, by value name in `function`: a `const` keeps its
    /// dtype (values are rounded to it), a compressed weight becomes a dense `const`.
    pub fn with_weights(&self, _function: &str, _new: &BTreeMap<String, Array>) -> Result<Bundle> {
        unimplemented!()
    }
}

/// Overwrites blob-backed weights of the bundle at `path` in place: same offsets, dtypes and sizes, every
/// other byte unchanged.
pub fn update_in_place(
    _path: &Path,
    _function: &str,
    _new: &BTreeMap<String, Array>,
) -> Result<()> {
    unimplemented!()
}

//! Core ML bundles on disk: `.mlmodelc`, `.mlpackage`, bare `.mlmodel`; reading, writing, describing.

mod describe;
mod digest;

pub use describe::{Description, Feature, FeatureKind, Flexibility, FunctionDescription, Metadata};
pub use digest::digest;

use std::collections::BTreeMap;
use std::path::Path;

use crate::diag::Result;
use crate::mil::{Program, Value};
use crate::numeric::Array;

/// An ML Program with its description and its weights.
pub struct Bundle {
    pub program: Program,
    pub description: Description,
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
    /// Reads a bundle; the form is told by what the path holds. Weights are mapped, not read.
    pub fn open(_path: &Path) -> Result<Self> {
        unimplemented!()
    }

    /// A bundle of a compiled model that is kept in memory: (relative path, content) of each file.
    pub fn from_files(_name: &str, _files: &[(&str, &'static [u8])]) -> Result<Self> {
        unimplemented!()
    }

    /// A new bundle of a program whose weights are immediate arrays.
    pub fn new(_program: Program, _description: Description) -> Self {
        unimplemented!()
    }

    /// The array of an immediate or blob value.
    pub fn resolve(&self, _value: &Value) -> Result<Array> {
        unimplemented!()
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

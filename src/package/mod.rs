//! Core ML bundles on disk: `.mlmodelc`, `.mlpackage`, bare `.mlmodel`; reading, writing, describing.

mod analytics;
mod blobs;
mod classes;
mod compile;
mod compiled;
mod constant;
mod coremldata;
mod derive;
mod describe;
mod digest;
mod edit;
mod emit;
mod encode;
mod encoded;
mod files;
mod flexible;
mod interface;
mod inventory;
mod manifest;
mod metadata;
mod model;
mod open;
mod overwrite;
mod packaged;
mod pipeline;
mod save;

pub use compile::{compile, compile_by};
pub use constant::is_constant;
pub use describe::{
    Color, Description, Feature, FeatureKind, Flexibility, FunctionDescription, Metadata,
};
pub use digest::digest;
pub use edit::{Storage, StoredWeight};
pub use inventory::{WeightForm, weight_forms};
pub use model::Model;
pub use pipeline::{Pipeline, PipelineKind, Stage};
pub use save::Companions;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use self::files::{Files, Weights};
use crate::diag::{Context, Interrupt, Result};
use crate::fail;
use crate::mil::{Data, Program, Value};
use crate::numeric::Array;
use crate::weights::encode::{Encoded, Scheme};

/// An ML Program with its description and its weights.
///
/// Weights stay in their files, mapped; clones share them. A weight file that is absent or damaged is
/// an error when a weight of it is used, so that a program without weights can still be looked at.
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
    /// A pipeline (see [`Model`]), or a model that is not an ML Program, is an error that names the type.
    pub fn open(path: &Path) -> Result<Self> {
        let model = open::open(path)?;
        model
            .into_program()
            .with_context(|| path.display().to_string())
    }

    /// A bundle of a model that is kept in memory: (relative path, content) of each file.
    pub fn from_files<'a, B>(
        name: &str,
        files: impl IntoIterator<Item = (&'a str, B)>,
    ) -> Result<Self>
    where
        B: Into<Cow<'static, [u8]>>,
    {
        let contents = files.into_iter().map(|(p, b)| (p.to_owned(), b.into()));
        let files = Files::Memory {
            name: name.to_owned(),
            files: Arc::new(contents.collect()),
        };
        let model = open::folder(files).and_then(Model::into_program);
        model.with_context(|| name)
    }

    /// A new bundle of a program whose weights are immediate arrays.
    pub fn new(program: Program, description: Description) -> Self {
        Self::of(program, description, Weights::none())
    }

    fn of(program: Program, description: Description, weights: Weights) -> Self {
        weights.map_all(&program);
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

    /// Writes the whole bundle to `path` in the form its extension names, `.mlpackage` or `.mlmodelc`.
    /// What stands at `path` is replaced at the very end; nothing is left half-written on failure.
    ///
    /// The same bundle gives the same bytes. Weight files are copied as they are unless the program
    /// holds large arrays itself; then all weights go to one new `weights/weight.bin`, equal ones once.
    /// A `.mlmodelc` has what Apple's compiler would write (see [`compile`]); whether Core ML itself loads
    /// it was not tried: for a Mac, write a `.mlpackage`.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.save_with(path, &Companions::new())
    }

    /// The same, with `companions` in the bundle's folder, such as its tokenizer.
    pub fn save_with(&self, path: &Path, companions: &Companions) -> Result<()> {
        save::save(save::Whole::Program(Cow::Borrowed(self)), path, companions)
    }

    /// The bundle with new values for some weights, by value name in `function`; and how each that
    /// changed is stored now, the least faithful first. A weight whose values are those that it has,
    /// rounded to its type, stays as it is to the bit. A `const` keeps its dtype; a compressed weight
    /// becomes what `storage` says.
    ///
    /// Fails if a name is no weight, a shape differs, or a value does not fit the weight's type.
    pub fn with_weights(
        &self,
        function: &str,
        new: &BTreeMap<String, Array>,
        storage: Storage,
    ) -> Result<(Bundle, Vec<StoredWeight>)> {
        edit::with_weights(self, function, new, storage)
    }

    /// The pieces that a weight of `function` is stored as.
    pub fn encoded(&self, function: &str, name: &str) -> Result<Encoded> {
        edit::encoded(self, function, name)
    }

    /// The bundle with some weights of `function` stored by other schemes; and how near that is to what
    /// they were, the least faithful first. The operations are those of iOS 18 where the function is of
    /// iOS 18 or later, else those of iOS 16.
    ///
    /// Fails if a name is no weight, its scheme does not fit its shape or the function's version, or
    /// `interrupt` is set.
    pub fn compressed(
        &self,
        function: &str,
        schemes: &BTreeMap<String, Scheme>,
        interrupt: &Interrupt,
    ) -> Result<(Bundle, Vec<StoredWeight>)> {
        edit::compressed(self, function, schemes, interrupt)
    }
}

/// Overwrites blob-backed weights of the bundle at `path` in place: same offsets, dtypes and sizes, every
/// other byte unchanged.
///
/// Each weight file is replaced as a whole by a patched copy, so that a failure leaves the old one, and
/// bundles that are open keep the values that they were opened with. Constants that share a blob, also
/// of other functions, change together; if two of them are given different values, the bundle is written
/// anew instead, as a whole, each with its own.
pub fn update_in_place(path: &Path, function: &str, new: &BTreeMap<String, Array>) -> Result<()> {
    overwrite::update_in_place(path, function, new)
        .with_context(|| format!("updating {}", path.display()))
}

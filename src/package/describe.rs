//! What a bundle says of itself: inputs, outputs, states, functions, metadata.

use std::collections::BTreeMap;

use crate::numeric::DType;

/// The interface of a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Description {
    /// Core ML specification version: 6 (iOS 15) … 10 (iOS 26).
    pub specification_version: i32,
    /// By name; a model without functions of its own has `main` alone.
    pub functions: BTreeMap<String, FunctionDescription>,
    pub default_function: String,
    pub metadata: Metadata,
}

/// The interface of one function, in the author's order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FunctionDescription {
    pub inputs: Vec<Feature>,
    pub outputs: Vec<Feature>,
    pub states: Vec<Feature>,
    /// Name of the class-label output of a classifier.
    pub predicted_feature: Option<String>,
    /// Name of the probabilities output of a classifier.
    pub predicted_probabilities: Option<String>,
}

/// A named input, output or state.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    pub name: String,
    pub description: String,
    pub optional: bool,
    pub kind: FeatureKind,
}

/// What a feature holds.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureKind {
    /// A multi-array (of a state too). `shape` is the default shape; `default` fills an absent
    /// optional input.
    Array {
        dtype: DType,
        shape: Vec<usize>,
        flexibility: Flexibility,
        default: Option<f64>,
    },
    /// An image, seen by the program as `[1, channels, height, width]`.
    Image {
        channels: usize,
        height: usize,
        width: usize,
    },
    /// `Int64`, `Double`, `String`, `Dictionary` or `Sequence`.
    Other(String),
}

/// Which shapes an input may take.
#[derive(Debug, Clone, PartialEq)]
pub enum Flexibility {
    Fixed,
    Enumerated(Vec<Vec<usize>>),
    /// Lower and upper bound of each extent; `None` is unbounded.
    Ranges(Vec<(usize, Option<usize>)>),
}

/// Free text about a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    pub short_description: String,
    pub author: String,
    pub license: String,
    pub version: String,
    /// Key to value, as the author set them.
    pub user: BTreeMap<String, String>,
}

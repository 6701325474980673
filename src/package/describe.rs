//! What a bundle says of itself: inputs, outputs, states, functions, metadata.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::diag::{Error, Result};
use crate::fail;
use crate::numeric::DType;

/// The interface of a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Description {
    /// Core ML specification version: 6 (iOS 15) … 10 (iOS 26).
    pub specification_version: i32,
    /// By name; a model without functions of its own has `main` alone.
    pub functions: BTreeMap<String, FunctionDescription>,
    pub default_function: String,
    /// Whether files list the functions one by one even if `main` is the only one.
    pub lists_functions: bool,
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
    /// Labels of a classifier, in the order of its probabilities.
    pub class_labels: Vec<String>,
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
    /// A multi-array (of a state too). `shape` is the default shape, empty where the model does not
    /// say; `default` fills an absent optional input.
    Array {
        dtype: DType,
        shape: Vec<usize>,
        flexibility: Flexibility,
        default: Option<f64>,
    },
    /// An image, seen by the program as `[1, channels, height, width]`.
    Image {
        color: Color,
        height: usize,
        width: usize,
        /// Of `[height, width]`.
        flexibility: Flexibility,
    },
    /// `Int64`, `Double`, `String`, `Dictionary<String>`, `Dictionary<Int64>`, `Sequence<String>` or
    /// `Sequence<Int64>`.
    Other(String),
}

/// Channels of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    Gray,
    Rgb,
    Bgr,
    GrayFp16,
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

impl Description {
    /// The interface of the function `name`.
    pub fn function(&self, name: &str) -> Result<&FunctionDescription> {
        let known = self.functions.keys().map(String::as_str);
        let unknown = || Error::unknown("function", name, known);
        self.functions.get(name).ok_or_else(unknown)
    }

    /// Whether files describe the model without functions: it has `main` alone.
    pub(super) fn is_plain(&self) -> bool {
        let main = self.functions.len() == 1 && self.functions.contains_key("main");
        main && !self.lists_functions
    }
}

impl FunctionDescription {
    /// Whether a classifier's labels are whole numbers.
    pub fn labels_are_numbers(&self) -> bool {
        let label = self.predicted_feature.as_ref();
        let label = label.and_then(|name| self.output(name).ok());
        label
            .is_some_and(|label| matches!(&label.kind, FeatureKind::Other(kind) if kind == "Int64"))
    }

    /// The input called `name`.
    pub fn input(&self, name: &str) -> Result<&Feature> {
        find(&self.inputs, "input", name)
    }

    /// The output called `name`.
    pub fn output(&self, name: &str) -> Result<&Feature> {
        find(&self.outputs, "output", name)
    }

    /// The state called `name`.
    pub fn state(&self, name: &str) -> Result<&Feature> {
        find(&self.states, "state", name)
    }
}

fn find<'a>(features: &'a [Feature], what: &str, name: &str) -> Result<&'a Feature> {
    let found = features.iter().find(|f| f.name == name);
    found.ok_or_else(|| Error::unknown(what, name, features.iter().map(|f| f.name.as_str())))
}

impl Feature {
    /// A multi-array of fixed shape.
    pub fn array(name: impl Into<String>, dtype: DType, shape: &[usize]) -> Self {
        Feature {
            name: name.into(),
            description: String::new(),
            optional: false,
            kind: FeatureKind::Array {
                dtype,
                shape: shape.to_vec(),
                flexibility: Flexibility::Fixed,
                default: None,
            },
        }
    }

    /// Whether the feature can take a value of `shape`; the error names what it can take.
    pub fn accepts(&self, shape: &[usize]) -> Result<()> {
        let fits = match &self.kind {
            FeatureKind::Array {
                shape: default,
                flexibility,
                ..
            } => match flexibility {
                Flexibility::Fixed => default.is_empty() || default == shape,
                Flexibility::Enumerated(shapes) => shapes.iter().any(|s| s == shape),
                Flexibility::Ranges(ranges) => in_ranges(ranges, shape),
            },
            FeatureKind::Image {
                color,
                height,
                width,
                flexibility,
            } => match (shape, flexibility) {
                ([1, channels, size @ ..], _)
                    if *channels != color.channels() || size.len() != 2 =>
                {
                    false
                }
                ([1, _, size @ ..], Flexibility::Fixed) => size == [*height, *width],
                ([1, _, size @ ..], Flexibility::Enumerated(sizes)) => {
                    sizes.iter().any(|s| s == size)
                }
                ([1, _, size @ ..], Flexibility::Ranges(ranges)) => in_ranges(ranges, size),
                _ => false,
            },
            FeatureKind::Other(kind) => {
                fail!(
                    "\"{}\" is a {kind}, and only arrays and images can be given",
                    self.name
                )
            }
        };
        if !fits {
            fail!(
                "\"{}\" has shape {shape:?}, expected {}",
                self.name,
                self.shapes()
            );
        }
        Ok(())
    }

    /// Where `shape` stands in the list of allowed shapes, if there is such a list; a shape may stand there
    /// several times.
    pub fn places(&self, shape: &[usize]) -> Option<Vec<usize>> {
        let (listed, shape) = match &self.kind {
            FeatureKind::Array {
                flexibility: Flexibility::Enumerated(listed),
                ..
            } => (listed, shape),
            FeatureKind::Image {
                flexibility: Flexibility::Enumerated(listed),
                ..
            } => (listed, shape.get(2..).unwrap_or_default()),
            _ => return None,
        };
        let places = listed.iter().enumerate();
        let places = places.filter(|(_, known)| *known == shape);
        Some(places.map(|(place, _)| place).collect())
    }

    /// The shapes that the feature can take, in words: `[1, 1 to 512]`, `one of [1, 8], [1, 16]`.
    pub fn shapes(&self) -> String {
        match &self.kind {
            FeatureKind::Array {
                shape, flexibility, ..
            } => shapes(&[], shape, flexibility),
            FeatureKind::Image {
                color,
                height,
                width,
                flexibility,
            } => shapes(&[1, color.channels()], &[*height, *width], flexibility),
            FeatureKind::Other(kind) => kind.clone(),
        }
    }
}

impl Color {
    pub fn channels(self) -> usize {
        match self {
            Color::Gray | Color::GrayFp16 => 1,
            Color::Rgb | Color::Bgr => 3,
        }
    }
}

fn in_ranges(ranges: &[(usize, Option<usize>)], shape: &[usize]) -> bool {
    ranges.len() == shape.len()
        && ranges
            .iter()
            .zip(shape)
            .all(|((low, high), size)| size >= low && high.is_none_or(|high| *size <= high))
}

fn shapes(prefix: &[usize], default: &[usize], flexibility: &Flexibility) -> String {
    let fixed = |shape: &[usize]| format!("{:?}", [prefix, shape].concat());
    match flexibility {
        Flexibility::Fixed => fixed(default),
        Flexibility::Enumerated(shapes) => {
            let shapes: Vec<String> = shapes.iter().map(|shape| fixed(shape)).collect();
            format!("one of {}", shapes.join(", "))
        }
        Flexibility::Ranges(ranges) => {
            let prefix = prefix.iter().map(|size| (*size, Some(*size)));
            let mut text = String::from("[");
            for (i, (low, high)) in prefix.chain(ranges.iter().copied()).enumerate() {
                text.push_str(if i > 0 { ", " } else { "" });
                let _ = match high {
                    Some(high) if high == low => write!(text, "{low}"),
                    Some(high) => write!(text, "{low} to {high}"),
                    None => write!(text, "{low} or more"),
                };
            }
            text + "]"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(flexibility: Flexibility) -> Feature {
        let mut feature = Feature::array("ids", DType::Int32, &[1, 8]);
        if let FeatureKind::Array { flexibility: f, .. } = &mut feature.kind {
            *f = flexibility;
        }
        feature
    }

    #[test]
    fn refused_shapes_name_the_expected_ones() {
        let ranges = Flexibility::Ranges(vec![(1, Some(1)), (1, Some(512))]);
        let open = Flexibility::Ranges(vec![(1, Some(1)), (2, None)]);
        let listed = Flexibility::Enumerated(vec![vec![1, 8], vec![1, 16]]);
        for (flexibility, good, bad, expected) in [
            (Flexibility::Fixed, vec![1, 8], vec![8], "[1, 8]"),
            (ranges, vec![1, 512], vec![1, 513], "[1, 1 to 512]"),
            (open, vec![1, 5000], vec![1, 1], "[1, 2 or more]"),
            (listed, vec![1, 16], vec![1, 9], "one of [1, 8], [1, 16]"),
        ] {
            let feature = feature(flexibility);
            feature.accepts(&good).unwrap();
            let error = feature.accepts(&bad).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("\"ids\" has shape {bad:?}, expected {expected}")
            );
        }
    }

    #[test]
    fn images_take_their_channels_and_size() {
        let image = Feature {
            kind: FeatureKind::Image {
                color: Color::Rgb,
                height: 4,
                width: 6,
                flexibility: Flexibility::Ranges(vec![(4, None), (6, Some(9))]),
            },
            ..feature(Flexibility::Fixed)
        };
        image.accepts(&[1, 3, 40, 9]).unwrap();
        assert_eq!(image.shapes(), "[1, 3, 4 or more, 6 to 9]");
        for bad in [&[1, 1, 4, 6][..], &[1, 3, 4, 10], &[3, 4, 6], &[]] {
            assert!(image.accepts(bad).is_err());
        }
    }
}

//! Inputs of the shapes that are asked for, with the same numbers every time.

use std::collections::BTreeMap;

use crate::diag::{Error, Result};
use crate::engine::Features;
use crate::fail;
use crate::models::Convention;
use crate::numeric::{Array, DType, Rng};
use crate::package::{Feature, FeatureKind, FunctionDescription};

/// Tokens of the prompt that decoding starts from.
pub const PROMPT: usize = 16;

/// The `i`-th id of a row: small enough for any vocabulary.
pub fn token(i: usize) -> u32 {
    (i * 7 % 31) as u32
}

/// What each input is to look like.
pub struct Shapes {
    inputs: Vec<(String, DType, Vec<usize>)>,
    /// Examples that run together because the inputs have no extent for them.
    examples: usize,
}

impl Shapes {
    pub fn new(
        function: &FunctionDescription,
        given: &[String],
        batch: Option<usize>,
        length: Option<usize>,
    ) -> Result<Self> {
        let given = given.iter().map(|text| parse(text));
        let mut given: BTreeMap<String, Vec<usize>> = given.collect::<Result<_>>()?;
        let mut shapes = Self {
            inputs: Vec::new(),
            examples: 1,
        };
        for feature in &function.inputs {
            let (dtype, mut shape) = default_of(feature)?;
            if let Some(shape) = given.remove(&feature.name) {
                feature.accepts(&shape)?;
                shapes.inputs.push((feature.name.clone(), dtype, shape));
                continue;
            }
            if let (Some(length), true) = (length, dtype.is_int()) {
                replace(feature, &mut shape, |shape| shape.last_mut(), length);
            }
            if let Some(batch) = batch
                && !replace(feature, &mut shape, |shape| shape.first_mut(), batch)
            {
                shapes.examples = batch;
            }
            feature.accepts(&shape)?;
            shapes.inputs.push((feature.name.clone(), dtype, shape));
        }
        match given.into_keys().next() {
            None => Ok(shapes),
            Some(name) => {
                let known = function.inputs.iter().map(|feature| feature.name.as_str());
                Err(Error::unknown("input", &name, known))
            }
        }
    }

    /// Tokens of one prediction.
    pub fn tokens(&self, convention: Option<&dyn Convention>) -> Option<usize> {
        let ids = convention?.ids();
        let (.., shape) = self.inputs.iter().find(|(name, ..)| name == ids)?;
        Some(shape.iter().product::<usize>() * self.examples)
    }

    /// `input_ids 1x128`, and how many together if several.
    pub fn told(&self) -> Vec<String> {
        let times = match self.examples {
            1 => String::new(),
            n => format!(", {n} together"),
        };
        let told = self.inputs.iter().map(|(name, _, shape)| {
            let extents: Vec<String> = shape.iter().map(usize::to_string).collect();
            format!("{name} {}{times}", extents.join("x"))
        });
        told.collect()
    }

    /// Each of its own numbers: what is the same for all would be computed once.
    pub fn examples(&self) -> Result<Vec<Features>> {
        let mut rng = Rng::named(0, "bench");
        let examples = (0..self.examples).map(|i| self.example(i, &mut rng));
        examples.collect()
    }

    fn example(&self, number: usize, rng: &mut Rng) -> Result<Features> {
        let mut example = Features::new();
        for (name, dtype, shape) in &self.inputs {
            let count = 0..shape.iter().product::<usize>();
            let array = match dtype.is_int() {
                true => {
                    let ids = count.map(|i| i64::from(token(i + number)));
                    Array::from_i64s(*dtype, shape.clone(), &ids.collect::<Vec<_>>())?
                }
                false => {
                    let values: Vec<f64> = count.map(|_| rng.normal()).collect();
                    Array::from_f64s(*dtype, shape.clone(), &values)?
                }
            };
            example.insert(name.clone(), array);
        }
        Ok(example)
    }
}

/// Sets one extent, if the feature allows it.
fn replace(
    feature: &Feature,
    shape: &mut Vec<usize>,
    extent: impl Fn(&mut Vec<usize>) -> Option<&mut usize>,
    value: usize,
) -> bool {
    let mut wanted = shape.clone();
    if let Some(extent) = extent(&mut wanted) {
        *extent = value;
    }
    let fits = feature.accepts(&wanted).is_ok();
    if fits {
        *shape = wanted;
    }
    fits
}

fn default_of(feature: &Feature) -> Result<(DType, Vec<usize>)> {
    match &feature.kind {
        FeatureKind::Array { dtype, shape, .. } => Ok((*dtype, shape.clone())),
        FeatureKind::Image {
            color,
            height,
            width,
            ..
        } => Ok((DType::Fp32, vec![1, color.channels(), *height, *width])),
        FeatureKind::Other(kind) => fail!("input \"{}\" is of type {kind}", feature.name),
    }
}

/// `input_ids=1x128`.
fn parse(text: &str) -> Result<(String, Vec<usize>)> {
    let parsed = text.split_once('=').and_then(|(name, shape)| {
        let extents = shape.split('x').map(|n| n.parse().ok());
        Some((name.to_owned(), extents.collect::<Option<_>>()?))
    });
    match parsed {
        Some(parsed) => Ok(parsed),
        None => fail!("--shape takes INPUT=AxB, as in input_ids=1x128, got \"{text}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Flexibility;

    #[test]
    fn examples_that_run_together_differ() {
        let ids = Feature {
            name: "ids".into(),
            description: String::new(),
            optional: false,
            kind: FeatureKind::Array {
                dtype: DType::Int32,
                shape: vec![1, 4],
                flexibility: Flexibility::Ranges(vec![(1, Some(1)), (1, Some(8))]),
                default: None,
            },
        };
        let function = FunctionDescription {
            inputs: vec![ids],
            ..FunctionDescription::default()
        };
        let shapes = Shapes::new(&function, &[], Some(2), Some(6)).unwrap();
        assert_eq!(shapes.told(), ["ids 1x6, 2 together"]);
        let examples = shapes.examples().unwrap();
        assert_eq!(examples.len(), 2);
        assert_ne!(examples[0], examples[1]);
        let shapes = Shapes::new(&function, &["ids=1x3".into()], None, Some(6)).unwrap();
        assert_eq!(shapes.told(), ["ids 1x3"]);
    }
}

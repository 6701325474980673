//! Holds what a caller gives to a prediction against the model's description, for both engines.

use super::Features;
use crate::diag::{Context, Error, Result};
use crate::numeric::{Array, DType};
use crate::package::{Feature, FeatureKind, FunctionDescription};

/// The inputs as the program takes them: every name known, every shape allowed, element types as
/// declared, absent optional inputs filled with their default.
pub fn prepare(function: &FunctionDescription, given: &Features) -> Result<Features> {
    let declared = || function.inputs.iter().map(|feature| feature.name.as_str());
    if let Some(name) = given.keys().find(|n| !declared().any(|known| known == *n)) {
        return Err(Error::unknown("input", name, declared()));
    }
    let mut prepared = Features::new();
    for feature in &function.inputs {
        let value = match given.get(&feature.name) {
            Some(value) => Some(fit(feature, value)?),
            None => default_of(feature)?,
        };
        prepared.extend(value.map(|value| (feature.name.clone(), value)));
    }
    Ok(prepared)
}

/// `value` as `feature` declares it, if its shape is one that `feature` allows.
pub fn fit(feature: &Feature, value: &Array) -> Result<Array> {
    feature.accepts(value.shape())?;
    match &feature.kind {
        FeatureKind::Array { dtype, .. } => value
            .cast(*dtype)
            .with_context(|| format!("\"{}\"", feature.name)),
        _ => Ok(value.clone()),
    }
}

fn default_of(feature: &Feature) -> Result<Option<Array>> {
    match &feature.kind {
        FeatureKind::Array {
            dtype,
            shape,
            default: Some(value),
            ..
        } if feature.optional => {
            let values = vec![*value; shape.iter().product()];
            let filled = Array::from_f64s(DType::Fp64, shape.clone(), &values)?;
            filled.cast(*dtype).map(Some)
        }
        _ if feature.optional => Ok(None),
        _ => Err(
            Error::new(format!("input \"{}\" is missing", feature.name)).hint(format!(
                "expected {}",
                match &feature.kind {
                    FeatureKind::Array { dtype, .. } =>
                        format!("{dtype} of shape {}", feature.shapes()),
                    FeatureKind::Image { .. } => format!("an image of shape {}", feature.shapes()),
                    FeatureKind::Other(kind) => kind.clone(),
                }
            )),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Flexibility;

    fn feature(name: &str, dtype: DType, shape: &[usize], flexibility: Flexibility) -> Feature {
        Feature {
            name: name.into(),
            description: String::new(),
            optional: false,
            kind: FeatureKind::Array {
                dtype,
                shape: shape.to_vec(),
                flexibility,
                default: None,
            },
        }
    }

    fn check(feature: &Feature, given: &[(&str, Array)], expected: Result<DType, &str>) {
        let function = FunctionDescription {
            inputs: vec![feature.clone()],
            ..Default::default()
        };
        let given = given.iter().map(|(n, a)| (n.to_string(), a.clone()));
        match (prepare(&function, &given.collect()), expected) {
            (Ok(prepared), Ok(dtype)) => assert_eq!(prepared[&feature.name].dtype(), dtype),
            (Err(error), Err(words)) => assert_eq!(error.to_string(), words),
            (got, expected) => panic!("{got:?}, expected {expected:?}"),
        }
    }

    fn tokens(shape: &[usize]) -> Array {
        Array::from_f32(shape.to_vec(), &vec![3.0; shape.iter().product()]).unwrap()
    }

    #[test]
    fn element_types_become_the_declared_ones() {
        let ids = feature("ids", DType::Int32, &[1, 4], Flexibility::Fixed);
        check(&ids, &[("ids", tokens(&[1, 4]))], Ok(DType::Int32));
        let half = Array::from_f32(vec![1, 4], &[0.5; 4]).unwrap();
        check(
            &ids,
            &[("ids", half)],
            Err("\"ids\": 0.5 is not a whole number in range, expected int32"),
        );
    }

    #[test]
    fn names_are_checked() {
        let ids = feature("input_ids", DType::Int32, &[1, 4], Flexibility::Fixed);
        check(
            &ids,
            &[("input_id", tokens(&[1, 4]))],
            Err("unknown input \"input_id\"\n  hint: did you mean \"input_ids\"?"),
        );
        check(
            &ids,
            &[],
            Err("input \"input_ids\" is missing\n  hint: expected int32 of shape [1, 4]"),
        );
    }

    #[test]
    fn shapes_are_checked_in_words() {
        let ranged = Flexibility::Ranges(vec![(1, Some(1)), (1, Some(8)), (2, None)]);
        let x = feature("x", DType::Fp32, &[1, 4, 2], ranged);
        check(&x, &[("x", tokens(&[1, 8, 9]))], Ok(DType::Fp32));
        check(
            &x,
            &[("x", tokens(&[1, 9, 2]))],
            Err("\"x\" has shape [1, 9, 2], expected [1, 1 to 8, 2 or more]"),
        );
        let choice = Flexibility::Enumerated(vec![vec![1], vec![2]]);
        let x = feature("x", DType::Fp32, &[1], choice);
        check(&x, &[("x", tokens(&[2]))], Ok(DType::Fp32));
        check(
            &x,
            &[("x", tokens(&[3]))],
            Err("\"x\" has shape [3], expected one of [1], [2]"),
        );
    }

    #[test]
    fn absent_optional_inputs_take_their_default() {
        let mut x = feature("x", DType::Fp16, &[2], Flexibility::Fixed);
        x.optional = true;
        if let FeatureKind::Array { default, .. } = &mut x.kind {
            *default = Some(1.5);
        }
        let function = FunctionDescription {
            inputs: vec![x],
            ..Default::default()
        };
        let prepared = prepare(&function, &Features::new()).unwrap();
        assert_eq!(prepared["x"].to_f32s(), [1.5, 1.5]);
    }
}

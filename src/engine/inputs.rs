//! Holds what a caller gives to a prediction against the model's description, for both engines.

use super::Features;
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::numeric::{Array, DType};
use crate::package::{Color, Feature, FeatureKind, FunctionDescription};

/// The inputs as the program takes them: every name known, every shape allowed, element types as
/// declared, absent optional inputs of up to `most` elements filled with their default.
///
/// Inputs that list their shapes must take them from the same place in their lists, as in Core ML. An
/// image is an array `[1, channels, height, width]`, or with its channels last, of pixels from 0 to 255
/// in the declared colour space (any numbers for fp16 images).
pub fn prepare(function: &FunctionDescription, given: &Features, most: usize) -> Result<Features> {
    let declared = || function.inputs.iter().map(|feature| feature.name.as_str());
    if let Some(name) = given.keys().find(|n| !declared().any(|known| known == *n)) {
        return Err(Error::unknown("input", name, declared()));
    }
    let mut prepared = Features::new();
    for feature in &function.inputs {
        let value = match given.get(&feature.name) {
            Some(value) => fit(feature, value)?,
            None => default_of(feature, most)?,
        };
        prepared.insert(feature.name.clone(), value);
    }
    check_enumerated(function, &prepared)?;
    Ok(prepared)
}

/// `value` as `feature` declares it, if its shape is one that `feature` allows.
pub fn fit(feature: &Feature, value: &Array) -> Result<Array> {
    let place = || format!("\"{}\"", feature.name);
    match &feature.kind {
        FeatureKind::Array { dtype, .. } => {
            feature.accepts(value.shape())?;
            value.cast(*dtype).with_context(place)
        }
        FeatureKind::Image { color, .. } => {
            let image = match channels_first(feature, value)? {
                Some(image) => image,
                None => value.clone(),
            };
            check_pixels(*color, &image).with_context(place)?;
            Ok(image)
        }
        FeatureKind::Other(_) => {
            feature.accepts(value.shape())?;
            Ok(value.clone())
        }
    }
}

/// The image with its channels in front; none if they are there already.
fn channels_first(feature: &Feature, image: &Array) -> Result<Option<Array>> {
    let refused = match feature.accepts(image.shape()) {
        Ok(()) => return Ok(None),
        Err(refused) => refused,
    };
    let &[batch, height, width, channels] = image.shape() else {
        return Err(refused);
    };
    if feature.accepts(&[batch, channels, height, width]).is_err() {
        return Err(refused);
    }
    let size = image.dtype().bytes();
    let pixel =
        |channel: usize, at: usize| &image.bytes()[(at * channels + channel) * size..][..size];
    let places = (0..channels).flat_map(|c| (0..height * width).map(move |at| (c, at)));
    let bytes = places.flat_map(|(channel, at)| pixel(channel, at).iter().copied());
    let shape = vec![batch, channels, height, width];
    Array::new(image.dtype(), shape, bytes.collect()).map(Some)
}

fn check_pixels(color: Color, image: &Array) -> Result<()> {
    let pixel = |value: &f64| (0.0..=255.0).contains(value) && value.fract() == 0.0;
    match image.to_f64s().iter().find(|value| !pixel(value)) {
        Some(value) if color != Color::GrayFp16 => Err(Error::new(format!(
            "{value} is no pixel of an image of 8 bits"
        ))
        .hint("give whole numbers from 0 to 255; the program scales them itself")),
        _ => Ok(()),
    }
}

/// Inputs that list their shapes change them together.
fn check_enumerated(function: &FunctionDescription, given: &Features) -> Result<()> {
    let listed = function.inputs.iter().filter_map(|input| {
        let shape = given.get(&input.name)?.shape();
        Some((input.name.as_str(), shape, input.places(shape)?))
    });
    let listed: Vec<(&str, &[usize], Vec<usize>)> = listed.collect();
    let Some((_, _, places)) = listed.first() else {
        return Ok(());
    };
    let together = |place: &usize| listed.iter().all(|(_, _, places)| places.contains(place));
    if places.iter().any(together) {
        return Ok(());
    }
    let shapes = listed
        .iter()
        .map(|(name, shape, _)| format!("\"{name}\" {shape:?}"));
    let shapes = shapes.collect::<Vec<_>>().join(", ");
    Err(
        Error::new(format!("the shapes {shapes} do not belong together"))
            .hint("inputs that list their shapes change together: take each from the same place of its list"),
    )
}

fn default_of(feature: &Feature, most: usize) -> Result<Array> {
    let missing = || Error::new(format!("input \"{}\" is missing", feature.name));
    match &feature.kind {
        FeatureKind::Array {
            dtype,
            shape,
            default: Some(value),
            ..
        } if feature.optional => {
            let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
            let Some(count) = count.filter(|count| *count <= most) else {
                fail!(
                    "the default of input \"{}\" has shape {shape:?}, more than the {most} elements allowed",
                    feature.name
                );
            };
            let values = vec![*value; count];
            let filled = Array::from_f64s(DType::Fp64, shape.clone(), &values)?;
            filled.cast(*dtype)
        }
        _ if feature.optional => {
            Err(missing().hint("it is optional, but the model has no default for it"))
        }
        FeatureKind::Array { dtype, .. } => {
            Err(missing().hint(format!("expected {dtype} of shape {}", feature.shapes())))
        }
        FeatureKind::Image { .. } => {
            Err(missing().hint(format!("expected an image of shape {}", feature.shapes())))
        }
        FeatureKind::Other(kind) => fail!(
            "input \"{}\" is a {kind}, and only arrays and images can be given",
            feature.name
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
        match (prepare(&function, &given.collect(), 1 << 10), expected) {
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
        let prepared = prepare(&function, &Features::new(), 2).unwrap();
        assert_eq!(prepared["x"].to_f32s(), [1.5, 1.5]);
        let error = prepare(&function, &Features::new(), 1).unwrap_err();
        assert!(
            error.to_string().contains("the 1 elements allowed"),
            "{error}"
        );
    }

    fn listed(name: &str, shapes: &[&[usize]]) -> Feature {
        let shapes: Vec<Vec<usize>> = shapes.iter().map(|shape| shape.to_vec()).collect();
        let first = shapes[0].clone();
        feature(name, DType::Fp32, &first, Flexibility::Enumerated(shapes))
    }

    /// As Core ML has it: coremltools issue 2271 tells of a model with two lists.
    #[test]
    fn listed_shapes_change_together() {
        let function = FunctionDescription {
            inputs: vec![
                listed("x", &[&[1, 16], &[1, 32], &[1, 32]]),
                listed("y", &[&[256], &[512], &[1024]]),
                feature("z", DType::Fp32, &[1], Flexibility::Fixed),
            ],
            ..Default::default()
        };
        let check = |x: usize, y: usize, expected: Option<&str>| {
            let given = [
                ("x", tokens(&[1, x])),
                ("y", tokens(&[y])),
                ("z", tokens(&[1])),
            ];
            let given = given.map(|(name, value)| (name.to_owned(), value));
            let refused = prepare(&function, &Features::from(given), 1 << 10).err();
            let message = refused.map(|error| error.message().to_owned());
            assert_eq!(message.as_deref(), expected);
        };
        check(16, 256, None);
        check(32, 512, None);
        check(32, 1024, None);
        let words = r#"the shapes "x" [1, 32], "y" [256] do not belong together"#;
        check(32, 256, Some(words));
    }

    fn image(color: Color, flexibility: Flexibility) -> Feature {
        Feature {
            kind: FeatureKind::Image {
                color,
                height: 2,
                width: 1,
                flexibility,
            },
            ..feature("i", DType::Fp32, &[], Flexibility::Fixed)
        }
    }

    #[test]
    fn channels_of_images_may_come_last() {
        let pixels = [1.0, 2.0, 3.0, 4.0, 5.0, 255.0];
        let last = Array::from_f32(vec![1, 2, 1, 3], &pixels).unwrap();
        let fitted = fit(&image(Color::Rgb, Flexibility::Fixed), &last).unwrap();
        assert_eq!(fitted.shape(), [1, 3, 2, 1]);
        assert_eq!(fitted.to_f32s(), [1.0, 4.0, 2.0, 5.0, 3.0, 255.0]);
        let first = Array::from_f32(vec![1, 3, 2, 1], &pixels).unwrap();
        assert_eq!(
            fit(&image(Color::Bgr, Flexibility::Fixed), &first).unwrap(),
            first
        );
        let sizes = Flexibility::Enumerated(vec![vec![2, 1], vec![4, 4]]);
        let gray = image(Color::Gray, sizes);
        assert!(fit(&gray, &tokens(&[1, 4, 4, 1])).is_ok());
        let refused = fit(&gray, &tokens(&[1, 4, 2, 1])).unwrap_err();
        let words = "\"i\" has shape [1, 4, 2, 1], expected one of [1, 1, 2, 1], [1, 1, 4, 4]";
        assert_eq!(refused.to_string(), words);
    }

    #[test]
    fn pixels_have_eight_bits() {
        for (color, value, good) in [
            (Color::Gray, 0.5, false),
            (Color::Gray, 256.0, false),
            (Color::Gray, -1.0, false),
            (Color::Gray, 255.0, true),
            (Color::GrayFp16, 0.5, true),
        ] {
            let pixels = Array::from_f32(vec![1, 1, 2, 1], &[value, 0.0]).unwrap();
            let fitted = fit(&image(color, Flexibility::Fixed), &pixels);
            assert_eq!(fitted.is_ok(), good, "{color:?} {value}");
        }
    }

    #[test]
    fn what_is_no_array_is_refused_in_words() {
        for kind in ["Dictionary<String>", "Sequence<Int64>"] {
            let other = Feature {
                kind: FeatureKind::Other(kind.into()),
                ..feature("d", DType::Fp32, &[], Flexibility::Fixed)
            };
            let message = format!("is a {kind}, and only arrays and images can be given");
            check(&other, &[], Err(&format!("input \"d\" {message}")));
            check(
                &other,
                &[("d", tokens(&[1]))],
                Err(&format!("\"d\" {message}")),
            );
        }
        let mut optional = feature("x", DType::Fp32, &[1], Flexibility::Fixed);
        optional.optional = true;
        let words =
            "input \"x\" is missing\n  hint: it is optional, but the model has no default for it";
        check(&optional, &[], Err(words));
    }
}

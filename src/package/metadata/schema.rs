//! The entries of `inputSchema`, `outputSchema` and `stateSchema`. All values are texts.

use serde_json::{Map, Value, json};

use crate::numeric::DType;
use crate::package::describe::{Color, Feature, FeatureKind, Flexibility};

/// An input or output.
pub(super) fn feature(feature: &Feature) -> Value {
    match &feature.kind {
        FeatureKind::Array {
            dtype,
            shape,
            flexibility,
            ..
        } => array(feature, *dtype, shape, flexibility),
        FeatureKind::Image {
            color,
            height,
            width,
            flexibility,
        } => image(feature, *color, (*height, *width), flexibility),
        FeatureKind::Other(kind) => other(feature, kind),
    }
}

/// A state.
pub(super) fn state(feature: &Feature) -> Value {
    let FeatureKind::Array { dtype, shape, .. } = &feature.kind else {
        return self::feature(feature);
    };
    let name = type_name(*dtype);
    entry(&[
        ("dataType", name.into()),
        ("isOptional", optional(feature)),
        ("formattedType", format!("State ({})", sized(name, shape))),
        ("shortDescription", feature.description.clone()),
        ("shape", format!("{shape:?}")),
        ("name", feature.name.clone()),
        ("type", "State".into()),
    ])
}

/// The orders are those of Apple's compiler.
fn array(feature: &Feature, dtype: DType, shape: &[usize], flexibility: &Flexibility) -> Value {
    let name = type_name(dtype);
    let short = ("shortDescription", feature.description.clone());
    let data = ("dataType", name.to_owned());
    let flexible = |flag: &str| ("hasShapeFlexibility", flag.to_owned());
    let optional = ("isOptional", optional(feature));
    let prose = |text: String| ("shapeFlexibility", text);
    let formatted = (
        "formattedType",
        format!("MultiArray ({})", sized(name, shape)),
    );
    let ty = ("type", "MultiArray".to_owned());
    let default = ("shape", format!("{shape:?}"));
    let name = ("name", feature.name.clone());
    match flexibility {
        Flexibility::Fixed => entry(&[
            flexible("0"),
            optional,
            data,
            formatted,
            short,
            default,
            name,
            ty,
        ]),
        Flexibility::Ranges(ranges) => {
            let range = ("shapeRange", pairs(ranges));
            let spans = prose(spans(ranges));
            let flexible = flexible("1");
            entry(&[
                data, flexible, optional, spans, range, formatted, ty, default, name, short,
            ])
        }
        Flexibility::Enumerated(shapes) => {
            let listed = ("enumeratedShapes", format!("{shapes:?}"));
            let each = shapes.iter().map(|shape| times(shape));
            let each = prose(each.collect::<Vec<_>>().join(" | "));
            let flexible = flexible("1");
            entry(&[
                short, data, flexible, optional, each, formatted, ty, default, name, listed,
            ])
        }
    }
}

fn image(
    feature: &Feature,
    color: Color,
    (height, width): (usize, usize),
    flexibility: &Flexibility,
) -> Value {
    let (colored, space, words) = match color {
        Color::Rgb => ("1", "RGB", "Color"),
        Color::Bgr => ("1", "BGR", "Color"),
        Color::Gray => ("0", "Grayscale", "Grayscale"),
        Color::GrayFp16 => ("0", "GrayscaleFloat16", "Grayscale Float16"),
    };
    let mut entries = vec![
        ("height", height.to_string()),
        ("colorspace", space.to_owned()),
        ("isOptional", optional(feature)),
        ("width", width.to_string()),
        ("isColor", colored.to_owned()),
        (
            "formattedType",
            format!("Image ({words} {width} × {height})"),
        ),
    ];
    let flexible = !matches!(flexibility, Flexibility::Fixed);
    entries.push(("hasSizeFlexibility", u8::from(flexible).to_string()));
    match flexibility {
        Flexibility::Fixed => {}
        Flexibility::Ranges(ranges) => {
            entries.push(("sizeFlexibility", spans(ranges)));
            entries.push(("sizeRange", pairs(ranges)));
        }
        Flexibility::Enumerated(sizes) => {
            let each: Vec<String> = sizes.iter().map(|size| times(size)).collect();
            entries.push(("sizeFlexibility", each.join(" | ")));
            entries.push(("enumeratedSizes", format!("{sizes:?}")));
        }
    }
    entries.push(("type", "Image".to_owned()));
    entries.push(("shortDescription", feature.description.clone()));
    entries.push(("name", feature.name.clone()));
    entry(&entries)
}

/// Texts, numbers, dictionaries and sequences.
fn other(feature: &Feature, kind: &str) -> Value {
    let (ty, inner) = kind
        .trim_end_matches('>')
        .split_once('<')
        .unwrap_or((kind, ""));
    let formatted = match ty {
        "Dictionary" => format!("Dictionary ({inner} → Double)"),
        "Sequence" => format!("Sequence ({inner})"),
        other => other.to_owned(),
    };
    let mut entries = vec![("isOptional", optional(feature))];
    if ty == "Dictionary" {
        entries.push(("keyType", inner.to_owned()));
    }
    entries.extend([
        ("formattedType", formatted),
        ("type", ty.to_owned()),
        ("name", feature.name.clone()),
        ("shortDescription", feature.description.clone()),
    ]);
    entry(&entries)
}

fn entry(entries: &[(&str, String)]) -> Value {
    let entries = entries
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)));
    Value::Object(entries.collect::<Map<_, _>>())
}

fn optional(feature: &Feature) -> String {
    u8::from(feature.optional).to_string()
}

/// `Float32 1 × 4`; without a shape, the type alone.
fn sized(name: &str, shape: &[usize]) -> String {
    match shape {
        [] => name.to_owned(),
        shape => format!("{name} {}", times(shape)),
    }
}

fn times(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    sizes.join(" × ")
}

/// `[[1, 4], [2, -1]]`: -1 is unbounded.
fn pairs(ranges: &[(usize, Option<usize>)]) -> String {
    let high = |high: &Option<usize>| high.map_or(-1, |high| high as i64);
    let pairs = ranges
        .iter()
        .map(|(low, h)| format!("[{low}, {}]", high(h)));
    format!("[{}]", pairs.collect::<Vec<_>>().join(", "))
}

/// `1...4 × 2...`
fn spans(ranges: &[(usize, Option<usize>)]) -> String {
    let span = |(low, high): &(usize, Option<usize>)| match high {
        Some(high) if high == low => low.to_string(),
        Some(high) => format!("{low}...{high}"),
        None => format!("{low}..."),
    };
    ranges.iter().map(span).collect::<Vec<_>>().join(" × ")
}

fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Fp16 => "Float16",
        DType::Fp64 => "Double",
        DType::Int8 => "Int8",
        DType::Int32 => "Int32",
        _ => "Float32",
    }
}

//! Descriptions in Core ML's protobuf (`ModelDescription`), both ways.

use coreml_proto::proto::{
    self, ArrayFeatureType, FeatureDescription, ImageFeatureType, ModelDescription, SizeRange,
    array_feature_type::{self as array, ArrayDataType},
    feature_type::Type,
    image_feature_type::{self as image, ColorSpace},
};

use super::describe::{
    Color, Description, Feature, FeatureKind, Flexibility, FunctionDescription, Metadata,
};
use crate::diag::{Context, Result};
use crate::fail;
use crate::numeric::DType;

const DTYPES: [(DType, ArrayDataType); 5] = [
    (DType::Fp16, ArrayDataType::Float16),
    (DType::Fp32, ArrayDataType::Float32),
    (DType::Fp64, ArrayDataType::Double),
    (DType::Int8, ArrayDataType::Int8),
    (DType::Int32, ArrayDataType::Int32),
];

const COLORS: [(Color, ColorSpace); 4] = [
    (Color::Gray, ColorSpace::Grayscale),
    (Color::Rgb, ColorSpace::Rgb),
    (Color::Bgr, ColorSpace::Bgr),
    (Color::GrayFp16, ColorSpace::GrayscaleFloat16),
];

/// Reads a description; `only_function` names the function of a model that describes none.
pub(super) fn read(
    proto: &ModelDescription,
    specification_version: i32,
    only_function: &str,
) -> Result<Description> {
    let mut description = Description {
        specification_version,
        default_function: proto.default_function_name.clone(),
        metadata: read_metadata(proto.metadata.as_ref()),
        lists_functions: matches!(&proto.functions[..], [only] if only.name == "main"),
        ..Description::default()
    };
    for f in &proto.functions {
        let function = FunctionDescription {
            inputs: read_features(&f.input)?,
            outputs: read_features(&f.output)?,
            states: read_features(&f.state)?,
            predicted_feature: some(&f.predicted_feature_name),
            predicted_probabilities: some(&f.predicted_probabilities_name),
            class_labels: Vec::new(),
        };
        description.functions.insert(f.name.clone(), function);
    }
    if proto.functions.is_empty() {
        let function = FunctionDescription {
            inputs: read_features(&proto.input)?,
            outputs: read_features(&proto.output)?,
            states: read_features(&proto.state)?,
            predicted_feature: some(&proto.predicted_feature_name),
            predicted_probabilities: some(&proto.predicted_probabilities_name),
            class_labels: Vec::new(),
        };
        description
            .functions
            .insert(only_function.to_owned(), function);
    }
    if description.default_function.is_empty() {
        description.default_function = only_function.to_owned();
    }
    Ok(description)
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn read_metadata(proto: Option<&proto::Metadata>) -> Metadata {
    let Some(proto) = proto else {
        return Metadata::default();
    };
    let user = proto.user_defined.iter();
    Metadata {
        short_description: proto.short_description.clone(),
        author: proto.author.clone(),
        license: proto.license.clone(),
        version: proto.version_string.clone(),
        user: user.map(|(k, v)| (k.clone(), v.clone())).collect(),
    }
}

fn read_features(protos: &[FeatureDescription]) -> Result<Vec<Feature>> {
    let read = |proto: &FeatureDescription| {
        let kind = read_kind(proto).with_context(|| format!("feature \"{}\"", proto.name))?;
        Ok(Feature {
            name: proto.name.clone(),
            description: proto.short_description.clone(),
            optional: proto.r#type.as_ref().is_some_and(|ty| ty.is_optional),
            kind,
        })
    };
    protos.iter().map(read).collect()
}

fn read_kind(proto: &FeatureDescription) -> Result<FeatureKind> {
    use proto::dictionary_feature_type::KeyType;
    use proto::sequence_feature_type as sequence;
    use proto::state_feature_type as state;

    let other = |name: &str| Ok(FeatureKind::Other(name.into()));
    match proto.r#type.as_ref().and_then(|ty| ty.r#type.as_ref()) {
        Some(Type::MultiArrayType(array)) => read_array(array),
        Some(Type::StateType(state)) => match &state.r#type {
            Some(state::Type::ArrayType(array)) => read_array(array),
            None => fail!("the state has no type"),
        },
        Some(Type::ImageType(image)) => read_image(image),
        Some(Type::Int64Type(_)) => other("Int64"),
        Some(Type::DoubleType(_)) => other("Double"),
        Some(Type::StringType(_)) => other("String"),
        Some(Type::DictionaryType(dict)) => match dict.key_type {
            Some(KeyType::Int64KeyType(_)) => other("Dictionary<Int64>"),
            _ => other("Dictionary<String>"),
        },
        Some(Type::SequenceType(sequence)) => match sequence.r#type {
            Some(sequence::Type::Int64Type(_)) => other("Sequence<Int64>"),
            _ => other("Sequence<String>"),
        },
        None => fail!("it has no type"),
    }
}

fn read_array(proto: &ArrayFeatureType) -> Result<FeatureKind> {
    let Some((dtype, _)) = DTYPES.iter().find(|(_, p)| *p as i32 == proto.data_type) else {
        fail!("array data type {} is unknown", proto.data_type);
    };
    let flexibility = match &proto.shape_flexibility {
        None => Flexibility::Fixed,
        Some(array::ShapeFlexibility::EnumeratedShapes(shapes)) => {
            let shapes = shapes.shapes.iter().map(|s| read_shape(&s.shape));
            Flexibility::Enumerated(shapes.collect::<Result<_>>()?)
        }
        Some(array::ShapeFlexibility::ShapeRange(range)) => {
            let ranges = range.size_ranges.iter().map(read_range);
            Flexibility::Ranges(ranges.collect::<Result<_>>()?)
        }
    };
    let default = proto.default_optional_value.as_ref().map(|v| match v {
        array::DefaultOptionalValue::IntDefaultValue(v) => f64::from(*v),
        array::DefaultOptionalValue::FloatDefaultValue(v) => f64::from(*v),
        array::DefaultOptionalValue::DoubleDefaultValue(v) => *v,
    });
    Ok(FeatureKind::Array {
        dtype: *dtype,
        shape: read_shape(&proto.shape)?,
        flexibility,
        default,
    })
}

fn read_image(proto: &ImageFeatureType) -> Result<FeatureKind> {
    let Some((color, _)) = COLORS.iter().find(|(_, p)| *p as i32 == proto.color_space) else {
        fail!("colour space {} is unknown", proto.color_space);
    };
    let flexibility = match &proto.size_flexibility {
        None => Flexibility::Fixed,
        Some(image::SizeFlexibility::EnumeratedSizes(sizes)) => {
            let size = |s: &image::ImageSize| read_shape(&[s.height as i64, s.width as i64]);
            Flexibility::Enumerated(sizes.sizes.iter().map(size).collect::<Result<_>>()?)
        }
        Some(image::SizeFlexibility::ImageSizeRange(range)) => {
            let ranges = [range.height_range, range.width_range];
            let ranges = ranges.iter().map(|r| read_range(&r.unwrap_or_default()));
            Flexibility::Ranges(ranges.collect::<Result<_>>()?)
        }
    };
    let size = read_shape(&[proto.height, proto.width])?;
    Ok(FeatureKind::Image {
        color: *color,
        height: size[0],
        width: size[1],
        flexibility,
    })
}

fn read_shape(shape: &[i64]) -> Result<Vec<usize>> {
    let size = |size: &i64| match usize::try_from(*size) {
        Ok(size) => Ok(size),
        Err(_) => fail!("the shape {shape:?} has a negative extent"),
    };
    shape.iter().map(size).collect()
}

fn read_range(range: &SizeRange) -> Result<(usize, Option<usize>)> {
    let Ok(low) = usize::try_from(range.lower_bound) else {
        fail!("the lower bound {} is too large", range.lower_bound);
    };
    Ok((low, usize::try_from(range.upper_bound).ok()))
}

/// Writes a description, but for the metadata (see [`super::encode`]); fails for element types that a
/// model's interface can't have.
pub(super) fn write(description: &Description) -> Result<ModelDescription> {
    let only = match description.functions.get("main") {
        Some(only) if description.is_plain() => only,
        _ => return write_functions(description),
    };
    Ok(ModelDescription {
        input: write_features(&only.inputs, false)?,
        output: write_features(&only.outputs, false)?,
        state: write_features(&only.states, true)?,
        predicted_feature_name: only.predicted_feature.clone().unwrap_or_default(),
        predicted_probabilities_name: only.predicted_probabilities.clone().unwrap_or_default(),
        ..Default::default()
    })
}

fn write_functions(description: &Description) -> Result<ModelDescription> {
    let functions = description.functions.iter().map(|(name, f)| {
        Ok(proto::FunctionDescription {
            name: name.clone(),
            input: write_features(&f.inputs, false)?,
            output: write_features(&f.outputs, false)?,
            state: write_features(&f.states, true)?,
            predicted_feature_name: f.predicted_feature.clone().unwrap_or_default(),
            predicted_probabilities_name: f.predicted_probabilities.clone().unwrap_or_default(),
        })
    });
    Ok(ModelDescription {
        functions: functions.collect::<Result<_>>()?,
        default_function_name: description.default_function.clone(),
        ..Default::default()
    })
}

fn write_features(features: &[Feature], states: bool) -> Result<Vec<FeatureDescription>> {
    use proto::state_feature_type as state;

    let write = |feature: &Feature| {
        let place = || format!("feature \"{}\"", feature.name);
        let ty = match write_kind(&feature.kind).with_context(place)? {
            Type::MultiArrayType(array) if states => Type::StateType(proto::StateFeatureType {
                r#type: Some(state::Type::ArrayType(array)),
            }),
            other => other,
        };
        Ok(FeatureDescription {
            name: feature.name.clone(),
            short_description: feature.description.clone(),
            r#type: Some(proto::FeatureType {
                is_optional: feature.optional,
                r#type: Some(ty),
            }),
        })
    };
    features.iter().map(write).collect()
}

fn write_kind(kind: &FeatureKind) -> Result<Type> {
    Ok(match kind {
        FeatureKind::Array {
            dtype,
            shape,
            flexibility,
            default,
        } => Type::MultiArrayType(ArrayFeatureType {
            shape: signed(shape),
            data_type: write_dtype(*dtype)?,
            shape_flexibility: write_flexibility(flexibility),
            default_optional_value: default.map(|value| write_default(*dtype, value)),
        }),
        FeatureKind::Image {
            color,
            height,
            width,
            flexibility,
        } => Type::ImageType(ImageFeatureType {
            width: *width as i64,
            height: *height as i64,
            color_space: COLORS
                .iter()
                .find(|(c, _)| c == color)
                .map_or(0, |(_, p)| *p as i32),
            size_flexibility: write_sizes(flexibility),
        }),
        FeatureKind::Other(name) => write_other(name)?,
    })
}

fn write_dtype(dtype: DType) -> Result<i32> {
    match DTYPES.iter().find(|(d, _)| *d == dtype) {
        Some((_, proto)) => Ok(*proto as i32),
        None => {
            fail!("arrays of a model's interface are fp16, fp32, fp64, int8 or int32, not {dtype}")
        }
    }
}

fn write_default(dtype: DType, value: f64) -> array::DefaultOptionalValue {
    match dtype {
        DType::Fp64 => array::DefaultOptionalValue::DoubleDefaultValue(value),
        DType::Int32 | DType::Int8 => array::DefaultOptionalValue::IntDefaultValue(value as i32),
        _ => array::DefaultOptionalValue::FloatDefaultValue(value as f32),
    }
}

fn write_flexibility(flexibility: &Flexibility) -> Option<array::ShapeFlexibility> {
    match flexibility {
        Flexibility::Fixed => None,
        Flexibility::Enumerated(shapes) => {
            let shapes = shapes.iter().map(|s| array::Shape { shape: signed(s) });
            let shapes = array::EnumeratedShapes {
                shapes: shapes.collect(),
            };
            Some(array::ShapeFlexibility::EnumeratedShapes(shapes))
        }
        Flexibility::Ranges(ranges) => {
            let size_ranges = ranges.iter().map(write_range).collect();
            let range = array::ShapeRange { size_ranges };
            Some(array::ShapeFlexibility::ShapeRange(range))
        }
    }
}

fn write_sizes(flexibility: &Flexibility) -> Option<image::SizeFlexibility> {
    match flexibility {
        Flexibility::Enumerated(sizes) => {
            let sizes = sizes.iter().map(|size| image::ImageSize {
                height: size.first().copied().unwrap_or(0) as u64,
                width: size.get(1).copied().unwrap_or(0) as u64,
            });
            let sizes = image::EnumeratedImageSizes {
                sizes: sizes.collect(),
            };
            Some(image::SizeFlexibility::EnumeratedSizes(sizes))
        }
        Flexibility::Ranges(ranges) => {
            let range = image::ImageSizeRange {
                height_range: ranges.first().map(write_range),
                width_range: ranges.get(1).map(write_range),
            };
            Some(image::SizeFlexibility::ImageSizeRange(range))
        }
        Flexibility::Fixed => None,
    }
}

fn write_range((low, high): &(usize, Option<usize>)) -> SizeRange {
    SizeRange {
        lower_bound: *low as u64,
        upper_bound: high.map_or(-1, |high| high as i64),
    }
}

fn write_other(name: &str) -> Result<Type> {
    use proto::dictionary_feature_type::KeyType;
    use proto::sequence_feature_type as sequence;

    let dictionary = |key| {
        Type::DictionaryType(proto::DictionaryFeatureType {
            key_type: Some(key),
        })
    };
    let sequence = |item| {
        Type::SequenceType(proto::SequenceFeatureType {
            r#type: Some(item),
            ..Default::default()
        })
    };
    Ok(match name {
        "Int64" => Type::Int64Type(proto::Int64FeatureType::default()),
        "Double" => Type::DoubleType(proto::DoubleFeatureType::default()),
        "String" => Type::StringType(proto::StringFeatureType::default()),
        "Dictionary<Int64>" => dictionary(KeyType::Int64KeyType(Default::default())),
        "Dictionary<String>" => dictionary(KeyType::StringKeyType(Default::default())),
        "Sequence<Int64>" => sequence(sequence::Type::Int64Type(Default::default())),
        "Sequence<String>" => sequence(sequence::Type::StringType(Default::default())),
        other => fail!("there is no feature type {other}"),
    })
}

fn signed(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|size| *size as i64).collect()
}

//! The function attribute `FlexibleShapeInformation` of compiled programs, both ways.
//!
//! A package keeps flexible shapes in its description; Apple's compiler repeats them in this
//! attribute: a tuple of `("DefaultShapes", {{input, shape}, …})` and `("RangeDims", {{input, [[low,
//! high], …]}, …})` or `("EnumeratedShapes", {{key, {{input, shape}, …}}, …})`. The key of an
//! enumerated shape is an opaque 32-bit number; ours is not Apple's.

use std::collections::BTreeMap;

use super::describe::{Feature, FeatureKind, Flexibility};
use crate::diag::Result;
use crate::fail;
use crate::mil::{Attributes, Data, Dim, Type, Value};
use crate::numeric::{Array, DType};

pub(super) const ATTRIBUTE: &str = "FlexibleShapeInformation";

/// Default shape and flexibility of each input that has any.
pub(super) fn read(attributes: &Attributes) -> Result<BTreeMap<String, (Vec<usize>, Flexibility)>> {
    let mut found = BTreeMap::<String, Flexibility>::new();
    let mut defaults = BTreeMap::new();
    let entries = match attributes.get(ATTRIBUTE).map(|value| &value.data) {
        None => &[][..],
        Some(Data::Tuple(entries)) => entries,
        Some(_) => fail!("{ATTRIBUTE} is not a tuple"),
    };
    for entry in entries {
        let Data::Tuple(entry) = &entry.data else {
            fail!("{ATTRIBUTE} is not a tuple of tuples");
        };
        match (entry.first().and_then(Value::as_text), entry.get(1)) {
            (Some("DefaultShapes"), Some(dict)) => {
                for (name, shape) in pairs(dict)? {
                    defaults.insert(name, extents(shape)?);
                }
            }
            (Some("RangeDims"), Some(dict)) => {
                for (name, ranges) in pairs(dict)? {
                    found.insert(name, read_ranges(ranges)?);
                }
            }
            (Some("EnumeratedShapes"), Some(dict)) => read_enumerated(dict, &mut found)?,
            _ => {}
        }
    }
    let with_default = |(name, flexibility)| {
        let default = defaults
            .remove(&name)
            .unwrap_or_else(|| lowest(&flexibility));
        (name, (default, flexibility))
    };
    Ok(found.into_iter().map(with_default).collect())
}

fn lowest(flexibility: &Flexibility) -> Vec<usize> {
    match flexibility {
        Flexibility::Fixed => Vec::new(),
        Flexibility::Enumerated(shapes) => shapes.first().cloned().unwrap_or_default(),
        Flexibility::Ranges(ranges) => ranges.iter().map(|(low, _)| *low).collect(),
    }
}

fn read_ranges(value: &Value) -> Result<Flexibility> {
    let Data::List(items) = &value.data else {
        fail!("RangeDims is not a list");
    };
    let range = |item: &Value| match numbers(item)?[..] {
        [low, high] if low >= 0 => Ok((low as usize, usize::try_from(high).ok())),
        _ => fail!("a range of RangeDims is not a pair"),
    };
    Ok(Flexibility::Ranges(
        items.iter().map(range).collect::<Result<_>>()?,
    ))
}

fn read_enumerated(dict: &Value, found: &mut BTreeMap<String, Flexibility>) -> Result<()> {
    for (_, inputs) in pairs(dict)? {
        for (name, shape) in pairs(inputs)? {
            let shape = extents(shape)?;
            let entry = found
                .entry(name)
                .or_insert(Flexibility::Enumerated(Vec::new()));
            if let Flexibility::Enumerated(shapes) = entry {
                shapes.push(shape);
            }
        }
    }
    Ok(())
}

fn pairs(dict: &Value) -> Result<Vec<(String, &Value)>> {
    let Data::Dict(pairs) = &dict.data else {
        fail!("{ATTRIBUTE} lacks a dictionary");
    };
    pairs
        .iter()
        .map(|(key, value)| match key.as_text() {
            Some(key) => Ok((key.to_owned(), value)),
            None => fail!("{ATTRIBUTE} has a key that is no string"),
        })
        .collect()
}

fn numbers(value: &Value) -> Result<Vec<i64>> {
    match &value.data {
        Data::Array(array) => Ok(array.to_i64s()),
        _ => fail!("{ATTRIBUTE} has a shape that is no tensor"),
    }
}

fn extents(value: &Value) -> Result<Vec<usize>> {
    let extent = |size: i64| match usize::try_from(size) {
        Ok(size) => Ok(size),
        Err(_) => fail!("{ATTRIBUTE} has a negative extent"),
    };
    numbers(value)?.into_iter().map(extent).collect()
}

/// Default shape and flexibility of the flexible ones among `inputs`, as [`read`] gives them.
pub(super) fn of(inputs: &[Feature]) -> BTreeMap<String, (Vec<usize>, Flexibility)> {
    let flexible = inputs.iter().filter_map(|input| {
        let shape = match &input.kind {
            FeatureKind::Array {
                shape, flexibility, ..
            } => (shape.clone(), flexibility.clone()),
            FeatureKind::Image {
                color,
                height,
                width,
                flexibility,
            } => tensor_shape(color.channels(), (*height, *width), flexibility),
            FeatureKind::Other(_) => return None,
        };
        (shape.1 != Flexibility::Fixed).then(|| (input.name.clone(), shape))
    });
    flexible.collect()
}

/// Shape and flexibility of the tensor that the program takes for an image.
fn tensor_shape(
    channels: usize,
    (height, width): (usize, usize),
    flexibility: &Flexibility,
) -> (Vec<usize>, Flexibility) {
    let whole = |size: &[usize]| [&[1, channels], size].concat();
    let flexibility = match flexibility {
        Flexibility::Fixed => Flexibility::Fixed,
        Flexibility::Enumerated(sizes) => {
            Flexibility::Enumerated(sizes.iter().map(|size| whole(size)).collect())
        }
        Flexibility::Ranges(ranges) => {
            let front = [1, channels].map(|size| (size, Some(size)));
            Flexibility::Ranges([&front, &ranges[..]].concat())
        }
    };
    (whole(&[height, width]), flexibility)
}

/// The attribute for a function with these inputs; none if no input is flexible.
pub(super) fn write(inputs: &[Feature]) -> Result<Option<Value>> {
    let flexible = of(inputs);
    if flexible.is_empty() {
        return Ok(None);
    }
    let defaults = flexible
        .iter()
        .map(|(name, (shape, _))| Ok((name.as_str(), shape_value(shape)?)));
    let defaults = dict(shape_type(), defaults.collect::<Result<_>>()?);
    let mut entries = vec![named("DefaultShapes", defaults)];
    let mut ranges = Vec::new();
    let mut enumerated = Vec::new();
    for (name, (_, flexibility)) in &flexible {
        match flexibility {
            Flexibility::Ranges(bounds) => ranges.push((name.as_str(), ranges_value(bounds)?)),
            Flexibility::Enumerated(shapes) => enumerated.push((name.as_str(), shapes)),
            Flexibility::Fixed => {}
        }
    }
    if !ranges.is_empty() {
        entries.push(named("RangeDims", dict(ranges_type(), ranges)));
    }
    if !enumerated.is_empty() {
        entries.push(named("EnumeratedShapes", enumerated_value(&enumerated)?));
    }
    Ok(Some(tuple(entries)))
}

/// Enumerated inputs switch together: the i-th entry holds the i-th shape of each.
fn enumerated_value(inputs: &[(&str, &Vec<Vec<usize>>)]) -> Result<Value> {
    let count = inputs[0].1.len();
    if let Some((name, shapes)) = inputs.iter().find(|(_, shapes)| shapes.len() != count) {
        fail!(
            "\"{name}\" has {} enumerated shapes where \"{}\" has {count}",
            shapes.len(),
            inputs[0].0
        );
    }
    let mut entries = Vec::new();
    for i in 0..count {
        let shapes = inputs
            .iter()
            .map(|(name, s)| Ok((*name, shape_value(&s[i])?)));
        let shapes: Vec<(&str, Value)> = shapes.collect::<Result<_>>()?;
        let key = inputs.iter().map(|(name, s)| format!("{name}{:?}", s[i]));
        entries.push((fnv1a(&key.collect::<String>()), dict(shape_type(), shapes)));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let ty = Type::Dict {
        key: Box::new(Type::scalar(DType::String)),
        value: Box::new(shape_type()),
    };
    let entries = entries.iter().map(|(key, v)| (key.as_str(), v.clone()));
    Ok(dict(ty, entries.collect()))
}

/// FNV-1a, 32 bits, in hexadecimal.
fn fnv1a(text: &str) -> String {
    let step = |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619);
    format!("{:08x}", text.bytes().fold(2_166_136_261, step))
}

fn shape_type() -> Type {
    Type::Tensor {
        dtype: DType::Int32,
        dims: vec![Dim::Unknown],
    }
}

fn ranges_type() -> Type {
    Type::List {
        item: Box::new(Type::tensor(DType::Int32, &[2])),
        length: Dim::Unknown,
    }
}

fn shape_value(shape: &[usize]) -> Result<Value> {
    let sizes: Vec<i64> = shape.iter().map(|size| *size as i64).collect();
    let array = Array::from_i64s(DType::Int32, vec![sizes.len()], &sizes)?;
    Ok(Value {
        ty: shape_type(),
        data: Data::Array(array),
    })
}

fn ranges_value(ranges: &[(usize, Option<usize>)]) -> Result<Value> {
    let pair = |(low, high): &(usize, Option<usize>)| {
        let pair = [*low as i64, high.map_or(-1, |high| high as i64)];
        Array::from_i64s(DType::Int32, vec![2], &pair).map(Value::array)
    };
    Ok(Value {
        ty: ranges_type(),
        data: Data::List(ranges.iter().map(pair).collect::<Result<_>>()?),
    })
}

fn dict(value: Type, entries: Vec<(&str, Value)>) -> Value {
    let ty = Type::Dict {
        key: Box::new(Type::scalar(DType::String)),
        value: Box::new(value),
    };
    let entries = entries.into_iter().map(|(k, v)| (Value::text(k), v));
    Value {
        ty,
        data: Data::Dict(entries.collect()),
    }
}

fn named(name: &str, value: Value) -> Value {
    tuple(vec![Value::text(name), value])
}

fn tuple(items: Vec<Value>) -> Value {
    Value {
        ty: Type::Tuple(items.iter().map(|item| item.ty.clone()).collect()),
        data: Data::Tuple(items),
    }
}

//! Nested arrays of scripts as tensors, and back.

use rhai::{Array, Dynamic};

use crate::diag::Result;
use crate::fail;
use crate::numeric::{self, DType};

/// A number, or arrays of numbers of equal lengths: [[1, 2], [3, 4]] has the shape [2, 2].
pub fn array(value: &Dynamic) -> Result<numeric::Array> {
    let (mut shape, mut values) = (Vec::new(), Vec::new());
    collect(value, 0, &mut shape, &mut values)?;
    numeric::Array::from_f64s(DType::Fp64, shape, &values)
}

fn collect(
    value: &Dynamic,
    depth: usize,
    shape: &mut Vec<usize>,
    values: &mut Vec<f64>,
) -> Result<()> {
    if let Some(items) = value.read_lock::<Array>() {
        match shape.get(depth) {
            None if values.is_empty() => shape.push(items.len()),
            Some(length) if *length == items.len() => {}
            _ => fail!("rows must have equal lengths"),
        }
        return items
            .iter()
            .try_for_each(|item| collect(item, depth + 1, shape, values));
    }
    let whole = value.as_int().map(|n| n as f64);
    let number = whole.or_else(|_| value.as_float());
    let number = number.or_else(|_| value.as_bool().map(|b| f64::from(u8::from(b))));
    match number {
        Ok(number) if depth == shape.len() => values.push(number),
        Ok(_) => fail!("rows must have equal lengths"),
        Err(kind) => fail!("expected numbers, got {kind}"),
    }
    Ok(())
}

/// Numbers as nested arrays of a shape: whole ones as ints if `whole`.
pub fn nested(shape: &[usize], values: &[f64], whole: bool) -> Dynamic {
    let Some((length, rest)) = shape.split_first() else {
        let value = values.first().copied().unwrap_or(f64::NAN);
        return match whole {
            true => Dynamic::from_int(value as i64),
            false => Dynamic::from_float(value),
        };
    };
    let size: usize = rest.iter().product();
    let part = |at: usize| nested(rest, &values[at * size..(at + 1) * size], whole);
    Dynamic::from_array((0..*length).map(part).collect())
}

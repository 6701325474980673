//! What scripts give to a model: a text, token ids, or arrays by input name.

use rhai::{Array, Dynamic, Map};

use crate::diag::{Context as _, Result};
use crate::engine::Features;
use crate::fail;
use crate::host::Call;
use crate::models::{CoreMLModelWrapper, Whole};
use crate::numeric::{self, DType};
use crate::package::FunctionDescription;

/// The inputs of `function` from the call's parameter `inputs`.
pub(super) fn features(
    call: &Call,
    model: &CoreMLModelWrapper,
    function: &FunctionDescription,
) -> Result<Features> {
    if let Ok(map) = call.get::<Map>("inputs") {
        let arrays = map.iter().map(|(name, value)| {
            let array = array(value).with_context(|| format!("input \"{name}\""))?;
            Ok((name.to_string(), array))
        });
        return arrays.collect();
    }
    let ids = match call.get::<String>("inputs") {
        Ok(text) => model.tokenizer()?.encode(&text, true)?,
        Err(_) => call.get::<Vec<u32>>("inputs")?,
    };
    let convention = Whole::of(function, None).map_err(|error| {
        error.or_hint("give the inputs by name: #{input: [[1.0, 2.0]]}".to_owned())
    })?;
    let calls = convention.calls(&[&ids])?;
    Ok(calls.inputs.into_iter().next().unwrap_or_default())
}

/// A number, or arrays of numbers of equal lengths: [[1, 2], [3, 4]] has the shape [2, 2].
fn array(value: &Dynamic) -> Result<numeric::Array> {
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

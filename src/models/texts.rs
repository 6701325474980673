//! Models that take a whole text and tell something of it: encoders, classifiers, rewards.

use std::collections::BTreeMap;

use super::coreml_model::CoreMLModelWrapper;
use crate::diag::{Error, Result};
use crate::fail;
use crate::numeric::{Array, DType};
use crate::package::{Feature, FeatureKind, Flexibility};

/// What the model gives of a row of tokens, by the names of its outputs, without the rows and positions that
/// were padding.
///
/// The model takes `input_ids`, `attention_mask` and `token_type_ids`, or some of them; fails if it wants more.
pub fn text_outputs(model: &CoreMLModelWrapper, ids: &[u32]) -> Result<BTreeMap<String, Array>> {
    let function = model.description().function(model.function())?;
    let mut inputs = BTreeMap::new();
    let mut shape = [1, ids.len()];
    for feature in function.inputs.iter().filter(|f| !f.optional) {
        let value = |at: usize| match feature.name.as_str() {
            "input_ids" => ids.get(at).map_or(0, |id| i64::from(*id)),
            "attention_mask" => i64::from(at < ids.len()),
            _ => 0,
        };
        if !["input_ids", "attention_mask", "token_type_ids"].contains(&feature.name.as_str()) {
            let message = format!("the model wants \"{}\" beside a text", feature.name);
            return Err(Error::new(message)
                .hint("what takes other inputs predicts with `rlaif-repl predict`"));
        }
        shape = extents(feature, ids.len())?;
        let row: Vec<i64> = (0..shape[1]).map(value).collect();
        let array = Array::from_i64s(DType::Int32, shape.to_vec(), &row.repeat(shape[0]))?;
        inputs.insert(feature.name.clone(), array);
    }
    let outputs = model.engine().predict(model.function(), &inputs, None)?;
    let kept = outputs.into_iter().map(|(name, array)| {
        let array = first_row(&array, shape, ids.len())?;
        Ok((name, array))
    });
    kept.collect()
}

/// Rows and tokens of a call with a row of so many tokens.
fn extents(feature: &Feature, length: usize) -> Result<[usize; 2]> {
    let FeatureKind::Array {
        shape, flexibility, ..
    } = &feature.kind
    else {
        fail!("input \"{}\" is not an array", feature.name);
    };
    let &[rows, tokens] = shape.as_slice() else {
        fail!(
            "input \"{}\" is {shape:?}, expected [batch, length]",
            feature.name
        );
    };
    let most = match flexibility {
        Flexibility::Ranges(ranges) => ranges.get(1).and_then(|range| range.1),
        _ => Some(tokens),
    };
    if let Some(most) = most.filter(|most| *most < length) {
        fail!("a text of {length} tokens, the model takes {most} at most");
    }
    Ok(match flexibility {
        Flexibility::Fixed => [rows, tokens],
        _ => [1, length],
    })
}

/// The first of `rows`; of an output with an entry for each of `tokens`, those of the first `length`.
fn first_row(array: &Array, [rows, tokens]: [usize; 2], length: usize) -> Result<Array> {
    let values = array.to_f32s();
    let mut shape = array.shape().to_vec();
    if shape.first() != Some(&rows) {
        fail!("an output is {shape:?}, expected {rows} rows");
    }
    shape.remove(0);
    if shape.len() == 2 && shape[0] == tokens {
        shape[0] = length;
    }
    let count: usize = shape.iter().product();
    Array::from_f32(shape, &values[..count])
}

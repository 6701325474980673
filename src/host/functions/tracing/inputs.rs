//! What scripts give to a model: a text, token ids, or arrays by input name.

use rhai::Map;

use crate::diag::{Context as _, Result};
use crate::engine::Features;
use crate::host::Call;
use crate::host::nested::array;
use crate::models::{CoreMLModelWrapper, Whole};
use crate::package::FunctionDescription;

/// The inputs of `function` from the call's parameter `inputs`.
pub fn features(
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

//! Script values as JSON.

use rhai::{Array, Dynamic, Map};
use serde_json::Value;

use super::registry::Registry;
use super::show;
use crate::diag::{Error, Result};
use crate::numeric;

/// A value as JSON; numbers that JSON lacks become `"NaN"`, `"Infinity"` and `"-Infinity"`.
///
/// # Errors
/// It is, or holds, something that is no data: a function, a model.
pub fn to_json(registry: &Registry, value: &Dynamic) -> Result<Value> {
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().map(|item| to_json(registry, item)).collect();
    }
    if let Some(map) = value.read_lock::<Map>() {
        let entry = |(key, item): (_, &Dynamic)| {
            let key: &rhai::Identifier = key;
            Ok((key.to_string(), to_json(registry, item)?))
        };
        return map.iter().map(entry).collect();
    }
    if let Ok(number) = value.as_float() {
        return Ok(numeric::to_json(number));
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(Value::from(text.as_str()));
    }
    let plain = value.is_unit() || value.is_bool() || value.is_int() || value.is_char();
    if plain && let Ok(plain) = serde_json::to_value(value) {
        return Ok(plain);
    }
    if let Some(data) = registry.data(value) {
        return to_json(registry, &data);
    }
    Err(
        Error::new(format!("{} can't be JSON", show::describe(value)))
            .hint("numbers, texts, bools, (), arrays, maps, tables and tensors can"),
    )
}

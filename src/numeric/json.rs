//! Floats as JSON: the numbers that JSON lacks are written as strings, never dropped.

use serde_json::Value;

/// `value` as a JSON number; `"NaN"`, `"Infinity"` or `"-Infinity"` where JSON has none.
pub fn to_json(value: f64) -> Value {
    match serde_json::Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => Value::from("NaN"),
        None if value > 0.0 => Value::from("Infinity"),
        None => Value::from("-Infinity"),
    }
}

/// The inverse of [`to_json`]; `None` for anything else.
pub fn from_json(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_float_survives() {
        for value in [0.1, -3.0, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(from_json(&to_json(value)), Some(value));
        }
        assert!(from_json(&to_json(f64::NAN)).unwrap().is_nan());
        assert_eq!(from_json(&Value::from("1")), None);
    }
}

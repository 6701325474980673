//! JSON Lines: one JSON object a line.

use serde_json::Value;

use super::Row;
use crate::diag::{Error, Result};

/// Parses every line that is not blank; an error has the line number, and the column within it.
pub(super) fn parse(text: &str, source: &str) -> Result<Vec<Row>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| row(line).map_err(|(e, column)| e.at(source, index + 1, column)))
        .collect()
}

fn row(line: &str) -> std::result::Result<Row, (Error, usize)> {
    match serde_json::from_str(line) {
        Ok(Value::Object(row)) => Ok(row),
        Ok(other) => {
            let error = Error::new(format!("expected a JSON object, got {}", kind(&other)));
            Err((error.hint("each line is one row: {\"prompt\": \"…\"}"), 1))
        }
        Err(error) => {
            let text = error.to_string();
            // serde_json counts lines within the one line it is given.
            let message = text.split(" at line 1").next().unwrap_or(&text);
            Err((Error::new(message), error.column().max(1)))
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// One line a row, with a line end after the last.
pub(super) fn write(rows: &[Row]) -> String {
    rows.iter()
        .map(|row| format!("{}\n", Value::Object(row.clone())))
        .collect()
}

/// The row with the keys of all its objects sorted: what the hash of a dataset is taken over.
pub(super) fn canonical(row: &Row) -> String {
    sorted(&Value::Object(row.clone())).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            let fields = fields.into_iter().map(|(k, v)| (k.clone(), sorted(v)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

//! Keys of a `config.json`, with messages that name them.

use serde_json::{Map, Value};

use crate::diag::{Error, Result};

/// A `config.json`, or a section of it. A key that is null counts as absent, as transformers has it.
#[derive(Clone, Copy)]
pub(in crate::convert) struct Keys<'a>(pub &'a Map<String, Value>);

impl<'a> Keys<'a> {
    pub fn size(self, key: &str) -> Result<usize> {
        self.opt_size(key)?.ok_or_else(|| absent(key))
    }

    pub fn opt_size(self, key: &str) -> Result<Option<usize>> {
        let whole = |value: &Value| {
            let n = value.as_u64().and_then(|n| usize::try_from(n).ok());
            n.ok_or_else(|| wrong(key, value, "a whole number"))
        };
        self.get(key).map(whole).transpose()
    }

    pub fn number(self, key: &str) -> Result<f64> {
        self.opt_number(key)?.ok_or_else(|| absent(key))
    }

    pub fn opt_number(self, key: &str) -> Result<Option<f64>> {
        let number = |value: &Value| {
            let finite = value.as_f64().filter(|n| n.is_finite());
            finite.ok_or_else(|| wrong(key, value, "a number"))
        };
        self.get(key).map(number).transpose()
    }

    pub fn flag_or(self, key: &str, absent: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(absent),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(wrong(key, other, "true or false")),
        }
    }

    pub fn opt_text(self, key: &str) -> Result<Option<&'a str>> {
        let text = |value: &'a Value| value.as_str().ok_or_else(|| wrong(key, value, "a text"));
        self.get(key).map(text).transpose()
    }

    pub fn list(self, key: &str) -> Result<Option<&'a [Value]>> {
        let list = |value: &'a Value| {
            let list = value.as_array().map(Vec::as_slice);
            list.ok_or_else(|| wrong(key, value, "a list"))
        };
        self.get(key).map(list).transpose()
    }

    pub fn numbers(self, key: &str) -> Result<Vec<f64>> {
        let list = self.list(key)?.ok_or_else(|| absent(key))?;
        let number = |value: &Value| {
            value
                .as_f64()
                .ok_or_else(|| wrong(key, value, "a list of numbers"))
        };
        list.iter().map(number).collect()
    }

    pub fn section(self, key: &str) -> Result<Option<Keys<'a>>> {
        let section = |value: &'a Value| {
            let map = value.as_object().map(Keys);
            map.ok_or_else(|| wrong(key, value, "a section"))
        };
        self.get(key).map(section).transpose()
    }

    fn get(self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }
}

fn absent(key: &str) -> Error {
    Error::new(format!("config.json has no \"{key}\""))
}

fn wrong(key: &str, value: &Value, expected: &str) -> Error {
    Error::new(format!(
        "config.json: \"{key}\" is {value}, expected {expected}"
    ))
}

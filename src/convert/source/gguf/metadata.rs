//! The key–value pairs of a GGUF file.

use std::collections::BTreeMap;

use crate::diag::{Error, Result};
use crate::fail;

/// A value; what GGUF has in several widths is here in one.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Int(i64),
    Float(f64),
    Flag(bool),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Texts(Vec<String>),
}

/// The pairs, by key.
#[derive(Debug, Default)]
pub(super) struct Metadata(BTreeMap<String, Value>);

/// A getter that fails if the key holds something else.
macro_rules! getter {
    ($name:ident, $variant:ident, $type:ty, $expected:literal) => {
        #[doc = concat!("What `key` holds, if it is there: ", $expected, ".")]
        pub fn $name(&self, key: &str) -> Result<Option<$type>> {
            match self.0.get(key) {
                None => Ok(None),
                Some(Value::$variant(value)) => Ok(Some(value.to_owned().into())),
                Some(other) => fail!(
                    "metadata \"{key}\" is {}, expected {}",
                    other.kind(),
                    $expected
                ),
            }
        }
    };
}

impl Metadata {
    pub fn insert(&mut self, key: &str, value: Value) -> Result<()> {
        match self.0.insert(key.to_owned(), value) {
            None => Ok(()),
            Some(_) => fail!("metadata \"{key}\" is there twice"),
        }
    }

    getter!(int, Int, i64, "a whole number");
    getter!(float, Float, f64, "a number");
    getter!(flag, Flag, bool, "true or false");
    getter!(text, Text, String, "text");

    /// A list of whole numbers.
    pub fn ints(&self, key: &str) -> Result<Option<&[i64]>> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Ints(list)) => Ok(Some(list)),
            Some(other) => fail!(
                "metadata \"{key}\" is {}, expected whole numbers",
                other.kind()
            ),
        }
    }

    /// A list of numbers.
    pub fn floats(&self, key: &str) -> Result<Option<&[f64]>> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Floats(list)) => Ok(Some(list)),
            Some(other) => fail!("metadata \"{key}\" is {}, expected numbers", other.kind()),
        }
    }

    /// A list of texts.
    pub fn texts(&self, key: &str) -> Result<Option<&[String]>> {
        match self.0.get(key) {
            None => Ok(None),
            Some(Value::Texts(list)) => Ok(Some(list)),
            Some(other) => fail!("metadata \"{key}\" is {}, expected texts", other.kind()),
        }
    }

    /// A number of things, which must be there.
    pub fn count(&self, key: &str) -> Result<usize> {
        match self.count_if(key)? {
            Some(count) => Ok(count),
            None => Err(missing(key)),
        }
    }

    /// A number of things; a list of them that are all the same counts as one.
    pub fn count_if(&self, key: &str) -> Result<Option<usize>> {
        let value = match self.0.get(key) {
            Some(Value::Ints(list)) => match list.as_slice() {
                [first, rest @ ..] if rest.iter().all(|n| n == first) => Some(*first),
                _ => fail!("metadata \"{key}\" differs from layer to layer, which is not read"),
            },
            _ => self.int(key)?,
        };
        match value.map(u32::try_from) {
            None => Ok(None),
            Some(Ok(count)) => Ok(Some(count as usize)),
            Some(Err(_)) => fail!("metadata \"{key}\" is not a number of things"),
        }
    }
}

pub(super) fn missing(key: &str) -> Error {
    Error::new(format!("metadata \"{key}\" is missing"))
        .hint("the file is incomplete, or not of a language model")
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::Text(_) => "text",
            Self::Ints(_) => "a list of whole numbers",
            Self::Floats(_) => "a list of numbers",
            Self::Texts(_) => "a list of texts",
        }
    }
}

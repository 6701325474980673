//! Option maps: `#{temperature: 0.7}` with declared keys, defaults, ranges and a sentence each.

use rhai::{Dynamic, Map};

use super::context::Host;
use super::kind::Kind;
use super::value::FromScript;
use crate::diag::{Error, Result};
use crate::fail;

/// What an option is when it is not given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Default {
    /// It must be given.
    Required,
    /// It reads as `()`.
    Absent,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'static str),
}

/// One key of an option map.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub default: Default,
    /// Smallest and largest number allowed.
    pub range: (f64, f64),
    /// One sentence with a full stop.
    pub summary: &'static str,
    /// The keys of the map that the function which is given is called with, each with a sentence.
    pub given: &'static [(&'static str, &'static str)],
}

impl Key {
    const fn new(name: &'static str, kind: Kind, default: Default, summary: &'static str) -> Self {
        let range = (f64::NEG_INFINITY, f64::INFINITY);
        Self {
            name,
            kind,
            default,
            range,
            summary,
            given: &[],
        }
    }

    pub const fn bool(name: &'static str, default: bool, summary: &'static str) -> Self {
        Self::new(name, Kind::Bool, Default::Bool(default), summary)
    }

    pub const fn int(name: &'static str, default: i64, summary: &'static str) -> Self {
        Self::new(name, Kind::Int, Default::Int(default), summary)
    }

    pub const fn float(name: &'static str, default: f64, summary: &'static str) -> Self {
        Self::new(name, Kind::Float, Default::Float(default), summary)
    }

    pub const fn text(name: &'static str, default: &'static str, summary: &'static str) -> Self {
        Self::new(name, Kind::Text, Default::Text(default), summary)
    }

    /// One of `choices`.
    pub const fn choice(
        name: &'static str,
        choices: &'static [&'static str],
        default: &'static str,
        summary: &'static str,
    ) -> Self {
        Self::new(name, Kind::Choice(choices), Default::Text(default), summary)
    }

    /// A string, for which these are known.
    pub const fn word(
        name: &'static str,
        words: &'static [&'static str],
        default: &'static str,
        summary: &'static str,
    ) -> Self {
        Self::new(name, Kind::Word(words), Default::Text(default), summary)
    }

    /// May be left out; read it as `Option<T>`.
    pub const fn optional(name: &'static str, kind: Kind, summary: &'static str) -> Self {
        Self::new(name, kind, Default::Absent, summary)
    }

    /// Must be given.
    pub const fn required(name: &'static str, kind: Kind, summary: &'static str) -> Self {
        Self::new(name, kind, Default::Required, summary)
    }

    /// A function that is called with a map of these keys.
    pub const fn called_with(mut self, fields: &'static [(&'static str, &'static str)]) -> Self {
        self.given = fields;
        self
    }

    pub const fn at_least(self, low: f64) -> Self {
        self.between(low, f64::INFINITY)
    }

    /// Both ends included; NaN is never in range.
    pub const fn between(mut self, low: f64, high: f64) -> Self {
        self.range = (low, high);
        self
    }

    /// The default as a script writes it; empty for a required key.
    pub fn default_text(&self) -> String {
        match self.default {
            Default::Required => String::new(),
            Default::Absent => "()".into(),
            Default::Bool(value) => value.to_string(),
            Default::Int(value) => value.to_string(),
            Default::Float(value) => format!("{value:?}"),
            Default::Text(value) => format!("{value:?}"),
        }
    }

    pub(crate) fn default_value(&self) -> Dynamic {
        match self.default {
            Default::Required | Default::Absent => Dynamic::UNIT,
            Default::Bool(value) => value.into(),
            Default::Int(value) => value.into(),
            Default::Float(value) => value.into(),
            Default::Text(value) => value.into(),
        }
    }

    pub(crate) fn check(&self, value: &Dynamic) -> Result<()> {
        if value.is_unit() && self.default == Default::Absent {
            return Ok(());
        }
        if !self.kind.accepts(value) {
            return Err(mismatch("option", self.name, &self.kind, value));
        }
        let (low, high) = self.range;
        let number = value
            .as_float()
            .or_else(|_| value.as_int().map(|n| n as f64));
        match number {
            Ok(n) if !(low..=high).contains(&n) => {
                fail!(
                    "option \"{}\" must be {}, not {value}",
                    self.name,
                    range_text(low, high)
                )
            }
            _ => Ok(()),
        }
    }
}

fn range_text(low: f64, high: f64) -> String {
    match (low.is_finite(), high.is_finite()) {
        (true, true) => format!("between {low} and {high}"),
        (true, false) => format!("at least {low}"),
        (false, true) => format!("at most {high}"),
        (false, false) => "a number".into(),
    }
}

/// "`what` "name" must be a string, not int 3".
pub(crate) fn mismatch(what: &str, name: &str, kind: &Kind, value: &Dynamic) -> Error {
    let got = match value.as_immutable_string_ref() {
        Ok(text) => {
            if let Kind::Choice(choices) = kind {
                return Error::unknown(
                    &format!("{what} \"{name}\""),
                    &text,
                    choices.iter().copied(),
                );
            }
            format!("the string {:?}", text.as_str())
        }
        Err(_) => super::show::describe(value),
    };
    let error = Error::new(format!(
        "{what} \"{name}\" must be {}, not {got}",
        kind.name()
    ));
    match kind {
        Kind::Int if value.is_float() => {
            error.hint("write it without a decimal point, or use to_int(x)")
        }
        _ => error,
    }
}

/// A checked option map: every declared key has a value.
#[derive(Debug, Clone)]
pub struct Options {
    host: Host,
    values: Vec<(&'static str, Dynamic, bool)>,
}

impl Options {
    /// Checks `map` against `keys`.
    ///
    /// # Errors
    /// Unknown keys (naming the nearest), wrong types, numbers out of range, required keys that are absent.
    pub fn parse(keys: &[Key], map: &Map, host: &Host) -> Result<Self> {
        if let Some(unknown) = map
            .keys()
            .find(|name| !keys.iter().any(|k| k.name == *name))
        {
            return Err(Error::unknown(
                "option",
                unknown,
                keys.iter().map(|k| k.name),
            ));
        }
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            let given = map.get(key.name);
            match given {
                Some(value) => {
                    key.check(value)?;
                    key.kind.permit(value, host)?;
                }
                None if key.default == Default::Required => {
                    fail!("option \"{}\" is required", key.name)
                }
                None => {}
            }
            let value = given.map_or_else(|| key.default_value(), Dynamic::flatten_clone);
            values.push((key.name, value, given.is_some()));
        }
        Ok(Self {
            host: host.clone(),
            values,
        })
    }

    /// The value given for a declared key, or its default.
    pub fn get<T: FromScript>(&self, name: &str) -> Result<T> {
        let Some((_, value, _)) = self.values.iter().find(|(key, ..)| *key == name) else {
            fail!("option \"{name}\" is not declared");
        };
        T::from_script(value, &self.host).ok_or_else(|| {
            let got = super::show::describe(value);
            Error::new(format!(
                "option \"{name}\" must be {}, not {got}",
                T::expected()
            ))
        })
    }

    /// Whether the script gave the key itself.
    pub fn given(&self, name: &str) -> bool {
        self.values
            .iter()
            .any(|(key, _, given)| *key == name && *given)
    }
}

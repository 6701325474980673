//! Where NaN or infinity first appears.

use std::fmt;
use std::sync::Arc;

use super::Seen;
use super::recorder::{Names, arguments, op};
use super::stats;
use crate::diag::Result;
use crate::engine::portable::plan::Step;
use crate::engine::portable::value::Value;
use crate::numeric::Stats;

/// The first operation that makes elements that are not finite out of such that are.
#[derive(Debug, Clone, PartialEq)]
pub struct NonFinite {
    /// Empty if an input of the function held them.
    pub op: &'static str,
    /// The operation's label, or the input's name.
    pub label: String,
    /// The nested block and its turn.
    pub place: Option<Arc<str>>,
    /// Of the result.
    pub stats: Stats,
    /// Parameter, value's name, statistics.
    pub inputs: Vec<(String, String, Stats)>,
}

impl NonFinite {
    /// Whether `step`, which gave `values`, introduces NaN, or infinity where there was none. A value
    /// that only passes on what came in (as masks of −∞ do) introduces nothing.
    pub(super) fn find(
        step: &Step,
        values: &[Seen],
        slots: &[Option<Value>],
        names: &Names,
        place: Option<&Arc<str>>,
    ) -> Result<Option<Self>> {
        let Some(stats) = Seen::total(values).filter(|s| s.nan + s.inf > 0) else {
            return Ok(None);
        };
        let mut inputs = Vec::new();
        for (parameter, slot) in arguments(step) {
            let value = slots.get(slot).and_then(Option::as_ref);
            if let Some(stats) = value.map(stats::stats).transpose()?.flatten() {
                let name = names.of_slot(slot).to_owned();
                inputs.push((parameter.to_owned(), name, stats));
            }
        }
        let came = |count: fn(&Stats) -> usize| inputs.iter().any(|(_, _, s)| count(s) > 0);
        let new_nan = stats.nan > 0 && !came(|s| s.nan);
        let new_inf = stats.inf > 0 && !came(|s| s.nan + s.inf);
        let introduced = step.blocks.is_empty() && (new_nan || new_inf);
        Ok(introduced.then(|| Self {
            op: op(step),
            label: step.label.clone(),
            place: place.cloned(),
            stats,
            inputs,
        }))
    }

    /// The same of an input of the function.
    pub(super) fn of_input(name: &str, value: &Value) -> Result<Option<Self>> {
        let stats = stats::stats(value)?.filter(|s| s.nan + s.inf > 0);
        Ok(stats.map(|stats| Self {
            op: "",
            label: name.to_owned(),
            place: None,
            stats,
            inputs: Vec::new(),
        }))
    }
}

/// "exp at "x_12": 1 of 8 elements is Inf; x ("x_11") had min -2, max 104.3".
impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.op {
            "" => write!(f, "the input \"{}\"", self.label)?,
            op => write!(f, "{op} at \"{}\"", self.label)?,
        }
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        write!(f, ": {}", bad(&self.stats))?;
        let told: Vec<String> = self.inputs.iter().filter_map(told).collect();
        if !told.is_empty() {
            write!(f, "; {}", told.join(", "))?;
        }
        Ok(())
    }
}

fn bad(stats: &Stats) -> String {
    let counts = [(stats.nan, "NaN"), (stats.inf, "Inf")];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(n, what)| format!("{n} {what}")).collect();
    format!("{} of {} elements", counts.join(" and "), stats.count)
}

fn told((parameter, name, stats): &(String, String, Stats)) -> Option<String> {
    if stats.finite() == 0 && stats.nan + stats.inf == 0 {
        return None;
    }
    if stats.count == 1 && stats.finite() == 1 {
        return Some(format!("{parameter} (\"{name}\") was {}", short(stats.min)));
    }
    let mut text = format!("{parameter} (\"{name}\") had");
    if stats.finite() > 0 {
        text += &format!(" min {}, max {}", short(stats.min), short(stats.max));
    }
    if stats.nan + stats.inf > 0 {
        let join = if stats.finite() > 0 { "," } else { "" };
        text += &format!("{join} {}", bad(stats));
    }
    Some(text)
}

/// Four significant digits at most.
fn short(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    match rounded == 0.0 || (1e-4..1e7).contains(&rounded.abs()) {
        true => rounded.to_string(),
        false => format!("{rounded:e}"),
    }
}

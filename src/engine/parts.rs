//! A model cut into parts, each a bundle of its own: embeddings, chunks of layers, the head. Its functions
//! (for prompts and for single tokens) are lines of parts; a part takes what the one before gave, and has
//! the same states in every line.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::inputs::prepare;
use super::joined::States;
use super::portable::Limits;
use super::{Engine, Features, State};
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::numeric::Array;
use crate::package::{Description, Feature, FeatureKind, Flexibility, FunctionDescription};

/// One bundle's function at its place in a line.
#[derive(Clone)]
pub struct Part {
    /// For messages, and for the names of states where several parts have the same.
    pub name: String,
    pub engine: Arc<dyn Engine>,
    pub function: String,
    /// The input that takes what the part before gives; the token input of the first.
    pub takes: String,
    /// The outputs that go on, one behind the other along the last axis.
    pub gives: Vec<String>,
}

/// Parts that run one after the other.
#[derive(Clone)]
pub struct Line {
    pub parts: Vec<Part>,
    /// What the last part's output is called; without, the line only fills states.
    pub output: Option<String>,
}

/// Lines of parts as one model.
pub struct Parts {
    description: Description,
    lines: BTreeMap<String, Line>,
    limits: Limits,
}

impl Part {
    fn interface(&self) -> Result<&FunctionDescription> {
        self.engine.description().function(&self.function)
    }

    /// Runs the part on what it `takes`, and the inputs among `given` that it has.
    fn run(&self, taken: Array, given: &Features, state: &mut dyn State) -> Result<Array> {
        let interface = self.interface()?;
        let inputs = interface.inputs.iter();
        let inputs = inputs.filter_map(|input| given.get_key_value(&input.name));
        let mut inputs: Features = inputs.map(|(n, v)| (n.clone(), v.clone())).collect();
        let length = taken.shape().get(1).copied().unwrap_or(1);
        let taken = filled(interface.input(&self.takes)?, taken)?;
        let padded = taken.shape().get(1).copied().unwrap_or(1);
        inputs.insert(self.takes.clone(), taken);
        let mut outputs = self.engine.predict(&self.function, &inputs, Some(state))?;
        let mut given: Option<Array> = None;
        for name in &self.gives {
            let Some(output) = outputs.remove(name) else {
                fail!("it gave no \"{name}\"");
            };
            given = Some(match given {
                Some(before) => before.joined(&output, output.shape().len().saturating_sub(1))?,
                None => output,
            });
        }
        match given {
            Some(given) if padded > length && given.shape().get(1) == Some(&padded) => {
                given.narrow(1, 0, length)
            }
            Some(given) => Ok(given),
            None => fail!("it gives nothing"),
        }
    }
}

/// Tokens filled up with zeros where a part takes no fewer than a fixed number.
fn filled(feature: &Feature, taken: Array) -> Result<Array> {
    let FeatureKind::Array {
        shape,
        flexibility: Flexibility::Fixed,
        ..
    } = &feature.kind
    else {
        return Ok(taken);
    };
    match (taken.shape(), shape.as_slice()) {
        (&[rows, length], &[_, fixed]) if length < fixed => {
            let zeros = vec![0; rows * (fixed - length)];
            let zeros = Array::from_i64s(taken.dtype(), vec![rows, fixed - length], &zeros)?;
            taken.joined(&zeros, 1)
        }
        _ => Ok(taken),
    }
}

impl Parts {
    /// Puts lines together, `default` being the one that runs if none is named. Parts at the same place of
    /// different lines share their states.
    ///
    /// Fails if a line is empty, or parts at one place differ in their states.
    pub fn new(lines: BTreeMap<String, Line>, default: &str, limits: Limits) -> Result<Self> {
        let known = lines.keys().map(String::as_str);
        let unknown = || Error::unknown("function", default, known);
        let first = lines.get(default).ok_or_else(unknown)?;
        let description = &first
            .parts
            .first()
            .ok_or_else(|| Error::new("no parts"))?
            .engine;
        let mut description = Description {
            functions: BTreeMap::new(),
            default_function: default.to_owned(),
            lists_functions: true,
            ..description.description().clone()
        };
        for (name, line) in &lines {
            let interface = line
                .interface()
                .with_context(|| format!("function \"{name}\""))?;
            description.functions.insert(name.clone(), interface);
        }
        let parts = Self {
            description,
            lines,
            limits,
        };
        parts.check()?;
        Ok(parts)
    }

    /// All parts at one place keep the same.
    fn check(&self) -> Result<()> {
        let longest = self.longest();
        for line in self.lines.values() {
            for (part, other) in line.parts.iter().zip(longest) {
                if part.interface()?.states != other.interface()?.states {
                    fail!(
                        "the parts {} and {} have different states",
                        part.name,
                        other.name
                    );
                }
            }
        }
        Ok(())
    }

    /// The parts of the longest line: every place is there.
    fn longest(&self) -> &[Part] {
        let lines = self.lines.values().map(|line| line.parts.as_slice());
        lines.max_by_key(|parts| parts.len()).unwrap_or(&[])
    }

    fn states(&self) -> Result<States> {
        let parts = self.longest();
        let states = parts.iter().zip(states(parts)?).map(|(part, states)| {
            let names = states.into_iter().map(|(whole, own)| (whole.name, own));
            Ok((names.collect(), part.engine.new_state(&part.function)?))
        });
        Ok(States(states.collect::<Result<_>>()?))
    }
}

/// The states of each part, named so that they differ, with their own names.
fn states(parts: &[Part]) -> Result<Vec<Vec<(Feature, String)>>> {
    let own = parts
        .iter()
        .map(|part| Ok(part.interface()?.states.clone()));
    let own: Vec<Vec<Feature>> = own.collect::<Result<_>>()?;
    let named = |name: &str| {
        own.iter()
            .flatten()
            .filter(|state| state.name == name)
            .count()
    };
    let states = parts.iter().zip(&own).map(|(part, states)| {
        let states = states.iter().map(|state| {
            let name = match named(&state.name) {
                1 => state.name.clone(),
                _ => format!("{}.{}", part.name, state.name),
            };
            let whole = Feature {
                name,
                ..state.clone()
            };
            (whole, state.name.clone())
        });
        states.collect()
    });
    Ok(states.collect())
}

impl Line {
    /// What the line looks like from outside.
    fn interface(&self) -> Result<FunctionDescription> {
        let (Some(first), Some(last)) = (self.parts.first(), self.parts.last()) else {
            fail!("it has no parts");
        };
        let mut inputs = Vec::new();
        for (i, part) in self.parts.iter().enumerate() {
            for feature in &part.interface()?.inputs {
                let taken = i > 0 && feature.name == part.takes;
                if !taken
                    && !inputs
                        .iter()
                        .any(|known: &Feature| known.name == feature.name)
                {
                    inputs.push(feature.clone());
                }
            }
        }
        if let Some(second) = self.parts.get(1) {
            let hidden = second.interface()?.input(&second.takes)?;
            let ids = inputs.iter_mut().find(|input| input.name == first.takes);
            ids.into_iter().for_each(|ids| lengthen(ids, hidden));
        }
        let states = states(&self.parts)?.into_iter().flatten();
        let output = match (&self.output, last.gives.first()) {
            (Some(name), Some(given)) => Some(Feature {
                name: name.clone(),
                ..unshaped(last.interface()?.output(given)?)
            }),
            _ => None,
        };
        Ok(FunctionDescription {
            inputs,
            outputs: output.into_iter().collect(),
            states: states.map(|(whole, _)| whole).collect(),
            ..FunctionDescription::default()
        })
    }
}

/// The token input of a line whose second part takes a fixed number of them, whatever the first does.
fn lengthen(ids: &mut Feature, hidden: &Feature) {
    if let FeatureKind::Array {
        shape: hidden,
        flexibility: Flexibility::Fixed,
        ..
    } = &hidden.kind
        && let FeatureKind::Array {
            shape, flexibility, ..
        } = &mut ids.kind
        && let (Some(length), Some(known)) = (hidden.get(1), shape.get_mut(1))
    {
        *known = *length;
        *flexibility = Flexibility::Fixed;
    }
}

/// An array of which the shape is not told.
fn unshaped(feature: &Feature) -> Feature {
    match &feature.kind {
        FeatureKind::Array { dtype, .. } => Feature::array(&feature.name, *dtype, &[]),
        _ => feature.clone(),
    }
}

impl Engine for Parts {
    fn name(&self) -> String {
        let first = self.longest().first();
        first.map_or_else(String::new, |part| part.engine.name())
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn new_state(&self, function: &str) -> Result<Box<dyn State>> {
        self.description.function(function)?;
        Ok(Box::new(self.states()?))
    }

    fn predict(
        &self,
        function: &str,
        inputs: &Features,
        state: Option<&mut dyn State>,
    ) -> Result<Features> {
        let Some(state) = state else {
            let mut fresh = self.new_state(function)?;
            return self.predict(function, inputs, Some(&mut *fresh));
        };
        let described = self.description.function(function)?;
        let Some(line) = self.lines.get(function) else {
            fail!("there is no line of parts for \"{function}\"");
        };
        let mut given = prepare(described, inputs, self.limits.elements)?;
        let states = States::given(state, self.longest().len())?;
        let first = line
            .parts
            .first()
            .and_then(|part| given.remove(&part.takes));
        let Some(mut hidden) = first else {
            fail!("function \"{function}\" has no parts");
        };
        for (part, (_, state)) in line.parts.iter().zip(&mut states.0) {
            let made = part.run(hidden, &given, &mut **state);
            hidden = made.with_context(|| format!("part \"{}\"", part.name))?;
        }
        let output = line.output.iter();
        Ok(output.map(|name| (name.clone(), hidden.clone())).collect())
    }

    fn remarks(&self) -> Vec<String> {
        self.longest()
            .iter()
            .flat_map(|part| part.engine.remarks())
            .collect()
    }
}

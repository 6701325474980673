//! Batches as the engine's users ask for them.

use std::collections::BTreeMap;

use candle_core::Tensor;

use super::lane::Lane;
use super::run::{Inputs, Program, one_by_one, together};
use crate::diag::{Error, Kind, Result};
use crate::engine::Features;
use crate::engine::inputs::prepare;
use crate::engine::portable::{
    Apart, Bound, Function, Portable, States, Value, features, input, scope,
};
use crate::fail;
use crate::mil;
use crate::numeric::Array;

impl Bound {
    /// Runs `count` examples in one pass, or one by one where the program allows no other way (see
    /// [`Bound::apart`]). `inputs` are shared by all examples or have a leading axis with an entry for
    /// each; the results all have that axis. `states` are those of all examples ([`States::together`]).
    /// Gradients flow to `given` and to `inputs`, summed over the examples where these share a value.
    pub fn run_batch(
        &self,
        count: usize,
        inputs: &BTreeMap<String, Lane>,
        given: &BTreeMap<String, Tensor>,
        states: &mut States,
    ) -> Result<BTreeMap<String, Value>> {
        let load = |value: &mil::Value| self.bundle.resolve(value);
        let program = Program {
            plan: &self.plan,
            schedule: &self.schedule,
            scope: &scope(&self.options, &self.draws, &load),
            given,
        };
        let inputs = Inputs {
            count,
            lanes: inputs,
        };
        let lanes = match run(&program, inputs, states, &self.apart)? {
            Results::Together(lanes) => lanes,
            Results::Apart(examples) => joined(examples)?,
        };
        let names = self.plan.output_names.iter().cloned();
        let whole = |(name, lane): (String, Lane)| match lane.value {
            Value::Tensor { .. } | Value::Host(_) => {
                let tensor = lane.spread(count)?;
                Ok((name, lane.remade(tensor).value))
            }
            value => Ok((name, value)),
        };
        names.zip(lanes).map(whole).collect()
    }

    /// Fresh states for `count` examples that run together.
    pub fn states_of(&self, count: usize) -> Result<States> {
        States::together(&vec![self.states()?; count])
    }

    /// Why examples run one by one, if a batch showed that they have to.
    pub fn apart(&self) -> Option<&str> {
        self.apart.get().map(String::as_str)
    }
}

impl Portable {
    /// Why the examples of `function` run one by one, if a batch showed that they have to.
    pub fn apart(&self, function: &str) -> Option<&str> {
        self.plans.get(function)?.apart.get().map(String::as_str)
    }

    /// One pass for all examples whose inputs have equal shapes.
    pub(in crate::engine::portable) fn predict_together(
        &self,
        function: &str,
        examples: &[Features],
    ) -> Result<Vec<Features>> {
        let described = self.bundle.description.function(function)?;
        let most = self.options.limits.elements;
        let prepared = examples
            .iter()
            .map(|inputs| prepare(described, inputs, most));
        let prepared: Vec<Features> = prepared.collect::<Result<_>>()?;
        let mut alike: BTreeMap<Vec<(&str, &[usize])>, Vec<usize>> = BTreeMap::new();
        for (i, inputs) in prepared.iter().enumerate() {
            let shapes = inputs.iter().map(|(name, a)| (name.as_str(), a.shape()));
            alike.entry(shapes.collect()).or_default().push(i);
        }
        let mut outputs = vec![Features::new(); examples.len()];
        for members in alike.values() {
            let inputs: Vec<Features> = members.iter().map(|i| prepared[*i].clone()).collect();
            for (i, made) in members.iter().zip(self.predict_alike(function, &inputs)?) {
                outputs[*i] = made;
            }
        }
        Ok(outputs)
    }

    fn predict_alike(&self, function: &str, examples: &[Features]) -> Result<Vec<Features>> {
        let described = self.bundle.description.function(function)?;
        let Function {
            plan,
            schedule,
            apart,
            ..
        } = self.function(function)?;
        let value = |name: &str, array: &Array| input(plan, &self.options, name, array.clone());
        let lanes = Lane::of_features(examples, value)?;
        let load = |value: &mil::Value| self.bundle.resolve(value);
        let program = Program {
            plan,
            schedule,
            scope: &scope(&self.options, &self.draws, &load),
            given: &BTreeMap::new(),
        };
        let inputs = Inputs {
            count: examples.len(),
            lanes: &lanes,
        };
        let fresh = States::new(&plan.inputs, &self.options)?;
        let mut states = States::together(&vec![fresh; examples.len()])?;
        let results = match run(&program, inputs, &mut states, apart)? {
            Results::Apart(results) => results,
            Results::Together(lanes) => (0..examples.len())
                .map(|i| lanes.iter().map(|lane| lane.example(i)).collect())
                .collect::<Result<_>>()?,
        };
        let results = results.into_iter();
        results
            .map(|values| features(plan, described, values))
            .collect()
    }
}

enum Results {
    Together(Vec<Lane>),
    /// The results of each example.
    Apart(Vec<Vec<Value>>),
}

/// All examples in one pass; where the program refuses that, one by one from then on.
fn run(program: &Program, inputs: Inputs, states: &mut States, apart: &Apart) -> Result<Results> {
    let given = states.examples();
    if !states.is_empty() && given != Some(inputs.count) {
        let given = given.map_or("one example".into(), |n| format!("{n} examples"));
        return Err(Error::new(format!(
            "the states are those of {given}, there are {}",
            inputs.count
        ))
        .hint("make them with States::together"));
    }
    if inputs.count == 0 {
        fail!("there are no examples to run");
    }
    if inputs.count > 1 && apart.get().is_none() {
        let mut tried = states.clone();
        match together(program, inputs, &mut tried) {
            Ok(together) => {
                *states = tried;
                return Ok(Results::Together(together.lanes));
            }
            Err(error) if *error.kind() == Kind::Unbatched => {
                let _ = apart.set(error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Results::Apart(one_by_one(program, inputs, states)?))
}

/// The results of examples, result by result.
fn joined(examples: Vec<Vec<Value>>) -> Result<Vec<Lane>> {
    let mut results: Vec<Vec<Value>> = Vec::new();
    for values in examples {
        results.resize_with(values.len(), Vec::new);
        for (result, value) in results.iter_mut().zip(values) {
            result.push(value);
        }
    }
    results.into_iter().map(Lane::together).collect()
}

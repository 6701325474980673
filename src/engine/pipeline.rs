//! Pipelines as one model: each stage runs on an engine of its own, values go on by name.

use std::sync::Arc;

use super::inputs::prepare;
use super::joined::States;
use super::portable::{Limits, Options, Portable};
use super::{Engine, Features, State};
use crate::diag::{Context, Result};
use crate::package::{Description, FeatureKind, FunctionDescription, Model, Pipeline};

/// A model of either kind on the portable engine.
pub fn portable(model: Model, options: Options) -> Result<Box<dyn Engine>> {
    match model {
        Model::Program(bundle) => Ok(Box::new(Portable::new(Arc::new(bundle), options)?)),
        Model::Pipeline(pipeline) => Ok(Box::new(Chain::new(pipeline, &options)?)),
    }
}

/// The engines of a pipeline's stages, in order.
struct Chain {
    description: Description,
    stages: Vec<Link>,
    limits: Limits,
}

struct Link {
    name: String,
    engine: Portable,
}

impl Chain {
    fn new(pipeline: Pipeline, options: &Options) -> Result<Self> {
        let stages = pipeline.stages.into_iter().map(|stage| {
            let engine = Portable::new(Arc::new(stage.bundle), options.clone());
            let engine = engine.with_context(|| format!("stage \"{}\"", stage.name))?;
            Ok(Link {
                name: stage.name,
                engine,
            })
        });
        Ok(Self {
            stages: stages.collect::<Result<_>>()?,
            description: pipeline.description,
            limits: options.limits,
        })
    }
}

impl Link {
    fn function(&self) -> Result<&FunctionDescription> {
        let description = self.engine.description();
        description.function(&description.default_function)
    }

    /// Runs the stage on what it needs of `held`.
    fn run(&self, held: &Features, state: &mut dyn State) -> Result<Features> {
        let inputs = self.function()?.inputs.iter();
        let given = inputs.filter_map(|input| held.get_key_value(&input.name));
        let given: Features = given.map(|(n, value)| (n.clone(), value.clone())).collect();
        let function = &self.engine.description().default_function;
        self.engine.predict(function, &given, Some(state))
    }
}

impl Engine for Chain {
    fn name(&self) -> String {
        let first = self.stages.first();
        first.map_or_else(String::new, |stage| stage.engine.name())
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
        let mut held = prepare(described, inputs, self.limits.elements)?;
        let states = States::given(state, self.stages.len())?;
        let mut classes = Features::new();
        for (stage, (_, state)) in self.stages.iter().zip(&mut states.0) {
            let given = stage.run(&held, &mut **state);
            let given = given.with_context(|| format!("stage \"{}\"", stage.name))?;
            if !stage.function()?.class_labels.is_empty() {
                classes.clone_from(&given);
            }
            held.extend(given);
        }
        // A compiled classifier gives its probabilities under a name of its own.
        let mut outputs = match described.predicted_feature {
            Some(_) => classes,
            None => Features::new(),
        };
        for feature in &described.outputs {
            let Some(value) = held.remove(&feature.name) else {
                continue;
            };
            let value = match &feature.kind {
                FeatureKind::Array { dtype, .. } => value.cast(*dtype)?,
                _ => value,
            };
            outputs.insert(feature.name.clone(), value);
        }
        Ok(outputs)
    }
}

impl Chain {
    fn states(&self) -> Result<States> {
        let states = self.stages.iter().map(|stage| {
            let names = stage.function()?.states.iter();
            let names = names.map(|state| (state.name.clone(), state.name.clone()));
            let function = &stage.engine.description().default_function;
            Ok((names.collect(), stage.engine.new_state(function)?))
        });
        Ok(States(states.collect::<Result<_>>()?))
    }
}

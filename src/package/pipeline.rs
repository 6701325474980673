//! Pipelines: ML Programs that run one after the other and pass their values on by name.

use std::collections::BTreeSet;

use super::describe::{Description, Feature};
use super::{Bundle, Model};
use crate::diag::{Context, Error, Result};
use crate::fail;

/// The one function of a pipeline.
pub(super) const FUNCTION: &str = "main";

/// Models that look like one: each stage takes its inputs from the pipeline's own and from what earlier
/// stages gave, by name.
#[derive(Clone)]
pub struct Pipeline {
    pub kind: PipelineKind,
    /// Of the whole, with the function `main` alone. A classifier's labels are those of the stage that
    /// classifies.
    pub description: Description,
    pub stages: Vec<Stage>,
}

/// A model of a pipeline; its default function runs.
#[derive(Clone)]
pub struct Stage {
    /// As the author named it, else `model0`, `model1`, …
    pub name: String,
    pub bundle: Bundle,
}

impl Stage {
    pub(super) fn description(&self) -> &Description {
        &self.bundle.description
    }
}

/// What Core ML takes a pipeline for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipelineKind {
    Plain,
    Classifier,
    Regressor,
}

impl PipelineKind {
    const TAGS: [(PipelineKind, u32); 3] = [
        (PipelineKind::Classifier, 200),
        (PipelineKind::Regressor, 201),
        (PipelineKind::Plain, 202),
    ];

    /// The number of the type in Core ML's format.
    pub(super) fn tag(self) -> u32 {
        let known = Self::TAGS.iter().find(|(kind, _)| *kind == self);
        known.map_or(202, |(_, tag)| *tag)
    }

    pub(super) fn of_tag(tag: u32) -> Option<Self> {
        let known = Self::TAGS.iter().find(|(_, known)| *known == tag);
        known.map(|(kind, _)| *kind)
    }
}

impl Pipeline {
    /// Puts a pipeline together; fails if a stage lacks an input, or the whole an output.
    pub fn new(kind: PipelineKind, description: Description, stages: Vec<Stage>) -> Result<Self> {
        let mut pipeline = Self {
            kind,
            description,
            stages,
        };
        pipeline.check()?;
        pipeline.take_labels()?;
        Ok(pipeline)
    }

    /// The stages' names, unless all are those that unnamed stages get.
    pub(super) fn given_names(&self) -> Option<Vec<String>> {
        let names = self.stages.iter().map(|stage| stage.name.clone());
        let names: Vec<String> = names.collect();
        let given = names.iter().enumerate();
        let given = given.map(|(i, name)| *name != format!("model{i}"));
        given.into_iter().any(|given| given).then_some(names)
    }

    fn check(&self) -> Result<()> {
        if self.stages.is_empty() {
            fail!("the pipeline has no stages");
        }
        let whole = self.description.function(FUNCTION)?;
        let mut held: BTreeSet<&str> = names(&whole.inputs).collect();
        let mut states = BTreeSet::new();
        for stage in &self.stages {
            let description = &stage.bundle.description;
            let interface = description.function(&description.default_function)?;
            for input in &interface.inputs {
                if !held.contains(input.name.as_str()) && !input.optional {
                    fail!(
                        "stage \"{}\" needs \"{}\", which neither the pipeline nor an earlier stage gives",
                        stage.name,
                        input.name
                    );
                }
            }
            held.extend(names(&interface.outputs));
            if let Some(name) = names(&interface.states).find(|name| !states.insert(*name)) {
                return Err(
                    Error::new(format!("two stages have a state called \"{name}\""))
                        .hint("give the states different names when converting"),
                );
            }
        }
        match names(&whole.outputs).find(|name| !held.contains(name)) {
            Some(name) => fail!("no stage gives the pipeline's output \"{name}\""),
            None => Ok(()),
        }
    }

    /// Takes what only the stages know: class labels, and states where the whole describes none.
    fn take_labels(&mut self) -> Result<()> {
        let mut labels = Vec::new();
        let mut states = Vec::new();
        for stage in &self.stages {
            let description = &stage.bundle.description;
            let interface = description.function(&description.default_function)?;
            if !interface.class_labels.is_empty() {
                labels.clone_from(&interface.class_labels);
            }
            states.extend(interface.states.iter().cloned());
        }
        if let Some(whole) = self.description.functions.get_mut(FUNCTION) {
            whole.class_labels = match whole.predicted_feature {
                Some(_) => labels,
                None => Vec::new(),
            };
            if whole.states.is_empty() {
                whole.states = states;
            }
        }
        Ok(())
    }
}

fn names(features: &[Feature]) -> impl Iterator<Item = &str> {
    features.iter().map(|feature| feature.name.as_str())
}

/// The stages of a pipeline from models and their names; fails, naming it, if one is no ML Program.
pub(super) fn stages(
    models: impl IntoIterator<Item = Result<Model>>,
    names: &[String],
) -> Result<Vec<Stage>> {
    let stage = |(i, model): (usize, Result<Model>)| {
        let given = names.get(i).filter(|name| !name.is_empty());
        let name = given.cloned().unwrap_or_else(|| format!("model{i}"));
        let bundle = model.and_then(|model| match model {
            Model::Program(bundle) => Ok(bundle),
            Model::Pipeline(_) => fail!("this is a pipeline, not an ML Program"),
        });
        let bundle = bundle.with_context(|| format!("stage \"{name}\" of the pipeline"))?;
        Ok(Stage { name, bundle })
    };
    models.into_iter().enumerate().map(stage).collect()
}

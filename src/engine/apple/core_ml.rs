//! The engine: checks inputs here, and lets the worker thread do what touches Core ML.

use std::path::Path;

use super::load::Models;
use super::state::AppleState;
use super::worker::Worker;
use super::{AppleOptions, ComputeUnits, system};
use crate::diag::{Context, Error, Result};
use crate::engine::portable::Limits;
use crate::engine::{self, Engine, Features, State};
use crate::package::{Description, Model};

/// A model on Core ML.
pub(super) struct AppleEngine {
    description: Description,
    units: ComputeUnits,
    worker: Worker,
}

impl AppleEngine {
    pub(super) fn open(path: &Path, options: &AppleOptions) -> Result<Self> {
        system::require_macos_15()?;
        let description = Model::open(path)?.description().clone();
        let interface = description.clone();
        let (source, options_) = (path.to_path_buf(), options.clone());
        let worker = Worker::start(move || Models::open(&source, interface, &options_))
            .with_context(|| format!("open {} with Core ML", path.display()))?;
        Ok(Self {
            description,
            units: options.compute_units,
            worker,
        })
    }
}

impl Engine for AppleEngine {
    fn name(&self) -> String {
        format!("apple ({})", self.units)
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn new_state(&self, function: &str) -> Result<Box<dyn State>> {
        let states = self.description.function(function)?.states.clone();
        let function = function.to_string();
        let buffers = self.worker.run(move |models| models.new_state(&function))?;
        let state = AppleState::new(buffers, states, self.worker.clone());
        Ok(Box::new(state))
    }

    fn predict(
        &self,
        function: &str,
        inputs: &Features,
        state: Option<&mut dyn State>,
    ) -> Result<Features> {
        let interface = self.description.function(function)?;
        let prepared = engine::inputs::prepare(interface, inputs, Limits::default().elements)?;
        let given = match state.map(|state| state.as_any_mut().downcast_mut::<AppleState>()) {
            Some(Some(state)) => Some(state.buffers()),
            Some(None) => return Err(Error::new("this state was made by another engine")),
            None => None,
        };
        let stateful = !interface.states.is_empty();
        let function = function.to_string();
        self.worker.run(move |models| {
            let buffers = match given {
                None if stateful => Some(models.new_state(&function)?),
                given => given,
            };
            models.predict(&function, &prepared, buffers.as_deref())
        })
    }
}

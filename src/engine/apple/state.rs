//! State buffers, read and written on the worker thread.

use std::any::Any;
use std::cell::RefCell;
use std::ptr::NonNull;

use block2::RcBlock;
use objc2::rc::Retained;
use objc2_core_ml::{MLMultiArray, MLState};
use objc2_foundation::NSString;

use super::convert;
use super::worker::Worker;
use crate::diag::{Context, Error, Result};
use crate::engine::{State, inputs};
use crate::numeric::Array;
use crate::package::Feature;

/// Core ML's buffers of one conversation.
pub(super) struct AppleState {
    buffers: Retained<MLState>,
    features: Vec<Feature>,
    worker: Worker,
}

impl AppleState {
    pub(super) fn new(buffers: Retained<MLState>, features: Vec<Feature>, worker: Worker) -> Self {
        Self {
            buffers,
            features,
            worker,
        }
    }

    pub(super) fn buffers(&self) -> Retained<MLState> {
        self.buffers.clone()
    }

    /// Core ML raises an exception on a name that it doesn't know, so names are checked here.
    fn feature(&self, name: &str) -> Result<&Feature> {
        let found = self.features.iter().find(|feature| feature.name == name);
        let known = self.features.iter().map(|feature| feature.name.as_str());
        found.ok_or_else(|| Error::unknown("state", name, known))
    }

    /// Runs `access` on the buffer `name`, on the worker thread.
    fn with<T: Send + 'static>(
        &self,
        name: &str,
        access: impl Fn(&MLMultiArray) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (buffers, key) = (self.buffers(), name.to_string());
        self.worker
            .run(move |_| {
                let outcome = RefCell::new(None);
                let block = RcBlock::new(|array: NonNull<MLMultiArray>| {
                    // SAFETY: Core ML passes an array that lives as long as this call.
                    outcome.replace(Some(access(unsafe { array.as_ref() })));
                });
                // SAFETY: the state has a buffer of this name, and the block outlives the call, which
                // is synchronous.
                unsafe {
                    buffers.getMultiArrayForStateNamed_handler(&NSString::from_str(&key), &block);
                }
                drop(block);
                let missing = || Error::new("Core ML did not give the buffer");
                outcome.into_inner().ok_or_else(missing)?
            })
            .with_context(|| format!("state \"{name}\""))
    }
}

impl State for AppleState {
    fn read(&self, name: &str) -> Result<Array> {
        self.feature(name)?;
        self.with(name, convert::read)
    }

    fn write(&mut self, name: &str, value: &Array) -> Result<()> {
        let value = inputs::fit(self.feature(name)?, value)?;
        self.with(name, move |array| convert::write(array, &value))
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

//! Two engines, one contract: [`portable`] runs a program on candle anywhere, [`apple`] on Core ML.

pub mod apple;
pub mod classifier;
#[cfg(test)]
mod contract;
pub mod device;
pub mod inputs;
mod joined;
pub mod parts;
pub mod pipeline;
pub mod portable;

use std::collections::BTreeMap;

use crate::diag::Result;
use crate::numeric::Array;
use crate::package::Description;

/// Inputs and outputs of a prediction, by feature name.
pub type Features = BTreeMap<String, Array>;

/// Something that predicts with a Core ML model.
pub trait Engine: Send + Sync {
    /// `portable` or `apple`, with the device, for tables and records.
    fn name(&self) -> String;

    fn description(&self) -> &Description;

    /// Zero-filled state buffers of `function`; empty for a stateless one.
    fn new_state(&self, function: &str) -> Result<Box<dyn State>>;

    /// Runs `function` once. Inputs must match the description in name and shape; element types are
    /// converted. Outputs have the declared element types. Without a `state`, a stateful function runs on
    /// zero-filled buffers of its own. A classifier's label is left to [`classifier`]: text is no output.
    fn predict(
        &self,
        function: &str,
        inputs: &Features,
        state: Option<&mut dyn State>,
    ) -> Result<Features>;

    /// Runs `function` on each of `examples`, with fresh states; in one pass where the engine can.
    fn predict_batch(&self, function: &str, examples: &[Features]) -> Result<Vec<Features>> {
        let predict = |inputs| self.predict(function, inputs, None);
        examples.iter().map(predict).collect()
    }

    /// What the user should know about how predictions were made so far, in words.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The state buffers of one conversation with a stateful model.
pub trait State: Send {
    fn read(&self, name: &str) -> Result<Array>;
    fn write(&mut self, name: &str, value: &Array) -> Result<()>;
    /// A copy that goes its own way; none where the engine can't make one.
    fn fork(&self) -> Result<Option<Box<dyn State>>> {
        Ok(None)
    }
    /// For the engine that made it.
    fn as_any_mut(&mut self) -> &mut dyn std::any::Any;
}

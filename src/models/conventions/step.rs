//! A function that takes some tokens after others, as it looks from outside.

use ndarray::{Array2, Axis, concatenate};

use super::companions::{Companion, Span};
use super::tokens::{Tokens, logits};
use crate::diag::{Error, Result};
use crate::engine::Features;
use crate::fail;
use crate::package::FunctionDescription;

/// One function of a model that keeps the past of its sequences.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub function: String,
    pub ids: Tokens,
    pub companions: Vec<Companion>,
    /// Outputs that are logits: one, or the parts of the vocabulary. None in functions that only fill the
    /// cache.
    logits: Vec<String>,
}

impl Step {
    /// The function called `name`; `caches` are the inputs and outputs that carry the past.
    pub fn of(
        name: &str,
        function: &FunctionDescription,
        caches: &[&str],
        window: Option<usize>,
    ) -> Result<Self> {
        let ids = Tokens::of(function)?;
        let others = function.inputs.iter().filter(|f| !f.optional);
        let others = others.filter(|f| f.name != ids.name && !caches.contains(&f.name.as_str()));
        let companions = others.map(|feature| Companion::of(feature, window));
        Ok(Self {
            function: name.to_owned(),
            companions: companions.collect::<Result<_>>()?,
            logits: logits(function, caches),
            ids,
        })
    }

    pub fn gives_logits(&self) -> bool {
        !self.logits.is_empty()
    }

    /// The most entries that a mask of the function speaks of.
    pub fn entries(&self) -> Option<usize> {
        let entries = self.companions.iter().filter_map(Companion::entries);
        let entries = entries.filter(|bounds| !bounds.unbounded());
        entries.map(|bounds| bounds.most).min()
    }

    /// The inputs of a call, the caches aside. A function of several rows gets the tokens in the first.
    pub fn inputs(&self, ids: &[u32], span: &Span) -> Result<Features> {
        let rows = self.ids.rows().nearest(1);
        let span = Span {
            rows,
            ..span.clone()
        };
        let mut inputs = Features::new();
        for companion in &self.companions {
            inputs.insert(companion.name.clone(), companion.array(&span)?);
        }
        let tokens = self.ids.array(&[ids], rows, span.new)?;
        inputs.insert(self.ids.name.clone(), tokens);
        Ok(inputs)
    }

    /// The logits of the first row, `[positions, vocab]`; none if the function gives none.
    pub fn logits(&self, outputs: &Features) -> Result<Option<Array2<f32>>> {
        let rows = self.ids.rows().nearest(1);
        let mut parts = Vec::with_capacity(self.logits.len());
        for name in &self.logits {
            let Some(output) = outputs.get(name) else {
                fail!("the model gave no \"{name}\"");
            };
            let vocab = output.shape().last().copied().unwrap_or(0);
            let each = output.len() / rows;
            if vocab == 0 || !each.is_multiple_of(vocab) {
                fail!("\"{name}\" has shape {:?} for {rows} rows", output.shape());
            }
            let mut values = output.to_f32s();
            values.truncate(each);
            let part = Array2::from_shape_vec((each / vocab, vocab), values);
            parts.push(part.map_err(|error| Error::new(error.to_string()))?);
        }
        match parts.is_empty() {
            true => Ok(None),
            false => joined(&parts, Axis(1)).map(Some),
        }
    }
}

/// Parts side by side along an axis; of none, nothing.
pub(super) fn joined(parts: &[Array2<f32>], axis: Axis) -> Result<Array2<f32>> {
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    match views.is_empty() {
        true => Ok(Array2::zeros((0, 0))),
        false => concatenate(axis, &views).map_err(|error| Error::new(error.to_string())),
    }
}

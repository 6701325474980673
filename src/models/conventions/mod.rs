//! How bundles found in the wild take tokens and give logits. Each habit is one file behind
//! [`Convention`]; [`recognise`] finds a bundle's by what its description says.

mod cached;
mod companions;
mod explicit;
mod extents;
mod pairs;
mod sequences;
mod stateful;
mod step;
mod tokens;
mod whole;

pub use companions::{Companion, Span};
pub use extents::Bounds;
pub use tokens::{Tokens, logits};
pub use whole::{Calls, Whole};

use std::sync::Arc;

use ndarray::Array2;

use crate::diag::{Error, Interrupt, Result};
use crate::engine::Engine;
use crate::fail;
use crate::generate::{Decoder, Way};
use crate::package::{Description, Feature, FunctionDescription};

/// What runs a model's functions.
#[derive(Clone, Copy)]
pub struct Runner<'a> {
    pub engine: &'a dyn Engine,
    pub function: &'a str,
    pub interrupt: &'a Interrupt,
}

/// How a function takes tokens and gives logits.
pub trait Convention: Send + Sync {
    /// In words, for tables.
    fn told(&self) -> String;

    /// The longest row.
    fn length_max(&self) -> usize;

    /// Name of the token input.
    fn ids(&self) -> &str;

    /// The function as one that takes rows from their first token on, as training needs it.
    fn whole(&self) -> Option<&Whole>;

    /// What the model itself keeps of the past.
    fn way(&self) -> Option<Way>;

    /// What the user should know of how the model is run, once that is known.
    fn remark(&self) -> Option<String>;

    /// Logits of each row, `[length, vocab]`, or `[1, vocab]` where the model gives only the last
    /// position's.
    fn forward(&self, run: &Runner, rows: &[&[u32]]) -> Result<Vec<Array2<f32>>>;

    /// Something that keeps the past of rows; absent where the model does not.
    fn decoder<'a>(&'a self, run: Runner<'a>) -> Result<Option<Box<dyn Decoder + 'a>>>;
}

/// Key of a bundle's metadata for the number of positions that sliding attention sees.
const WINDOW: &str = "co.huggingface.exporters.sliding_window";

/// Key of a bundle's metadata for what it is for, and what that is of a language model.
pub const TASK: (&str, &str) = ("co.huggingface.exporters.task", "text-generation");

/// The convention of a function.
///
/// Fails, with the inputs and outputs there are and those expected, where it is none that is known.
pub fn recognise(description: &Description, function: &str) -> Result<Arc<dyn Convention>> {
    let own = description.function(function)?;
    found(description, function).map_err(|error| unknown(own, &error))
}

fn found(description: &Description, function: &str) -> Result<Arc<dyn Convention>> {
    let own = description.function(function)?;
    let task = description.metadata.user.get(TASK.0);
    if let Some(task) = task.filter(|task| *task != TASK.1) {
        fail!("the model is for {task}");
    }
    let window = description.metadata.user.get(WINDOW);
    let window = window.and_then(|size| size.parse().ok());
    if !own.states.is_empty() {
        return Ok(Arc::new(stateful::of(description, function, window)?));
    }
    match explicit::of(description, function, window)? {
        Some(cached) => Ok(Arc::new(cached)),
        None => Ok(Arc::new(Whole::of(own, window)?)),
    }
}

/// Why a function is no language model, with what would make it one.
fn unknown(function: &FunctionDescription, why: &Error) -> Error {
    let listed = |features: &[Feature]| {
        let features = features
            .iter()
            .map(|f| format!("{} {}", f.name, f.shapes()));
        features.collect::<Vec<_>>().join(", ")
    };
    let mut there = format!(
        "inputs {}; outputs {}",
        listed(&function.inputs),
        listed(&function.outputs)
    );
    if !function.states.is_empty() {
        there = format!("{there}; states {}", listed(&function.states));
    }
    let hint = why
        .hint_text()
        .map(|hint| format!("{hint}; "))
        .unwrap_or_default();
    Error::new(format!("{} ({there})", why.message())).hint(format!(
        "{hint}a language model takes integers called \"input_ids\" [batch, length], perhaps masks, \
         positions, states or caches (past… in, present… out), and gives floats called \"logits\""
    ))
}

impl Convention for Whole {
    fn told(&self) -> String {
        let beside = self.companions.iter().map(|c| format!(" + {}", c.name));
        let beside = beside.collect::<String>();
        format!("stateless: {}{beside} → {}", self.ids.name, self.logits)
    }

    fn length_max(&self) -> usize {
        self.length_max()
    }

    fn ids(&self) -> &str {
        &self.ids.name
    }

    fn whole(&self) -> Option<&Whole> {
        Some(self)
    }

    fn way(&self) -> Option<Way> {
        None
    }

    fn remark(&self) -> Option<String> {
        None
    }

    fn forward(&self, run: &Runner, rows: &[&[u32]]) -> Result<Vec<Array2<f32>>> {
        let mut logits = Vec::with_capacity(rows.len());
        for chunk in self.batches(rows) {
            run.interrupt.check()?;
            logits.extend(self.together(run, chunk)?);
        }
        Ok(logits)
    }

    fn decoder<'a>(&'a self, _: Runner<'a>) -> Result<Option<Box<dyn Decoder + 'a>>> {
        Ok(None)
    }
}

impl Whole {
    /// One pass; rows are padded on the right, which a causal model can't see from the positions that
    /// count.
    fn together(&self, run: &Runner, rows: &[&[u32]]) -> Result<Vec<Array2<f32>>> {
        let calls = self.calls(rows)?;
        let outputs = run.engine.predict_batch(run.function, &calls.inputs)?;
        let mut logits = Vec::with_capacity(rows.len());
        let mut last_only = calls.length > 1;
        for (output, rows) in outputs.iter().zip(rows.chunks(calls.rows)) {
            let Some(output) = output.get(&self.logits) else {
                fail!("the model gave no \"{}\"", self.logits);
            };
            let (cut, given) = whole::per_row(output, calls.rows, rows)?;
            logits.extend(cut);
            last_only &= given == 1;
        }
        // The padding would stand where the logits are of.
        let padded = rows.iter().filter(|row| row.len() < calls.length);
        let refused = padded
            .clone()
            .find(|row| !self.ids.length().allows(row.len()));
        match refused {
            Some(row) if last_only => fail!(
                "the model gives the logits of position {} only, a row has {} tokens",
                calls.length,
                row.len()
            ),
            _ if last_only && padded.count() > 0 => {
                let alone = rows.iter().map(|row| self.together(run, &[row]));
                Ok(alone.collect::<Result<Vec<_>>>()?.concat())
            }
            _ => Ok(logits),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::numeric::DType;
    use crate::package::Metadata;

    fn description(inputs: &[(&str, DType, &[usize])], outputs: &[&str]) -> Description {
        let input =
            |(name, dtype, shape): &(&str, DType, &[usize])| Feature::array(*name, *dtype, shape);
        let output = |name: &&str| Feature::array(*name, DType::Fp16, &[1, 8, 16]);
        let function = FunctionDescription {
            inputs: inputs.iter().map(input).collect(),
            outputs: outputs.iter().map(output).collect(),
            ..Default::default()
        };
        Description {
            functions: BTreeMap::from([("main".to_owned(), function)]),
            ..Default::default()
        }
    }

    /// As Hugging Face's exporters write it.
    #[test]
    fn swift_transformers_models_are_known() {
        let (int, float) = (DType::Int32, DType::Fp16);
        let masks: &[usize] = &[1, 1, 8, 8];
        let inputs: [(&str, DType, &[usize]); 4] = [
            ("inputIds", int, &[1, 8]),
            ("attentionMask", int, &[1, 8]),
            ("fullAttentionMask", float, masks),
            ("slidingAttentionMask", float, masks),
        ];
        let told = |description: &Description| recognise(description, "main").map(|c| c.told());
        let plain = description(&inputs[..2], &["token_scores"]);
        let expected = "stateless: inputIds + attentionMask → token_scores";
        assert_eq!(told(&plain).unwrap(), expected);
        let mut windows = description(&inputs, &["logits"]);
        let error = told(&windows).unwrap_err();
        assert!(error.hint_text().unwrap().contains(WINDOW), "{error}");
        windows.metadata = Metadata {
            user: [(WINDOW.to_owned(), "4".to_owned())].into(),
            ..Metadata::default()
        };
        assert!(told(&windows).is_ok());
    }

    #[test]
    fn what_is_not_known_is_listed() {
        let encoder = description(
            &[("input_ids", DType::Int32, &[1, 8])],
            &["hidden", "pooled"],
        );
        let error = recognise(&encoder, "main").err().unwrap();
        let words = "there is no output of logits (inputs input_ids [1, 8]; outputs hidden [1, 8, 16], \
                     pooled [1, 8, 16])";
        assert_eq!(error.message(), words);
        assert!(
            error
                .hint_text()
                .unwrap()
                .contains("past… in, present… out")
        );
    }
}

//! A checkpoint as an ML Program.

use std::collections::BTreeMap;

use super::transformer::{self, Head, Layout, Precision, Transformer};
use super::{Checkpoint, families};
use crate::diag::{Context, Error, Result};
use crate::models::TASK;
use crate::package::Bundle;

/// What a program is to be like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConvertOptions {
    pub precision: Precision,
    /// Longest row; if absent what the model was made for, [`CONTEXT`] at most.
    pub context: Option<usize>,
    /// Most rows in a call; if absent [`BATCH`], or one for a stateful program.
    pub batch: Option<usize>,
    /// Whether every call has just `batch` rows of `context` tokens.
    pub fixed: bool,
    /// Whether the program keeps keys and values in states.
    pub stateful: bool,
}

impl ConvertOptions {
    /// The longest row of a program of `model`.
    pub(super) fn context_of(&self, model: &Transformer) -> usize {
        self.context.unwrap_or(model.context.min(CONTEXT))
    }
}

/// The longest row unless another is asked for: what a call may need of memory grows with it.
pub const CONTEXT: usize = 2048;

/// Most rows of a call unless another number is asked for.
pub const BATCH: usize = 64;

/// The model of `source`, for iOS 18 and macOS 15 on: `input_ids` int32 `[batch, length]` → `logits`
/// `[batch, length, vocab]`.
///
/// Encoders take `attention_mask` beside the tokens, and perhaps `token_type_ids`, and give `last_hidden_state` with
/// its mean `embedding`; classifiers, and decoders with a `score`, give `logits` `[batch, classes]`.
///
/// Stateful it has the functions `prefill` and `decode` over the states `keyCache` and `valueCache`: `inputIds`
/// int32 `[1, length]` and `causalMask` fp16 `[1, 1, length, end]` → `logits` `[1, length, vocab]`, as
/// Hugging Face's swift-transformers runs them.
///
/// Fails if its architecture is not known, its weights are missing or do not agree with its configuration,
/// or its tokenizer has more tokens than the embedding.
pub fn convert(source: &Checkpoint, options: &ConvertOptions) -> Result<Bundle> {
    let model = families::describe(source)?;
    check_tokenizer(source, &model)?;
    let layout = Layout {
        precision: options.precision,
        context: options.context_of(&model),
        batch: options.batch.unwrap_or(match options.stateful {
            true => 1,
            false => BATCH,
        }),
        fixed: options.fixed,
        stateful: options.stateful,
    };
    let mut bundle = transformer::bundle(&model, source, layout)?;
    bundle.description.metadata.user = remarks(source, &model);
    Ok(bundle)
}

/// Fails if the tokenizer gives tokens that the embedding lacks.
fn check_tokenizer(source: &Checkpoint, model: &Transformer) -> Result<()> {
    let Some(tokenizer) = source.tokenizer().context("tokenizer.json")? else {
        return Ok(());
    };
    let (tokens, rows) = (tokenizer.vocab_size(), model.vocab);
    if tokens > rows {
        let message = format!("the tokenizer has {tokens} tokens, the embedding {rows} rows");
        return Err(Error::new(message).hint("the tokenizer is of another model"));
    }
    Ok(())
}

/// What the program's metadata tells of its source; names as Hugging Face's exporters have them.
fn remarks(source: &Checkpoint, model: &Transformer) -> BTreeMap<String, String> {
    let told = [
        ("co.huggingface.exporters.name", "_name_or_path"),
        ("co.huggingface.exporters.architecture", "model_type"),
    ];
    let mut remarks = BTreeMap::new();
    for (name, key) in told {
        let text = source.config.get(key).and_then(|value| value.as_str());
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            remarks.insert(name.to_owned(), text.to_owned());
        }
    }
    let task = match model.head {
        Head::Tokens { .. } => TASK.1,
        Head::Classes { .. } => "text-classification",
        Head::Hidden => "feature-extraction",
    };
    remarks.insert(TASK.0.to_owned(), task.to_owned());
    remarks
}

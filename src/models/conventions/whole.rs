//! The stateless convention: integer `input_ids` `[batch, length]` (or `[length]`), perhaps masks and
//! positions beside them, and float logits for every position `[batch, length, vocab]` or for the last
//! one. Hugging Face's exporters and swift-transformers write `inputIds` and `attentionMask`, of a fixed
//! length with the padding on the right.

use ndarray::Array2;

use super::companions::{Companion, Span};
use super::tokens::{Tokens, logits};
use crate::diag::{Error, Result};
use crate::engine::Features;
use crate::fail;
use crate::numeric::Array;
use crate::package::FunctionDescription;

/// A function that takes rows from their first token on.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    pub ids: Tokens,
    /// Inputs beside the tokens: masks and positions.
    pub companions: Vec<Companion>,
    /// Name of the logits output.
    pub logits: String,
}

impl Whole {
    /// Recognises the convention of a function, or says why it is none. `window` is what the bundle says
    /// of sliding attention.
    pub fn of(function: &FunctionDescription, window: Option<usize>) -> Result<Self> {
        let ids = Tokens::of(function)?;
        let others = function.inputs.iter();
        let others = others.filter(|f| f.name != ids.name && !f.optional);
        let companions = others.map(|feature| Companion::of(feature, window));
        let companions = companions.collect::<Result<_>>()?;
        let logits = match logits(function, &[]).as_slice() {
            [one] => one.clone(),
            [] => fail!("there is no output of logits"),
            parts => fail!(
                "the logits come in {} parts, which only models with a cache may do",
                parts.len()
            ),
        };
        Ok(Self {
            ids,
            companions,
            logits,
        })
    }

    /// The longest row.
    pub fn length_max(&self) -> usize {
        self.ids.length().most
    }

    /// Tokens that a call for rows of up to `longest` takes of each, the padding included.
    pub fn length(&self, longest: usize) -> usize {
        self.ids.length().nearest(longest)
    }

    /// The rows in portions that are run in one pass.
    pub fn batches<'r, 'i>(&self, rows: &'r [&'i [u32]]) -> impl Iterator<Item = &'r [&'i [u32]]> {
        let longest = rows.iter().map(|r| r.len()).max().unwrap_or(0);
        let length = self.length(longest).max(1);
        let fitting = (TOKENS_MAX / length).min(BATCH_MAX);
        rows.chunks(fitting.max(self.ids.rows().least).max(1))
    }

    /// Rows of ids as calls of the model, padded on the right to a common or the fixed length. Where one
    /// call does not take all rows, several share them evenly; the last is filled up with rows of zeros.
    pub fn calls(&self, rows: &[&[u32]]) -> Result<Calls> {
        let longest = rows.iter().map(|r| r.len()).max().unwrap_or(0);
        if longest == 0 || longest > self.length_max() {
            fail!(
                "a row has {longest} tokens; the model takes 1 to {}",
                self.length_max()
            );
        }
        let length = self.length(longest);
        let batch = self.ids.rows();
        let count = rows.len().div_ceil(batch.most.max(1));
        let each = batch.nearest(rows.len().div_ceil(count)).max(1);
        let inputs = rows.chunks(each);
        let inputs = inputs.map(|part| self.inputs(part, each, length));
        Ok(Calls {
            rows: each,
            length,
            inputs: inputs.collect::<Result<_>>()?,
        })
    }

    /// The inputs of one call that takes `count` rows of `length` tokens.
    fn inputs(&self, rows: &[&[u32]], count: usize, length: usize) -> Result<Features> {
        let mut inputs = Features::new();
        let span = Span::whole(count, length);
        for companion in &self.companions {
            inputs.insert(companion.name.clone(), companion.array(&span)?);
        }
        let ids = self.ids.array(rows, count, length)?;
        inputs.insert(self.ids.name.clone(), ids);
        Ok(inputs)
    }
}

/// Rows as calls of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Calls {
    /// Rows in each call.
    pub rows: usize,
    /// Tokens in each row, the padding included.
    pub length: usize,
    pub inputs: Vec<Features>,
}

/// Rows run together at most, so that memory stays bounded whatever is asked.
const BATCH_MAX: usize = 64;

/// Tokens run together at most: more of them make a matrix product no faster.
const TOKENS_MAX: usize = 2048;

/// Cuts `[batch, length, vocab]` (leading ones may be missing) of `count` rows into `rows`, without the
/// padding; and tells how many positions there are of each.
pub(super) fn per_row(
    output: &Array,
    count: usize,
    rows: &[&[u32]],
) -> Result<(Vec<Array2<f32>>, usize)> {
    let vocab = output.shape().last().copied().unwrap_or(0);
    let per_row = output.len() / count.max(1);
    if vocab == 0 || !per_row.is_multiple_of(vocab) {
        fail!("logits have shape {:?} for {count} rows", output.shape());
    }
    let values = output.to_f32s();
    let cut = |(chunk, row): (&[f32], &&[u32])| {
        let kept = (per_row / vocab).min(row.len()) * vocab;
        Array2::from_shape_vec((kept / vocab, vocab), chunk[..kept].to_vec())
            .map_err(|e| Error::new(e.to_string()))
    };
    let cut = values.chunks(per_row).zip(rows).map(cut);
    Ok((cut.collect::<Result<_>>()?, per_row / vocab))
}

//! How near two language models are to each other on a text: logits, distributions, likeliest tokens,
//! perplexities.

mod comparison;
mod position;
mod text;
mod windows;

pub use comparison::{Comparison, Worst, compare};
pub use text::SAMPLE;
pub use windows::windows;

use ndarray::Array2;

use crate::diag::{Error, Kind, Result};
use crate::fail;
pub use position::Position;
use position::norm;

/// What gives logits for rows of tokens: a bundle, or a checkpoint's own forward pass.
pub trait RowLogits {
    /// For tables.
    fn name(&self) -> &str;

    /// The logits after each token of `ids`: `[length, vocab]`.
    fn row_logits(&self, ids: &[u32]) -> Result<Array2<f32>>;
}

/// exp of the mean of −log π(token | those before it in its row), over every token but each row's first.
///
/// `progress` hears how many rows are done, and may end the work.
pub fn perplexity(
    model: &dyn RowLogits,
    rows: &[Vec<u32>],
    progress: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<f64> {
    let (mut sum, mut count) = (0.0, 0);
    for (done, row) in rows.iter().enumerate() {
        progress(done)?;
        let logits = checked(model, row)?;
        for (logits, next) in logits.rows().into_iter().zip(&row[1..]) {
            sum += norm(logits) - f64::from(logits[*next as usize]);
            count += 1;
        }
    }
    if count == 0 {
        fail!("the text is too short: a perplexity needs two tokens at least");
    }
    Ok((sum / f64::from(count)).exp())
}

/// A model's logits of a row: one per token, finite, wide enough for every token.
fn checked(model: &dyn RowLogits, row: &[u32]) -> Result<Array2<f32>> {
    let name = model.name();
    if row.is_empty() {
        fail!("a row has no tokens");
    }
    let logits = model.row_logits(row).map_err(|error| error.context(name))?;
    let (length, vocab) = logits.dim();
    if length != row.len() {
        return Err(Error::new(format!(
            "{name}: logits of {length} positions for a row of {} tokens",
            row.len()
        ))
        .hint("a model that gives the last position's logits only can't be compared"));
    }
    if let Some(id) = row.iter().find(|id| **id as usize >= vocab) {
        return Err(Error::new(format!(
            "{name}: token {id} has no logit, there are {vocab}"
        ))
        .hint("the tokenizer is of another model"));
    }
    let bad = logits.indexed_iter().find(|(_, logit)| !logit.is_finite());
    match bad {
        None => Ok(logits),
        Some(((position, id), logit)) => Err(Error::new(format!(
            "{name}: the logit of token {id} after position {position} is {logit}"
        ))
        .kind_of(Kind::NonFinite)),
    }
}

#[cfg(test)]
mod tests;

//! What decoding needs of a model.

use crate::diag::Result;

/// Something that gives next-token logits: the one thing decoding needs of a model.
pub trait NextLogits {
    /// For each row of token ids, the logits over the vocabulary after its last token.
    fn next_logits(&self, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>>;

    /// The longest row that [`NextLogits::next_logits`] takes.
    fn max_len(&self) -> usize;

    /// Something that decodes rows of up to `longest` tokens without computing their past again; absent
    /// where the model has no such thing.
    fn decoder(&self, _longest: usize) -> Result<Option<Box<dyn Decoder + '_>>> {
        Ok(None)
    }
}

/// What a decoder keeps of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Keys and values in the program's own states.
    States,
    /// Keys and values that the program takes as inputs and gives as outputs.
    ExplicitCache,
    /// Keys and values that our engine keeps for a program without a cache: the increment transform.
    Increments,
    /// Nothing: all tokens are computed again for each new one.
    Recompute,
}

impl Way {
    /// `states`, `explicit cache`, `increments` or `recompute`.
    pub fn name(self) -> &'static str {
        match self {
            Way::States => "states",
            Way::ExplicitCache => "explicit cache",
            Way::Increments => "increments",
            Way::Recompute => "recompute",
        }
    }
}

/// Gives next-token logits of rows that grow.
pub trait Decoder {
    fn way(&self) -> Way;

    /// The logits after the last token of each row. A row is a number of its own, and all its ids; one
    /// that is left out is over.
    fn next(&mut self, rows: &[(usize, &[u32])]) -> Result<Vec<Vec<f32>>>;
}

/// How many first tokens of a row need no computing where those of `past` are kept. At least one is always
/// new: its logits are asked for.
pub fn kept(past: &[u32], ids: &[u32]) -> usize {
    let same = past.iter().zip(ids).take_while(|(a, b)| a == b).count();
    same.min(ids.len().saturating_sub(1))
}

/// An earlier row with the tokens of row `i`: equal prompts are computed once.
pub fn twin(rows: &[(usize, &[u32])], i: usize) -> Option<usize> {
    rows[..i].iter().position(|(_, ids)| *ids == rows[i].1)
}

/// Computes everything at every token.
pub(super) struct Recompute<'a>(pub &'a dyn NextLogits);

impl Decoder for Recompute<'_> {
    fn way(&self) -> Way {
        Way::Recompute
    }

    fn next(&mut self, rows: &[(usize, &[u32])]) -> Result<Vec<Vec<f32>>> {
        let rows: Vec<&[u32]> = rows.iter().map(|(_, ids)| *ids).collect();
        self.0.next_logits(&rows)
    }
}

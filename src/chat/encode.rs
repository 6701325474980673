//! A rendered conversation as token ids, with the mask of what the assistant wrote.

use std::ops::Range;

use super::template::Rendered;
use crate::diag::Result;
use crate::tokenizer::Tokenizer;

/// Token ids of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    pub ids: Vec<u32>,
    /// Whether each token stands in a `generation` block: what a loss is to be taken on. Absent if the
    /// template does not say.
    pub mask: Option<Vec<bool>>,
}

impl Rendered {
    /// The ids of the text. Special tokens are those that the template wrote: none is added. A token that
    /// reaches into a `generation` block counts as generated.
    pub fn encode(&self, tokenizer: &Tokenizer) -> Result<Encoded> {
        let (ids, places) = tokenizer.encode_places(&self.text)?;
        let generated = |place: &Range<usize>, ranges: &[Range<usize>]| {
            ranges
                .iter()
                .any(|range| place.start < range.end && range.start < place.end)
        };
        let mask =
            |ranges: &Vec<Range<usize>>| places.iter().map(|p| generated(p, ranges)).collect();
        Ok(Encoded {
            mask: self.generated.as_ref().map(mask),
            ids,
        })
    }
}

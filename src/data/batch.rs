//! Token sequences of different lengths as one rectangle.

use crate::diag::{Error, Result};
use crate::fail;
use crate::numeric::Rng;

/// A token sequence and which of its tokens are learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    pub ids: Vec<u32>,
    /// As long as `ids`. The first token is never predicted, learned or not.
    pub learn: Vec<bool>,
}

impl Example {
    /// Every token is learned.
    pub fn text(ids: Vec<u32>) -> Self {
        let learn = vec![true; ids.len()];
        Self { ids, learn }
    }

    /// Only the answer is learned; to learn when to stop, it ends with the end token.
    pub fn answer(prompt: &[u32], answer: &[u32]) -> Self {
        let learn = (0..prompt.len() + answer.len()).map(|at| at >= prompt.len());
        Self {
            ids: [prompt, answer].concat(),
            learn: learn.collect(),
        }
    }
}

/// `[rows, width]` in row-major order, padded on the right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub ids: Vec<u32>,
    /// 1 where a token is learned; 0 elsewhere and on padding, even if the padding is the end token.
    pub mask: Vec<u8>,
    /// Tokens of each row before the padding.
    pub lengths: Vec<usize>,
    pub rows: usize,
    pub width: usize,
}

/// What the logits at the first `width` positions of a [`Batch`] predict, `[rows, width]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets {
    pub ids: Vec<u32>,
    pub mask: Vec<u8>,
    pub width: usize,
}

impl Batch {
    /// Pads `examples` with `pad` to the longest, rounded up to `multiple` (1 for none). Fails for one
    /// longer than `longest`: what to cut is the caller's choice.
    pub fn new(examples: &[Example], pad: u32, multiple: usize, longest: usize) -> Result<Self> {
        for (index, example) in examples.iter().enumerate() {
            let (tokens, learn) = (example.ids.len(), example.learn.len());
            if tokens == 0 || tokens != learn {
                fail!("example {index} has {tokens} tokens and a mask of {learn}");
            }
            if tokens > longest {
                let message = format!("example {index} has {tokens} tokens, at most {longest} fit");
                return Err(Error::new(message).hint("filter or shorten the data first"));
            }
        }
        let lengths: Vec<usize> = examples.iter().map(|e| e.ids.len()).collect();
        let most = lengths.iter().copied().max().unwrap_or(0);
        let width = most.next_multiple_of(multiple.max(1)).min(longest);
        let mut batch = Self {
            ids: Vec::with_capacity(width * examples.len()),
            mask: Vec::with_capacity(width * examples.len()),
            rows: examples.len(),
            lengths,
            width,
        };
        for example in examples {
            let padding = width - example.ids.len();
            batch.ids.extend(&example.ids);
            batch.ids.extend(std::iter::repeat_n(pad, padding));
            batch
                .mask
                .extend(example.learn.iter().map(|l| u8::from(*l)));
            batch.mask.extend(std::iter::repeat_n(0, padding));
        }
        Ok(batch)
    }

    /// Ids and mask one to the left: the logits at position `t` predict token `t + 1`.
    pub fn targets(&self) -> Targets {
        let width = self.width.saturating_sub(1);
        let shift = |start: usize| start + 1..start + 1 + width;
        let starts = || (0..self.rows).map(|row| row * self.width);
        Targets {
            ids: starts()
                .flat_map(|s| &self.ids[shift(s)])
                .copied()
                .collect(),
            mask: starts()
                .flat_map(|s| &self.mask[shift(s)])
                .copied()
                .collect(),
            width,
        }
    }
}

/// The indices `0..len` in batches of `size` (the last may be smaller), shuffled if a stream is given.
pub fn batches(len: usize, size: usize, shuffle: Option<&mut Rng>) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..len).collect();
    if let Some(rng) = shuffle {
        rng.shuffle(&mut order);
    }
    order.chunks(size.max(1)).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_on_the_right_and_masks_prompts() {
        let examples = [Example::answer(&[7, 8], &[9, 2]), Example::text(vec![5])];
        let batch = Batch::new(&examples, 2, 1, 10).unwrap();
        assert_eq!(batch.ids, [7, 8, 9, 2, 5, 2, 2, 2]);
        assert_eq!(batch.mask, [0, 0, 1, 1, 1, 0, 0, 0]);
        assert_eq!((batch.rows, batch.width), (2, 4));
        assert_eq!(batch.lengths, [4, 1]);
        let targets = batch.targets();
        assert_eq!(targets.ids, [8, 9, 2, 2, 2, 2]);
        assert_eq!(targets.mask, [0, 1, 1, 0, 0, 0]);
        assert_eq!(targets.width, 3);
    }

    #[test]
    fn widths_round_up_within_the_limit() {
        let example = [Example::text(vec![1; 5])];
        let width = |multiple, longest| Batch::new(&example, 0, multiple, longest).unwrap().width;
        assert_eq!((width(1, 100), width(8, 100), width(8, 6)), (5, 8, 6));
        let error = Batch::new(&example, 0, 1, 4).unwrap_err().to_string();
        assert!(
            error.starts_with("example 0 has 5 tokens, at most 4 fit"),
            "{error}"
        );
        assert!(Batch::new(&[Example::text(vec![])], 0, 1, 4).is_err());
        assert_eq!(Batch::new(&[], 0, 1, 4).unwrap().targets().ids, [0u32; 0]);
    }

    #[test]
    fn batches_cover_everything_once() {
        assert_eq!(batches(5, 2, None), [vec![0, 1], vec![2, 3], vec![4]]);
        let shuffled = batches(5, 2, Some(&mut Rng::new(1)));
        assert_eq!(shuffled, batches(5, 2, Some(&mut Rng::new(1))));
        let mut all = shuffled.concat();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4]);
        assert!(batches(0, 0, None).is_empty());
    }
}

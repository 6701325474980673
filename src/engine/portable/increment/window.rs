//! The tokens that one pass computes: those of several sequences, one after the other on the positions
//! axis. Only attention can tell, and that runs for each sequence by itself.

use candle_core::{Device, Tensor};

use crate::diag::Result;

/// Consecutive tokens of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Which sequence of the pass.
    pub sequence: usize,
    /// Where its tokens start in the window, and how many they are.
    pub start: usize,
    pub count: usize,
    /// The position of the first in its sequence.
    pub from: usize,
}

/// What a pass computes.
#[derive(Debug, Clone)]
pub struct Window {
    pub spans: Vec<Span>,
    pub count: usize,
    /// Of each token, its position in its sequence.
    pub positions: Tensor,
}

impl Window {
    /// `counts` tokens of each sequence, from the position `from` on.
    pub fn new(parts: &[(usize, usize)], device: &Device) -> Result<Self> {
        let mut spans = Vec::with_capacity(parts.len());
        let mut positions = Vec::new();
        for (sequence, (from, count)) in parts.iter().copied().enumerate() {
            spans.push(Span {
                sequence,
                start: positions.len(),
                count,
                from,
            });
            positions.extend((from..from + count).map(|p| p as u32));
        }
        let count = positions.len();
        Ok(Self {
            spans,
            count,
            positions: Tensor::from_vec(positions, count, device)?,
        })
    }

    /// The last token of each sequence, and where it stands in this window.
    pub fn last(&self, device: &Device) -> Result<(Window, Tensor)> {
        let parts = self.spans.iter().map(|s| (s.from + s.count - 1, 1));
        let parts: Vec<(usize, usize)> = parts.collect();
        let places = self.spans.iter().map(|s| (s.start + s.count - 1) as u32);
        let places = Tensor::from_vec(places.collect::<Vec<u32>>(), parts.len(), device)?;
        Ok((Window::new(&parts, device)?, places))
    }
}

//! What a program may use: a hostile one gets an error that names the limit, not the whole machine.

use crate::diag::Result;
use crate::fail;

/// Axes of a value. Core ML has five; candle's iterators take eight, and panic over more, and operations
/// may add one to do their work.
const RANK: usize = 7;

/// Bounds of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Elements of one result, state or default of an input.
    pub elements: usize,
    /// Bytes of all values that are held at once.
    pub bytes: usize,
    /// Turns of all loops.
    pub turns: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            elements: 1 << 31,
            bytes: 1 << 36,
            turns: 10_000_000,
        }
    }
}

impl Limits {
    /// Bytes of a tensor of `shape` with elements of `size` bytes; fails if it is larger than allowed while
    /// `held` bytes are in use. An extent of 0 counts as 1: the others are walked through all the same.
    pub fn allow(&self, shape: &[usize], size: usize, held: usize) -> Result<usize> {
        if shape.len() > RANK {
            fail!("a tensor of shape {shape:?}: at most {RANK} axes are computed with");
        }
        let extents = shape.iter().map(|extent| (*extent).max(1));
        let elements = extents.into_iter().try_fold(1usize, usize::checked_mul);
        let Some(elements) = elements.filter(|n| *n <= self.elements) else {
            fail!(
                "a tensor of shape {shape:?} has more than the {} elements allowed",
                self.elements
            );
        };
        let bytes = match shape.contains(&0) {
            true => 0,
            false => elements.saturating_mul(size),
        };
        self.hold(held.saturating_add(bytes))
            .map_err(|error| error.context(format!("a tensor of shape {shape:?}")))?;
        Ok(bytes)
    }

    /// Fails if `held` bytes are more than allowed.
    pub fn hold(&self, held: usize) -> Result<()> {
        if held > self.bytes {
            fail!(
                "{held} bytes would be in use, more than the {} allowed",
                self.bytes
            );
        }
        Ok(())
    }
}

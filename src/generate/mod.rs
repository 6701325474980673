//! Decoding: from next-token logits to sampled token ids, for a batch of prompts of different lengths.
//!
//! Tokens in, tokens out: text only tells where a row ends and what a constraint allows, and never becomes
//! tokens again, so what is sampled is exactly what is trained on.

mod constraint;
mod decoder;
mod distribution;
mod generation;
mod mask;
mod rollout;
mod sampling;
mod scores;
mod text;

pub use constraint::Constraint;
pub use decoder::{Decoder, NextLogits, Way, kept, twin};
pub use distribution::Distribution;
pub use generation::Generation;
pub use mask::Mask;
pub use rollout::{Finish, Rollout};
pub use sampling::Sampling;
pub use scores::{Past, draw, scores};

use crate::diag::{Interrupt, Result};

/// Samples one continuation of each prompt. `progress` is told the number of rows still open after each
/// token.
pub fn generate(
    model: &dyn NextLogits,
    prompts: &[Vec<u32>],
    sampling: &Sampling,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Rollout>> {
    let mut generation = Generation::start(model, prompts, sampling)?;
    loop {
        let open = generation.open();
        progress(open);
        if open == 0 {
            return Ok(generation.finish());
        }
        interrupt.check()?;
        generation.step()?;
    }
}

#[cfg(test)]
mod tests;

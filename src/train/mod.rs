//! Training loops on a student: supervised fine-tuning and GRPO, and the evaluation of what came out.

mod evaluate;
mod grpo;
mod sft;

pub use evaluate::{WinRate, kl_to_reference, win_rate};
pub use grpo::{GrpoOptions, GrpoPlace, GrpoStep, GrpoTrainer, Reward, Sample};
pub use sft::{Example, SftOptions, SftPlace, SftTrainer};

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use crate::diag::Result;

/// What one step reports, by TRL's names.
pub type Metrics = BTreeMap<String, f64>;

/// A mask `[rows, longest − 1]` aligned with [`crate::models::Scores`]: 1 where the next token is from
/// position `start` of its row on.
fn mask(rows: &[&[u32]], starts: &[usize], device: &Device) -> Result<Tensor> {
    let width = rows
        .iter()
        .map(|r| r.len())
        .max()
        .unwrap_or(1)
        .saturating_sub(1);
    let mut mask = vec![0u8; rows.len() * width];
    for (i, (row, start)) in rows.iter().zip(starts).enumerate() {
        for position in start.saturating_sub(1)..row.len() - 1 {
            mask[i * width + position] = 1;
        }
    }
    Ok(Tensor::from_vec(mask, (rows.len(), width), device)?)
}

//! Training data: JSON Lines of rows, seeded order and splits, padded batches with loss masks.

mod batch;
mod dataset;
mod jsonl;

pub use batch::{Batch, Example, Targets, batches};
pub use dataset::{Dataset, Row};

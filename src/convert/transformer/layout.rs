//! The forms in which a transformer becomes a program.

use crate::numeric::DType;

/// What numbers a program's weights and intermediate values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// As Apple's engines like them, on the Neural Engine too; statistics of norms are fp32.
    #[default]
    Fp16,
    Fp32,
}

impl Precision {
    pub fn dtype(self) -> DType {
        match self {
            Precision::Fp16 => DType::Fp16,
            Precision::Fp32 => DType::Fp32,
        }
    }
}

/// The form of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub precision: Precision,
    /// Tokens of a row, at most.
    pub context: usize,
    /// Rows of a call, at most.
    pub batch: usize,
    /// Whether every call has just `batch` rows of `context` tokens: shapes that are known before a run
    /// suit the Neural Engine.
    pub fixed: bool,
    /// Whether keys and values stand in states between calls, for rows one at a time.
    pub stateful: bool,
}

//! The operations, in Apple's families. One operation is one row: name, meaning, gradient, samples.
//!
//! To add one: write its `eval` in the family's file and add its row to that file's `OPS`.

mod activation;
mod boxes;
mod classify;
mod constexpr;
mod control_flow;
mod conv;
mod decompression;
mod elementwise_binary;
mod elementwise_unary;
#[cfg(test)]
mod gradients;
mod image_resizing;
mod image_sampling;
mod indexing;
mod integers;
mod linear;
mod list;
mod normalization;
mod ordering;
mod pool;
mod quantization;
mod random;
mod range;
mod recurrent;
mod reduction;
mod scatter_gather;
pub(super) mod shapes;
pub(super) mod slicing;
mod state;
mod tensor_operation;
mod tensor_transformation;
#[cfg(test)]
pub(super) mod tests;
pub(super) mod transformers;
mod windows;

use super::batch::Batch;
use super::call::Call;
use super::execute::Ctx;
use super::value::Value;
use crate::diag::Result;
pub(super) use activation::sigmoid;
pub(super) use indexing::bounded;
pub(super) use tensor_transformation::reshaped;
pub(super) use transformers::{added, attend};

/// How an operation is evaluated.
pub type Eval = fn(&Call, &mut Ctx) -> Result<Vec<Value>>;

/// An operation of MIL.
pub struct Op {
    pub name: &'static str,
    pub eval: Eval,
    pub gradient: Gradient,
    /// How it is evaluated for several examples at once.
    pub batch: Batch,
    /// Worked examples: documentation, tests of the meaning and of the gradient at once.
    pub samples: &'static [Sample],
}

impl Op {
    /// The row with a rule for several examples at once; without one they go one after the other.
    const fn batch(self, batch: Batch) -> Self {
        Self { batch, ..self }
    }
}

/// What is known of an operation's derivative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gradient {
    /// With respect to every float tensor that may vary; scalars that must be constant are settings.
    Full,
    /// Results are integers, booleans, lists or piecewise constant: nothing flows.
    None,
}

/// An operation called with literal arguments, and what it gives.
pub struct Sample {
    /// Statements of MIL text whose arguments are literals or results of statements before; results
    /// are named freely. `cache` is a state of two floats.
    pub call: &'static str,
    /// The elements of each result of the last statement, as floats, row-major.
    pub gives: &'static [&'static [f64]],
    /// The opset, where the meaning depends on it.
    pub opset: u32,
}

/// A sample of an operation that means the same in every opset.
const fn sample(call: &'static str, gives: &'static [&'static [f64]]) -> Sample {
    sample_of(18, call, gives)
}

const fn sample_of(opset: u32, call: &'static str, gives: &'static [&'static [f64]]) -> Sample {
    Sample { call, gives, opset }
}

/// The row of an operation through which gradients flow.
const fn smooth(name: &'static str, eval: Eval, samples: &'static [Sample]) -> Op {
    Op {
        name,
        eval,
        gradient: Gradient::Full,
        batch: Batch::Each,
        samples,
    }
}

/// The row of an operation through which no gradient flows.
const fn discrete(name: &'static str, eval: Eval, samples: &'static [Sample]) -> Op {
    Op {
        name,
        eval,
        gradient: Gradient::None,
        batch: Batch::Each,
        samples,
    }
}

const FAMILIES: &[&[Op]] = &[
    activation::OPS,
    boxes::OPS,
    classify::OPS,
    constexpr::OPS,
    control_flow::OPS,
    conv::OPS,
    elementwise_binary::OPS,
    elementwise_unary::OPS,
    image_resizing::OPS,
    image_sampling::OPS,
    linear::OPS,
    list::OPS,
    normalization::OPS,
    ordering::OPS,
    pool::OPS,
    quantization::OPS,
    random::OPS,
    recurrent::OPS,
    reduction::OPS,
    scatter_gather::OPS,
    slicing::OPS,
    state::OPS,
    tensor_operation::OPS,
    tensor_transformation::OPS,
    transformers::OPS,
];

/// The operation called `name`, if the portable engine has it.
pub fn find(name: &str) -> Option<&'static Op> {
    all().find(|op| op.name == name)
}

/// All operations, family by family.
pub fn all() -> impl Iterator<Item = &'static Op> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// One result.
fn one(value: impl Into<Value>) -> Result<Vec<Value>> {
    Ok(vec![value.into()])
}

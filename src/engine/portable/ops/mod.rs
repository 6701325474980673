//! The operations, in Apple's families. One operation is one row: name, meaning, gradient, samples.
//!
//! To add one: write its `eval` in the family's file and add its row to that file's `OPS`.

mod activation;

use super::call::Call;
use super::execute::Ctx;
use super::value::Value;
use crate::diag::Result;

/// How an operation is evaluated.
pub type Eval = fn(&Call, &mut Ctx) -> Result<Vec<Value>>;

/// An operation of MIL.
pub struct Op {
    pub name: &'static str,
    pub eval: Eval,
    pub gradient: Gradient,
    /// Worked examples: documentation, tests of the meaning and of the gradient at once.
    pub samples: &'static [Sample],
}

/// What is known of an operation's derivative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gradient {
    /// With respect to every float argument.
    Full,
    /// Results are integers, booleans, lists or piecewise constant: nothing flows.
    None,
}

/// An operation called with literal arguments, and what it gives.
pub struct Sample {
    /// One statement of MIL text whose arguments are literals, results named freely.
    pub call: &'static str,
    /// The elements of each result, as floats, row-major.
    pub gives: &'static [&'static [f64]],
}

const FAMILIES: &[&[Op]] = &[activation::OPS];

/// The operation called `name`, if the portable engine has it.
pub fn find(name: &str) -> Option<&'static Op> {
    all().find(|op| op.name == name)
}

/// All operations, family by family.
pub fn all() -> impl Iterator<Item = &'static Op> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

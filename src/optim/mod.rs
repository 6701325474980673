//! Optimisation of named parameters: AdamW, schedules, accumulation, and the checks that keep training
//! honest. A step fails, naming the parameters, when one has no gradient or one that is not finite.

mod accumulate;
mod adamw;
mod check;
mod gradients;
mod parameters;
mod schedule;

pub use accumulate::Accumulator;
pub use adamw::{AdamW, AdamWOptions, AdamWState};
pub use check::check_gradients;
pub use gradients::Gradients;
pub use parameters::{NamedArrays, Parameters};
pub use schedule::{Decay, Schedule};

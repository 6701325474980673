//! Element types, plain host arrays and seeded random streams: what every layer above counts with.

mod array;
mod dtype;
mod rng;

pub use array::Array;
pub use dtype::DType;
pub use rng::Rng;

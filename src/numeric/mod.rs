//! Element types, plain host arrays and seeded random streams: what every layer above counts with.

mod array;
mod axes;
mod dtype;
mod json;
mod moments;
mod packing;
mod rng;
mod safetensors;
pub mod stats;

pub use array::Array;
pub(crate) use array::elements;
pub use dtype::DType;
pub use json::{from_json, to_json};
pub use moments::Stats;
pub use packing::{pack, unpack};
pub use rng::Rng;
pub use safetensors::{SafetensorsIndex, from_safetensors, to_safetensors};

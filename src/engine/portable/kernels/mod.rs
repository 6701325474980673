//! Kernels of our own where candle is slow or loses gradients: threaded, fused, with analytic backward.
//!
//! Each is a candle custom operation for the CPU; on other devices the caller composes candle's operations.

mod attention;
pub mod curves;
mod extreme;
mod gemm;
mod map;
mod matmul;
mod norm;
mod packed;
mod real;
mod rotary;
mod rows;
mod softmax;
mod walk;
mod zip;

pub use attention::{attention, attention_fits};
pub use extreme::{Extreme, extreme};
pub use map::{Curve, map};
pub use matmul::matmul;
pub use norm::{Norm, norm};
pub use packed::{Packed, packed_product};
pub use real::Real;
pub use rotary::rotary;
pub use softmax::softmax;
pub use zip::{Pair, zip};

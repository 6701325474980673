//! Decompression of weights: the `constexpr_*` operations as functions on arrays.
//!
//! Formulas as Core ML defines them; each reproduces coremltools' own decompression bit for bit. The
//! forms of iOS 16 keep indices and masks packed in bytes and the shape apart; those of iOS 18 have
//! sub-byte arrays of the dense shape.

pub(in crate::weights) mod blocks;
mod floats;
mod lut;
mod operation;
mod shift_scale;
mod sparse;
#[cfg(test)]
mod tests;

pub use floats::cast;
pub use lut::{lut_to_dense, lut_to_dense_packed};
pub use operation::{Given, decompress, integer, shape};
pub use shift_scale::{affine_dequantize, blockwise_shift_scale};
pub use sparse::{
    lut_to_sparse, sparse_blockwise_shift_scale, sparse_to_dense, sparse_to_dense_packed,
};

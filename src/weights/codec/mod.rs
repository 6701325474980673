//! Decompression of weights: the `constexpr_*` operations as functions on arrays.

//! The fuzzed functions, run under an allocator that refuses what no limit allows.

pub mod bodies;
mod memory;

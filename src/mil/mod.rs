//! The ML Program as plain data: what Apple's compiled `model.mil` and the Core ML protobuf both say.
//!
//! Knows no engine and no candle. Two front ends read and write it: [`text`] and [`proto`].

mod ir;
pub mod proto;
pub mod text;

pub use ir::{
    Argument, Attributes, Binding, Block, Data, Dim, Function, NamedType, Operation, Program, Type,
    Value,
};

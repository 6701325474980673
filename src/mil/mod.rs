//! The ML Program as plain data: what Apple's compiled `model.mil` and the Core ML protobuf both say.
//!
//! Knows no engine and no candle. Two front ends read and write it: [`text`] and [`proto`].

mod check;
mod ir;
mod opset;
pub mod proto;
pub mod text;
mod walk;

pub use ir::{
    Argument, Attributes, Binding, Block, Data, Dim, Function, NamedType, Operation, Program, Type,
    Value,
};

//! Apple's compiled `model.mil`, both dialects: lexer, parser and printer.

use super::Program;
use crate::diag::Result;

/// The dialect of the text, decided by the model's specification version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Specification 8 or lower: `program(1.0)`, scalars as `tensor<int32, []>(3)`.
    V1_0,
    /// Specification 9 or higher: `program(1.3)`, scalars as `int32(3)`.
    V1_3,
}

/// Parses a `model.mil`; errors carry `source`, line and column.
pub fn parse(_text: &str, _source: &str) -> Result<(Program, Dialect)> {
    unimplemented!()
}

/// Prints a program as Apple's compiler writes it.
pub fn print(_program: &Program, _dialect: Dialect) -> String {
    unimplemented!()
}

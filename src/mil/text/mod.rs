//! Apple's compiled `model.mil`, both dialects: lexer, parser and printer.

mod lexer;
mod literal;
mod number;
mod parser;
mod printer;
#[cfg(test)]
mod tests;
mod types;

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

impl Dialect {
    /// The dialect in which Apple's compiler writes a model of `specification_version`.
    pub fn of_specification(specification_version: i32) -> Self {
        if specification_version >= 9 {
            Dialect::V1_3
        } else {
            Dialect::V1_0
        }
    }
}

/// Parses a `model.mil`; errors carry `source`, line and column.
///
/// Both dialects are read anywhere, mixed too, in any layout; the returned one is what the head says.
/// Every literal is checked against its declared type and shape.
pub fn parse(text: &str, source: &str) -> Result<(Program, Dialect)> {
    parser::Parser::new(text, source)?.program()
}

/// Prints a program as Apple's compiler writes it, down to the layout.
pub fn print(program: &Program, dialect: Dialect) -> String {
    printer::program(program, dialect)
}

//! ML Programs in Core ML's protobuf (`MILSpec.Program`), both ways.

mod encode;
mod read;
mod tensor;
#[cfg(test)]
mod tests;
mod types;
mod write;

use coreml_proto::proto::mil_spec;

use super::Program;
use crate::diag::Result;

/// Reads the protobuf form.
///
/// Dictionaries are sorted by key, as Apple's compiler sorts them. Documentation strings, and
/// attributes of blocks and tensor types, which no known writer uses, are dropped.
pub fn read(program: &mil_spec::Program) -> Result<Program> {
    read::program(program)
}

/// Writes the protobuf form.
pub fn write(program: &Program) -> mil_spec::Program {
    write::program(program)
}

/// The bytes of the protobuf form, always the same for the same program.
pub fn encode(program: &Program) -> Vec<u8> {
    encode::program(&write(program))
}

//! ML Programs in Core ML's protobuf (`MILSpec.Program`), both ways.

use super::Program;
use crate::diag::Result;

/// Reads the protobuf form.
pub fn read(_program: &coreml_proto::proto::mil_spec::Program) -> Result<Program> {
    unimplemented!()
}

/// Writes the protobuf form.
pub fn write(_program: &Program) -> Result<coreml_proto::proto::mil_spec::Program> {
    unimplemented!()
}

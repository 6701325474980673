//! Bytes of the messages that hold maps, with sorted keys: prost writes maps in no fixed order.
//!
//! Only programs, functions, blocks and operations have maps (of those fields that are written at
//! all); what is inside of them is encoded by prost.

use std::collections::HashMap;

use coreml_proto::proto::mil_spec::{Block, Function, Operation, Program};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

/// The bytes of a program.
pub(super) fn program(program: &Program) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(1, WireType::Varint, &mut out);
    encode_varint(program.version as u64, &mut out);
    map(2, &program.functions, function, &mut out);
    map(4, &program.attributes, Message::encode_to_vec, &mut out);
    out
}

fn function(function: &Function) -> Vec<u8> {
    let mut out = Vec::new();
    messages(1, &function.inputs, Message::encode_to_vec, &mut out);
    field(2, function.opset.as_bytes(), &mut out);
    map(3, &function.block_specializations, block, &mut out);
    map(4, &function.attributes, Message::encode_to_vec, &mut out);
    out
}

fn block(block: &Block) -> Vec<u8> {
    let mut out = Vec::new();
    messages(1, &block.inputs, Message::encode_to_vec, &mut out);
    for output in &block.outputs {
        field(2, output.as_bytes(), &mut out);
    }
    messages(3, &block.operations, operation, &mut out);
    map(4, &block.attributes, Message::encode_to_vec, &mut out);
    out
}

fn operation(operation: &Operation) -> Vec<u8> {
    let mut out = Vec::new();
    field(1, operation.r#type.as_bytes(), &mut out);
    map(2, &operation.inputs, Message::encode_to_vec, &mut out);
    messages(3, &operation.outputs, Message::encode_to_vec, &mut out);
    messages(4, &operation.blocks, block, &mut out);
    map(5, &operation.attributes, Message::encode_to_vec, &mut out);
    out
}

fn messages<T>(number: u32, items: &[T], encode: impl Fn(&T) -> Vec<u8>, out: &mut Vec<u8>) {
    for item in items {
        field(number, &encode(item), out);
    }
}

/// A map is a repeated message of key (1) and value (2).
fn map<T>(
    number: u32,
    entries: &HashMap<String, T>,
    encode: impl Fn(&T) -> Vec<u8>,
    out: &mut Vec<u8>,
) {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_by_key(|(key, _)| key.as_str());
    for (key, value) in entries {
        let mut entry = Vec::new();
        field(1, key.as_bytes(), &mut entry);
        field(2, &encode(value), &mut entry);
        field(number, &entry, out);
    }
}

/// A length-delimited field.
fn field(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

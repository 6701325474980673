//! From the program to protobuf messages.

use std::collections::HashMap;

use coreml_proto::proto::mil_spec::{
    self, argument, argument::binding, dictionary_value::KeyValuePair, value,
    value::immediate_value,
};

use super::{tensor, types};
use crate::mil::opset;
use crate::mil::{Argument, Attributes, Binding, Block, Data, Function, Operation, Program, Value};

pub(super) fn program(program: &Program) -> mil_spec::Program {
    let functions = program.functions.iter();
    mil_spec::Program {
        version: 1,
        functions: functions
            .map(|(name, f)| (name.clone(), function(f)))
            .collect(),
        doc_string: String::new(),
        attributes: attributes(&program.attributes),
    }
}

fn function(function: &Function) -> mil_spec::Function {
    let opset = opset::to_core_ml(&function.opset);
    mil_spec::Function {
        inputs: types::write_named(&function.inputs),
        opset: opset.clone(),
        block_specializations: HashMap::from([(opset, block(&function.block))]),
        attributes: attributes(&function.attributes),
    }
}

fn block(block: &Block) -> mil_spec::Block {
    mil_spec::Block {
        inputs: types::write_named(&block.inputs),
        outputs: block.outputs.clone(),
        operations: block.operations.iter().map(operation).collect(),
        attributes: HashMap::new(),
    }
}

fn operation(operation: &Operation) -> mil_spec::Operation {
    let inputs = operation.inputs.iter();
    mil_spec::Operation {
        r#type: operation.op.clone(),
        inputs: inputs
            .map(|(name, a)| (name.clone(), argument(a)))
            .collect(),
        outputs: types::write_named(&operation.outputs),
        blocks: operation.blocks.iter().map(block).collect(),
        attributes: attributes(&operation.attributes),
    }
}

fn argument(argument: &Argument) -> mil_spec::Argument {
    let binding = |b: &Binding| argument::Binding {
        binding: Some(match b {
            Binding::Name(name) => binding::Binding::Name(name.clone()),
            Binding::Value(v) => binding::Binding::Value(value(v)),
        }),
    };
    mil_spec::Argument {
        arguments: argument.bindings().iter().map(binding).collect(),
    }
}

fn attributes(attributes: &Attributes) -> HashMap<String, mil_spec::Value> {
    let attributes = attributes.iter();
    attributes
        .map(|(name, v)| (name.clone(), value(v)))
        .collect()
}

fn value(v: &Value) -> mil_spec::Value {
    mil_spec::Value {
        doc_string: String::new(),
        r#type: Some(types::write(&v.ty)),
        value: Some(content(&v.data)),
    }
}

fn content(data: &Data) -> value::Value {
    let immediate = match data {
        Data::Blob { path, offset } => {
            return value::Value::BlobFileValue(value::BlobFileValue {
                file_name: path.clone(),
                offset: *offset,
            });
        }
        Data::Array(array) => immediate_value::Value::Tensor(tensor::write(array)),
        Data::Texts(texts) => immediate_value::Value::Tensor(tensor::write_texts(texts)),
        Data::List(items) => immediate_value::Value::List(mil_spec::ListValue {
            values: items.iter().map(value).collect(),
        }),
        Data::Tuple(items) => immediate_value::Value::Tuple(mil_spec::TupleValue {
            values: items.iter().map(value).collect(),
        }),
        Data::Dict(pairs) => immediate_value::Value::Dictionary(mil_spec::DictionaryValue {
            values: pairs.iter().map(pair).collect(),
        }),
    };
    value::Value::ImmediateValue(value::ImmediateValue {
        value: Some(immediate),
    })
}

fn pair((key, entry): &(Value, Value)) -> KeyValuePair {
    KeyValuePair {
        key: Some(value(key)),
        value: Some(value(entry)),
    }
}

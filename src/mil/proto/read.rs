//! From protobuf messages to the program.

use std::collections::HashMap;

use coreml_proto::proto::mil_spec::{self, argument::binding, value, value::immediate_value};

use super::{tensor, types};
use crate::diag::{Context, Result};
use crate::fail;
use crate::mil::opset;
use crate::mil::{
    Argument, Attributes, Binding, Block, Data, Function, Operation, Program, Type, Value,
};

pub(super) fn program(proto: &mil_spec::Program) -> Result<Program> {
    let functions = proto.functions.iter().map(|(name, proto)| {
        let function = function(proto).with_context(|| format!("function \"{name}\""))?;
        Ok((name.clone(), function))
    });
    Ok(Program {
        functions: functions.collect::<Result<_>>()?,
        attributes: attributes(&proto.attributes)?,
    })
}

fn function(proto: &mil_spec::Function) -> Result<Function> {
    let Some(body) = proto.block_specializations.get(&proto.opset) else {
        fail!("there is no block for its opset \"{}\"", proto.opset);
    };
    Ok(Function {
        opset: opset::from_core_ml(&proto.opset),
        inputs: types::read_named(&proto.inputs)?,
        attributes: attributes(&proto.attributes)?,
        block: block(body)?,
    })
}

fn block(proto: &mil_spec::Block) -> Result<Block> {
    let operations = proto.operations.iter().map(|proto| {
        operation(proto).with_context(|| {
            let name = proto.outputs.first().map_or("", |o| o.name.as_str());
            format!("operation {} \"{name}\"", proto.r#type)
        })
    });
    Ok(Block {
        inputs: types::read_named(&proto.inputs)?,
        operations: operations.collect::<Result<_>>()?,
        outputs: proto.outputs.clone(),
    })
}

fn operation(proto: &mil_spec::Operation) -> Result<Operation> {
    let inputs = proto.inputs.iter().map(|(name, proto)| {
        let bindings = proto.arguments.iter().map(binding);
        let bindings: Result<_> = bindings.collect();
        let bindings = bindings.with_context(|| format!("argument \"{name}\""))?;
        Ok((name.clone(), Argument::of(bindings)))
    });
    Ok(Operation {
        op: proto.r#type.clone(),
        inputs: inputs.collect::<Result<_>>()?,
        outputs: types::read_named(&proto.outputs)?,
        blocks: proto.blocks.iter().map(block).collect::<Result<_>>()?,
        attributes: attributes(&proto.attributes)?,
    })
}

fn binding(proto: &mil_spec::argument::Binding) -> Result<Binding> {
    match &proto.binding {
        Some(binding::Binding::Name(name)) => Ok(Binding::Name(name.clone())),
        Some(binding::Binding::Value(v)) => value(v).map(Binding::Value),
        None => fail!("a binding is empty"),
    }
}

fn attributes(proto: &HashMap<String, mil_spec::Value>) -> Result<Attributes> {
    proto
        .iter()
        .map(|(name, proto)| {
            let value = value(proto).with_context(|| format!("attribute \"{name}\""))?;
            Ok((name.clone(), value))
        })
        .collect()
}

fn value(proto: &mil_spec::Value) -> Result<Value> {
    let ty = types::read(proto.r#type.as_ref())?;
    let data = match &proto.value {
        Some(value::Value::BlobFileValue(blob)) if matches!(ty, Type::Tensor { .. }) => {
            Data::Blob {
                path: blob.file_name.clone(),
                offset: blob.offset,
            }
        }
        Some(value::Value::ImmediateValue(immediate)) => data(&ty, immediate.value.as_ref())?,
        _ => fail!("a value has no content"),
    };
    Ok(Value { ty, data })
}

fn data(ty: &Type, proto: Option<&immediate_value::Value>) -> Result<Data> {
    match (ty, proto) {
        (Type::Tensor { dtype, dims }, Some(immediate_value::Value::Tensor(proto))) => {
            tensor::read(proto, *dtype, dims)
        }
        (Type::List { .. }, Some(immediate_value::Value::List(list))) => {
            Ok(Data::List(values(&list.values)?))
        }
        (Type::Tuple(types), Some(immediate_value::Value::Tuple(tuple)))
            if types.len() == tuple.values.len() =>
        {
            Ok(Data::Tuple(values(&tuple.values)?))
        }
        (Type::Dict { .. }, Some(immediate_value::Value::Dictionary(dict))) => {
            let pairs = dict.values.iter().map(|pair| {
                let key = pair.key.as_ref().map(value).transpose()?;
                let value = pair.value.as_ref().map(value).transpose()?;
                match (key, value) {
                    (Some(key), Some(value)) => Ok((key, value)),
                    _ => fail!("a dictionary entry is incomplete"),
                }
            });
            let mut pairs: Vec<(Value, Value)> = pairs.collect::<Result<_>>()?;
            pairs.sort_by(|a, b| a.0.as_text().cmp(&b.0.as_text()));
            Ok(Data::Dict(pairs))
        }
        _ => fail!("a value does not have the content of its type"),
    }
}

fn values(protos: &[mil_spec::Value]) -> Result<Vec<Value>> {
    protos.iter().map(value).collect()
}

//! A description made from the program alone, for bundles that carry none.

use std::collections::BTreeMap;

use super::describe::{Description, Feature, FeatureKind, Flexibility, FunctionDescription};
use super::flexible;
use crate::diag::{Context, Result};
use crate::mil::{Binding, Block, Data, Dim, Function, NamedType, Program, Type, Value};
use crate::numeric::DType;

impl Description {
    /// The interface as the program's types and flexible shapes tell it, without free text.
    ///
    /// An input with a `?` extent that nothing describes may have any size there, from 1.
    pub fn from_program(program: &Program) -> Result<Self> {
        let mut description = Description::default();
        for (name, function) in &program.functions {
            let interface = describe(function).with_context(|| format!("function \"{name}\""))?;
            description.functions.insert(name.clone(), interface);
            let version = function.specification().unwrap_or(9);
            description.specification_version = description.specification_version.max(version);
        }
        let first = program.functions.keys().next().cloned();
        description.default_function = match program.functions.contains_key("main") {
            true => "main".into(),
            false => first.unwrap_or_default(),
        };
        Ok(description)
    }
}

fn describe(function: &Function) -> Result<FunctionDescription> {
    let flexible = flexible::read(&function.attributes)?;
    let mut interface = FunctionDescription::default();
    for input in &function.inputs {
        let feature = feature(input, flexible.get(&input.name));
        match input.ty {
            Type::State(_) => interface.states.push(feature),
            _ => interface.inputs.push(feature),
        }
    }
    let types: BTreeMap<&str, &Type> = function
        .inputs
        .iter()
        .chain(function.block.operations.iter().flat_map(|op| &op.outputs))
        .map(|named| (named.name.as_str(), &named.ty))
        .collect();
    for name in &function.block.outputs {
        let shape = types.get(name.as_str()).and_then(|ty| ty.shape());
        let dtype = types.get(name.as_str()).and_then(|ty| ty.dtype());
        let shape = shape.unwrap_or_default();
        interface
            .outputs
            .push(Feature::array(name, dtype.unwrap_or(DType::Fp32), &shape));
    }
    Ok(interface)
}

fn feature(input: &NamedType, known: Option<&(Vec<usize>, Flexibility)>) -> Feature {
    let dims = input.ty.dims().unwrap_or_default();
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => *size,
        _ => 1,
    };
    let range = |dim: &Dim| match dim {
        Dim::Fixed(size) => (*size, Some(*size)),
        _ => (1, None),
    };
    let fixed = dims.iter().all(|dim| matches!(dim, Dim::Fixed(_)));
    let (shape, flexibility) = match known {
        Some((shape, flexibility)) => (shape.clone(), flexibility.clone()),
        None if fixed => (dims.iter().map(size).collect(), Flexibility::Fixed),
        None => (
            dims.iter().map(size).collect(),
            Flexibility::Ranges(dims.iter().map(range).collect()),
        ),
    };
    Feature {
        kind: FeatureKind::Array {
            dtype: input.ty.dtype().unwrap_or(DType::Fp32),
            shape,
            flexibility,
            default: None,
        },
        ..Feature::array(&input.name, DType::Fp32, &[])
    }
}

/// The labels that a `classify` operation of the block carries; packages keep them there.
pub(super) fn class_labels(block: &Block) -> Option<Vec<String>> {
    let classify = block.operations.iter().find(|op| op.op == "classify")?;
    let data = match classify.inputs.get("classes")?.bindings().first()? {
        Binding::Value(value) => &value.data,
        Binding::Name(name) => {
            let defines = |op: &&crate::mil::Operation| op.outputs.iter().any(|o| o.name == *name);
            let constant = block.operations.iter().find(defines)?;
            &constant.constant()?.data
        }
    };
    match data {
        Data::Texts(texts) => Some(texts.clone()),
        Data::Array(array) => Some(array.to_i64s().iter().map(i64::to_string).collect()),
        Data::List(items) => items.iter().map(label).collect(),
        _ => None,
    }
}

/// A label of a list: a text or a whole number.
fn label(item: &Value) -> Option<String> {
    match &item.data {
        Data::Array(number) => number.to_i64s().first().map(i64::to_string),
        _ => item.as_text().map(str::to_owned),
    }
}

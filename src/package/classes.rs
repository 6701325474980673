//! The operation `classify`, which packages have and compiled programs have not.
//!
//! Compiling takes it out: the program gives the probabilities as an array, and the labels stand in
//! `coremldata.bin`. Packaging puts it back.

use super::describe::FunctionDescription;
use crate::diag::{Error, Result};
use crate::fail;
use crate::mil::{
    Argument, Binding, Block, Data, Dim, Function, NamedType, Operation, Type, Value,
};
use crate::numeric::{Array, DType};

const CLASSIFY: &str = "classify";

/// Takes `classify` out; its probabilities become a result of the function in its place.
pub(super) fn lower(function: &mut Function) {
    let block = &mut function.block;
    let Some(at) = block.operations.iter().position(|op| op.op == CLASSIFY) else {
        return;
    };
    let classify = block.operations.remove(at);
    let given = |name: &str| match classify.inputs.get(name)?.bindings().first()? {
        Binding::Name(name) => Some(name.clone()),
        Binding::Value(_) => None,
    };
    let Some(probabilities) = given("probabilities") else {
        block.operations.insert(at, classify);
        return;
    };
    let mut outputs = Vec::new();
    for name in block.outputs.drain(..) {
        let name = match classify.outputs.iter().any(|output| output.name == name) {
            true => probabilities.clone(),
            false => name,
        };
        if !outputs.contains(&name) {
            outputs.push(name);
        }
    }
    block.outputs = outputs;
    if let Some(classes) = given("classes").filter(|name| !is_read(block, name)) {
        let defines = |op: &Operation| op.outputs.iter().any(|output| output.name == classes);
        block.operations.retain(|op| !defines(op));
    }
}

fn is_read(block: &Block, name: &str) -> bool {
    let mut arguments = block.operations().flat_map(|op| op.inputs.values());
    arguments.any(|argument| {
        let mut bindings = argument.bindings().iter();
        bindings.any(|binding| matches!(binding, Binding::Name(given) if given == name))
    })
}

/// Puts `classify` into a classifier's function that has none.
pub(super) fn raise(function: &mut Function, interface: &FunctionDescription) -> Result<()> {
    let Some(label) = &interface.predicted_feature else {
        return Ok(());
    };
    if function.operations().any(|op| op.op == CLASSIFY) {
        return Ok(());
    }
    let labels = &interface.class_labels;
    let block = &mut function.block;
    let Some(at) = probabilities(block, labels.len()) else {
        return Err(Error::new(format!(
            "this classifier has no result with a probability for each of its {} classes",
            labels.len()
        ))
        .hint("save it as .mlmodelc"));
    };
    let named = interface.predicted_probabilities.clone();
    let named = named.unwrap_or_else(|| format!("{label}_probs"));
    for name in [label, &named] {
        let taken = block
            .operations()
            .any(|op| op.outputs.iter().any(|o| o.name == *name));
        if taken || function.inputs.iter().any(|input| input.name == *name) {
            fail!("the classifier's result \"{name}\" has the name of another value");
        }
    }
    let classes = classes(interface)?;
    let key = match &classes.ty {
        Type::List { item, .. } => (**item).clone(),
        other => other.clone(),
    };
    let probabilities = std::mem::replace(&mut block.outputs[at], label.clone());
    block.outputs.insert(at + 1, named.clone());
    let of = Type::Dict {
        key: Box::new(key.clone()),
        value: Box::new(Type::scalar(DType::Fp64)),
    };
    let output = |name: &str, ty| NamedType {
        name: name.to_owned(),
        ty,
    };
    let argument = |name: &str, binding| (name.to_owned(), Argument::One(binding));
    block.operations.push(Operation {
        op: CLASSIFY.into(),
        inputs: [
            argument("classes", Binding::Value(classes)),
            argument("probabilities", Binding::Name(probabilities)),
        ]
        .into(),
        outputs: vec![output(label, key), output(&named, of)],
        ..Operation::default()
    });
    Ok(())
}

/// Which result of the block holds a number for each of `count` classes.
fn probabilities(block: &Block, count: usize) -> Option<usize> {
    let elements = |ty: &Type| match (ty.dtype(), ty.shape()) {
        (Some(dtype), Some(shape)) if dtype.is_float() => Some(shape.iter().product::<usize>()),
        _ => None,
    };
    let mut outputs = block.outputs.iter();
    outputs.position(|name| {
        let mut defined = block.operations.iter().flat_map(|op| &op.outputs);
        let found = defined.find(|output| output.name == *name);
        found.is_some_and(|output| elements(&output.ty) == Some(count))
    })
}

/// The labels as a list, of numbers if the label is one.
fn classes(interface: &FunctionDescription) -> Result<Value> {
    let numbers = interface.labels_are_numbers();
    let item = |label: &String| match numbers {
        false => Ok(Value::text(label)),
        true => match label.parse() {
            Ok(number) => Array::from_i64s(DType::Int64, Vec::new(), &[number]).map(Value::array),
            Err(_) => fail!("the class \"{label}\" is not a whole number"),
        },
    };
    let items: Vec<Value> = interface
        .class_labels
        .iter()
        .map(item)
        .collect::<Result<_>>()?;
    let dtype = if numbers { DType::Int64 } else { DType::String };
    Ok(Value {
        ty: Type::List {
            item: Box::new(Type::scalar(dtype)),
            length: Dim::Fixed(items.len()),
        },
        data: Data::List(items),
    })
}

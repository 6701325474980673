//! Programs whose operations get other arguments than they should.

use std::collections::BTreeMap;

use rlaif_repl::engine::portable::ops;
use rlaif_repl::mil::{Argument, Binding, Block, Data, Dim, Operation, Type, Value};
use rlaif_repl::numeric::{Array, DType};

use super::dice::Dice;

/// Elements of one literal, at most.
const ELEMENTS: usize = 512;

const EXTENTS: [usize; 14] = [1, 2, 3, 0, 1, 2, 4, 5, 7, 8, 17, 64, 1 << 20, 1 << 40];

const INTEGERS: [i64; 20] = [
    0,
    1,
    2,
    3,
    -1,
    -2,
    4,
    5,
    7,
    8,
    16,
    100,
    4095,
    65_536,
    1 << 24,
    i32::MAX as i64,
    i32::MIN as i64,
    -3,
    i64::MAX,
    i64::MIN,
];

const FLOATS: [f64; 14] = [
    0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    -0.25,
    3.0,
    1e-30,
    1e30,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    1e9,
    -0.0,
];

/// Words that some operation knows; the rest is wrong everywhere.
const WORDS: [&str; 24] = [
    "valid",
    "same",
    "same_lower",
    "custom",
    "constant",
    "reflect",
    "replicate",
    "tanh",
    "sigmoid",
    "relu",
    "bilinear",
    "nearest_neighbor",
    "forward",
    "reverse",
    "bidirectional",
    "add",
    "update",
    "fp16",
    "int32",
    "bool",
    "EXACT",
    "NHWC",
    "nbhwc->nbhwc",
    "",
];

/// Changes one thing of one operation of `block`.
pub fn change(block: &mut Block, dice: &mut Dice) {
    let earlier: Vec<String> = block
        .operations
        .iter()
        .flat_map(|operation| operation.outputs.iter().map(|o| o.name.clone()))
        .collect();
    let last = block.operations.len().saturating_sub(1);
    let at = last.saturating_sub(dice.below(block.operations.len().max(1)));
    let Some(operation) = block.operations.get_mut(at) else {
        return;
    };
    match dice.below(8) {
        0 => drop(take(&mut operation.inputs, dice)),
        1 => swap(operation, dice),
        2 => retype(operation, dice),
        3 => rename(operation, dice),
        4 if !operation.blocks.is_empty() => {
            let inner = dice.below(operation.blocks.len());
            change(&mut operation.blocks[inner], dice);
        }
        _ => rebind(operation, &earlier, dice),
    }
}

/// Removes one argument.
fn take(inputs: &mut BTreeMap<String, Argument>, dice: &mut Dice) -> Option<(String, Argument)> {
    let name = inputs.keys().nth(dice.below(inputs.len().max(1)))?.clone();
    let argument = inputs.remove(&name)?;
    Some((name, argument))
}

fn swap(operation: &mut Operation, dice: &mut Dice) {
    let first = take(&mut operation.inputs, dice);
    let second = take(&mut operation.inputs, dice);
    if let (Some((a, one)), Some((b, other))) = (first, second) {
        operation.inputs.insert(a, other);
        operation.inputs.insert(b, one);
    }
}

/// Declares another type for a result.
fn retype(operation: &mut Operation, dice: &mut Dice) {
    let at = dice.below(operation.outputs.len().max(1));
    if let Some(Type::Tensor { dtype, dims }) = operation.outputs.get_mut(at).map(|o| &mut o.ty) {
        match dice.below(3) {
            0 => *dtype = *dice.pick(&DType::ALL),
            1 => *dims = shape(dice).into_iter().map(Dim::Fixed).collect(),
            _ => dims.push(Dim::Unknown),
        }
    }
}

/// Calls another operation with the same arguments.
fn rename(operation: &mut Operation, dice: &mut Dice) {
    let all: Vec<&str> = ops::all().map(|op| op.name).collect();
    operation.op = (*dice.pick(&all)).to_owned();
}

/// Gives another value for a parameter, or one more.
fn rebind(operation: &mut Operation, earlier: &[String], dice: &mut Dice) {
    let names: Vec<String> = operation.inputs.keys().cloned().collect();
    if names.is_empty() {
        return;
    }
    let name = dice.pick(&names).clone();
    let Some(argument) = operation.inputs.remove(&name) else {
        return;
    };
    let mut bindings = argument.bindings().to_vec();
    let at = dice.below(bindings.len().max(1));
    match (dice.below(8), bindings.get_mut(at)) {
        (0, _) => bindings.push(Binding::Value(value(dice))),
        (1, Some(_)) => drop(bindings.remove(at)),
        (2, Some(binding)) if !earlier.is_empty() => {
            *binding = Binding::Name(dice.pick(earlier).clone());
        }
        (3..=5, Some(Binding::Value(old))) => edit(old, dice),
        (_, Some(binding)) => *binding = Binding::Value(value(dice)),
        (_, None) => {}
    }
    operation.inputs.insert(name, Argument::of(bindings));
}

/// Changes elements, the shape or the type of a literal.
fn edit(value: &mut Value, dice: &mut Dice) {
    let Data::Array(array) = &value.data else {
        return;
    };
    let (dtype, extents) = (array.dtype(), array.shape().to_vec());
    let count = array.len();
    let changed = match dice.below(4) {
        0 => filled(dtype, shape(dice), dice),
        1 => {
            let other = [*dice.pick(&DType::ALL), DType::Int64];
            filled(*dice.pick(&other), extents, dice)
        }
        2 => {
            let mut extents = extents;
            let extent = *dice.pick(&EXTENTS);
            match dice.below(3) {
                0 => extents.push(extent),
                1 => extents.insert(0, extent),
                _ => extents.iter_mut().take(1).for_each(|first| *first = extent),
            }
            filled(dtype, fitted(extents), dice)
        }
        _ if dtype.is_float() => {
            let mut values = array.to_f64s();
            if count > 0 {
                values[dice.below(count)] = *dice.pick(&FLOATS);
            }
            Array::from_f64s(dtype, extents, &values).ok()
        }
        _ => {
            let mut values = array.to_i64s();
            if count > 0 {
                values[dice.below(count)] = *dice.pick(&INTEGERS);
            }
            Array::from_i64s(dtype, extents, &values).ok()
        }
    };
    if let Some(array) = changed {
        *value = Value::array(array);
    }
}

fn value(dice: &mut Dice) -> Value {
    let dtype = match dice.below(8) {
        0 => return Value::text(*dice.pick(&WORDS)),
        1..=3 => DType::Fp32,
        4 => DType::Int32,
        5 => DType::Int64,
        6 => DType::Bool,
        _ => *dice.pick(&DType::ALL),
    };
    let shape = shape(dice);
    filled(dtype, shape, dice).map_or_else(|| Value::text("?"), Value::array)
}

fn shape(dice: &mut Dice) -> Vec<usize> {
    let rank = dice.below(7);
    fitted((0..rank).map(|_| *dice.pick(&EXTENTS)).collect())
}

/// The first extents that stay within the size of a literal; behind a 0, any do.
fn fitted(extents: Vec<usize>) -> Vec<usize> {
    let mut size = 1usize;
    let within = |extent: &usize| {
        size = size.saturating_mul(*extent);
        size <= ELEMENTS
    };
    extents.into_iter().take_while(within).collect()
}

/// An array with a few chosen values, repeated.
fn filled(dtype: DType, shape: Vec<usize>, dice: &mut Dice) -> Option<Array> {
    let count: usize = shape.iter().product();
    let period = 1 + dice.below(4);
    if dtype.is_float() {
        let values: Vec<f64> = (0..period).map(|_| *dice.pick(&FLOATS)).collect();
        let values: Vec<f64> = values.into_iter().cycle().take(count).collect();
        return Array::from_f64s(dtype, shape, &values).ok();
    }
    let values: Vec<i64> = (0..period).map(|_| *dice.pick(&INTEGERS)).collect();
    let values: Vec<i64> = values.into_iter().cycle().take(count).collect();
    let small = |value: &i64| value & ((1 << (dtype.bits().clamp(1, 32) - 1)) - 1);
    let fallback: Vec<i64> = values.iter().map(small).collect();
    let array = Array::from_i64s(dtype, shape.clone(), &values);
    array
        .or_else(|_| Array::from_i64s(dtype, shape, &fallback))
        .ok()
}

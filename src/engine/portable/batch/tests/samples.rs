//! Examples that run together give what each gives alone: every sample of every operation, with each
//! argument alone and all of them different from example to example.

use std::collections::BTreeMap;

use super::{COUNT, bind, both_ways, equal, joinable, value};
use crate::diag::Kind;
use crate::engine::portable::Bound;
use crate::engine::portable::batch::{Batch, Lane};
use crate::engine::portable::ops::tests::{each, program};
use crate::engine::portable::ops::{self, Op, Sample};
use crate::mil::{self, Argument, Binding, Data, Dim, NamedType, Type};
use crate::numeric::Array;

/// The sample as a function whose literal tensors are inputs, and these literals.
fn lifted(sample: &Sample) -> (mil::Program, Vec<(String, Array)>) {
    let mut program = program(sample);
    let function = program.functions.get_mut("main").unwrap();
    let mut literals: Vec<(String, Array)> = Vec::new();
    for operation in &mut function.block.operations {
        for (parameter, argument) in &mut operation.inputs {
            let bindings = match argument {
                Argument::One(binding) => std::slice::from_mut(binding),
                Argument::Many(bindings) => bindings.as_mut_slice(),
            };
            for binding in bindings {
                let array = match binding {
                    Binding::Value(value) => match &value.data {
                        Data::Array(array) => array.clone(),
                        _ => continue,
                    },
                    Binding::Name(_) => continue,
                };
                let name = format!("{parameter}_{}", literals.len());
                let dims = array.shape().iter().map(|n| Dim::Fixed(*n)).collect();
                let dtype = array.dtype();
                let ty = Type::Tensor { dtype, dims };
                function.inputs.push(NamedType {
                    name: name.clone(),
                    ty,
                });
                literals.push((name.clone(), array));
                *binding = Binding::Name(name);
            }
        }
    }
    (program, literals)
}

/// Another value like `array`: its elements in another order, and floats smaller.
fn varied(array: &Array, i: usize) -> Array {
    let shape = array.shape().to_vec();
    match array.dtype().is_float() {
        true => {
            let mut values = array.to_f64s();
            let count = values.len().max(1);
            values.rotate_left(i % count);
            values.iter_mut().for_each(|v| *v *= 1.0 - 0.2 * i as f64);
            Array::from_f64s(array.dtype(), shape, &values).unwrap()
        }
        false => {
            let mut values = array.to_i64s();
            let count = values.len().max(1);
            values.rotate_left(i % count);
            Array::from_i64s(array.dtype(), shape, &values).unwrap()
        }
    }
}

/// The literals as lanes: those of `different` vary by example, or are given to each alike.
fn lanes(
    literals: &[(String, Array)],
    different: &[usize],
    vary: impl Fn(&Array, usize) -> Array,
) -> BTreeMap<String, Lane> {
    let lane = |(k, (name, array)): (usize, &(String, Array))| {
        let examples = (0..COUNT).map(|i| value(&vary(array, i)));
        let lane = match different.contains(&k) {
            true => Lane::together(examples.collect()).unwrap(),
            false => Lane::shared(value(array)),
        };
        (name.clone(), lane)
    };
    literals.iter().enumerate().map(lane).collect()
}

/// Each argument alone, and all of them that are floats, or all.
fn mixes(literals: &[(String, Array)]) -> Vec<Vec<usize>> {
    let all = 0..literals.len();
    let floats: Vec<usize> = all
        .clone()
        .filter(|k| literals[*k].1.dtype().is_float())
        .collect();
    let mut mixes: Vec<Vec<usize>> = all.clone().map(|k| vec![k]).collect();
    mixes.extend([floats, all.collect()]);
    mixes
}

#[test]
fn every_sample_gives_together_what_it_gives_alone() {
    each(|op, sample| {
        let (program, literals) = lifted(sample);
        // The compressed form of a weight is a constant always.
        if op.name.starts_with("constexpr_") {
            return Ok(());
        }
        let bound = bind(program).map_err(|e| e.to_string())?;
        for different in mixes(&literals) {
            let names: Vec<&str> = different.iter().map(|k| literals[*k].0.as_str()).collect();
            let agreed = agrees(&bound, &literals, &different);
            agreed.map_err(|error| format!("{names:?}: {error}"))?;
        }
        Ok(())
    });
}

fn agrees(bound: &Bound, literals: &[(String, Array)], different: &[usize]) -> Result<(), String> {
    let varying = lanes(literals, different, varied);
    let (mut together, mut alone) = both_ways(bound, &varying);
    if alone.is_err() {
        // Not every setting allows other values.
        let alike = lanes(literals, different, |array, _| array.clone());
        (together, alone) = both_ways(bound, &alike);
    }
    let alone = alone.map_err(|error| error.to_string())?;
    match together {
        Ok(together) => equal(&together.lanes, &alone),
        Err(error) if *error.kind() == Kind::Unbatched && !joinable(&alone) => Ok(()),
        Err(error) if error.message().contains("without a seed") => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// What a rule says may have the axis, first.
fn operand(op: &Op) -> &'static str {
    match op.batch {
        Batch::Leading(names, _) | Batch::Lists(names, _) | Batch::Axes(names, ..) => names[0],
        Batch::Reshape(names) | Batch::Extents(names) => names[0],
        Batch::Fold(names, _) => names[0].0,
        Batch::Each | Batch::Own(_) | Batch::Always(_) => "",
    }
}

/// A rule is of use: it takes the call when its first operand varies.
#[test]
fn rules_fit_their_samples() {
    each(|op, sample| {
        let (program, literals) = lifted(sample);
        let first = ["x_", "values_", "data_", "cond_", operand(op)];
        let is_operand = |k: &usize| {
            let name = &literals[*k].0;
            first.iter().any(|f| !f.is_empty() && name.starts_with(f))
        };
        let different: Vec<usize> = (0..literals.len()).filter(is_operand).collect();
        let without_axes = ["matmul", "concat"].contains(&op.name)
            && different.iter().any(|k| literals[*k].1.shape().len() < 2);
        if matches!(op.batch, Batch::Each | Batch::Always(_)) || without_axes {
            return Ok(());
        }
        let bound = bind(program).map_err(|e| e.to_string())?;
        let (together, _) = both_ways(&bound, &lanes(&literals, &different, varied));
        let apart = together.map_err(|e| e.to_string())?.apart;
        match apart.is_empty() && !different.is_empty() {
            true => Ok(()),
            false => Err(format!("{apart:?} went one by one")),
        }
    });
}

/// Operations without a rule: rare ones, those whose results differ in shape, and those that read
/// constants alone. None of them is in a language model or an encoder.
#[test]
fn few_operations_have_no_rule() {
    let without = ops::all().filter(|op| matches!(op.batch, Batch::Each));
    let without = without.map(|op| op.name);
    let without: Vec<&str> = without.filter(|op| !op.starts_with("constexpr_")).collect();
    let expected = [
        "classify",
        "crop_resize",
        "list_gather",
        "list_length",
        "list_read",
        "list_scatter",
        "list_write",
        "make_list",
        "fill",
        "non_zero",
        "range_1d",
        "batch_to_space",
        "reverse_sequence",
        "space_to_batch",
    ];
    assert_eq!(without, expected);
}

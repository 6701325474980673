//! The whole table: every sample is run, and no argument makes an operation panic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use candle_core::Tensor;

use super::{FAMILIES, Op, Sample, all};
use crate::diag::Result;
use crate::engine::portable::{Limits, Options, Portable, Precision, Value};
use crate::mil::{self, Argument, Binding, Data, Operation, Type};
use crate::numeric::{Array, DType};
use crate::package::{Bundle, Description};

/// The sample as a function: its statements, with the results of the last one returned.
pub fn program(sample: &Sample) -> mil::Program {
    let text = format!(
        "program(1.3)\n{{\n func main<ios{}>(state<tensor<fp32, [2]>> cache) {{\n{}\n}} -> (cache);\n}}",
        sample.opset, sample.call
    );
    let (mut program, _) = mil::text::parse(&text, sample.call).unwrap();
    let block = &mut program.functions.get_mut("main").unwrap().block;
    let results = &block.operations.last().unwrap().outputs;
    block.outputs = results.iter().map(|o| o.name.clone()).collect();
    program
}

pub fn run(
    program: mil::Program,
    precision: Precision,
    given: &BTreeMap<String, Tensor>,
) -> Result<Vec<Value>> {
    let limits = Limits {
        elements: 1 << 16,
        bytes: 1 << 24,
        turns: 100,
    };
    let outputs = program.functions["main"].block.outputs.clone();
    let bundle = Bundle::new(program, Description::default());
    let options = Options {
        precision,
        limits,
        ..Options::default()
    };
    let portable = Portable::new(Arc::new(bundle), options)?;
    let overrides: BTreeSet<String> = given.keys().cloned().collect();
    let bound = portable.bind("main", &overrides)?;
    let results = bound.run(&BTreeMap::new(), given, &mut bound.states()?)?;
    Ok(outputs.iter().map(|name| results[name].clone()).collect())
}

pub fn samples() -> impl Iterator<Item = (&'static Op, &'static Sample)> {
    all().flat_map(|op| op.samples.iter().map(move |sample| (op, sample)))
}

/// Runs `check` on every sample and fails with all that went wrong.
pub fn each(check: impl Fn(&Op, &Sample) -> Result<(), String>) {
    let wrong: Vec<String> = samples()
        .filter_map(|(op, sample)| {
            let error = check(op, sample).err()?;
            Some(format!("{}: {error}\n   {}", op.name, sample.call))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_sample_gives_what_it_says() {
    each(|_, sample| {
        let program = program(sample);
        let operation = program.functions["main"]
            .block
            .operations
            .last()
            .unwrap()
            .clone();
        let results = run(program, Precision::F32, &BTreeMap::new()).map_err(|e| e.to_string())?;
        if results.len() != sample.gives.len() {
            return Err(format!("{} results", results.len()));
        }
        for ((result, gives), declared) in results.iter().zip(sample.gives).zip(&operation.outputs)
        {
            matches(result, gives, &declared.ty)?;
        }
        Ok(())
    });
}

fn matches(result: &Value, gives: &[f64], declared: &Type) -> Result<(), String> {
    let shape = result.tensor().unwrap().dims().to_vec();
    if declared.shape().is_some_and(|declared| declared != shape) {
        return Err(format!("has shape {shape:?}, declared {declared:?}"));
    }
    let values = result.floats().unwrap();
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 2e-6 * (1.0 + b.abs());
    match values.len() == gives.len() && values.iter().zip(gives).all(near) {
        true => Ok(()),
        false => Err(format!("gives {values:?}, expected {gives:?}")),
    }
}

#[test]
fn the_table_is_in_order() {
    let mut names = BTreeSet::new();
    for family in FAMILIES {
        let own: Vec<&str> = family.iter().map(|op| op.name).collect();
        assert!(own.is_sorted(), "not sorted: {own:?}");
        for op in family.iter() {
            assert!(names.insert(op.name), "{} is there twice", op.name);
            assert!(!op.samples.is_empty(), "{} has no sample", op.name);
        }
    }
}

/// What no argument should be, for one that is `like`.
fn nonsense(like: &Array) -> Vec<mil::Value> {
    let ints = |shape: &[usize], value: i64| {
        let values = vec![value; shape.iter().product()];
        mil::Value::array(Array::from_i64s(DType::Int32, shape.to_vec(), &values).unwrap())
    };
    let floats = |shape: &[usize], value: f64| {
        let values = vec![value; shape.iter().product()];
        mil::Value::array(Array::from_f64s(DType::Fp32, shape.to_vec(), &values).unwrap())
    };
    let mut values = vec![mil::Value::text("?")];
    for extreme in [
        i64::from(i32::MIN),
        i64::from(i32::MAX),
        70_000,
        7,
        2,
        1,
        0,
        -1,
        -3,
    ] {
        values.push(ints(&[], extreme));
        values.push(ints(like.shape(), extreme));
        values.push(ints(&[2], extreme));
    }
    for shape in [
        &[][..],
        &[0],
        &[1, 0, 2],
        &[1, 1],
        &[3],
        &[1, 2, 3, 1, 2],
        &[2, 2, 3],
    ] {
        values.push(floats(shape, 0.5));
        values.push(ints(shape, 1));
    }
    values.push(floats(like.shape(), f64::NAN));
    values.push(floats(like.shape(), 1e30));
    values
}

/// Programs like `program` with one argument of the last operation changed or left out.
fn mutants(program: &mil::Program) -> Vec<mil::Program> {
    let last = |program: &mut mil::Program| {
        let block = &mut program.functions.get_mut("main").unwrap().block;
        std::mem::take(block.operations.last_mut().unwrap())
    };
    let original = last(&mut program.clone());
    let with = |operation: Operation| {
        let mut changed = program.clone();
        let block = &mut changed.functions.get_mut("main").unwrap().block;
        *block.operations.last_mut().unwrap() = operation;
        changed
    };
    let mut changed = Vec::new();
    for (name, argument) in &original.inputs {
        let mut without = original.clone();
        without.inputs.remove(name);
        changed.push(with(without));
        let Some(Binding::Value(value)) = argument.bindings().first() else {
            continue;
        };
        let array = match &value.data {
            Data::Array(array) => array.clone(),
            _ => Array::from_i32(vec![], &[0]).unwrap(),
        };
        for value in nonsense(&array) {
            let mut other = original.clone();
            let binding = Binding::Value(value);
            let argument = match argument {
                Argument::One(_) => Argument::One(binding),
                Argument::Many(all) => {
                    let mut all = all.clone();
                    all[0] = binding;
                    Argument::Many(all)
                }
            };
            other.inputs.insert(name.clone(), argument);
            changed.push(with(other));
        }
    }
    changed
}

/// Whatever the arguments are, an operation gives a result or an error; it never panics.
#[test]
fn no_argument_makes_an_operation_panic() {
    let mut panicked = BTreeSet::new();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for (op, sample) in samples() {
        for mutant in mutants(&program(sample)) {
            let printed = mil::text::print(&mutant, mil::text::Dialect::V1_3);
            let outcome =
                std::panic::catch_unwind(|| run(mutant, Precision::F32, &BTreeMap::new()));
            if let Err(panic) = outcome {
                let words = panic.downcast_ref::<String>().cloned();
                let words = words.or(panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                panicked.insert(format!(
                    "{}: {}\n{printed}",
                    op.name,
                    words.unwrap_or_default()
                ));
            }
        }
    }
    std::panic::set_hook(hook);
    assert!(
        panicked.is_empty(),
        "{}",
        panicked.into_iter().collect::<Vec<_>>().join("\n")
    );
}

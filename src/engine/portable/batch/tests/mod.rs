//! Examples that run together give what each gives alone.

mod programs;
mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Lane;
use super::run::{Inputs, Program, Together, one_by_one, together};
use crate::diag::Result;
use crate::engine::portable::{Bound, Limits, Options, Portable, Value, scope};
use crate::mil;
use crate::numeric::Array;
use crate::package::{Bundle, Description};

const COUNT: usize = 3;

fn bind(program: mil::Program) -> Result<Bound> {
    let bundle = Bundle::new(program, Description::default());
    let limits = Limits {
        elements: 1 << 16,
        turns: 100,
        ..Limits::default()
    };
    let options = Options {
        limits,
        ..Options::default()
    };
    Portable::new(Arc::new(bundle), options)?.bind("main", &BTreeSet::new())
}

/// Runs all examples in one pass and one by one.
fn both_ways(
    bound: &Bound,
    lanes: &BTreeMap<String, Lane>,
) -> (Result<Together>, Result<Vec<Vec<Value>>>) {
    let load = |value: &mil::Value| bound.bundle.resolve(value);
    let program = Program {
        plan: &bound.plan,
        schedule: &bound.schedule,
        scope: &scope(&bound.options, &bound.draws, &load),
        given: &BTreeMap::new(),
    };
    let count = COUNT;
    let inputs = Inputs { count, lanes };
    let states = || bound.states_of(COUNT).unwrap();
    (
        together(&program, inputs, &mut states()),
        one_by_one(&program, inputs, &mut states()),
    )
}

fn value(array: &Array) -> Value {
    Value::from_array(
        array.clone(),
        candle_core::DType::F32,
        &candle_core::Device::Cpu,
    )
    .unwrap()
}

/// Whether the results of all examples have the same shapes.
fn joinable(examples: &[Vec<Value>]) -> bool {
    let shapes = |values: &Vec<Value>| -> Vec<Vec<usize>> {
        let tensors = values.iter().filter_map(|v| v.tensor().ok());
        tensors.map(|t| t.dims().to_vec()).collect()
    };
    examples
        .iter()
        .all(|values| shapes(values) == shapes(&examples[0]))
}

fn equal(lanes: &[Lane], alone: &[Vec<Value>]) -> Result<(), String> {
    for (i, values) in alone.iter().enumerate() {
        for (lane, value) in lanes.iter().zip(values) {
            let got = lane.example(i).map_err(|e| e.to_string())?;
            let (got, value) = match (got.tensor(), value.tensor()) {
                (Ok(got), Ok(value)) => (got.clone(), value.clone()),
                _ => continue,
            };
            if (got.dims(), got.dtype()) != (value.dims(), value.dtype()) {
                return Err(format!(
                    "example {i} has {:?} {:?}, alone {:?} {:?}",
                    got.dtype(),
                    got.dims(),
                    value.dtype(),
                    value.dims()
                ));
            }
            let (got, value) = (Value::from(got), Value::from(value));
            let (got, value) = (got.floats().unwrap(), value.floats().unwrap());
            let near = |(a, b): (&f64, &f64)| {
                (a - b).abs() <= 1e-6 * (1.0 + b.abs()) || a == b || (a.is_nan() && b.is_nan())
            };
            if !got.iter().zip(&value).all(near) {
                return Err(format!("example {i} gives {got:?}, alone {value:?}"));
            }
        }
    }
    Ok(())
}

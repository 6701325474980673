//! Gradients held against differences in f64: of every sample of every operation, of more calls than the
//! samples have, of random shapes; and at points that are not smooth, against PyTorch's.

mod calls;
mod kinks;
mod shapes;

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{DType as Candle, Device, Tensor, Var};

use super::tests::{each, program, run};
use super::{Gradient, Sample};
use crate::engine::portable::{Precision, Value};
use crate::mil::{self, Argument, Binding, Data, NamedType, Operation, Type};
use crate::numeric::Array;

/// Parameters that may be scalars and vary; other scalars are settings, constants for good.
const OPERANDS: [&str; 16] = [
    "a",
    "b",
    "data",
    "end",
    "input",
    "lut",
    "nonzero_data",
    "offset",
    "scale",
    "start",
    "step",
    "update",
    "updates",
    "values",
    "x",
    "y",
];

/// The step of a difference.
const STEP: f64 = 1e-5;

#[test]
fn every_sample() {
    each(|op, sample| match op.gradient {
        Gradient::None => flat(sample),
        Gradient::Full => Function::new(sample, false)?.agrees(),
    });
}

/// Where nothing flows, nothing may change either, on each side of the point, which may be a jump.
fn flat(sample: &Sample) -> Result<(), String> {
    let function = Function::new(sample, true)?;
    for (name, array) in &function.lifted {
        for i in 0..array.len() {
            for side in [-STEP, STEP] {
                let [near, far] = [1.0, 2.0].map(|steps| function.moved(name, i, steps * side));
                if near? != far? {
                    return Err(format!("nothing flows, but y changes with {name}[{i}]"));
                }
            }
        }
    }
    Ok(())
}

/// A sample as a function of its float literals.
pub(super) struct Function {
    program: mil::Program,
    lifted: Vec<(String, Array)>,
    tensors: BTreeMap<String, Tensor>,
    vars: BTreeMap<String, Var>,
}

impl Function {
    /// Of all float literals of the statements, or of the last one's alone.
    pub fn new(sample: &Sample, only_last: bool) -> Result<Self, String> {
        let mut program = program(sample);
        let Some(function) = program.functions.get_mut("main") else {
            return Err("no function".into());
        };
        let block = &mut function.block;
        let first = if only_last {
            block.operations.len() - 1
        } else {
            0
        };
        let mut lifted = Vec::new();
        for operation in &mut block.operations[first..] {
            lift(operation, &mut lifted);
        }
        let constants = lifted.iter().map(|(name, array)| constant(name, array));
        block.operations.splice(0..0, constants.collect::<Vec<_>>());
        let mut vars = BTreeMap::new();
        for (name, array) in &lifted {
            let tensor = Tensor::from_vec(array.to_f64s(), array.shape(), &Device::Cpu);
            let var = tensor.and_then(|tensor| Var::from_tensor(&tensor));
            vars.insert(name.clone(), var.map_err(|e| e.to_string())?);
        }
        let tensors = vars.iter();
        let tensors = tensors.map(|(name, var)| (name.clone(), var.as_tensor().clone()));
        Ok(Self {
            program,
            lifted,
            tensors: tensors.collect(),
            vars,
        })
    }

    /// Fails unless each derivative is the slope that differences have.
    pub fn agrees(&self) -> Result<(), String> {
        for ((name, _), gradient) in self.lifted.iter().zip(self.gradients(&uneven)?) {
            for (i, derivative) in gradient.iter().enumerate() {
                let slope = self.slope(name, i)?;
                // Beside the point there may be no value: the power of a negative number.
                let off = if slope.is_nan() {
                    0.0
                } else {
                    (slope - derivative).abs()
                };
                if off > 1e-6 * (1.0 + slope.abs()) || !derivative.is_finite() {
                    return Err(format!(
                        "d/d{name}[{i}] is {derivative}, differences give {slope}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The gradient of Σ weight(i) yᵢ for each lifted literal.
    pub fn gradients(&self, weight: &dyn Fn(usize) -> f64) -> Result<Vec<Vec<f64>>, String> {
        let value = self.value(&self.tensors, weight)?;
        let store = value.backward().map_err(|e| e.to_string())?;
        let gradient = |(name, array): &(String, Array)| match store.get(&self.vars[name]) {
            Some(gradient) => {
                let flat = gradient.flatten_all().and_then(|t| t.to_vec1());
                flat.map_err(|e| e.to_string())
            }
            None => Ok(vec![0.0; array.len()]),
        };
        self.lifted.iter().map(gradient).collect()
    }

    fn slope(&self, name: &str, i: usize) -> Result<f64, String> {
        let [after, before] = [STEP, -STEP].map(|by| self.moved(name, i, by));
        Ok((after? - before?) / (2.0 * STEP))
    }

    /// The value with one element of a literal moved.
    fn moved(&self, name: &str, i: usize, by: f64) -> Result<f64, String> {
        let old = &self.tensors[name];
        let mut values: Vec<f64> = old.flatten_all().unwrap().to_vec1().unwrap();
        values[i] += by;
        let mut moved = self.tensors.clone();
        let tensor = Tensor::from_vec(values, old.dims(), &Device::Cpu).unwrap();
        moved.insert(name.to_owned(), tensor);
        Ok(self.value(&moved, &uneven)?.to_scalar().unwrap())
    }

    fn value(
        &self,
        given: &BTreeMap<String, Tensor>,
        weight: &dyn Fn(usize) -> f64,
    ) -> Result<Tensor, String> {
        let results = run(self.program.clone(), Precision::F64, given);
        Ok(weighted(&results.map_err(|e| e.to_string())?, weight))
    }
}

/// Weights that no symmetry cancels.
fn uneven(i: usize) -> f64 {
    0.7 + (1.3 * i as f64).sin()
}

/// Σ wᵢ yᵢ of the float results.
fn weighted(results: &[Value], weight: &dyn Fn(usize) -> f64) -> Tensor {
    let mut total = Tensor::zeros((), Candle::F64, &Device::Cpu).unwrap();
    for value in results {
        let Ok(tensor) = value.tensor() else { continue };
        if tensor.dtype().is_float() {
            let n = tensor.elem_count();
            let weights = Tensor::from_vec((0..n).map(weight).collect(), n, &Device::Cpu).unwrap();
            let flat = tensor.flatten_all().unwrap();
            total = (total + (flat * weights).unwrap().sum_all().unwrap()).unwrap();
        }
    }
    total
}

/// Gives the float literals of `operation`, and of the blocks in it, names of their own.
fn lift(operation: &mut Operation, lifted: &mut Vec<(String, Array)>) {
    for (parameter, argument) in &mut operation.inputs {
        let bindings = match argument {
            Argument::One(binding) => std::slice::from_mut(binding),
            Argument::Many(bindings) => bindings.as_mut_slice(),
        };
        let scalar = OPERANDS.contains(&parameter.as_str());
        for binding in bindings {
            let Binding::Value(value) = binding else {
                continue;
            };
            let Data::Array(array) = &value.data else {
                continue;
            };
            let varies = scalar || !array.shape().is_empty();
            if array.dtype().is_float() && varies {
                let name = format!("{parameter}_{}", lifted.len());
                lifted.push((name.clone(), array.clone()));
                *binding = Binding::Name(name);
            }
        }
    }
    for block in &mut operation.blocks {
        for inner in &mut block.operations {
            lift(inner, lifted);
        }
    }
}

/// The constant that `lift` took out, as an operation.
fn constant(name: &str, array: &Array) -> Operation {
    Operation {
        op: "const".into(),
        outputs: vec![NamedType {
            name: name.into(),
            ty: Type::tensor(array.dtype(), array.shape()),
        }],
        attributes: [("val".to_string(), mil::Value::array(array.clone()))].into(),
        ..Operation::default()
    }
}

/// Short calls as samples: `y = relu(x = {2,3})`. `{2,3}` stands for floats of that shape between −1.5
/// and 1.5, no two alike; `{2,3}+` for positive ones; `[1,0]` for a vector of int32, a number without a
/// point for an int32, with one for an fp32, a word in single quotes for a string; results are fp32
/// unless they say `i:int32`.
pub(super) fn short(call: &str) -> Sample {
    let mut seed = 0;
    let statements = call.split(';').map(str::trim).filter(|s| !s.is_empty());
    let statements: Vec<String> = statements.map(|s| long(s, &mut seed)).collect();
    Sample {
        call: statements.join("\n").leak(),
        gives: &[],
        opset: 18,
    }
}

fn long(statement: &str, seed: &mut usize) -> String {
    let (results, call) = statement.split_once(" = ").unwrap();
    let (op, arguments) = call.split_once('(').unwrap();
    let arguments = arguments.strip_suffix(')').unwrap();
    let arguments = separated(arguments).into_iter().map(|argument| {
        let (name, value) = argument.split_once('=').unwrap();
        format!("{} = {}", name.trim(), literal(value.trim(), seed))
    });
    let arguments: Vec<String> = arguments.collect();
    let results = results.split(',').map(|result| {
        let (name, kind) = result
            .trim()
            .split_once(':')
            .unwrap_or((result.trim(), "fp32"));
        match op {
            "make_list" | "list_write" | "list_scatter" => {
                format!("list<tensor<fp32, [...]>, ?> {name}")
            }
            _ => format!("tensor<{kind}, [...]> {name}"),
        }
    });
    let results: Vec<String> = results.collect();
    format!("{} = {op}({});", results.join(", "), arguments.join(", "))
}

/// Parts between commas that stand outside of brackets.
fn separated(text: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut parts) = (0, false, vec![String::new()]);
    for c in text.chars() {
        match c {
            '\'' => quoted = !quoted,
            '[' | '{' | '(' => depth += 1,
            ']' | '}' | ')' => depth -= 1,
            _ => {}
        }
        match c {
            ',' if depth == 0 && !quoted => parts.push(String::new()),
            c => parts.last_mut().unwrap().push(c),
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn literal(value: &str, seed: &mut usize) -> String {
    if let Some(shape) = value.strip_prefix('{') {
        let positive = shape.ends_with('+');
        let shape = shape.trim_end_matches(['+', '}']);
        let shape: Vec<usize> = shape
            .split(',')
            .map(|n| n.trim().parse().unwrap())
            .collect();
        *seed += 1;
        return floats(&shape, *seed, positive);
    }
    if let Some(items) = value.strip_prefix('(') {
        let items = separated(items.trim_end_matches(')')).into_iter();
        let items: Vec<String> = items.map(|item| literal(item.trim(), seed)).collect();
        return format!("({})", items.join(", "));
    }
    if let Some(items) = value.strip_prefix('[') {
        let count = items.split(',').count();
        let kind = if items.contains("true") || items.contains("false") {
            "bool"
        } else {
            "int32"
        };
        return format!("tensor<{kind}, [{count}]>({value})");
    }
    match value {
        "true" | "false" => format!("bool({value})"),
        _ if value.parse::<i64>().is_ok() => format!("int32({value})"),
        _ if value.parse::<f64>().is_ok() => format!("fp32({value})"),
        _ if value.starts_with('\'') => format!("string(\"{}\")", value.trim_matches('\'')),
        name => name.to_owned(),
    }
}

fn floats(shape: &[usize], seed: usize, positive: bool) -> String {
    let count: usize = shape.iter().product();
    let number = |i: usize| {
        // Multiples of the golden ratio modulo 1: spread, and apart from each other.
        let part = ((i + 17 * seed) as f64 * 0.618_033_988_75).fract();
        format!(
            "{:.4}",
            if positive {
                0.2 + part
            } else {
                3.0 * part - 1.5
            }
        )
    };
    let mut items: Vec<String> = (0..count).map(number).collect();
    for extent in shape.iter().rev() {
        let rows = items
            .chunks(*extent)
            .map(|row| format!("[{}]", row.join(", ")));
        items = rows.collect();
    }
    let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("tensor<fp32, [{}]>({})", dims.join(", "), items.concat())
}

/// Checks many calls and fails with all that went wrong.
pub(super) fn check_all<'a>(calls: impl IntoIterator<Item = &'a str>) {
    let wrong: BTreeSet<String> = calls
        .into_iter()
        .filter_map(|call| {
            let checked = Function::new(&short(call), false).and_then(|f| f.agrees());
            checked.err().map(|error| format!("{call}\n   {error}"))
        })
        .collect();
    let wrong: Vec<String> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

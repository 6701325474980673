//! Whole bundles: opened, compiled, run and learned from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use candle_core::{DType as Candle, Device, Tensor, Var};
use rlaif_repl::diag::Result;
use rlaif_repl::engine::portable::{Limits, Options, Portable, Precision, Value};
use rlaif_repl::engine::{Engine, Features};
use rlaif_repl::numeric::{Array, DType};
use rlaif_repl::package::{Bundle, FeatureKind, Flexibility, FunctionDescription};

/// Small enough that whatever stays within them ends soon.
pub const LIMITS: Limits = Limits {
    elements: 1 << 12,
    bytes: 1 << 22,
    turns: 50,
};

pub const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Faithful, Precision::F64];

/// MIL text, then, behind a zero byte, the weight file.
pub fn bundle(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0);
    let end = end.unwrap_or(bytes.len());
    let weights = bytes.get(end + 1..).unwrap_or_default();
    let files = [
        ("model.mil", bytes[..end].to_vec()),
        ("weights/weight.bin", weights.to_vec()),
    ];
    let Ok(bundle) = Bundle::from_files("fuzzed", files) else {
        return;
    };
    let functions: Vec<String> = bundle.program.functions.keys().cloned().collect();
    let Ok(portable) = portable(bundle, PRECISIONS[bytes.len() % 3]) else {
        return;
    };
    for function in functions {
        let _ = predict(&portable, &function);
        let _ = learn_weights(&portable, &function);
    }
}

pub fn portable(bundle: Bundle, precision: Precision) -> Result<Portable> {
    let options = Options {
        precision,
        limits: LIMITS,
        ..Options::default()
    };
    Portable::new(Arc::new(bundle), options)
}

/// Runs `function` twice on one state.
fn predict(portable: &Portable, function: &str) -> Result<()> {
    let inputs = inputs(portable.description().function(function)?);
    let mut state = portable.new_state(function)?;
    for _ in 0..2 {
        let outputs = portable.predict(function, &inputs, Some(&mut *state))?;
        for (name, output) in outputs {
            assert!(output.len() <= LIMITS.elements, "{name} is too large");
        }
    }
    Ok(())
}

/// Runs `function` with all of its weights as variables, and backward.
fn learn_weights(portable: &Portable, function: &str) -> Result<()> {
    let mut weights = Vec::new();
    for weight in portable.weights(function)? {
        let array = portable.weight(function, &weight.name)?;
        let values = array.flatten_all()?.to_dtype(Candle::F64)?.to_vec1()?;
        let array = Array::from_f64s(DType::Fp64, array.dims().to_vec(), &values)?;
        weights.push((weight.name, array));
    }
    learn(portable, function, &weights)
}

/// Runs `function` with `weights` as variables, and backward from the sum of all results.
pub fn learn(portable: &Portable, function: &str, weights: &[(String, Array)]) -> Result<()> {
    let float = match portable.options().precision {
        Precision::F64 => Candle::F64,
        _ => Candle::F32,
    };
    let mut given = BTreeMap::new();
    for (name, array) in weights {
        let tensor = Tensor::from_vec(array.to_f64s(), array.shape(), &Device::Cpu)?;
        let var = Var::from_tensor(&tensor.to_dtype(float)?)?;
        given.insert(name.clone(), var.into_inner());
    }
    let mut values = BTreeMap::new();
    if let Ok(described) = portable.description().function(function) {
        for (name, array) in inputs(described) {
            values.insert(name, Value::from_array(array, float, &Device::Cpu)?);
        }
    }
    let overrides: BTreeSet<String> = given.keys().cloned().collect();
    let bound = portable.bind(function, &overrides)?;
    let results = bound.run(&values, &given, &mut bound.states()?)?;
    let mut total = Tensor::zeros((), float, &Device::Cpu)?;
    for (name, value) in &results {
        let Value::Tensor { tensor, .. } = value else {
            continue;
        };
        assert!(
            tensor.elem_count() <= LIMITS.elements,
            "{name} is too large"
        );
        if tensor.dtype().is_float() {
            total = (total + tensor.sum_all()?)?;
        }
    }
    total.backward()?;
    Ok(())
}

/// A value for each input of reasonable size.
fn inputs(described: &FunctionDescription) -> Features {
    let mut inputs = Features::new();
    for feature in &described.inputs {
        let (dtype, shape, flexibility) = match &feature.kind {
            FeatureKind::Array {
                dtype,
                shape,
                flexibility,
                ..
            } => (*dtype, shape.clone(), flexibility),
            FeatureKind::Image {
                color,
                height,
                width,
                flexibility,
            } => (
                DType::Fp32,
                vec![1, color.channels(), *height, *width],
                flexibility,
            ),
            FeatureKind::Other(_) => continue,
        };
        let shape = match flexibility {
            Flexibility::Fixed => shape,
            Flexibility::Enumerated(shapes) => shapes.first().cloned().unwrap_or(shape),
            Flexibility::Ranges(ranges) => {
                let extent =
                    |(low, high): &(usize, Option<usize>)| high.unwrap_or(*low).min(low + 2);
                ranges.iter().map(extent).collect()
            }
        };
        let count = shape
            .iter()
            .try_fold(1usize, |n, extent| n.checked_mul(*extent));
        let Some(count) = count.filter(|count| *count <= LIMITS.elements) else {
            continue;
        };
        let values: Vec<f64> = (0..count).map(|i| (i % 3) as f64).collect();
        let array = Array::from_f64s(DType::Fp64, shape, &values).and_then(|a| a.cast(dtype));
        inputs.extend(array.ok().map(|array| (feature.name.clone(), array)));
    }
    inputs
}

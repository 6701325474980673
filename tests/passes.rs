//! Passes on and off give the same on whole models: results, and the gradients of all weights.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType as Candle, Tensor, Var};
use rlaif_repl::engine::portable::{Options, Passes, Portable, Precision, Value};
use rlaif_repl::engine::{Engine, Features};
use rlaif_repl::mil::text;
use rlaif_repl::models::{LoadOptions, embedded};
use rlaif_repl::numeric::Array;
use rlaif_repl::package::{Bundle, Description, FeatureKind};

use crate::formats::models;

const IDS: [i32; 5] = [3, 7, 1, 10, 4];

/// The tiny Llama and GPT-2 of the gradient tests, and the student that every program carries.
fn bundles() -> Vec<(&'static str, Arc<Bundle>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/grad");
    let fixture = |name| {
        let source = std::fs::read_to_string(folder.join(format!("{name}.mil"))).unwrap();
        let (program, _) = text::parse(&source, name).unwrap();
        let description = Description::from_program(&program).unwrap();
        (name, Arc::new(Bundle::new(program, description)))
    };
    let student = embedded("student", &LoadOptions::default()).unwrap();
    let student = ("student", student.bundle().unwrap().clone());
    vec![fixture("llama"), fixture("gpt2"), student]
}

fn engine(bundle: &Arc<Bundle>, precision: Precision, passes: &Passes) -> Portable {
    let options = Options {
        precision,
        passes: passes.clone(),
        ..Options::default()
    };
    Portable::new(bundle.clone(), options).unwrap()
}

/// Result and gradients of all weights, flat.
fn run(engine: &Portable) -> BTreeMap<String, Vec<f64>> {
    let weights = engine.weights("main").unwrap();
    let var = |name: &str| Var::from_tensor(&engine.weight("main", name).unwrap()).unwrap();
    let vars: BTreeMap<String, Var> = weights
        .iter()
        .map(|w| (w.name.clone(), var(&w.name)))
        .collect();
    let names: BTreeSet<String> = vars.keys().cloned().collect();
    let bound = engine.bind("main", &names).unwrap();
    let given = vars
        .iter()
        .map(|(n, var)| (n.clone(), var.as_tensor().clone()));
    let function = &engine.bundle().program.functions["main"];
    let ids = Value::host(Array::from_i32(vec![1, 5], &IDS).unwrap());
    let inputs = BTreeMap::from([(function.inputs[0].name.clone(), ids)]);
    let mut states = bound.states().unwrap();
    let results = bound.run(&inputs, &given.collect(), &mut states).unwrap();
    let y = results["logits"].tensor().unwrap();
    let uneven: Vec<f64> = (0..y.elem_count())
        .map(|i| (1.3 * i as f64).sin())
        .collect();
    let uneven = Tensor::from_vec(uneven, y.dims(), y.device()).unwrap();
    let loss = (y * uneven.to_dtype(y.dtype()).unwrap())
        .unwrap()
        .sum_all()
        .unwrap();
    let gradients = loss.backward().unwrap();
    let flat = |t: &Tensor| {
        t.flatten_all()
            .unwrap()
            .to_dtype(Candle::F64)
            .unwrap()
            .to_vec1()
    };
    let found = vars.iter().filter_map(|(name, var)| {
        let gradient = gradients.get(var)?;
        Some((name.clone(), flat(gradient).unwrap()))
    });
    let result = ("logits".to_string(), flat(y).unwrap());
    found.chain([result]).collect()
}

/// max |Δ| / max |expected|, at least as a share of 1.
fn difference(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let scale = expected.iter().fold(1f64, |m, v| m.max(v.abs()));
    let pairs = got.iter().zip(expected);
    pairs.fold(0f64, |m, (a, b)| m.max((a - b).abs())) / scale
}

#[test]
fn models_and_their_gradients() {
    for (name, bundle) in bundles() {
        for (precision, tolerance) in [(Precision::F64, 1e-12), (Precision::F32, 1e-6)] {
            let plain = run(&engine(&bundle, precision, &Passes::none()));
            let each = Passes::default();
            let each = each.names().map(|pass| Passes::named([pass]).unwrap());
            for passes in each.chain([Passes::default()]) {
                let fused = run(&engine(&bundle, precision, &passes));
                assert!(plain.keys().eq(fused.keys()), "{name}, {passes}");
                for (value, expected) in &plain {
                    // Rounding grows on the way back through the layers.
                    let most = if value == "logits" { 1.0 } else { 10.0 } * tolerance;
                    let off = difference(&fused[value], expected);
                    assert!(off < most, "{name}, {passes}: {value} is off by {off:e}");
                }
            }
        }
    }
}

#[test]
fn the_passes_find_what_models_are_made_of() {
    let fusions = |name: &str| {
        let (_, bundle) = bundles().into_iter().find(|(n, _)| *n == name).unwrap();
        let fusions = engine(&bundle, Precision::F32, &Passes::default()).fusions("main");
        // Packing depends on the processor.
        let names = fusions.unwrap().into_keys();
        names
            .filter(|name| !name.starts_with("packed"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        fusions("student"),
        ["attention", "rms_norm", "rotary", "silu_mul"]
    );
    assert_eq!(
        fusions("llama"),
        ["attention", "rms_norm", "rotary", "silu_mul"]
    );
}

/// Inputs of the default shape with small whole numbers.
fn inputs(bundle: &Bundle) -> Option<Features> {
    let description = &bundle.description;
    let function = description.function(&description.default_function).unwrap();
    let input = |feature: &rlaif_repl::package::Feature| match &feature.kind {
        FeatureKind::Array { dtype, shape, .. } => {
            let count = shape.iter().product::<usize>() as i64;
            let values: Vec<i64> = (0..count).map(|i| i * 5 % 7).collect();
            let values =
                Array::from_i64s(rlaif_repl::numeric::DType::Int32, shape.clone(), &values);
            Some((feature.name.clone(), values.unwrap().cast(*dtype).unwrap()))
        }
        _ => None,
    };
    function.inputs.iter().map(input).collect()
}

#[test]
fn real_models() {
    let Some(root) = models() else { return };
    let mut found: Vec<PathBuf> = vec![root.join("smollm2-135m/int8-fp16.mlpackage")];
    let small = std::fs::read_dir(root.join("small")).unwrap();
    let folders = small.map(|entry| entry.unwrap().path());
    for folder in folders.chain([root.join("generated")]) {
        let files = std::fs::read_dir(folder).unwrap();
        let packages = files.map(|entry| entry.unwrap().path());
        found.extend(packages.filter(|path| path.extension().is_some_and(|e| e == "mlpackage")));
    }
    found.sort();
    for path in found {
        same(&path);
    }
}

fn same(path: &Path) {
    let bundle = Arc::new(Bundle::open(path).unwrap());
    let Some(inputs) = inputs(&bundle) else {
        return;
    };
    let function = bundle.description.default_function.clone();
    let predict = |passes: &Passes| {
        let engine = engine(&bundle, Precision::F32, passes);
        engine.predict(&function, &inputs, None)
    };
    let (plain, fused) = (predict(&Passes::none()), predict(&Passes::default()));
    let (Ok(plain), Ok(fused)) = (&plain, &fused) else {
        assert!(plain.is_err() && fused.is_err(), "{}", path.display());
        return;
    };
    for (name, expected) in plain {
        let off = difference(&fused[name].to_f64s(), &expected.to_f64s());
        // An fp16 result may fall to the other side of a rounding.
        let half = expected.dtype() == rlaif_repl::numeric::DType::Fp16;
        let tolerance = if half { 1e-3 } else { 2e-6 };
        assert!(
            off < tolerance,
            "{}: {name} is off by {off:e}",
            path.display()
        );
    }
}

/// Reads a state before and after writing a row of it; `old` and the row `seen` of it outlive the write.
const STATES: &str = "program(1.3)\n{ func main<ios18>(state<tensor<fp32, [2, 4, 3]>> s, \
    tensor<fp32, [1, 1, 3]> x, tensor<int32, [3]> begin, tensor<int32, [3]> end) { \
    tensor<fp32, [2, 4, 3]> r = read_state(input = s); \
    tensor<fp32, [2, 4, 3]> u = slice_update(x = r, update = x, begin = begin, end = end); \
    write_state(data = u, input = s); \
    tensor<fp32, [2, 4, 3]> old = read_state(input = s); \
    tensor<fp32, [1, 4, 3]> seen = slice_by_index(x = old, begin = tensor<int32, [3]>([1, 0, 0]), \
        end = tensor<int32, [3]>([2, 4, 3])); \
    tensor<fp32, [1, 1, 3]> y = mul(x = x, y = fp32(10.0)); \
    tensor<fp32, [2, 4, 3]> r2 = read_state(input = s); \
    tensor<fp32, [2, 4, 3]> u2 = slice_update(x = r2, update = y, begin = begin, end = end); \
    write_state(data = u2, input = s); \
    tensor<fp32, [2, 4, 3]> after = read_state(input = s); \
    tensor<fp32, [2, 4, 3]> out = sub(x = after, y = HELD); \
    } -> (out); }";

/// Copies of states go their own ways, and values read before a write stay what they were.
#[test]
fn states_written_in_place_are_as_those_written_whole() {
    for held in ["fp32(1.0)", "old", "seen"] {
        let (program, _) = text::parse(&STATES.replace("HELD", held), "states").unwrap();
        let description = Description::from_program(&program).unwrap();
        let bundle = Arc::new(Bundle::new(program, description));
        let outputs = |passes: &Passes| {
            let engine = engine(&bundle, Precision::F32, passes);
            let mut states = vec![engine.new_state("main").unwrap()];
            let mut outputs = Vec::new();
            for step in 0..8 {
                if step % 3 == 2 {
                    let fork = states[0].fork().unwrap().unwrap();
                    states.push(fork);
                }
                for (i, state) in states.iter_mut().enumerate() {
                    let (at, value) = ((step + i) as i32, (step * 5 + i) as f32);
                    let ints = |a: [i32; 3]| Array::from_i32(vec![3], &a).unwrap();
                    let x = Array::from_f32(vec![1, 1, 3], &[value, -value, 0.5]).unwrap();
                    let inputs = Features::from([
                        ("x".to_owned(), x),
                        ("begin".to_owned(), ints([at % 2, at % 4, 0])),
                        ("end".to_owned(), ints([at % 2 + 1, at % 4 + 1, 3])),
                    ]);
                    let out = engine.predict("main", &inputs, Some(&mut **state)).unwrap();
                    outputs.push((out["out"].to_f32s(), state.read("s").unwrap().to_f32s()));
                }
            }
            (outputs, engine.name())
        };
        assert_eq!(
            outputs(&Passes::none()),
            outputs(&Passes::default()),
            "{held}"
        );
    }
}

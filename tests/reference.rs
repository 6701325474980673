//! The portable engine against PyTorch's outputs, on real models where `RLAIF_MODELS` names their folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rlaif_repl::engine::portable::{Options, Portable, States};
use rlaif_repl::engine::{Engine, Features, State};
use rlaif_repl::numeric::{Array, DType, Rng};
use rlaif_repl::package::{Bundle, FeatureKind};
use safetensors::{Dtype, SafeTensors};

use crate::formats::{models, npz};

fn open(path: &Path) -> Portable {
    let bundle = Bundle::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Portable::new(Arc::new(bundle), Options::default())
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn tensors(path: &Path) -> Features {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let array = |view: safetensors::tensor::TensorView| {
        let dtype = match view.dtype() {
            Dtype::F32 => DType::Fp32,
            Dtype::I32 => DType::Int32,
            other => panic!("{other:?}"),
        };
        Array::new(dtype, view.shape().to_vec(), view.data().to_vec()).unwrap()
    };
    file.tensors()
        .into_iter()
        .map(|(name, view)| (name, array(view)))
        .collect()
}

/// The arrays of a file of numpy's: integers are named for what they are.
fn arrays(path: &Path) -> Features {
    let entries = npz::read(&std::fs::read(path).unwrap());
    let array = |entry: npz::Entry| {
        let count: usize = entry.shape.iter().product();
        let dtype = match (entry.bytes.len() / count, entry.name.as_str()) {
            (4, "input_ids" | "tokens") => DType::Int32,
            (4, _) => DType::Fp32,
            (2, _) => DType::Fp16,
            (size, name) => panic!("{name} has {size} bytes an element"),
        };
        (
            entry.name,
            Array::new(dtype, entry.shape, entry.bytes).unwrap(),
        )
    };
    entries.into_iter().map(array).collect()
}

/// Bundles below `folder` whose file name `wanted` accepts, sorted.
fn bundles(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            (name.ends_with(".mlpackage") || name.ends_with(".mlmodelc")) && wanted(name)
        })
        .collect();
    found.sort();
    found
}

/// The function that a plain prediction runs.
fn main_of(engine: &Portable) -> String {
    engine.description().default_function.clone()
}

/// max |Δ| / max |reference|.
fn error(got: &Array, reference: &Array) -> f64 {
    assert_eq!(got.shape(), reference.shape());
    let (got, reference) = (got.to_f64s(), reference.to_f64s());
    let scale = reference.iter().fold(0f64, |m, v| m.max(v.abs()));
    let worst = got.iter().zip(&reference).fold(0f64, |m, (a, b)| {
        let delta = (a - b).abs();
        assert!(!delta.is_nan());
        m.max(delta)
    });
    worst / scale
}

/// Rows whose best element differs although the reference's two best differ by more than `margin` of
/// its scale.
fn wrong_choices(got: &Array, reference: &Array, margin: f64) -> usize {
    let width = *reference.shape().last().unwrap();
    let (got, reference) = (got.to_f64s(), reference.to_f64s());
    let scale = reference.iter().fold(0f64, |m, v| m.max(v.abs()));
    let best = |row: &[f64]| {
        (0..width)
            .max_by(|a, b| row[*a].total_cmp(&row[*b]))
            .unwrap()
    };
    got.chunks(width)
        .zip(reference.chunks(width))
        .filter(|(got, reference)| {
            let first = best(reference);
            let second = (0..width).filter(|i| *i != first).map(|i| reference[i]);
            let second = second.fold(f64::NEG_INFINITY, f64::max);
            best(got) != first && reference[first] - second > margin * scale
        })
        .count()
}

/// Whether the program computes in fp16 anywhere.
fn tolerance(engine: &Portable) -> f64 {
    let functions = engine.bundle().program.functions.values();
    let half = functions
        .flat_map(|f| &f.block.operations)
        .flat_map(|o| &o.outputs)
        .any(|o| o.ty.dtype() == Some(DType::Fp16));
    if half { 2e-2 } else { 1e-4 }
}

#[expect(
    clippy::print_stderr,
    reason = "figures for the reader of the test's output"
)]
fn report(path: &Path, error: f64) {
    let name: PathBuf = path
        .iter()
        .rev()
        .take(2)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    eprintln!("{error:9.2e}  {}", name.display());
}

/// Predicts with the inputs that the model declares and compares every output that `reference` has.
fn agrees(path: &Path, reference: &Features) {
    let engine = open(path);
    let function = main_of(&engine);
    let described = engine.description().function(&function).unwrap().clone();
    let inputs = described
        .inputs
        .iter()
        .map(|f| (f.name.clone(), reference[&f.name].clone()))
        .collect();
    let outputs = engine
        .predict(&function, &inputs, None)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let allowed = tolerance(&engine);
    let mut compared = 0;
    for (name, got) in &outputs {
        let Some(expected) = reference.get(name) else {
            continue;
        };
        let worst = error(got, expected);
        report(path, worst);
        assert!(
            worst <= allowed,
            "{}: \"{name}\" is off by {worst:.2e}",
            path.display()
        );
        assert_eq!(
            wrong_choices(got, expected, allowed),
            0,
            "{}",
            path.display()
        );
        compared += 1;
    }
    assert!(
        compared > 0,
        "{}: nothing to compare in {:?}",
        path.display(),
        outputs.keys()
    );
}

#[test]
fn small_models_agree_with_pytorch() {
    let Some(models) = models() else { return };
    for family in ["gpt2", "llama-gqa", "qwen2", "bert", "lstm"] {
        let folder = models.join("small").join(family);
        for path in bundles(&folder, |_| true) {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let own = format!(
                "{}.reference.safetensors",
                stem.trim_end_matches("-decompressed")
            );
            let own = folder.join(own);
            let reference = if own.exists() {
                own
            } else {
                folder.join("reference.safetensors")
            };
            agrees(&path, &tensors(&reference));
        }
    }
}

#[test]
fn a_stateful_model_agrees_with_pytorch_step_by_step() {
    let Some(models) = models() else { return };
    let folder = models.join("small/kvcache");
    let reference = tensors(&folder.join("reference.safetensors"));
    for path in bundles(&folder, |_| true) {
        let engine = open(&path);
        let function = main_of(&engine);
        let mut state = engine.new_state(&function).unwrap();
        let mut worst = 0f64;
        for step in 0..8 {
            let inputs = ["inputIds", "causalMask"].map(|name| {
                (
                    name.to_string(),
                    reference[&format!("{step}.{name}")].clone(),
                )
            });
            let outputs = engine
                .predict(&function, &inputs.into(), Some(state.as_mut()))
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            worst = worst.max(error(
                &outputs["logits"],
                &reference[&format!("{step}.logits")],
            ));
        }
        for name in ["keyCache", "valueCache"] {
            let cache = state.read(name).unwrap();
            worst = worst.max(error(&cache, &reference[&format!("final.{name}")]));
        }
        report(&path, worst);
        assert!(
            worst <= tolerance(&engine),
            "{}: {worst:.2e}",
            path.display()
        );
    }
}

#[test]
fn tiny_gpt2_agrees_in_every_opset() {
    let Some(models) = models() else { return };
    let folder = models.join("generated");
    let reference = arrays(&folder.join("gpt2tiny.ref.npz"));
    let plain = |name: &str| {
        name.starts_with("gpt2tiny") && (name.contains("_fp16.") || name.contains("_fp32."))
            || name.contains("finitemask")
    };
    let paths = bundles(&folder, plain);
    assert!(paths.len() >= 18);
    for path in paths {
        agrees(&path, &reference);
    }
}

#[test]
fn compressed_tiny_gpt2_equals_itself_with_the_dense_weights() {
    let Some(models) = models() else { return };
    let folder = models.join("generated");
    let compressed = |name: &str| name.starts_with("gpt2tiny") && !name.contains("_fp");
    let mut compared = 0;
    for path in bundles(&folder, compressed) {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let dense = folder.join(format!("{stem}.dequant.npz"));
        if !dense.exists() {
            continue;
        }
        let engine = open(&path);
        for (name, expected) in arrays(&dense) {
            let got = engine.weight("main", &name).unwrap();
            let got = got.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(got == expected.to_f32s(), "{} \"{name}\"", path.display());
            compared += 1;
        }
    }
    assert!(compared > 100);
}

#[test]
fn a_stateful_llama_agrees_over_six_tokens() {
    let Some(models) = models() else { return };
    let folder = models.join("generated");
    let reference = arrays(&folder.join("llamatiny_stateful_ios18.ref.npz"));
    let (tokens, logits) = (&reference["tokens"], &reference["logits"]);
    for path in bundles(&folder, |name| name.starts_with("llamatiny_stateful")) {
        let engine = open(&path);
        let mut state = engine.new_state("main").unwrap();
        let mut worst = 0f64;
        for (step, token) in tokens.to_i64s().into_iter().enumerate() {
            let outputs = engine
                .predict(
                    "main",
                    &step_inputs(step, token as i32),
                    Some(state.as_mut()),
                )
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let got = outputs.values().next().unwrap().to_f32s();
            let row = &logits.to_f32s()[step * 256..][..256];
            let as_array = |v: &[f32]| Array::from_f32(vec![256], v).unwrap();
            worst = worst.max(error(&as_array(&got), &as_array(row)));
        }
        report(&path, worst);
        assert!(worst <= 2e-2, "{}: {worst:.2e}", path.display());
    }
}

/// Inputs of the generated Llama at one step: the token, its position, the mask of 32 places.
fn step_inputs(step: usize, token: i32) -> Features {
    let mask: Vec<f32> = (0..32)
        .map(|i| if i <= step { 0.0 } else { -1e4 })
        .collect();
    Features::from([
        (
            "input_ids".into(),
            Array::from_i32(vec![1, 1], &[token]).unwrap(),
        ),
        (
            "pos".into(),
            Array::from_i32(vec![1], &[step as i32]).unwrap(),
        ),
        (
            "mask".into(),
            Array::from_f32(vec![1, 1, 1, 32], &mask).unwrap(),
        ),
    ])
}

#[test]
fn the_135m_model_agrees_with_pytorch() {
    let Some(models) = models() else { return };
    let folder = models.join("smollm2-135m");
    let reference = tensors(&folder.join("int8-fp16.reference.safetensors"));
    agrees(&folder.join("int8-fp16.mlpackage"), &reference);
}

/// Inputs of the default shapes with small random numbers.
fn random_inputs(engine: &Portable, function: &str) -> Features {
    let mut rng = Rng::new(5);
    let mut inputs = Features::new();
    for feature in &engine.description().function(function).unwrap().inputs {
        let FeatureKind::Array { dtype, shape, .. } = &feature.kind else {
            continue;
        };
        let count: usize = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|_| 0.3 * rng.normal()).collect();
        inputs.insert(
            feature.name.clone(),
            Array::from_f64s(*dtype, shape.clone(), &values).unwrap(),
        );
    }
    inputs
}

fn predict(path: &Path) -> Features {
    let engine = open(path);
    let function = main_of(&engine);
    let inputs = random_inputs(&engine, &function);
    engine
        .predict(&function, &inputs, None)
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every Silero VAD that Apple compiled gives what its package gives; compressed ones stay near.
#[test]
fn silero_vad_compiled_and_packaged_agree() {
    let Some(models) = models() else { return };
    let folder = models.join("mobius-silero-vad");
    let mut packages = BTreeMap::new();
    let quantized = ["unified_256ms", "unified_standard"].map(|n| format!("quantized_models/{n}"));
    for sub in quantized
        .iter()
        .map(String::as_str)
        .chain(["silero-vad-coreml"])
    {
        for path in bundles(&folder.join(sub), |name| name.ends_with(".mlpackage")) {
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            packages.insert(stem, predict(&path));
        }
    }
    let (mut compared, whole) = (0, &packages["silero-vad-unified-v6.0.0"]);
    for path in bundles(&folder.join("compiled"), |_| true) {
        let compiled = predict(&path);
        if path.ends_with("unified_int8.mlmodelc")
            || path.ends_with("unified_palette_8bit.mlmodelc")
        {
            for (name, value) in whole {
                let worst = error(&compiled[name], value);
                report(&path, worst);
                assert!(worst < 0.1, "{} \"{name}\": {worst:.2e}", path.display());
            }
        }
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let Some(package) = packages.get(stem) else {
            continue;
        };
        for (name, value) in package {
            let worst = error(&compiled[name], value);
            report(&path, worst);
            assert!(worst < 1e-6, "{} \"{name}\": {worst:.2e}", path.display());
        }
        compared += 1;
    }
    assert!(compared >= 16, "{compared}");
}

fn array(values: &[f32]) -> Array {
    Array::from_f32(vec![values.len()], values).unwrap()
}

#[test]
fn loops_choices_and_lists_compute() {
    let Some(models) = models() else { return };
    let folder = models.join("generated");
    let expected = |mut a: f32, b: f32| {
        while a < b {
            a += if a > b * 0.5 { 1.0 } else { 2.0 };
        }
        a + b
    };
    for path in bundles(&folder, |name| name.starts_with("control_flow")) {
        let engine = open(&path);
        for (a, b) in [(0.25, 9.0), (3.0, 2.0), (-4.5, 1.0)] {
            let inputs = Features::from([("a".into(), array(&[a])), ("b".into(), array(&[b]))]);
            let outputs = engine.predict("main", &inputs, None).unwrap();
            assert_eq!(
                outputs["out"].to_f32s(),
                [expected(a, b)],
                "{}",
                path.display()
            );
        }
    }
    let x: Vec<f32> = (0..12).map(|i| i as f32 + 0.5).collect();
    for path in bundles(&folder, |name| name.starts_with("list_ops")) {
        let inputs = Features::from([("x".into(), Array::from_f32(vec![3, 4], &x).unwrap())]);
        let outputs = open(&path).predict("main", &inputs, None).unwrap();
        let rows = [&x[8..12], &x[0..4]].concat();
        assert_eq!(outputs.values().next().unwrap().to_f32s(), rows);
    }
}

#[test]
fn states_are_kept_and_apart() {
    let Some(models) = models() else { return };
    for path in bundles(&models.join("generated"), |name| {
        name.starts_with("accumulator")
    }) {
        let engine = open(&path);
        let (mut one, mut two) = (
            engine.new_state("main").unwrap(),
            engine.new_state("main").unwrap(),
        );
        let step = |state: &mut dyn State, x: f32| {
            let inputs = Features::from([("x".into(), array(&[x]))]);
            engine.predict("main", &inputs, Some(state)).unwrap()["out"].to_f32s()[0]
        };
        assert_eq!(step(one.as_mut(), 2.0), 4.0);
        assert_eq!(step(one.as_mut(), 3.0), 25.0);
        assert_eq!(step(two.as_mut(), 1.0), 1.0);
        assert_eq!(one.read("accum").unwrap().to_f32s(), [5.0]);
        assert!(two.as_any_mut().is::<States>());
    }
}

#[test]
fn functions_of_one_bundle_share_states() {
    let Some(models) = models() else { return };
    let path = models.join("generated/multifunction_state.mlmodelc");
    let engine = open(&path);
    let functions: Vec<String> = engine.description().functions.keys().cloned().collect();
    assert!(functions.len() > 1, "{functions:?}");
    let reference = arrays(&models.join("generated/llamatiny_stateful_ios18.ref.npz"));
    let token = reference["tokens"].to_i64s()[0] as i32;
    let mut state = engine.new_state("decode").unwrap();
    let first = engine.predict("decode", &step_inputs(0, token), Some(state.as_mut()));
    let first = first.unwrap().values().next().unwrap().clone();
    let again = engine.predict("decode", &step_inputs(0, token), Some(state.as_mut()));
    assert_eq!(again.unwrap().values().next().unwrap(), &first);
    let cache = state.read("k_cache").unwrap();
    assert!(cache.to_f32s().iter().any(|v| *v != 0.0));
}

#[test]
fn attention_agrees_with_its_formula() {
    let Some(models) = models() else { return };
    let path = models.join("generated/sdpa_ios18.mlmodelc");
    let engine = open(&path);
    let inputs = random_inputs(&engine, "main");
    let got = engine.predict("main", &inputs, None).unwrap();
    let [q, k, v, m] = ["q", "k", "v", "m"].map(|name| inputs[name].to_f64s());
    let mut expected = Vec::new();
    for head in 0..4 {
        for i in 0..8 {
            let row = &q[(head * 8 + i) * 16..][..16];
            let weights: Vec<f64> = (0..32)
                .map(|j| {
                    let key = &k[(head * 32 + j) * 16..][..16];
                    let dot: f64 = row.iter().zip(key).map(|(a, b)| a * b).sum();
                    (dot / 4.0 + m[i * 32 + j]).exp()
                })
                .collect();
            let total: f64 = weights.iter().sum();
            for e in 0..16 {
                let value = |j: usize| weights[j] * v[(head * 32 + j) * 16 + e];
                expected.push((0..32).map(value).sum::<f64>() / total);
            }
        }
    }
    let expected = Array::from_f64s(DType::Fp64, vec![1, 4, 8, 16], &expected).unwrap();
    let worst = error(&got["out"], &expected);
    report(&path, worst);
    assert!(worst < 2e-3, "{worst:.2e}");
}

#[test]
fn flexible_shapes_take_what_they_allow() {
    let Some(models) = models() else { return };
    for path in bundles(&models.join("generated"), |name| name.starts_with("flex_")) {
        let engine = open(&path);
        let predict = |length: usize| {
            let ids: Vec<i32> = (0..length as i32).map(|i| (i * 37 + 5) % 256).collect();
            let ids = Array::from_i32(vec![1, length], &ids).unwrap();
            engine.predict("main", &Features::from([("input_ids".into(), ids)]), None)
        };
        let (long, short) = (predict(16).unwrap(), predict(8).unwrap());
        // Each position is computed alone in these models.
        let (long, short) = (long["logp"].to_f32s(), short["logp"].to_f32s());
        let worst = long
            .iter()
            .zip(&short)
            .fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(worst < 2e-2, "{}: {worst}", path.display());
        assert!(predict(100_000).is_err());
    }
}

//! The portable engine against PyTorch's outputs, on real models where `RLAIF_MODELS` names their folder.

mod programs;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rlaif_repl::engine::portable::{Options, Portable};
use rlaif_repl::engine::{Engine, Features};
use rlaif_repl::generate::NextLogits;
use rlaif_repl::models::{CoreMLModelWrapper, LoadOptions};
use rlaif_repl::numeric::{Array, DType};
use rlaif_repl::package::Bundle;
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
        worst = worst.max(decoded(&path, &reference));
        report(&path, worst);
        assert!(
            worst <= tolerance(&engine),
            "{}: {worst:.2e}",
            path.display()
        );
    }
}

/// The same steps as a decoder takes them, which makes the masks itself.
fn decoded(path: &Path, reference: &Features) -> f64 {
    let model = CoreMLModelWrapper::load(path, &LoadOptions::default()).unwrap();
    let mut decoder = model.decoder(16).unwrap().unwrap();
    let (mut ids, mut worst) = (Vec::new(), 0f64);
    for step in 0..8 {
        let new = reference[&format!("{step}.inputIds")].to_i64s();
        ids.extend(new.into_iter().map(|id| id as u32));
        let got = decoder.next(&[(0, &ids)]).unwrap().remove(0);
        let all = &reference[&format!("{step}.logits")];
        let last = all.narrow(1, all.shape()[1] - 1, 1).unwrap();
        let got = Array::from_f32(last.shape().to_vec(), &got).unwrap();
        worst = worst.max(error(&got, &last));
    }
    worst
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
        let model = CoreMLModelWrapper::load(&path, &LoadOptions::default()).unwrap();
        let ids: Vec<u32> = tokens.to_i64s().into_iter().map(|id| id as u32).collect();
        let whole = model.forward(&ids).unwrap();
        let whole = Array::from_f32(logits.shape().to_vec(), whole.as_slice().unwrap());
        worst = worst.max(error(&whole.unwrap(), logits));
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

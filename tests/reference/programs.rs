//! Programs whose outputs can be told without PyTorch: loops, lists, states, attention, flexible shapes,
//! and Silero VAD in its compiled and packaged forms.

use std::collections::BTreeMap;
use std::path::Path;

use rlaif_repl::engine::portable::{Portable, States};
use rlaif_repl::engine::{Engine, Features, State};
use rlaif_repl::numeric::{Array, DType, Rng};
use rlaif_repl::package::FeatureKind;

use super::{arrays, bundles, error, main_of, open, report, step_inputs};
use crate::formats::models;

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

//! What both engines do alike: one set of checks, run on each.

use std::sync::Arc;

use super::portable::{Options, Portable};
use super::{Engine, Features};
use crate::mil::text;
use crate::numeric::{Array, DType};
use crate::package::{Bundle, Description};

/// Adds `x` to the state `sum`, and returns the square of the new sum.
const PROGRAM: &str = r#"program(1.3)
{
    func main<ios18>(state<tensor<fp16, [2]>> sum, tensor<fp16, [2]> x) {
            tensor<fp16, [2]> before = read_state(input = sum)[name = string("before")];
            tensor<fp16, [2]> added = add(x = x, y = before)[name = string("added")];
            write_state(data = added, input = sum)[name = string("write")];
            tensor<fp16, [2]> after = read_state(input = sum)[name = string("after")];
            tensor<fp16, [2]> out = mul(x = after, y = after)[name = string("out")];
        } -> (out);
}"#;

#[test]
fn the_portable_engine_keeps_it() {
    let engine = Portable::new(Arc::new(bundle()), Options::default());
    check(&engine.unwrap());
}

#[cfg(target_os = "macos")]
#[test]
fn core_ml_keeps_it() {
    use super::apple::{self, AppleOptions, ComputeUnits};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("contract.mlpackage");
    bundle().save(&path).unwrap();
    let options = AppleOptions {
        compute_units: ComputeUnits::Cpu,
        cache: folder.path().join("cache"),
    };
    // Compiled at the first time, taken from the cache at the second.
    for _ in 0..2 {
        check(&*apple::open(&path, &options).unwrap());
    }
}

fn bundle() -> Bundle {
    let (program, _) = text::parse(PROGRAM, "contract").unwrap();
    let description = Description::from_program(&program).unwrap();
    Bundle::new(program, description)
}

fn check(engine: &dyn Engine) {
    a_state_is_kept_read_and_written(engine);
    without_a_state_buffers_are_fresh(engine);
    wrong_calls_are_refused_in_words(engine);
}

fn a_state_is_kept_read_and_written(engine: &dyn Engine) {
    let mut state = engine.new_state("main").unwrap();
    let mut out = |x| {
        let predicted = engine.predict("main", &inputs(x), Some(&mut *state));
        predicted.unwrap()["out"].clone()
    };
    assert_eq!(out([2.0, 0.0]).to_f32s(), [4.0, 0.0]);
    let second = out([1.0, -1.0]);
    assert_eq!(second.to_f32s(), [9.0, 1.0]);
    assert_eq!(second.dtype(), DType::Fp16);
    assert_eq!(state.read("sum").unwrap().to_f32s(), [3.0, -1.0]);
    let written = Array::from_f32(vec![2], &[0.5, 7.0]).unwrap();
    state.write("sum", &written).unwrap();
    let read = state.read("sum").unwrap();
    assert_eq!(
        (read.dtype(), read.to_f32s()),
        (DType::Fp16, vec![0.5, 7.0])
    );
    assert!(state.read("smu").unwrap_err().hint_text().is_some());
    let long = Array::from_f32(vec![3], &[0.0; 3]).unwrap();
    assert!(state.write("sum", &long).is_err());
}

fn without_a_state_buffers_are_fresh(engine: &dyn Engine) {
    for _ in 0..2 {
        let outputs = engine.predict("main", &inputs([3.0, 1.0]), None).unwrap();
        assert_eq!(outputs["out"].to_f32s(), [9.0, 1.0]);
    }
}

fn wrong_calls_are_refused_in_words(engine: &dyn Engine) {
    let refused = |function: &str, inputs: &Features, words: &str| {
        let error = engine.predict(function, inputs, None).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    refused("mian", &inputs([0.0; 2]), "did you mean \"main\"?");
    refused("main", &Features::new(), "input \"x\" is missing");
    let long = Array::from_f32(vec![3], &[0.0; 3]).unwrap();
    let long = Features::from([("x".to_string(), long)]);
    refused("main", &long, "\"x\" has shape [3], expected [2]");
}

fn inputs(x: [f32; 2]) -> Features {
    let x = Array::from_f32(vec![2], &x).unwrap();
    Features::from([("x".to_string(), x)])
}

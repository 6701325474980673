//! On a Mac: Core ML itself behind the trait. Models come from the folder in `RLAIF_MODELS`.

use std::path::PathBuf;

use super::*;
use crate::engine::Features;
use crate::numeric::Array;

/// The model `name` below `RLAIF_MODELS`, on the CPU; `None` and a note where the variable is unset.
fn model(name: &str, cache: &Path) -> Option<Box<dyn Engine>> {
    let Some(folder) = std::env::var_os("RLAIF_MODELS") else {
        println!("skipped: set RLAIF_MODELS to the folder of reference models");
        return None;
    };
    let options = AppleOptions {
        compute_units: ComputeUnits::Cpu,
        cache: cache.to_path_buf(),
    };
    Some(open(&PathBuf::from(folder).join(name), &options).unwrap())
}

/// `out` is the square of the sum of all inputs so far.
#[test]
fn a_state_is_kept_read_and_written() {
    let cache = tempfile::tempdir().unwrap();
    let Some(engine) = model("generated/accumulator_state_ios18.mlpackage", cache.path()) else {
        return;
    };
    let mut state = engine.new_state("main").unwrap();
    let mut out = |x: f32| {
        let x = Array::from_f32(vec![1], &[x]).unwrap();
        let inputs = Features::from([("x".to_string(), x)]);
        engine.predict("main", &inputs, Some(&mut *state)).unwrap()["out"].to_f32s()
    };
    assert_eq!(out(2.0), [4.0]);
    assert_eq!(out(1.0), [9.0]);
    assert_eq!(state.read("accum").unwrap().to_f32s(), [3.0]);
    let one = Array::from_f32(vec![1], &[1.0]).unwrap();
    state.write("accum", &one).unwrap();
    assert_eq!(state.read("accum").unwrap().to_f32s(), [1.0]);
    assert!(state.read("acum").is_err());
}

#[test]
fn an_unknown_function_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let Some(engine) = model("generated/accumulator_state_ios18.mlpackage", cache.path()) else {
        return;
    };
    let x = Array::from_f32(vec![1], &[1.0]).unwrap();
    let inputs = Features::from([("x".to_string(), x)]);
    assert!(engine.predict("main", &inputs, None).is_ok());
    assert!(engine.predict("mian", &inputs, None).is_err());
}

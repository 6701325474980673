//! Students of compressed models: they learn, and what is saved is compressed as before, as near to what
//! was trained as the save says.

use std::collections::BTreeMap;
use std::sync::Arc;

use rlaif_repl::convert::Llama;
use rlaif_repl::diag::Interrupt;
use rlaif_repl::models::{
    CompressOptions, Compression, CoreMLModelWrapper, LoadOptions, StudentModel, Trainable,
    compress,
};
use rlaif_repl::numeric::{Array, DType};
use rlaif_repl::optim::AdamWOptions;
use rlaif_repl::package::{Bundle, Storage, StoredWeight};
use rlaif_repl::weights::encode::{Fidelity, Keep, Offset, Scheme};

use super::training::{ROWS, config, lora, loss, tokenizer};

/// A scheme for a matrix of this shape.
type ForShape = fn(&[usize]) -> Scheme;

fn int8(shape: &[usize]) -> Scheme {
    Scheme::Linear {
        data: DType::Int8,
        grid: vec![shape[0], 1],
        offset: Offset::None,
    }
}

fn int4_blocks(shape: &[usize]) -> Scheme {
    Scheme::Linear {
        data: DType::Int4,
        grid: vec![shape[0], shape[1] / 8],
        offset: Offset::None,
    }
}

fn palette(_: &[usize]) -> Scheme {
    Scheme::Palette {
        bits: 4,
        groups: vec![1, 1],
        vectors: None,
        table: Box::new(Scheme::Dense),
    }
}

fn sparse(_: &[usize]) -> Scheme {
    Scheme::Sparse {
        keep: Keep::Largest(0.5),
        values: Box::new(Scheme::Dense),
    }
}

/// A small model whose matrices are stored by `scheme`.
fn model(scheme: ForShape) -> Arc<CoreMLModelWrapper> {
    let dense = Llama::random(config(), 1).unwrap().bundle().unwrap();
    let operations = dense.program.functions["main"].operations();
    let weights = operations.filter(|op| op.op == "const");
    let matrices = weights.filter_map(|op| {
        let shape = op.outputs[0].ty.shape()?;
        let is_matrix = shape.len() == 2 && op.outputs[0].name.contains("proj");
        is_matrix.then(|| (op.outputs[0].name.clone(), scheme(&shape)))
    });
    let chosen: BTreeMap<String, Scheme> = matrices.collect();
    assert_eq!(chosen.len(), 14);
    let (bundle, _) = dense
        .compressed("main", &chosen, &Interrupt::default())
        .unwrap();
    let options = LoadOptions::default();
    let model = CoreMLModelWrapper::new(
        "tiny",
        Arc::new(bundle),
        Some(Arc::new(tokenizer())),
        &options,
    );
    Arc::new(model.unwrap())
}

/// Logits of the first row with `weights` in the place of the model's own.
fn logits(student: &StudentModel, weights: &BTreeMap<String, Array>) -> Vec<f64> {
    let bundle = student.model().bundle().unwrap();
    let (bundle, _) = bundle
        .with_weights("main", weights, Storage::Dense)
        .unwrap();
    let options = LoadOptions::default();
    let model = CoreMLModelWrapper::new("with", Arc::new(bundle), None, &options).unwrap();
    let logits = model.forward(ROWS[0]).unwrap();
    logits.iter().map(|v| f64::from(*v)).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let square = |v: f64| v * v;
    let off: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    (off / b.iter().copied().map(square).sum::<f64>()).sqrt()
}

/// Trains, saves in both forms, reads again; `error_max` bounds the relative error (RMS) of each weight.
fn check(scheme: ForShape, trainable: &Trainable, words: &str, error_max: f64) {
    let options = AdamWOptions::default();
    let mut student = StudentModel::new(model(scheme), trainable, options, 3).unwrap();
    let first = student.training_step(2e-2, 1, &mut loss).unwrap().loss;
    for _ in 0..12 {
        student.training_step(2e-2, 1, &mut loss).unwrap();
    }
    let last = student.training_step(2e-2, 1, &mut loss).unwrap().loss;
    assert!(last < first - 0.1, "{words}: {first} {last}");
    let trained = student.weights().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["s.mlpackage", "s.mlmodelc"] {
        let path = folder.path().join(name);
        let stored = student.save(&path, Storage::Same).unwrap();
        let bundle = Bundle::open(&path).unwrap();
        unchanged_are_the_same(student.model().bundle().unwrap(), &bundle, &stored);
        let saved: BTreeMap<String, Array> = trained
            .keys()
            .map(|name| (name.clone(), bundle.weight("main", name).unwrap()))
            .collect();
        for weight in &stored {
            let fidelity = Fidelity::of(&trained[&weight.name].to_f32s(), &saved[&weight.name]);
            assert_eq!(weight.fidelity, fidelity, "{weight:?}");
            assert!(fidelity.relative_rms <= error_max, "{weight:?}");
            let of_compressed = weight.name.contains("proj");
            assert_eq!(weight.form.contains(words), of_compressed, "{weight:?}");
        }
        let again = CoreMLModelWrapper::load(&path, &LoadOptions::default()).unwrap();
        let says: Vec<f64> = again
            .forward(ROWS[0])
            .unwrap()
            .iter()
            .map(|v| f64::from(*v))
            .collect();
        assert!(distance(&says, &logits(&student, &saved)) < 1e-6, "{words}");
        // Of the order of what the weights are off by: two layers of four products each.
        let off = distance(&says, &logits(&student, &trained));
        let worst = stored[0].fidelity.relative_rms;
        assert!(
            off < 8.0 * worst,
            "{words}: {off} with weights off by {worst}"
        );
    }
}

fn unchanged_are_the_same(before: &Bundle, after: &Bundle, stored: &[StoredWeight]) {
    let operations = before.program.functions["main"].operations();
    let constants = operations.filter(|op| rlaif_repl::package::is_constant(op));
    let mut count = 0;
    for operation in constants {
        let name = &operation.outputs[0].name;
        if stored.iter().all(|weight| weight.name != *name) {
            let old = before.encoded("main", name).unwrap();
            assert_eq!(after.encoded("main", name).unwrap(), old, "{name}");
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn adapters_of_compressed_models() {
    check(int8, &lora(2), "int8 per channel", 0.01);
    check(int4_blocks, &lora(2), "int4 in blocks of 1×8", 0.09);
    check(palette, &lora(2), "4-bit palette", 0.12);
    check(sparse, &lora(2), "50% of fp32", 0.8);
}

#[test]
fn dense_copies_of_compressed_models() {
    let some = Trainable::Whole(vec!["layers_1".into()]);
    check(int8, &some, "int8 per channel", 0.01);
    check(int4_blocks, &some, "int4 in blocks of 1×8", 0.09);
    check(palette, &some, "4-bit palette", 0.12);
    check(sparse, &some, "50% of fp32", 0.8);
}

#[test]
fn a_student_can_be_saved_dense() {
    let options = AdamWOptions::default();
    let mut student = StudentModel::new(model(palette), &lora(2), options, 3).unwrap();
    student.training_step(2e-2, 1, &mut loss).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.mlpackage");
    let stored = student.save(&path, Storage::Dense).unwrap();
    assert_eq!(stored.len(), 14);
    let exact = |w: &StoredWeight| w.fidelity.relative_rms < 1e-7 && w.bytes == w.dense_bytes;
    assert!(stored.iter().all(exact), "{stored:?}");
    let bundle = Bundle::open(&path).unwrap();
    let histogram = bundle.program.op_histogram();
    assert!(!histogram.contains_key("constexpr_lut_to_dense"));
}

#[test]
fn models_are_made_smaller() {
    let dense = model(|_| Scheme::Dense);
    let says = |bundle: Bundle| -> Vec<f64> {
        let options = LoadOptions::default();
        let model = CoreMLModelWrapper::new("small", Arc::new(bundle), None, &options).unwrap();
        let logits = model.forward(ROWS[0]).unwrap();
        logits.iter().map(|v| f64::from(*v)).collect()
    };
    let before = says(Bundle::clone(dense.bundle().unwrap()));
    let check = |compression: Compression, words: &str, off_max: f64| {
        let options = CompressOptions {
            compression,
            targets: Vec::new(),
            elements_min: 200,
        };
        let (bundle, stored) = compress(&dense, &options).unwrap();
        assert!(stored.len() > 8, "{stored:?}");
        assert!(stored.iter().all(|w| w.form.contains(words)), "{stored:?}");
        let bytes = |f: fn(&StoredWeight) -> u64| stored.iter().map(f).sum::<u64>();
        assert!(
            bytes(|w| w.bytes) < bytes(|w| w.dense_bytes) * 2 / 3,
            "{stored:?}"
        );
        let off = distance(&says(bundle), &before);
        assert!(off < off_max, "{words}: {off}");
    };
    check(Compression::Int8 { block: None }, "int8 per channel", 0.02);
    let (block, blocks) = (8, "in blocks of 1×8");
    check(Compression::Int4 { block }, blocks, 0.3);
    check(Compression::Int8 { block: Some(block) }, blocks, 0.02);
    check(
        Compression::Mixed { block, lost: 0.01 },
        "int8 in blocks of 1×8",
        0.02,
    );
    check(Compression::Mixed { block, lost: 0.5 }, blocks, 0.3);
    let (bits, group) = (6, None);
    check(Compression::Palette { bits, group }, "6-bit palette", 0.1);
    check(Compression::Sparse { keep: 0.5 }, "50% of fp32", 1.0);
    let options = CompressOptions {
        compression: Compression::Int8 { block: None },
        targets: vec!["nothing".into()],
        elements_min: 1,
    };
    let error = compress(&dense, &options).err().unwrap().to_string();
    assert!(error.contains("no weight is large enough"), "{error}");
}

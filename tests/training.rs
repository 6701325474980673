//! Students: gradients reach every trained tensor, saved bundles say the same, bad steps change nothing.

use std::path::Path;
use std::sync::Arc;

use ndarray::Array2;
use rlaif_repl::convert::{Llama, LlamaConfig};
use rlaif_repl::diag::{Interrupt, Kind, Result};
use rlaif_repl::engine::portable::Precision;
use rlaif_repl::generate::Distribution;
use rlaif_repl::models::{
    CoreMLModelWrapper, LoadOptions, LoraOptions, Policy, StudentModel, Trainable,
};
use rlaif_repl::objectives::{Loss, Objective as _, Sft, SftBatch, scalar};
use rlaif_repl::optim::{AdamWOptions, check_gradients};
use rlaif_repl::package::{Storage, update_in_place};
use rlaif_repl::tokenizer::{Tokenizer, train_bpe};

pub const ROWS: [&[u32]; 2] = [&[5, 9, 20, 7, 3], &[8, 2, 11]];

pub fn config() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 260,
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        max_position_embeddings: 12,
        rope_theta: 10_000.0,
        rms_norm_eps: 1e-5,
        tie_word_embeddings: true,
    }
}

pub fn tokenizer() -> Tokenizer {
    train_bpe(&["a b c"], 260, &["<eos>"]).unwrap()
}

fn model(options: &LoadOptions) -> Arc<CoreMLModelWrapper> {
    let bundle = Llama::random(config(), 1).unwrap().bundle().unwrap();
    let model = CoreMLModelWrapper::new(
        "tiny",
        Arc::new(bundle),
        Some(Arc::new(tokenizer())),
        options,
    );
    Arc::new(model.unwrap())
}

fn student(trainable: &Trainable, options: &LoadOptions) -> StudentModel {
    StudentModel::new(model(options), trainable, AdamWOptions::default(), 3).unwrap()
}

pub fn lora(rank: usize) -> Trainable {
    Trainable::Lora(LoraOptions {
        rank,
        alpha: 8.0,
        targets: Vec::new(),
    })
}

/// Learns to repeat `ROWS`.
pub fn loss(policy: &Policy, _: usize) -> Result<Loss> {
    let logprobs = policy.score(&ROWS, 1.0)?.logprobs;
    let mask = candle_core::Tensor::new(&[[1u8, 1, 1, 1], [1, 1, 0, 0]], logprobs.device())?;
    Sft.loss(&SftBatch { logprobs, mask })
}

/// Equal up to rounding: products with constant weights add up in another order than with those that learn.
fn near(a: &Array2<f32>, b: &Array2<f32>, name: &str) {
    let off = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    let worst = off.fold(0.0, f32::max);
    assert!(a.dim() == b.dim() && worst < 1e-6, "{name}: {worst}");
}

#[test]
fn a_fresh_adapter_changes_nothing_and_then_everything_learns() {
    let mut student = student(&lora(2), &LoadOptions::default());
    let before = student.model().forward(ROWS[0]).unwrap();
    let fresh = student
        .policy()
        .unwrap()
        .rows(&[ROWS[0]])
        .unwrap()
        .remove(0);
    near(&before, &fresh, "fresh");
    let first = student.training_step(1e-2, 1, &mut loss).unwrap().loss;
    for _ in 0..30 {
        student.training_step(5e-2, 1, &mut loss).unwrap();
    }
    let last = student.training_step(1e-2, 1, &mut loss).unwrap().loss;
    assert!(last < first - 0.1, "{first} {last}");
    assert_eq!(
        student.model().forward(ROWS[0]).unwrap(),
        before,
        "the base model stays"
    );
}

#[test]
fn gradients_agree_with_finite_differences() {
    let options = LoadOptions {
        precision: Precision::F64,
        ..LoadOptions::default()
    };
    let whole = Trainable::Whole(vec![
        "norm".into(),
        "layers_1_mlp_down".into(),
        "k_proj".into(),
    ]);
    for trainable in [whole, lora(1)] {
        let mut student = student(&trainable, &options);
        // B is zero at first, and A gets no gradient then: one step moves both off zero.
        student.training_step(1e-2, 1, &mut loss).unwrap();
        let parameters = student.adapters().parameters().clone();
        check_gradients(&parameters, 1e-6, || {
            Ok(loss(&student.live().unwrap(), 0)?.value)
        })
        .unwrap();
    }
}

#[test]
fn parts_of_a_batch_add_up_to_the_batch() {
    let mut whole = student(&lora(2), &LoadOptions::default());
    let mut parts = student(&lora(2), &LoadOptions::default());
    let single = |policy: &Policy, i: usize| -> Result<Loss> {
        let logprobs = policy.score(&ROWS[i..=i], 1.0)?.logprobs;
        let mask = logprobs.ones_like()?.to_dtype(candle_core::DType::U8)?;
        Sft.loss(&SftBatch { logprobs, mask })
    };
    let a = whole.training_step(1e-2, 1, &mut loss).unwrap();
    let b = parts
        .training_step(1e-2, 2, &mut |policy, i| single(policy, i))
        .unwrap();
    assert!(
        (a.loss - b.loss).abs() < 1e-5 && (a.grad_norm - b.grad_norm).abs() < 1e-5,
        "{a:?} {b:?}"
    );
}

#[test]
fn a_saved_student_says_the_same() {
    let mut student = student(&Trainable::Whole(Vec::new()), &LoadOptions::default());
    for _ in 0..3 {
        student.training_step(1e-2, 1, &mut loss).unwrap();
    }
    let learnt = student
        .policy()
        .unwrap()
        .rows(&[ROWS[0]])
        .unwrap()
        .remove(0);
    let folder = tempfile::tempdir().unwrap();
    for name in ["s.mlpackage", "s.mlmodelc"] {
        let path = folder.path().join(name);
        student.save(&path, Storage::Same).unwrap();
        let again = CoreMLModelWrapper::load(&path, &LoadOptions::default()).unwrap();
        near(&again.forward(ROWS[0]).unwrap(), &learnt, name);
        assert_eq!(again.tokenizer().unwrap().vocab_size(), 257);
    }
    in_place(&folder.path().join("s.mlmodelc"), &mut student);
}

/// A bundle with newer weights written over its own says what they say, and is as long as before.
fn in_place(path: &Path, student: &mut StudentModel) {
    student.training_step(1e-2, 1, &mut loss).unwrap();
    let newer = student
        .policy()
        .unwrap()
        .rows(&[ROWS[0]])
        .unwrap()
        .remove(0);
    let size = || {
        std::fs::metadata(path.join("weights/weight.bin"))
            .unwrap()
            .len()
    };
    let before = size();
    update_in_place(path, "main", &student.weights().unwrap()).unwrap();
    assert_eq!(size(), before);
    let again = CoreMLModelWrapper::load(path, &LoadOptions::default()).unwrap();
    near(&again.forward(ROWS[0]).unwrap(), &newer, "in place");
}

#[test]
fn a_loss_that_is_no_number_stops_and_keeps_the_last_good_weights() {
    let mut student = student(&lora(2), &LoadOptions::default());
    student.training_step(1e-2, 1, &mut loss).unwrap();
    let good = student.weights().unwrap();
    let error = student
        .training_step(1e-2, 1, &mut |policy, i| {
            let mut loss = loss(policy, i)?;
            loss.value = (loss.value * f64::NAN)?;
            Ok(loss)
        })
        .unwrap_err();
    assert_eq!(*error.kind(), Kind::NonFinite);
    assert_eq!(student.weights().unwrap(), good);
}

#[test]
fn a_tensor_without_a_gradient_is_named() {
    let mut student = student(&lora(2), &LoadOptions::default());
    let constant = |policy: &Policy, i: usize| -> Result<Loss> {
        let mut loss = loss(policy, i)?;
        loss.value = loss.value.detach();
        Ok(loss)
    };
    let error = student
        .training_step(1e-2, 1, &mut |p, i| constant(p, i))
        .unwrap_err();
    assert!(error.to_string().contains("lora_a"), "{error}");
}

#[test]
fn an_interrupt_ends_a_forward_pass() {
    let interrupt = Interrupt::default();
    let options = LoadOptions {
        interrupt: interrupt.clone(),
        ..LoadOptions::default()
    };
    let model = model(&options);
    interrupt.set();
    assert!(model.forward(ROWS[0]).unwrap_err().is_interrupt());
}

#[test]
fn expectations_of_the_model_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.mlmodelc");
    model(&LoadOptions::default())
        .bundle()
        .unwrap()
        .save(&path)
        .unwrap();
    let error = |vocab, length| match StudentModel::with_coreml(&path, vocab, length) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    assert_eq!(error(260, 12), "");
    assert!(error(261, 12).contains("vocabulary of 260"));
    assert!(error(260, 13).contains("12 tokens at most"));
}

#[test]
fn a_batch_gives_what_its_rows_give() {
    let model = model(&LoadOptions::default());
    let together = model.forward_batch(&ROWS).unwrap();
    for (row, logits) in ROWS.iter().zip(together) {
        let alone = model.forward(row).unwrap();
        let worst = alone
            .iter()
            .zip(&logits)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst < 1e-5, "{worst}");
    }
}

#[test]
fn scores_are_those_of_the_logits() {
    let student = student(&lora(1), &LoadOptions::default());
    let policy = student.policy().unwrap();
    let logits = student.model().forward(ROWS[1]).unwrap();
    let expected: f64 = (0..2)
        .map(|t| Distribution::new(&logits.row(t).to_vec(), 0.7).logprob(ROWS[1][t + 1]))
        .sum();
    let got = policy
        .score(&ROWS[1..], 0.7)
        .unwrap()
        .logprobs
        .sum_all()
        .unwrap();
    assert!((scalar(&got).unwrap() - expected).abs() < 1e-5);
}

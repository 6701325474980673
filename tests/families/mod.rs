//! Conversion: tiny checkpoints of every family against the logits that transformers gives for them (see
//! `fixtures/families/make.py`).

mod encoders;
mod jobs;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rlaif_repl::convert::{ConvertOptions, Precision, convert, open};
use rlaif_repl::diag::Interrupt;
use rlaif_repl::generate::{NextLogits, Sampling, generate};
use rlaif_repl::models::{CoreMLModelWrapper, Decoding, LoadOptions};
use rlaif_repl::numeric::{Array, from_safetensors};

const FAMILIES: [&str; 14] = [
    "gemma2",
    "gemma3",
    "gpt2",
    "gpt_neox",
    "llama",
    "llama3",
    "llama_linear",
    "mistral",
    "olmo2",
    "phi3",
    "qwen2",
    "qwen2_yarn",
    "qwen3",
    "smollm3",
];

fn folder(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/families")
        .join(family)
}

fn reference(family: &str) -> BTreeMap<String, Array> {
    let bytes = fs::read(folder(family).join("reference.safetensors")).unwrap();
    from_safetensors(&bytes).unwrap()
}

fn rows(reference: &BTreeMap<String, Array>) -> Vec<Vec<u32>> {
    let ids = &reference["ids"];
    let all: Vec<u32> = ids.to_i64s().into_iter().map(|id| id as u32).collect();
    all.chunks(ids.shape()[1]).map(<[u32]>::to_vec).collect()
}

fn model(family: &str, options: &ConvertOptions) -> CoreMLModelWrapper {
    let bundle = convert(&open(&folder(family)).unwrap(), options);
    let bundle = Arc::new(bundle.unwrap_or_else(|error| panic!("{family}: {error}")));
    CoreMLModelWrapper::new(family, bundle, None, &LoadOptions::default()).unwrap()
}

/// Largest difference from transformers, as a part of its largest logit.
fn distance(model: &CoreMLModelWrapper, rows: &[Vec<u32>], expected: &Array) -> f32 {
    let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    let logits = model.forward_batch(&rows).unwrap();
    let got = logits.iter().flat_map(|row| row.iter().copied());
    let expected = expected.to_f32s();
    let scale = expected.iter().fold(0f32, |most, v| most.max(v.abs()));
    let pairs = got.zip(&expected).collect::<Vec<_>>();
    assert_eq!(pairs.len(), expected.len());
    let most = pairs.iter().map(|(a, b)| (a - *b).abs());
    most.fold(0.0, f32::max) / scale
}

#[test]
fn programs_give_the_logits_of_transformers() {
    let fp32 = |context, batch, fixed| ConvertOptions {
        precision: Precision::Fp32,
        context,
        batch: Some(batch),
        fixed,
        stateful: false,
    };
    let mut wrong = Vec::new();
    for family in FAMILIES {
        let reference = reference(family);
        let rows = rows(&reference);
        let mut check = |form: &str, options, rows: &[Vec<u32>], key: &str, most| {
            let far = distance(&model(family, &options), rows, &reference[key]);
            if far >= most || far.is_nan() {
                wrong.push(format!("{family}, {form}: {far:e}"));
            }
        };
        check("any context", fp32(None, 8, false), &rows, "logits", 1e-5);
        check("short", fp32(Some(16), 1, false), &rows, "logits", 1e-5);
        check("fixed", fp32(Some(12), 2, true), &rows, "logits", 1e-5);
        let short = [rows[0][..5].to_vec()];
        check(
            "5 tokens",
            fp32(Some(8), 8, false),
            &short,
            "logits_of_5",
            1e-5,
        );
        check("fp16", ConvertOptions::default(), &rows, "logits", 2e-2);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Prompts in one call, then token by token through the states.
#[test]
fn stateful_programs_go_on_where_they_were() {
    let options = ConvertOptions {
        precision: Precision::Fp32,
        stateful: true,
        ..ConvertOptions::default()
    };
    let mut wrong = Vec::new();
    for family in FAMILIES {
        let reference = reference(family);
        let rows = rows(&reference);
        let model = model(family, &options);
        let far = distance(&model, &rows, &reference["logits"]);
        // Keys and values are kept in fp16.
        if far >= 5e-3 || far.is_nan() {
            wrong.push(format!("{family}, prefill: {far:e}"));
        }
        let vocab = reference["logits"].shape()[2];
        let expected = reference["logits"].to_f32s();
        let scale = expected.iter().fold(0f32, |most, v| most.max(v.abs()));
        let mut decoder = model.decoder(rows[0].len()).unwrap().unwrap();
        for length in 3..=rows[0].len() {
            let logits = decoder.next(&[(0, &rows[0][..length])]).unwrap();
            let expected = &expected[(length - 1) * vocab..length * vocab];
            let pairs = logits[0].iter().zip(expected);
            let far = pairs.fold(0f32, |most, (a, b)| most.max((a - b).abs())) / scale;
            if far >= 5e-3 || far.is_nan() {
                wrong.push(format!("{family}, token {length}: {far:e}"));
            }
        }
        drop(decoder);
        assert_eq!(model.bundle().unwrap().program.functions.len(), 2);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn programs_decode_their_new_tokens_alone() {
    let mut wrong = Vec::new();
    for family in FAMILIES {
        let model = model(family, &ConvertOptions::default());
        let prompts = rows(&reference(family));
        let sampling = Sampling {
            temperature: 0.0,
            max_new_tokens: 4,
            ..Sampling::default()
        };
        generate(
            &model,
            &prompts,
            &sampling,
            &Interrupt::default(),
            &mut |_| {},
        )
        .unwrap();
        if model.decoding() != Some(Decoding::Incremental) {
            wrong.push(format!("{family}: {}", model.decoding().unwrap()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

//! GGUF files that the `gguf` package wrote: weights in every form, a whole model (see
//! `tests/fixtures/gguf/make.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rlaif_repl::convert::{ConvertOptions, Oracle, Precision, convert, open};
use rlaif_repl::models::{CoreMLModelWrapper, LoadOptions};
use rlaif_repl::numeric::{Array, from_safetensors};
use rlaif_repl::tokenizer::Tokenizer;
use rlaif_repl::verify::{RowLogits as _, SAMPLE};

use crate::cli::run;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/gguf")
        .join(name)
}

fn arrays(name: &str) -> BTreeMap<String, Array> {
    from_safetensors(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

#[test]
fn weights_of_every_form_are_what_the_format_says() {
    let checkpoint = open(&fixture("forms.gguf")).unwrap();
    let expected = arrays("forms.safetensors");
    assert_eq!(expected.len(), 13);
    for (name, expected) in expected {
        let got = checkpoint.tensors.read(&name).unwrap().to_f32s();
        assert!(expected.to_f32s().iter().any(|v| *v != 0.0), "{name}");
        assert_eq!(got, expected.to_f32s(), "{name}");
    }
}

/// The ids of the text, and the logits of its first tokens.
fn reference() -> (Vec<u32>, Vec<f32>) {
    let arrays = arrays("tiny.safetensors");
    let ids = arrays["input_ids"]
        .to_i64s()
        .into_iter()
        .map(|id| id as u32);
    (ids.collect(), arrays["logits"].to_f32s())
}

fn check(got: &ndarray::Array2<f32>, expected: &[f32]) {
    let scale = expected.iter().fold(0f32, |most, v| most.max(v.abs()));
    let pairs = got.iter().zip(expected);
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(worst < 1e-5 * scale, "{worst} of {scale}");
}

#[test]
fn a_whole_model_computes_as_transformers() {
    let source = Arc::new(open(&fixture("tiny.gguf")).unwrap());
    let tokenizer = Tokenizer::from_files(&source.companions).unwrap();
    let (ids, logits) = reference();
    let text = tokenizer.decode(&ids, false).unwrap();
    assert!(text.ends_with("naïve café dog!"), "{text}");
    assert_eq!(tokenizer.encode(&text, true).unwrap(), ids);
    assert_eq!(
        (tokenizer.specials().eos, tokenizer.ends()),
        (Some(2), vec![2])
    );
    assert!(tokenizer.chat_template().unwrap().contains("<|im_start|>"));

    check(
        &Oracle::new("tiny", &source, 64, 64)
            .unwrap()
            .row_logits(&ids)
            .unwrap(),
        &logits,
    );
    let options = ConvertOptions {
        precision: Precision::Fp32,
        ..ConvertOptions::default()
    };
    let bundle = Arc::new(convert(&source, &options).unwrap());
    let model = CoreMLModelWrapper::new(
        "tiny",
        bundle,
        Some(Arc::new(tokenizer)),
        &LoadOptions::default(),
    )
    .unwrap();
    check(&model.forward(&ids).unwrap(), &logits);
}

#[test]
fn a_file_is_compared_with_a_bundle_of_it() {
    let source = open(&fixture("tiny.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.mlpackage");
    convert(&source, &ConvertOptions::default())
        .unwrap()
        .save(&path)
        .unwrap();
    let text = folder.path().join("text.txt");
    std::fs::write(&text, &SAMPLE[..300]).unwrap();
    let file = fixture("tiny.gguf");
    let paths = [&file, &path, &text].map(|path| path.to_str().unwrap());
    let verify = |within: &str| {
        let output = run(
            &[
                "verify", paths[0], paths[1], "--text", paths[2], "--within", within,
            ],
            "",
        );
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (code, table) = verify("1e-2");
    assert_eq!(code, Some(0), "{table}");
    assert!(
        table.contains("tiny.gguf by candle-transformers and ")
            && table.contains("│ top-1 agreement │"),
        "{table}"
    );
    assert_eq!(verify("1e-7").0, Some(1), "fp16 is not exact");
}

//! Encoders and classifiers against the outputs of transformers.

use rlaif_repl::convert::{ConvertOptions, Found, Job, Precision};
use rlaif_repl::models::{LoadOptions, text_outputs};

use super::{folder, reference};

/// Each fixture with the output that transformers' is.
const MODELS: [(&str, &str); 5] = [
    ("bert", "last_hidden_state"),
    ("bert_classes", "logits"),
    ("modernbert", "last_hidden_state"),
    ("modernbert_classes", "logits"),
    ("qwen2_score", "logits"),
];

#[test]
fn encoders_give_the_outputs_of_transformers() {
    let mut wrong = Vec::new();
    for (family, output) in MODELS {
        let reference = reference(family);
        let (ids, mask) = (reference["ids"].to_i64s(), reference["mask"].to_i64s());
        let expected = reference["outputs"].to_f32s();
        let scale = expected.iter().fold(0f32, |most, v| most.max(v.abs()));
        let fp32 = |fixed| ConvertOptions {
            precision: Precision::Fp32,
            fixed,
            context: fixed.then_some(12),
            batch: fixed.then_some(2),
            stateful: false,
        };
        for (options, most) in [
            (fp32(false), 1e-5),
            (fp32(true), 1e-5),
            (ConvertOptions::default(), 2e-2),
        ] {
            let job = Job {
                options,
                compression: None,
                check: true,
            };
            let made = job.run(&folder(family), &LoadOptions::default()).unwrap();
            assert!(matches!(&made.found, Some(Found::Text(found)) if found.output == output));
            assert!(
                made.model.convention().is_err(),
                "{family} is no language model"
            );
            let mut got = Vec::new();
            for (ids, mask) in ids.chunks(12).zip(mask.chunks(12)) {
                let counted = ids.iter().zip(mask).filter(|(_, m)| **m == 1);
                let row: Vec<u32> = counted.map(|(id, _)| *id as u32).collect();
                got.extend(text_outputs(&made.model, &row).unwrap()[output].to_f32s());
            }
            assert_eq!(got.len(), expected.len(), "{family}");
            let pairs = got.iter().zip(&expected);
            let far = pairs.fold(0f32, |most, (a, b)| most.max((a - b).abs())) / scale;
            if far >= most || far.is_nan() {
                wrong.push(format!("{family} {:?}: {far:e}", job.options));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn embeddings_are_means_of_states() {
    let job = Job {
        options: ConvertOptions::default(),
        compression: None,
        check: false,
    };
    let made = job.run(&folder("bert"), &LoadOptions::default()).unwrap();
    let outputs = text_outputs(&made.model, &[5, 6, 7]).unwrap();
    let states = outputs["last_hidden_state"].to_f32s();
    for (i, mean) in outputs["embedding"].to_f32s().iter().enumerate() {
        let sum: f32 = states.iter().skip(i).step_by(24).sum();
        assert!((sum / 3.0 - mean).abs() < 1e-3, "{} and {mean}", sum / 3.0);
    }
    let error = text_outputs(&made.model, &[1; 400])
        .unwrap_err()
        .to_string();
    assert!(error.contains("takes 320 at most"), "{error}");
}

#[test]
fn states_are_for_language_models() {
    let job = Job {
        options: ConvertOptions {
            stateful: true,
            ..ConvertOptions::default()
        },
        compression: None,
        check: false,
    };
    let made = job.run(&folder("qwen2_score"), &LoadOptions::default());
    let error = made.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("only language models"), "{error}");
}

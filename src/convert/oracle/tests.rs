//! Oracles against the logits of transformers; see `tests/fixtures/families/make.py`.

use std::fs;
use std::path::Path;

use super::*;
use crate::convert::source;
use crate::numeric::from_safetensors;

/// Each fixture, how many tokens of a row are taken, and how the oracle names its way.
const CASES: [(&str, usize, &str); 20] = [
    ("llama", 12, "candle-transformers"),
    ("llama3", 12, "lacks its biases"),
    ("llama_linear", 12, "lacks its scaling of positions"),
    ("mistral", 12, "has other sliding windows"),
    ("mistral", 5, "candle-transformers"),
    ("qwen2", 12, "has other sliding windows"),
    ("qwen2", 4, "candle-transformers"),
    ("qwen2_yarn", 12, "lacks its scaling of positions"),
    ("qwen3", 12, "candle-transformers"),
    ("smollm3", 12, "candle-transformers"),
    ("gemma2", 12, "has other sliding windows"),
    ("gemma2", 5, "candle-transformers"),
    ("gemma3", 12, "lacks its scaling of positions"),
    ("gpt2", 12, "does not have the family"),
    ("gpt_neox", 12, "does not have the family"),
    ("phi3", 12, "lacks its scaling of positions"),
    ("olmo2", 12, "candle-transformers"),
    ("gemma3_plain", 5, "candle-transformers"),
    ("phi3_plain", 12, "candle-transformers"),
    ("llama3_plain", 12, "candle-transformers"),
];

#[test]
fn oracles_agree_with_transformers() {
    let mut wrong = Vec::new();
    for (family, length, way) in CASES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = folder.join("tests/fixtures/families").join(family);
        let reference = fs::read(folder.join("reference.safetensors")).unwrap();
        let reference = from_safetensors(&reference).unwrap();
        let ids: Vec<u32> = reference["ids"].to_i64s()[..length]
            .iter()
            .map(|id| *id as u32)
            .collect();
        let source = Arc::new(source::open(&folder).unwrap());
        let oracle = Oracle::new(family, &source, 320, length).unwrap();
        let logits = oracle.row_logits(&ids).unwrap();
        let expected = reference["logits"].to_f32s();
        let scale = expected.iter().fold(0f32, |most, v| most.max(v.abs()));
        let pairs = logits.iter().zip(&expected);
        let far = pairs.fold(0f32, |most, (a, b)| most.max((a - b).abs())) / scale;
        if far > 1e-5 || far.is_nan() || !oracle.remark().ends_with(way) {
            wrong.push(format!("{family}: {far:e} by {}", oracle.remark()));
        }
        assert!(oracle.row_logits(&[61]).is_err());
        assert!(oracle.row_logits(&[0; 13]).is_err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

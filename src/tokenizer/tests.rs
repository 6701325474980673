//! Tokenizers that we train ourselves, and SmolLM2's against Hugging Face's Python library.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::numeric::Rng;

const TEXTS: [&str; 5] = [
    "the cat sat on the mat",
    "the dog sat on the log",
    "a cat and a dog and a cat",
    "café 你好 the café",
    "one two three, three two one",
];

fn toy() -> Tokenizer {
    train_bpe(&TEXTS, 300, &["<s>", "</s>", "<pad>"]).unwrap()
}

/// What the vocabulary says that the ids write.
fn written(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let pieces = ids.iter().map(|id| tokenizer.vocabulary().piece(*id));
    String::from_utf8_lossy(&pieces.collect::<Vec<_>>().concat()).into_owned()
}

#[test]
fn any_text_survives() {
    let tokenizer = toy();
    for text in ["the cat", "", " \n\t\r ", "👩‍👩‍👧 ½ ﬁ", "\0\u{7f}", "x</s>y"] {
        let ids = tokenizer.encode(text, true).unwrap();
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
        let bytes: Vec<u8> = ids
            .iter()
            .flat_map(|id| tokenizer.token_bytes(*id).unwrap())
            .collect();
        assert_eq!(bytes, text.as_bytes());
        assert_eq!(
            written(&tokenizer, &ids),
            tokenizer.decode(&ids, true).unwrap()
        );
    }
    let ids = tokenizer.encode("x</s>y", true).unwrap();
    assert_eq!(ids[1], 1);
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "xy");
    assert!(tokenizer.is_special(1) && !tokenizer.is_special(ids[0]));
}

#[test]
fn training_is_deterministic() {
    let json = toy().to_json().unwrap();
    let mut texts = TEXTS;
    for seed in 0..5 {
        Rng::new(seed).shuffle(&mut texts);
        let again = train_bpe(&texts, 300, &["<s>", "</s>", "<pad>"]).unwrap();
        assert!(again.to_json().unwrap() == json, "seed {seed}");
    }
    assert!(toy().vocab_size() <= 300 && toy().vocab_size() > 265);
}

#[test]
fn specials_are_found_by_name_and_survive_files() {
    let tokenizer = toy();
    let specials = Specials {
        bos: Some(0),
        eos: Some(1),
        pad: Some(2),
        unk: None,
    };
    assert_eq!(tokenizer.specials(), &specials);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("tokenizer.json", &tokenizer.to_json().unwrap());
    assert_eq!(
        Tokenizer::load(folder.path()).unwrap().specials(),
        &specials
    );
    write(
        "tokenizer_config.json",
        &tokenizer.files().unwrap()["tokenizer_config.json"],
    );
    let again = Tokenizer::load(&folder.path().join("tokenizer.json")).unwrap();
    assert_eq!(again.specials(), &specials);
    let config = json!({ "eos_token": { "content": "<pad>" }, "chat_template": "{{ x }}" });
    write("tokenizer_config.json", &config.to_string());
    let again = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(
        (again.specials().eos, again.specials().bos),
        (Some(2), None)
    );
    assert_eq!(again.chat_template(), Some("{{ x }}"));
    write("tokenizer_config.json", r#"{"eos_token": "<end>"}"#);
    let error = Tokenizer::load(folder.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("eos_token \"<end>\" is not in the vocabulary"),
        "{error}"
    );
}

#[test]
fn files_in_memory_are_those_of_a_folder() {
    let mut files = BTreeMap::new();
    for (name, text) in toy().files().unwrap() {
        files.insert(name.to_owned(), text.into_bytes());
    }
    files.insert(
        "generation_config.json".to_owned(),
        br#"{"eos_token_id": [1, 2]}"#.to_vec(),
    );
    files.insert("chat_template.jinja".to_owned(), b"{{ y }}".to_vec());
    let tokenizer = Tokenizer::from_files(&files).unwrap();
    assert_eq!(tokenizer.ends(), [1, 2]);
    assert_eq!(tokenizer.chat_template(), Some("{{ y }}"));
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in tokenizer.files().unwrap() {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let again = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(again.files().unwrap(), tokenizer.files().unwrap());
    files.insert("generation_config.json".to_owned(), b"{".to_vec());
    let error = Tokenizer::from_files(&files).unwrap_err().to_string();
    assert!(error.starts_with("generation_config.json: EOF"), "{error}");
    assert!(Tokenizer::from_files(&BTreeMap::new()).is_err());
}

/// A file whose post-processor adds a token, that cuts at 3 tokens and pads to 8.
#[test]
fn specials_are_not_doubled_and_nothing_is_cut() {
    let mut json: Value = serde_json::from_str(&toy().to_json().unwrap()).unwrap();
    let piece = |name: &str| json!({ "SpecialToken": { "id": name, "type_id": 0 } });
    let token = |name: &str, id: u32| json!({ "id": name, "ids": [id], "tokens": [name] });
    let text = json!({ "Sequence": { "id": "A", "type_id": 0 } });
    json["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [piece("<s>"), text, piece("</s>")],
        "pair": [text, text],
        "special_tokens": { "<s>": token("<s>", 0), "</s>": token("</s>", 1) },
    });
    json["truncation"] = json!({
        "direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0
    });
    json["padding"] = json!({
        "strategy": { "Fixed": 8 }, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 2, "pad_type_id": 0, "pad_token": "<pad>"
    });
    let tokenizer = Tokenizer::from_bytes(json.to_string().as_bytes()).unwrap();
    let plain = tokenizer.encode("the cat sat on the mat", false).unwrap();
    assert!(plain.len() > 3);
    let expected = [&[0], plain.as_slice(), &[1]].concat();
    for text in ["the cat sat on the mat", "<s>the cat sat on the mat</s>"] {
        assert_eq!(tokenizer.encode(text, true).unwrap(), expected);
    }
}

#[test]
fn errors_say_what_and_where() {
    let check = |error: Error, expected: &str| {
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
    };
    check(
        toy().decode(&[5, 9999], false).unwrap_err(),
        "token id 9999 is outside of the vocabulary of",
    );
    check(
        Tokenizer::from_bytes(b"{").unwrap_err(),
        "not a tokenizer.json",
    );
    check(
        Tokenizer::from_bytes(b"{}").unwrap_err(),
        "not a tokenizer.json",
    );
    check(
        train_bpe(&TEXTS, 200, &[]).unwrap_err(),
        "can't hold 256 bytes",
    );
    let folder = tempfile::tempdir().unwrap();
    check(Tokenizer::load(folder.path()).unwrap_err(), "there is no");
}

/// The ids, decodings and prompts that `transformers` gives.
#[test]
fn smollm2_as_in_python() {
    let Some(models) = std::env::var_os("RLAIF_MODELS") else {
        println!("skipped: set RLAIF_MODELS to the folder of reference models");
        return;
    };
    let folder = PathBuf::from(models).join("smollm2-135m");
    let tokenizer = Tokenizer::load(&folder).unwrap();
    let reference = std::fs::read_to_string(folder.join("reference.json")).unwrap();
    let reference: Value = serde_json::from_str(&reference).unwrap();
    let ids = |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
    for case in reference["tokenizer_cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let got = tokenizer.encode(text, true).unwrap();
        assert_eq!(got, ids(&case["ids"]), "{text:?}");
        assert_eq!(tokenizer.decode(&got, false).unwrap(), case["decoded"]);
        assert_eq!(tokenizer.decode(&got, true).unwrap(), case["skip"]);
        assert_eq!(written(&tokenizer, &got), case["skip"].as_str().unwrap());
    }
    let system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
    for case in reference["greedy"].as_array().unwrap() {
        let text = tokenizer.decode(&ids(&case["new_ids"]), false).unwrap();
        assert_eq!(text, case["text"]);
    }
    assert!(tokenizer.chat_template().unwrap().contains(system));
    let specials = tokenizer.specials();
    assert_eq!((specials.bos, specials.eos), (Some(1), Some(2)));
    assert_eq!((specials.pad, specials.unk), (Some(2), Some(0)));
    assert_eq!(tokenizer.vocab_size(), 49152);
}

//! Rebuilt tokenizers: what they make of texts, what their settings say, what can't be rebuilt.

use serde_json::{Value, json};

use super::{Writer, opened, small};
use crate::tokenizer::Tokenizer;

const ORDINARY: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const GIVEN: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

/// A llama with this vocabulary.
fn with_tokens(model: &str, tokens: &[(&str, i32)]) -> Writer {
    let (names, kinds): (Vec<&str>, Vec<i32>) = tokens.iter().copied().unzip();
    small("llama")
        .text("tokenizer.ggml.model", model)
        .texts("tokenizer.ggml.tokens", &names)
        .ints("tokenizer.ggml.token_type", &kinds)
        .tensor("token_embd.weight", &[tokens.len(), 8])
}

/// Byte-level tokens: a special one in front, one added behind, a placeholder at the end.
fn byte_level(pre: &str) -> Writer {
    let mut tokens = vec![("<s>", CONTROL)];
    let singles = ["a", "b", "c", "1", "2", "Ġ", "Ċ", "'", "e", "Ì", "ģ"];
    tokens.extend(singles.map(|token| (token, ORDINARY)));
    tokens.extend([
        ("ab", ORDINARY),
        ("12", ORDINARY),
        ("Ġab", ORDINARY),
        ("abc", ORDINARY),
    ]);
    tokens.extend([("<end>", CONTROL), ("<tool>", GIVEN), ("[PAD18]", UNUSED)]);
    with_tokens("gpt2", &tokens)
        .text("tokenizer.ggml.pre", pre)
        .texts("tokenizer.ggml.merges", &["a b", "1 2", "Ġ ab"])
        .count("tokenizer.ggml.bos_token_id", 0)
        .count("tokenizer.ggml.eos_token_id", 16)
}

/// Sentencepiece's tokens with their scores, a run of two and three spaces given.
fn pieces() -> Writer {
    let tokens = [
        ("<unk>", UNKNOWN),
        ("<s>", CONTROL),
        ("</s>", CONTROL),
        ("<0xC3>", BYTE),
        ("<0xA9>", BYTE),
        ("▁▁", GIVEN),
        ("▁▁▁", GIVEN),
        ("▁", ORDINARY),
        ("a", ORDINARY),
        ("b", ORDINARY),
        ("▁a", ORDINARY),
        ("ab", ORDINARY),
        ("▁ab", ORDINARY),
    ];
    with_tokens("llama", &tokens)
        .floats(
            "tokenizer.ggml.scores",
            &[0., 0., 0., 0., 0., -1e3, -1e3, -9., -9., -9., -2., -1., -3.],
        )
        .count("tokenizer.ggml.bos_token_id", 1)
        .count("tokenizer.ggml.eos_token_id", 2)
        .count("tokenizer.ggml.unknown_token_id", 0)
}

fn tokenizer(file: &Writer) -> Tokenizer {
    let checkpoint = opened(&file.bytes()).unwrap();
    Tokenizer::from_bytes(&checkpoint.companions["tokenizer.json"]).unwrap()
}

fn check(file: &Writer, text: &str, expected: &[u32]) {
    let tokenizer = tokenizer(file);
    let ids = tokenizer.encode(text, true).unwrap();
    assert_eq!(ids, expected, "{text:?}");
    let plain = tokenizer.encode(text, false).unwrap();
    assert_eq!(tokenizer.decode(&plain, false).unwrap(), text);
}

#[test]
fn bytes_are_merged_in_the_words_of_the_pre_tokenizer() {
    check(&byte_level("gpt-2"), "ab ab12", &[12, 14, 13]);
    check(&byte_level("smollm"), "ab ab12", &[12, 14, 4, 5]);
    check(&byte_level("qwen2"), "12\n", &[4, 5, 7]);
    check(&byte_level("dbrx"), "abc12", &[12, 3, 13]);
    check(&byte_level("llama-bpe"), "abc12", &[0, 15, 13]);
    check(&byte_level("gpt-4o"), "abc", &[12, 3]);
    check(
        &byte_level("smollm").flag("tokenizer.ggml.add_bos_token", true),
        "ab",
        &[0, 12],
    );
    check(
        &byte_level("smollm").flag("tokenizer.ggml.add_eos_token", true),
        "ab",
        &[12, 16],
    );
    check(&byte_level("smollm"), "ab<end><tool>", &[12, 16, 17]);
}

#[test]
fn text_is_composed_where_the_model_was_taught_so() {
    let decomposed = "e\u{301}";
    let ids = |pre| {
        tokenizer(&byte_level(pre))
            .encode(decomposed, false)
            .unwrap()
    };
    assert_eq!(ids("smollm"), [9, 10, 11]);
    // é is not in the vocabulary.
    assert!(ids("olmo").is_empty());
}

#[test]
fn pieces_are_merged_by_their_scores() {
    check(&pieces(), "ab", &[1, 12]);
    check(&pieces(), "a", &[1, 10]);
    check(&pieces(), "a b", &[1, 10, 7, 9]);
    check(&pieces(), "aé", &[1, 10, 3, 4]);
    let bare = pieces().flag("tokenizer.ggml.add_space_prefix", false);
    check(&bare, "ab    ab", &[1, 11, 6, 12]);
    check(
        &bare.flag("tokenizer.ggml.add_bos_token", false),
        "a<s>",
        &[8, 1],
    );
}

#[test]
fn placeholders_are_no_tokens() {
    let tokenizer = tokenizer(&byte_level("smollm"));
    assert_eq!(
        (tokenizer.vocab_size(), tokenizer.id("[PAD18]")),
        (18, None)
    );
    assert!(tokenizer.is_special(16) && !tokenizer.is_special(17));
}

#[test]
fn settings_are_kept() {
    let file = byte_level("smollm")
        .count("tokenizer.ggml.eot_token_id", 17)
        .count("tokenizer.ggml.padding_token_id", 16)
        .flag("tokenizer.ggml.add_bos_token", true)
        .text("tokenizer.chat_template", "{{ messages }}");
    let read = |file: &Writer, name: &str| -> Value {
        serde_json::from_slice(&opened(&file.bytes()).unwrap().companions[name]).unwrap()
    };
    let config = read(&file, "tokenizer_config.json");
    for (key, value) in [
        ("bos_token", json!("<s>")),
        ("eos_token", json!("<end>")),
        ("pad_token", json!("<end>")),
        ("add_bos_token", json!(true)),
        ("chat_template", json!("{{ messages }}")),
        ("model_max_length", json!(16)),
    ] {
        assert_eq!(config[key], value, "{key}");
    }
    assert_eq!(config["added_tokens_decoder"]["17"]["content"], "<tool>");
    let expected = json!({ "bos_token_id": 0, "eos_token_id": [16, 17], "pad_token_id": 16 });
    assert_eq!(read(&file, "generation_config.json"), expected);
    let several = file
        .texts("tokenizer.chat_templates", &["tool_use", "default"])
        .text("tokenizer.chat_template.tool_use", "tools");
    let templates = json!([
        { "name": "default", "template": "{{ messages }}" },
        { "name": "tool_use", "template": "tools" },
    ]);
    assert_eq!(
        read(&several, "tokenizer_config.json")["chat_template"],
        templates
    );
    let none = opened(&small("llama").bytes()).unwrap();
    assert!(none.companions.is_empty());
}

#[test]
fn what_cannot_be_rebuilt_is_an_error() {
    let check = |file: Writer, words: &str| {
        let error = opened(&file.bytes()).err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    };
    check(
        byte_level("smolm"),
        "unknown pre-tokenizer \"smolm\"\n  hint: did you mean \"smollm\"?",
    );
    check(
        byte_level("x").without("tokenizer.ggml.pre"),
        "\"tokenizer.ggml.pre\" is missing",
    );
    check(
        byte_level("smollm").text("tokenizer.ggml.model", "rwkv"),
        "unknown kind of tokenizer \"rwkv\"",
    );
    check(
        byte_level("smollm").tensor("token_embd.weight", &[5, 8]),
        "the tokenizer has 19 tokens, the embedding 5 rows\n  hint: the tokenizer is of another model",
    );
    check(
        byte_level("smollm").texts("tokenizer.ggml.merges", &["ab"]),
        "the merge \"ab\" is no pair",
    );
    check(
        byte_level("smollm").texts("tokenizer.ggml.merges", &["a x"]),
        "the tokenizer of the metadata",
    );
    check(
        byte_level("smollm").count("tokenizer.ggml.eos_token_id", 99),
        "the eos token is 99, there are 19",
    );
    check(
        byte_level("smollm").ints("tokenizer.ggml.token_type", &[1]),
        "1 types of 19 tokens",
    );
    check(
        pieces().floats("tokenizer.ggml.scores", &[1.0]),
        "1 scores of 13 tokens",
    );
    check(
        with_tokens("llama", &[("a", 1), ("a", 1)]),
        "the token \"a\" is there twice",
    );
    check(with_tokens("llama", &[("a", 9)]), "a token has the type 9");
}

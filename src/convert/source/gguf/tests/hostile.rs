//! Damaged files are errors: no panic, no memory beyond what the file's size allows.

use proptest::prelude::*;

use super::{Writer, opened, small};

/// A file with a bit of everything.
fn whole() -> Writer {
    small("llama")
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", "smollm")
        .texts("tokenizer.ggml.tokens", &["a", "b", "ab", "<s>"])
        .ints("tokenizer.ggml.token_type", &[1, 1, 1, 3])
        .texts("tokenizer.ggml.merges", &["a b"])
        .floats("tokenizer.ggml.scores", &[0.0, 1.0])
        .flag("tokenizer.ggml.add_bos_token", false)
        .tensor("blk.0.attn_q.weight", &[8, 8])
        .stored("blk.0.ffn_up.weight", &[1, 32], 8, vec![1; 34])
}

/// Opens a file and reads all its weights; whether that went well.
fn read(bytes: &[u8]) -> bool {
    let Ok(checkpoint) = opened(bytes) else {
        return false;
    };
    let mut names = checkpoint.tensors.shapes().keys();
    names.all(|name| checkpoint.tensors.read(name).is_ok())
}

#[test]
fn a_cut_file_is_an_error_wherever_it_is_cut() {
    let bytes = whole().bytes();
    assert!(read(&bytes));
    for end in 0..bytes.len() {
        assert!(
            !read(&bytes[..end]),
            "cut after {end} of {} bytes",
            bytes.len()
        );
    }
}

#[test]
fn every_number_may_be_huge() {
    let bytes = whole().bytes();
    for at in 0..bytes.len().saturating_sub(8) {
        let mut damaged = bytes.clone();
        for value in [u64::MAX, 1 << 62, u64::from(u32::MAX), 0] {
            damaged[at..at + 8].copy_from_slice(&value.to_le_bytes());
            read(&damaged);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn flipped_bits_do_no_harm(flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 1..6)) {
        let mut bytes = whole().bytes();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        read(&bytes);
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let check = |bytes: &[u8], words: &str| {
        let error = opened(bytes).err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    };
    check(b"", "the file ends too early, after 0 bytes");
    check(b"PK\x03\x04____", "it does not begin with \"GGUF\"");
    check(b"GGUF\x09\0\0\0", "GGUF version 9, expected 1 to 3");
    check(b"GGUF\0\0\0\x03", "for big-endian machines");
    let bytes = whole().bytes();
    check(&bytes[..bytes.len() - 1], "the file ends too early");
    check(
        &small("llamb").bytes(),
        "unknown architecture \"llamb\"\n  hint: did you mean \"llama\"?",
    );
    check(
        &whole().tensor("blk.0.ffn_gate_inp.weight", &[1]).bytes(),
        "\"blk.0.ffn_gate_inp.weight\" is none of a llama's",
    );
    check(
        &whole().count("llama.block_count", 4_000_000_000).bytes(),
        "4000000000 layers, and 3 tensors in all",
    );
    check(
        &whole().without("llama.context_length").bytes(),
        "metadata \"llama.context_length\" is missing",
    );
    check(
        &whole().text("llama.context_length", "2k").bytes(),
        "\"llama.context_length\" is text, expected a whole number",
    );
    check(
        &whole().ints("llama.attention.head_count", &[2, 3]).bytes(),
        "differs from layer to layer",
    );
    check(
        &whole()
            .stored("blk.0.ffn_up.weight", &[1, 256], 23, vec![0; 136])
            .bytes(),
        "stored as IQ4_XS, which is not read",
    );
    check(
        &whole()
            .stored("blk.0.ffn_up.weight", &[2, 31], 8, vec![0; 68])
            .bytes(),
        "do not divide into blocks of 32",
    );
    check(
        &whole().count("general.alignment", 0).bytes(),
        "general.alignment is 0",
    );
    check(
        &whole().count("split.count", 3).bytes(),
        "the file is one of 3 parts",
    );
    check(
        &whole().without("general.architecture").bytes(),
        "metadata \"general.architecture\" is missing",
    );
}

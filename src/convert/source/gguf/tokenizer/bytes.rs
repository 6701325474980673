//! Byte-level BPE, GPT-2's way: `tokenizer.json` with the pre-tokenizer that the metadata names.

use serde_json::{Map, Value, json};

use super::{Kind, Vocabulary};
use crate::diag::{Error, Result};
use crate::fail;

/// How text is cut into words before merging, by the names that llama.cpp gives it.
struct Split {
    names: &'static [&'static str],
    by: By,
    /// Whether text is brought to Unicode's form C first.
    composed: bool,
    /// Whether a word that is a token is taken whole, without merging.
    whole: bool,
    /// Whether a text begins with the bos token where the metadata doesn't say.
    bos: bool,
}

enum By {
    /// GPT-2's expression.
    Words,
    /// Each digit by itself, then GPT-2's expression.
    Digits,
    Expression(&'static str),
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const fn split(names: &'static [&'static str], by: By) -> Split {
    Split {
        names,
        by,
        composed: false,
        whole: false,
        bos: false,
    }
}

const SPLITS: &[Split] = &[
    split(&["gpt-2", "phi-2", "jais", "trillion"], By::Words),
    Split {
        composed: true,
        ..split(&["olmo", "mpt"], By::Words)
    },
    split(&["smollm", "starcoder", "refact", "codeshell"], By::Digits),
    Split {
        composed: true,
        ..split(&["command-r"], By::Digits)
    },
    Split {
        whole: true,
        bos: true,
        ..split(
            &["llama-bpe", "llama3", "llama-v3", "falcon3"],
            By::Expression(LLAMA3),
        )
    },
    split(&["dbrx", "smaug-bpe"], By::Expression(LLAMA3)),
    Split {
        composed: true,
        ..split(
            &["qwen2", "deepseek-r1-qwen", "stablelm2"],
            By::Expression(QWEN2),
        )
    },
    Split {
        whole: true,
        bos: true,
        ..split(&["tekken"], By::Expression(TEKKEN))
    },
    split(&["gpt-4o"], By::Expression(GPT4O)),
];

/// `tokenizer.json`.
pub(super) fn tokenizer(vocabulary: &Vocabulary) -> Result<Value> {
    let metadata = vocabulary.metadata;
    let Some(name) = metadata.text("tokenizer.ggml.pre")? else {
        return Err(Error::new("metadata \"tokenizer.ggml.pre\" is missing: how text is split before merging is not known")
            .hint("the file was made by an old llama.cpp; take a newer one"));
    };
    let Some(split) = SPLITS
        .iter()
        .find(|split| split.names.contains(&name.as_str()))
    else {
        let known = SPLITS.iter().flat_map(|split| split.names.iter().copied());
        return Err(Error::unknown("pre-tokenizer", &name, known));
    };
    let prefix = metadata
        .flag("tokenizer.ggml.add_space_prefix")?
        .unwrap_or(false);
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": vocabulary.added(),
        "normalizer": split.composed.then(|| json!({ "type": "NFC" })),
        "pre_tokenizer": split.by.pre_tokenizer(prefix),
        "post_processor": vocabulary.around(split.bos)?,
        "decoder": byte_level(true, true),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": split.whole,
            "vocab": vocab(vocabulary),
            "merges": merges(vocabulary)?,
        },
    }))
}

/// Tokens up to the last ordinary one; those after it were added to a finished vocabulary.
fn vocab(vocabulary: &Vocabulary) -> Map<String, Value> {
    let ordinary = vocabulary
        .kinds
        .iter()
        .rposition(|kind| *kind == Kind::Ordinary);
    let within = vocabulary.used().filter(|(id, ..)| Some(*id) <= ordinary);
    within
        .map(|(id, token, _)| (token.to_owned(), id.into()))
        .collect()
}

fn merges(vocabulary: &Vocabulary) -> Result<Vec<[String; 2]>> {
    let Some(merges) = vocabulary.metadata.texts("tokenizer.ggml.merges")? else {
        return Err(super::missing("tokenizer.ggml.merges"));
    };
    let pair = |merge: &String| match merge.split_once(' ') {
        Some((left, right)) => Ok([left.to_owned(), right.to_owned()]),
        None => fail!("the merge {merge:?} is no pair"),
    };
    merges.iter().map(pair).collect()
}

impl By {
    fn pre_tokenizer(&self, prefix: bool) -> Value {
        let steps = match self {
            Self::Words => return byte_level(prefix, true),
            Self::Digits => json!([
                { "type": "Digits", "individual_digits": true },
                byte_level(prefix, true),
            ]),
            Self::Expression(pattern) => json!([
                { "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated", "invert": false },
                byte_level(prefix, false),
            ]),
        };
        json!({ "type": "Sequence", "pretokenizers": steps })
    }
}

/// `words`: whether GPT-2's expression cuts the text.
fn byte_level(prefix: bool, words: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": words })
}

//! Sentencepiece's BPE, as Llama 2 and Gemma use it: merges follow from the scores of the tokens.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Kind, Vocabulary};
use crate::diag::Result;
use crate::fail;

/// `tokenizer.json`.
pub(super) fn tokenizer(vocabulary: &Vocabulary) -> Result<Value> {
    let metadata = vocabulary.metadata;
    let prefix = metadata
        .flag("tokenizer.ggml.add_space_prefix")?
        .unwrap_or(true);
    let vocab = vocabulary
        .used()
        .map(|(id, token, _)| (token.to_owned(), id.into()));
    let unknown = vocabulary.special("unknown")?.map(|(_, token)| token);
    let unknown = unknown.or_else(|| {
        let mut used = vocabulary.used();
        used.find(|(.., kind)| *kind == Kind::Unknown)
            .map(|(_, token, _)| token)
    });
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": vocabulary.added(),
        "normalizer": normalizer(prefix),
        "pre_tokenizer": null,
        "post_processor": vocabulary.around(true)?,
        "decoder": decoder(prefix),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": unknown,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": vocab.collect::<Map<_, _>>(),
            "merges": merges(vocabulary)?,
        },
    }))
}

/// A space is a `▁`; one stands before the text if `prefix`.
fn normalizer(prefix: bool) -> Value {
    let replace = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    match prefix {
        false => replace,
        true => {
            json!({ "type": "Sequence", "normalizers": [{ "type": "Prepend", "prepend": "▁" }, replace] })
        }
    }
}

fn decoder(prefix: bool) -> Value {
    let mut steps = vec![
        json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefix {
        steps.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    json!({ "type": "Sequence", "decoders": steps })
}

/// Every pair of tokens whose concatenation is a token; the better that one's score, the earlier.
///
/// Given tokens come first, whatever their score, the ones that grow from the longest left part before the
/// others: so runs of spaces or newlines become the longest token from the left, as sentencepiece matches
/// them before all else.
fn merges(vocabulary: &Vocabulary) -> Result<Vec<[String; 2]>> {
    let scores = match vocabulary.metadata.floats("tokenizer.ggml.scores")? {
        Some(scores) if scores.len() == vocabulary.tokens.len() => scores,
        Some(scores) => fail!(
            "{} scores of {} tokens",
            scores.len(),
            vocabulary.tokens.len()
        ),
        None => return Err(super::missing("tokenizer.ggml.scores")),
    };
    let ids: BTreeMap<&str, usize> = vocabulary
        .used()
        .map(|(id, token, _)| (token, id))
        .collect();
    let mut pairs = Vec::new();
    for (id, token, kind) in vocabulary.used() {
        let score = match kind {
            Kind::Given => f64::INFINITY,
            Kind::Ordinary | Kind::Unused => scores[id],
            Kind::Unknown | Kind::Control | Kind::Byte => continue,
        };
        let mut ways = Vec::new();
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(l), Some(r)) = (ids.get(left), ids.get(right)) {
                ways.push((*l, *r, [left, right]));
            }
        }
        ways.sort_unstable();
        pairs.extend(ways.into_iter().map(|(.., pair)| (score, pair)));
    }
    let length = |part: &str| part.chars().count();
    // Stable: of equals, the first token's come first.
    pairs.sort_by(|(a, x), (b, y)| {
        let lengths = |pair: &[&str; 2]| Reverse(pair.map(length));
        b.total_cmp(a).then_with(|| lengths(x).cmp(&lengths(y)))
    });
    Ok(pairs
        .into_iter()
        .map(|(_, pair)| pair.map(str::to_owned))
        .collect())
}

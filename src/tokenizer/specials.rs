//! Which tokens begin, end, pad and stand for the unknown.

use serde_json::Value;

use crate::diag::Result;

/// Ids of special tokens, where the files name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Specials {
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    /// Often the same as `eos`: training must mask padding by length, never by this id.
    pub pad: Option<u32>,
    pub unk: Option<u32>,
}

/// Names that say what a token is, for a `tokenizer.json` without a configuration beside it.
const NAMES: [(&str, &[&str]); 4] = [
    (
        "bos_token",
        &[
            "<s>",
            "<bos>",
            "[BOS]",
            "<|begin_of_text|>",
            "<|startoftext|>",
        ],
    ),
    (
        "eos_token",
        &["</s>", "<eos>", "[EOS]", "<|end_of_text|>", "<|endoftext|>"],
    ),
    ("pad_token", &["<pad>", "[PAD]", "<|pad|>"]),
    ("unk_token", &["<unk>", "[UNK]"]),
];

impl Specials {
    /// From `configs` (the first that names a token wins), the model in `json`, or the usual names.
    pub(super) fn find(
        tokenizer: &tokenizers::Tokenizer,
        json: &Value,
        configs: &[Value],
    ) -> Result<Self> {
        let mut found = Self::default();
        for (key, usual) in NAMES {
            let configured = configs.iter().find_map(|config| content(config.get(key)?));
            let id = match configured {
                Some(token) => match tokenizer.token_to_id(token) {
                    Some(id) => Some(id),
                    None => Some(super::config_error(key, token)?),
                },
                None if !configs.is_empty() => None,
                None => by_name(tokenizer, json, key, usual),
            };
            *match key {
                "bos_token" => &mut found.bos,
                "eos_token" => &mut found.eos,
                "pad_token" => &mut found.pad,
                _ => &mut found.unk,
            } = id;
        }
        Ok(found)
    }

    pub(super) fn named(&self) -> [(&'static str, Option<u32>); 4] {
        [
            ("bos_token", self.bos),
            ("eos_token", self.eos),
            ("pad_token", self.pad),
            ("unk_token", self.unk),
        ]
    }
}

/// A token is written as text or as an object with its content.
fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

fn by_name(
    tokenizer: &tokenizers::Tokenizer,
    json: &Value,
    key: &str,
    usual: &[&str],
) -> Option<u32> {
    let of_model = json.get("model").and_then(|m| m.get(key)?.as_str());
    let special = |name: &str| {
        let id = tokenizer.token_to_id(name)?;
        let added = tokenizer.get_added_tokens_decoder();
        added.get(&id).filter(|token| token.special).map(|_| id)
    };
    of_model
        .and_then(|name| tokenizer.token_to_id(name))
        .or_else(|| usual.iter().find_map(|name| special(name)))
}

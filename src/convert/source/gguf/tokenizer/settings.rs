//! `tokenizer_config.json` and `generation_config.json`.

use serde_json::{Map, Value, json};

use super::super::header::Header;
use super::Vocabulary;
use crate::diag::{Error, Result};

/// Hugging Face's names of special tokens, and GGUF's.
const SPECIALS: [(&str, &str); 6] = [
    ("bos_token", "bos"),
    ("eos_token", "eos"),
    ("unk_token", "unknown"),
    ("pad_token", "padding"),
    ("sep_token", "seperator"),
    ("mask_token", "mask"),
];

/// `tokenizer_config.json`, with the chat template.
pub(super) fn tokenizer_config(header: &Header, vocabulary: &Vocabulary) -> Result<Vec<u8>> {
    let metadata = vocabulary.metadata;
    let mut config = Map::new();
    for key in ["add_bos_token", "add_eos_token"] {
        if let Some(flag) = metadata.flag(&format!("tokenizer.ggml.{key}"))? {
            config.insert(key.to_owned(), flag.into());
        }
    }
    config.insert("added_tokens_decoder".to_owned(), added(vocabulary));
    for (theirs, ours) in SPECIALS {
        if let Some((_, token)) = vocabulary.special(ours)? {
            config.insert(theirs.to_owned(), token.into());
        }
    }
    if let Some(template) = templates(vocabulary)? {
        config.insert("chat_template".to_owned(), template);
    }
    config.insert("clean_up_tokenization_spaces".to_owned(), false.into());
    let architecture = metadata.text("general.architecture")?.unwrap_or_default();
    if let Some(length) = header
        .metadata
        .count_if(&format!("{architecture}.context_length"))?
    {
        config.insert("model_max_length".to_owned(), length.into());
    }
    config.insert(
        "tokenizer_class".to_owned(),
        "PreTrainedTokenizerFast".into(),
    );
    pretty(&Value::Object(config))
}

/// What ends a text, all that do.
pub(super) fn generation_config(vocabulary: &Vocabulary) -> Result<Vec<u8>> {
    let mut config = Map::new();
    let id = |name: &str| Ok::<_, Error>(vocabulary.special(name)?.map(|(id, _)| id));
    if let Some(bos) = id("bos")? {
        config.insert("bos_token_id".to_owned(), bos.into());
    }
    let mut ends: Vec<usize> = Vec::new();
    for name in ["eos", "eot", "eom"] {
        ends.extend(id(name)?.filter(|id| !ends.contains(id)));
    }
    match ends.as_slice() {
        [] => None,
        [one] => config.insert("eos_token_id".to_owned(), (*one).into()),
        several => config.insert("eos_token_id".to_owned(), several.into()),
    };
    if let Some(pad) = id("padding")? {
        config.insert("pad_token_id".to_owned(), pad.into());
    }
    pretty(&Value::Object(config))
}

/// The chat template, or several by name.
fn templates(vocabulary: &Vocabulary) -> Result<Option<Value>> {
    let metadata = vocabulary.metadata;
    let default = metadata.text("tokenizer.chat_template")?;
    let names = metadata.texts("tokenizer.chat_templates")?.unwrap_or(&[]);
    if names.is_empty() {
        return Ok(default.map(Value::from));
    }
    let mut named: Vec<Value> = default
        .iter()
        .map(|text| json!({ "name": "default", "template": text }))
        .collect();
    for name in names.iter().filter(|name| *name != "default") {
        if let Some(text) = metadata.text(&format!("tokenizer.chat_template.{name}"))? {
            named.push(json!({ "name": name, "template": text }));
        }
    }
    Ok(Some(named.into()))
}

/// `added_tokens_decoder`: the added tokens by id.
fn added(vocabulary: &Vocabulary) -> Value {
    let mut by_id = Map::new();
    for mut token in vocabulary.added().as_array().cloned().unwrap_or_default() {
        let id = token.as_object_mut().and_then(|token| token.remove("id"));
        by_id.insert(id.unwrap_or_default().to_string(), token);
    }
    Value::Object(by_id)
}

fn pretty(value: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|error| Error::new(error.to_string()))
}

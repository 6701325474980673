//! A tokenizer's files out of a GGUF file's metadata.
//!
//! What GGUF does not hold, and so can't be known: whether an added token takes the spaces beside it, or
//! is a word by itself (none does, but for Phi 3's, which are known to); the order of keys, a truncation
//! or padding in the first `tokenizer.json`; names of special tokens beyond those that GGUF has keys for.

mod bytes;
mod pieces;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::header::Header;
use super::metadata::{Metadata, missing};
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::tokenizer::Tokenizer;

/// `tokenizer.json`, `tokenizer_config.json` and `generation_config.json`; none if the file has no
/// tokenizer.
pub(super) fn files(header: &Header) -> Result<BTreeMap<String, Vec<u8>>> {
    let metadata = &header.metadata;
    let model = metadata.text("tokenizer.ggml.model")?;
    let Some(model) = model.filter(|model| !["none", "no_vocab"].contains(&model.as_str())) else {
        return Ok(BTreeMap::new());
    };
    let vocabulary = Vocabulary::of(header)?;
    let json = match model.as_str() {
        "gpt2" => bytes::tokenizer(&vocabulary)?,
        "llama" => pieces::tokenizer(&vocabulary)?,
        other => {
            return Err(Error::unknown(
                "kind of tokenizer",
                other,
                ["gpt2", "llama"],
            ));
        }
    };
    let json = Tokenizer::from_bytes(json.to_string().as_bytes())
        .and_then(|tokenizer| tokenizer.to_json());
    let json = json.context("the tokenizer of the metadata")?;
    Ok(BTreeMap::from([
        ("tokenizer.json".to_owned(), json.into_bytes()),
        (
            "tokenizer_config.json".to_owned(),
            settings::tokenizer_config(header, &vocabulary)?,
        ),
        (
            "generation_config.json".to_owned(),
            settings::generation_config(&vocabulary)?,
        ),
    ]))
}

/// Tokens and what is known of them.
struct Vocabulary<'a> {
    metadata: &'a Metadata,
    tokens: &'a [String],
    kinds: Vec<Kind>,
    /// Whether the added tokens take the white space after them.
    strips: bool,
}

/// What a token is; as sentencepiece tells them apart.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Ordinary,
    Unknown,
    Control,
    /// Matched in a text before anything else.
    Given,
    /// A row of the embedding that no text has.
    Unused,
    Byte,
}

impl<'a> Vocabulary<'a> {
    fn of(header: &'a Header) -> Result<Self> {
        let metadata = &header.metadata;
        let Some(tokens) = metadata.texts("tokenizer.ggml.tokens")? else {
            return Err(missing("tokenizer.ggml.tokens"));
        };
        let rows = header.vocabulary()?;
        if tokens.len() != rows {
            return Err(Error::new(format!(
                "the tokenizer has {} tokens, the embedding {rows} rows",
                tokens.len()
            ))
            .hint("the tokenizer is of another model"));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = tokens.iter().find(|token| !seen.insert(token.as_str())) {
            fail!("the token {twice:?} is there twice");
        }
        let kinds = match metadata.ints("tokenizer.ggml.token_type")? {
            None => vec![Kind::Ordinary; tokens.len()],
            Some(numbers) if numbers.len() == tokens.len() => numbers
                .iter()
                .map(|number| Kind::numbered(*number))
                .collect::<Result<_>>()?,
            Some(numbers) => fail!("{} types of {} tokens", numbers.len(), tokens.len()),
        };
        let name = metadata.text("general.architecture")?;
        Ok(Self {
            metadata,
            tokens,
            kinds,
            strips: name.as_deref() == Some("phi3"),
        })
    }

    /// Tokens that aren't placeholders, with their ids.
    fn used(&self) -> impl Iterator<Item = (usize, &'a str, Kind)> {
        let all = self.tokens.iter().zip(&self.kinds).enumerate();
        all.map(|(id, (token, kind))| (id, token.as_str(), *kind))
            .filter(|(id, token, kind)| *kind != Kind::Unused || *token != format!("[PAD{id}]"))
    }

    /// The token that the metadata names as `tokenizer.ggml.NAME_token_id`.
    fn special(&self, name: &str) -> Result<Option<(usize, &'a str)>> {
        let Some(id) = self
            .metadata
            .count_if(&format!("tokenizer.ggml.{name}_token_id"))?
        else {
            return Ok(None);
        };
        match self.tokens.get(id) {
            Some(token) => Ok(Some((id, token))),
            None => fail!("the {name} token is {id}, there are {}", self.tokens.len()),
        }
    }

    /// `added_tokens` of `tokenizer.json`.
    fn added(&self) -> Value {
        const STRIPPED_NEVER: [&str; 3] = ["<unk>", "<s>", "<|endoftext|>"];
        let given = self
            .used()
            .filter(|(.., kind)| matches!(kind, Kind::Control | Kind::Unknown | Kind::Given));
        let added = given.map(|(id, token, kind)| {
            json!({
                "id": id,
                "content": token,
                "single_word": false,
                "lstrip": false,
                "rstrip": self.strips && !STRIPPED_NEVER.contains(&token),
                "normalized": false,
                "special": kind != Kind::Given,
            })
        });
        added.collect()
    }

    /// What is put around a text: `post_processor` of `tokenizer.json`.
    fn around(&self, bos_usual: bool) -> Result<Value> {
        let (bos, eos) = self.ends(bos_usual)?;
        if bos.is_none() && eos.is_none() {
            return Ok(Value::Null);
        }
        let special = |token: &str| json!({ "SpecialToken": { "id": token, "type_id": 0 } });
        let mut single: Vec<Value> = bos.iter().map(|(_, token)| special(token)).collect();
        let mut pair = single.clone();
        let ends = || eos.iter().map(|(_, token)| special(token));
        single.push(json!({ "Sequence": { "id": "A", "type_id": 0 } }));
        single.extend(ends());
        pair.push(json!({ "Sequence": { "id": "A", "type_id": 0 } }));
        pair.extend(ends());
        let second = |token: &str| json!({ "SpecialToken": { "id": token, "type_id": 1 } });
        pair.extend(bos.iter().map(|(_, token)| second(token)));
        pair.push(json!({ "Sequence": { "id": "B", "type_id": 1 } }));
        pair.extend(eos.iter().map(|(_, token)| second(token)));
        let tokens = bos.iter().chain(&eos);
        let tokens = tokens.map(|(id, token)| {
            (
                token.to_string(),
                json!({ "id": token, "ids": [id], "tokens": [token] }),
            )
        });
        Ok(json!({
            "type": "TemplateProcessing",
            "single": single,
            "pair": pair,
            "special_tokens": tokens.collect::<serde_json::Map<_, _>>(),
        }))
    }

    /// The tokens that begin and end every text, if any do.
    #[allow(clippy::type_complexity, reason = "two of the same")]
    fn ends(
        &self,
        bos_usual: bool,
    ) -> Result<(Option<(usize, &'a str)>, Option<(usize, &'a str)>)> {
        let asked = |key: &str, usual| Ok::<_, Error>(self.metadata.flag(key)?.unwrap_or(usual));
        let end = |name: &str, asked: bool| match (asked, self.special(name)?) {
            (false, _) => Ok(None),
            (true, Some(token)) => Ok(Some(token)),
            (true, None) => fail!(
                "every text has the {name} token, but metadata \"tokenizer.ggml.{name}_token_id\" is missing"
            ),
        };
        let bos = end("bos", asked("tokenizer.ggml.add_bos_token", bos_usual)?)?;
        let eos = end("eos", asked("tokenizer.ggml.add_eos_token", false)?)?;
        Ok((bos, eos))
    }
}

impl Kind {
    /// By the number in `tokenizer.ggml.token_type`.
    fn numbered(number: i64) -> Result<Self> {
        Ok(match number {
            1 => Self::Ordinary,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::Given,
            5 => Self::Unused,
            6 => Self::Byte,
            other => fail!("a token has the type {other}, expected 1 to 6"),
        })
    }
}

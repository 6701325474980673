//! Text to token ids and back, over the `tokenizers` crate: Hugging Face's `tokenizer.json`.

mod folder;
mod merges;
mod specials;
mod spelling;
mod train;
mod vocabulary;

pub use specials::Specials;
pub use train::train_bpe;
pub use vocabulary::Vocabulary;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::diag::{Error, Result};
use crate::fail;
use crate::files::sha256;
use spelling::Spelling;

/// A tokenizer with the ids of its special tokens.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    spelling: Spelling,
    specials: Specials,
    /// Tokens that end an answer besides the end-of-sequence token.
    ends: Vec<u32>,
    chat_template: Option<String>,
    vocabulary: OnceLock<Arc<Vocabulary>>,
}

impl Tokenizer {
    /// Reads the content of a `tokenizer.json`; special tokens are found by their usual names.
    pub fn from_bytes(content: &[u8]) -> Result<Self> {
        Self::read(content, &[])
    }

    fn read(content: &[u8], configs: &[Value]) -> Result<Self> {
        let json: Value = serde_json::from_slice(content)
            .map_err(|error| Error::new(format!("not a tokenizer.json: {error}")))?;
        merges::check(&json)?;
        let inner = tokenizers::Tokenizer::from_bytes(content)
            .map_err(|error| Error::new(format!("not a tokenizer.json: {error}")))?;
        let mut tokenizer = Self::wrap(inner, &json)?;
        tokenizer.specials = Specials::find(&tokenizer.inner, &json, configs)?;
        tokenizer.chat_template = configs
            .iter()
            .find_map(|config| named_template(config.get("chat_template")?));
        Ok(tokenizer)
    }

    fn wrap(mut inner: tokenizers::Tokenizer, json: &Value) -> Result<Self> {
        // Files saved after training an embedding model cut and pad silently.
        inner.with_truncation(None).map_err(foreign)?;
        inner.with_padding(None);
        Ok(Self {
            spelling: Spelling::of(json),
            specials: Specials::find(&inner, json, &[])?,
            ends: Vec::new(),
            chat_template: None,
            vocabulary: OnceLock::new(),
            inner,
        })
    }

    /// SHA-256 in hex of all that decides which ids a text gets.
    ///
    /// # Errors
    /// The tokenizer can't be written.
    pub fn content(&self) -> Result<String> {
        let json = self.inner.to_string(false).map_err(foreign)?;
        let template = self.chat_template.as_deref().unwrap_or("");
        Ok(sha256(
            format!("{json}{:?}{template}", self.ends).as_bytes(),
        ))
    }

    /// The ids of `text`; names of special tokens in it become those tokens.
    ///
    /// `add_special` adds what the file's post-processor adds (often a beginning-of-text token), unless
    /// the text already begins or ends so: specials are never doubled.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, add_special).map_err(foreign)?;
        let mut ids = encoding.get_ids().to_vec();
        if add_special {
            let doubled = |at: Option<&[u32]>, id: Option<u32>| match (at, id) {
                (Some([a, b]), Some(id)) => *a == id && *b == id,
                _ => false,
            };
            if doubled(ids.get(..2), self.specials.bos) {
                ids.remove(0);
            }
            let last_two = ids.len().saturating_sub(2);
            if doubled(ids.get(last_two..), self.specials.eos) {
                ids.pop();
            }
        }
        Ok(ids)
    }

    /// The ids of `text` with the byte range that each stands for. Nothing is added.
    pub fn encode_places(&self, text: &str) -> Result<(Vec<u32>, Vec<Range<usize>>)> {
        let encoding = self.inner.encode(text, false).map_err(foreign)?;
        let places = encoding.get_offsets().iter().map(|(from, to)| *from..*to);
        Ok((encoding.get_ids().to_vec(), places.collect()))
    }

    /// The text of `ids`; an id outside of the vocabulary is an error.
    ///
    /// An incomplete UTF-8 sequence shows as U+FFFD.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        if let Some(bad) = ids.iter().find(|id| self.token(**id).is_none()) {
            return Err(self.outside(*bad));
        }
        self.inner.decode(ids, skip_special).map_err(foreign)
    }

    /// The token as the vocabulary spells it (`Ġthe`, `▁the`).
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The bytes that the token stands for (` the`); not always whole characters.
    pub fn token_bytes(&self, id: u32) -> Result<Vec<u8>> {
        let Some(token) = self.token(id) else {
            return Err(self.outside(id));
        };
        let added = self.inner.get_added_tokens_decoder();
        Ok(match added.get(&id) {
            Some(added) => added.content.clone().into_bytes(),
            None => self.spelling.bytes(&token),
        })
    }

    /// The bytes of every token; those of special tokens, which [`decode`](Self::decode) can skip, are none.
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        self.vocabulary.get_or_init(|| {
            let added = self.inner.get_added_tokens_decoder();
            let piece = |id| match added.get(&id) {
                Some(token) if token.special => Vec::new(),
                Some(token) => token.content.clone().into_bytes(),
                None => self
                    .token(id)
                    .map_or_else(Vec::new, |token| self.spelling.bytes(&token)),
            };
            let last = self.inner.get_vocab(true).into_values().max();
            Arc::new(Vocabulary::new(
                last.map_or(0..0, |last| 0..last + 1).map(piece),
            ))
        })
    }

    /// The id of a token as the vocabulary spells it.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Number of tokens, added ones included. A model's logits may be wider, by padding.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    pub fn specials(&self) -> &Specials {
        &self.specials
    }

    /// The tokens that end what a model writes: the end-of-sequence token, and those of
    /// `generation_config.json`.
    pub fn ends(&self) -> Vec<u32> {
        let mut ends: Vec<u32> = self.specials.eos.into_iter().collect();
        ends.extend(
            self.ends
                .iter()
                .filter(|id| Some(**id) != self.specials.eos),
        );
        ends
    }

    /// Whether decoding can skip this token.
    pub fn is_special(&self, id: u32) -> bool {
        let added = self.inner.get_added_tokens_decoder();
        added.get(&id).is_some_and(|token| token.special)
    }

    /// The special tokens by the names that chat templates use: `bos_token`, `eos_token`, …
    pub fn special_tokens(&self) -> BTreeMap<String, String> {
        let named = self.specials.named().into_iter();
        named
            .filter_map(|(name, id)| Some((name.to_owned(), self.token(id?)?)))
            .collect()
    }

    /// The Jinja chat template of `chat_template.jinja` or `tokenizer_config.json`, as text.
    pub fn chat_template(&self) -> Option<&str> {
        self.chat_template.as_deref()
    }

    fn outside(&self, id: u32) -> Error {
        let size = self.vocab_size();
        Error::new(format!(
            "token id {id} is outside of the vocabulary of {size}"
        ))
    }
}

/// A template, or the one called `default` of a list of `{name, template}`.
fn named_template(value: &Value) -> Option<String> {
    let named = |item: &&Value| item.get("name").and_then(Value::as_str) == Some("default");
    let text = match value.as_array() {
        Some(list) => list.iter().find(named)?.get("template")?,
        None => value,
    };
    text.as_str().map(str::to_owned)
}

fn foreign(error: tokenizers::Error) -> Error {
    Error::new(format!("tokenizer: {error}"))
}

fn config_error(key: &str, token: &str) -> Result<u32> {
    fail!("{key} \"{token}\" is not in the vocabulary")
}

#[cfg(test)]
mod tests;

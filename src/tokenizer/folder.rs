//! A tokenizer's files, as Hugging Face names them: read from a folder or from memory, and written.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Tokenizer;
use crate::diag::{Context, Error, Result};
use crate::{fail, files};

const MAIN: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
const SPECIALS: &str = "special_tokens_map.json";
const GENERATION: &str = "generation_config.json";
const TEMPLATE: &str = "chat_template.jinja";

impl Tokenizer {
    /// Loads a `tokenizer.json`, or the one in a folder; `tokenizer_config.json` and
    /// `special_tokens_map.json` beside it say which tokens are special, `generation_config.json` which
    /// end an answer.
    pub fn load(path: &Path) -> Result<Self> {
        let file = match path.is_dir() {
            true => path.join(MAIN),
            false => path.to_owned(),
        };
        if !file.exists() {
            return Err(Error::new(format!("there is no {}", file.display()))
                .hint("a tokenizer is a Hugging Face tokenizer.json"));
        }
        let mut found = BTreeMap::from([(MAIN.to_owned(), files::read(&file)?)]);
        for name in [CONFIG, SPECIALS, GENERATION, TEMPLATE] {
            let path = file.with_file_name(name);
            if path.exists() {
                found.insert(name.to_owned(), files::read(&path)?);
            }
        }
        Self::named(&found, |name| match name {
            MAIN => file.display().to_string(),
            other => file.with_file_name(other).display().to_string(),
        })
    }

    /// The same of files in memory, by name; others than those are left alone.
    pub fn from_files(files: &BTreeMap<String, Vec<u8>>) -> Result<Self> {
        Self::named(files, str::to_owned)
    }

    /// `shown`: how errors call a file.
    fn named(files: &BTreeMap<String, Vec<u8>>, shown: impl Fn(&str) -> String) -> Result<Self> {
        let Some(main) = files.get(MAIN) else {
            fail!("there is no {MAIN}");
        };
        let parsed = |name: &str| -> Result<Option<Value>> {
            let parse = |bytes: &Vec<u8>| {
                serde_json::from_slice(bytes).map_err(|e| Error::new(e.to_string()))
            };
            files
                .get(name)
                .map(parse)
                .transpose()
                .with_context(|| shown(name))
        };
        let configs: Vec<Value> = [parsed(CONFIG)?, parsed(SPECIALS)?]
            .into_iter()
            .flatten()
            .collect();
        let mut tokenizer = Self::read(main, &configs).with_context(|| shown(MAIN))?;
        if let Some(config) = parsed(GENERATION)? {
            tokenizer.ends = ends(&config);
        }
        if let Some(template) = files.get(TEMPLATE) {
            let Ok(text) = String::from_utf8(template.clone()) else {
                fail!("{} is not UTF-8 text", shown(TEMPLATE));
            };
            tokenizer.chat_template = Some(text);
        }
        Ok(tokenizer)
    }

    /// The files that [`load`](Self::load) reads back, by name.
    pub fn files(&self) -> Result<BTreeMap<&'static str, String>> {
        let mut files = BTreeMap::from([(MAIN, self.to_json()?), (CONFIG, self.config_json())]);
        if !self.ends.is_empty() {
            let config = json!({ "eos_token_id": self.ends });
            files.insert(GENERATION, format!("{config:#}"));
        }
        Ok(files)
    }

    /// The content of `tokenizer.json`.
    pub fn to_json(&self) -> Result<String> {
        self.inner.to_string(true).map_err(super::foreign)
    }

    fn config_json(&self) -> String {
        let mut config = Map::new();
        let specials = self.special_tokens().into_iter();
        config.extend(specials.map(|(key, token)| (key, token.into())));
        let template = self.chat_template.as_deref();
        config.extend(template.map(|t| ("chat_template".to_owned(), t.into())));
        format!("{:#}", Value::Object(config))
    }
}

/// The `eos_token_id` of a `generation_config.json`: one or a list.
fn ends(config: &Value) -> Vec<u32> {
    let ids = match config.get("eos_token_id") {
        Some(Value::Array(ids)) => ids.as_slice(),
        Some(id) => std::slice::from_ref(id),
        None => &[],
    };
    let id = |id: &Value| id.as_u64()?.try_into().ok();
    ids.iter().filter_map(id).collect()
}

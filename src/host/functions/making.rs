//! Making models from nothing: tokenizers from text, small Llamas from sizes.

use std::sync::Arc;

use rhai::Map;

use super::models::Model;
use crate::convert::{Llama, LlamaConfig};
use crate::diag::{Error, Interrupt};
use crate::host::{Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, function, method};
use crate::models::{CoreMLModelWrapper, LoadOptions};
use crate::tokenizer::{Tokenizer, train_bpe};

pub(super) const TOPIC: Topic = Topic {
    name: "making",
    summary: "New tokenizers and new models.",
    functions,
    types: || vec![TypeEntry::of::<Vocabulary>()],
};

/// A tokenizer as scripts hold it.
#[derive(Clone)]
pub(super) struct Vocabulary(Arc<Tokenizer>);

impl ScriptValue for Vocabulary {
    const NAME: &'static str = "Tokenizer";
    const SUMMARY: &'static str = "A way between text and token ids.";

    fn line(&self) -> String {
        format!("Tokenizer({} tokens)", self.0.vocab_size())
    }
}

const LLAMA: &[Key] = &[
    Key::int("hidden_size", 96, "Width of the residual stream.").at_least(2.0),
    Key::int(
        "intermediate_size",
        256,
        "Width of the feed-forward layers.",
    )
    .at_least(1.0),
    Key::int("num_hidden_layers", 3, "Layers.").at_least(1.0),
    Key::int("num_attention_heads", 4, "Query heads.").at_least(1.0),
    Key::int(
        "num_key_value_heads",
        2,
        "Key and value heads, shared by groups of query heads.",
    )
    .at_least(1.0),
    Key::int("max_position_embeddings", 64, "Longest sequence.").at_least(1.0),
    Key::float("rope_theta", 10000.0, "Base of the rotary positions.").at_least(1.0),
    Key::float("rms_norm_eps", 1e-5, "Added under the root of RMSNorm.").at_least(0.0),
    Key::bool(
        "tie_word_embeddings",
        true,
        "The output head is the embedding.",
    ),
];

fn functions() -> Vec<ScriptFn> {
    vec![
        function("train_tokenizer", "A byte-level BPE tokenizer, learnt from texts.")
            .param("texts", Kind::Array, "The texts.")
            .param("vocab_size", Kind::Int, "Tokens at most, the 256 bytes and the special ones included.")
            .param("specials", Kind::Array, "Special tokens; the first one ends a text.")
            .returns("Tokenizer")
            .example("[train_tokenizer([\"a soup\", \"a soup\"], 260, [\"<eos>\"])]", "[Tokenizer(260 tokens)]")
            .run(|call| {
                let (texts, specials): (Vec<String>, Vec<String>) = (call.get("texts")?, call.get("specials")?);
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                let specials: Vec<&str> = specials.iter().map(String::as_str).collect();
                Ok(Vocabulary(Arc::new(train_bpe(&texts, call.get("vocab_size")?, &specials)?)))
            }),
        method::<Vocabulary>("encode", "The token ids of a text.")
            .param("text", Kind::Text, "The text.")
            .returns("array")
            .example("train_tokenizer([\"a\"], 257, [\"<eos>\"]).encode(\"aa\").len()", "2")
            .run(|call| {
                let ids = call.receiver::<Vocabulary>()?.0.encode(&call.get::<String>("text")?, true)?;
                Ok(super::models::ids_to_script(&ids))
            }),
        function("new_llama", "A small Llama with random weights, ready to learn.")
            .param("tokenizer", Kind::object::<Vocabulary>(), "Its tokenizer.")
            .options(LLAMA)
            .returns("Model")
            .example("new_llama(train_tokenizer([\"a\"], 257, [\"<eos>\"]), #{hidden_size: 8, num_hidden_layers: 1}).vocab_size", "257")
            .run(|call| {
                let tokenizer: Vocabulary = call.get("tokenizer")?;
                let mut config = Map::new();
                for key in LLAMA {
                    config.insert(key.name.into(), call.options.get(key.name)?);
                }
                config.insert("vocab_size".into(), (tokenizer.0.vocab_size() as i64).into());
                let config: LlamaConfig = rhai::serde::from_dynamic(&config.into())
                    .map_err(|error| Error::new(error.to_string()))?;
                let bundle = Llama::random(config, call.host.seed())?.bundle()?;
                let interrupt = Interrupt::from(call.host.interrupt().clone());
                let options = LoadOptions { interrupt, ..LoadOptions::default() };
                let tokenizer = Tokenizer::from_bytes(tokenizer.0.to_json()?.as_bytes())?;
                let model = CoreMLModelWrapper::new("llama", Arc::new(bundle), Some(Arc::new(tokenizer)), &options)?;
                Ok(Model(Arc::new(model)))
            }),
    ]
}

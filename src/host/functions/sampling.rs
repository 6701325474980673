//! The options of everything that samples.

use rhai::{Array, Dynamic, Map};

use crate::diag::{Error, Result};
use crate::fail;
use crate::generate::{Constraint, Sampling};
use crate::host::{Call, FromScript as _, Key, Kind};
use crate::tokenizer::Tokenizer;

/// How tokens are drawn.
pub(super) const SAMPLING: &[Key] = &[
    MAX_NEW_TOKENS,
    Key::float("temperature", 1.0, "0 is greedy.").at_least(0.0),
    Key::int("top_k", 0, "Only the k likeliest tokens; 0 is all.").at_least(0.0),
    Key::float(
        "top_p",
        1.0,
        "Only the likeliest tokens that hold this much probability.",
    )
    .between(1e-9, 1.0),
    Key::float(
        "min_p",
        0.0,
        "Only tokens this likely beside the likeliest.",
    )
    .between(0.0, 1.0),
    Key::float(
        "repetition_penalty",
        1.0,
        "Above 1, tokens already there, in the prompt too, get less likely.",
    )
    .at_least(1e-9),
    Key::float(
        "presence_penalty",
        0.0,
        "Taken off the logit of a token once the completion has it.",
    ),
    Key::float(
        "frequency_penalty",
        0.0,
        "Taken off the logit of a token for each time the completion has it.",
    ),
    Key::optional(
        "logit_bias",
        Kind::Either(&[Kind::Map, Kind::Array]),
        "Added to logits: a map from a token's text, or an array of [id, bias].",
    ),
    STOP,
    Key::optional(
        "choices",
        Kind::Array,
        "The completion is one of these texts.",
    ),
    Key::optional(
        "regex",
        Kind::Text,
        "The completion matches this regular expression from end to end.",
    ),
    Key::int(
        "top_logprobs",
        0,
        "Tell this many of the likeliest tokens at each step.",
    )
    .at_least(0.0),
    Key::optional(
        "seed",
        Kind::Either(&[Kind::Int, Kind::Array]),
        "Where sampling starts, or an array of a seed for each prompt; the session's seed if left out.",
    ),
];

pub(super) const MAX_NEW_TOKENS: Key =
    Key::int("max_new_tokens", 64, "Tokens of a completion at most.").at_least(0.0);

pub(super) const STOP: Key = Key::optional(
    "stop",
    Kind::Either(&[Kind::Text, Kind::Array]),
    "Text, or an array of texts, before which the completion ends.",
);

/// Reads the options of [`SAMPLING`]; a completion ends at the tokenizer's end-of-sequence tokens.
pub(super) fn sampling(call: &Call, tokenizer: &Tokenizer) -> Result<Sampling> {
    let options = &call.options;
    let seed: Dynamic = options.get("seed")?;
    let seeds = match seed.is_array() {
        true => Some(options.get::<Vec<u64>>("seed")?),
        false => None,
    };
    let seed: Option<u64> = match seeds {
        Some(_) => None,
        None => options.get("seed")?,
    };
    Ok(Sampling {
        temperature: options.get("temperature")?,
        top_k: options.get("top_k")?,
        top_p: options.get("top_p")?,
        min_p: options.get("min_p")?,
        repetition_penalty: options.get("repetition_penalty")?,
        presence_penalty: options.get("presence_penalty")?,
        frequency_penalty: options.get("frequency_penalty")?,
        logit_bias: logit_bias(call, tokenizer)?,
        stop: stop(call)?,
        constraint: constraint(call)?,
        max_new_tokens: options.get("max_new_tokens")?,
        eos: tokenizer.ends(),
        seed: seed.unwrap_or_else(|| call.host.seed()),
        seeds,
        likeliest: options.get("top_logprobs")?,
        vocabulary: Some(tokenizer.vocabulary().clone()),
    })
}

/// The option [`STOP`].
pub(super) fn stop(call: &Call) -> Result<Vec<String>> {
    let given: Dynamic = call.options.get("stop")?;
    match given.is_array() {
        true => call.options.get("stop"),
        false => Ok(call
            .options
            .get::<Option<String>>("stop")?
            .into_iter()
            .collect()),
    }
}

fn constraint(call: &Call) -> Result<Option<Constraint>> {
    let choices: Option<Vec<String>> = call.options.get("choices")?;
    let pattern: Option<String> = call.options.get("regex")?;
    match (choices, pattern) {
        (Some(_), Some(_)) => Err(
            Error::new("options \"choices\" and \"regex\" are both given")
                .hint("a regular expression can hold the choices: yes|no"),
        ),
        (Some(choices), None) => Ok(Some(Constraint::Choices(choices))),
        (None, pattern) => Ok(pattern.map(Constraint::Pattern)),
    }
}

fn logit_bias(call: &Call, tokenizer: &Tokenizer) -> Result<Vec<(u32, f64)>> {
    if let Ok(Some(biases)) = call.options.get::<Option<Map>>("logit_bias") {
        let number = |value: &Dynamic| f64::from_script(value, call.host);
        let bias = |(text, value): (_, &Dynamic)| Some((token_of(text, tokenizer), number(value)?));
        return biases
            .iter()
            .map(|(text, value)| match bias((text.as_str(), value)) {
                Some((id, bias)) => Ok((id?, bias)),
                None => fail!("the bias of {text:?} is not a number"),
            })
            .collect();
    }
    let pairs: Option<Vec<Array>> = call.options.get("logit_bias")?;
    let pair = |pair: Array| match pair.as_slice() {
        [id, bias] => Some((
            u32::from_script(id, call.host)?,
            f64::from_script(bias, call.host)?,
        )),
        _ => None,
    };
    pairs
        .unwrap_or_default()
        .into_iter()
        .map(|given| pair(given).ok_or_else(|| Error::new("a bias in an array is [id, number]")))
        .collect()
}

/// The id of a text that is one token.
fn token_of(text: &str, tokenizer: &Tokenizer) -> Result<u32> {
    let vocabulary = tokenizer.vocabulary();
    let ids = tokenizer.encode(text, false)?;
    match ids.as_slice() {
        [id] if vocabulary.piece(*id) == text.as_bytes() || tokenizer.is_special(*id) => Ok(*id),
        ids => {
            let exact =
                (0..vocabulary.size() as u32).find(|id| vocabulary.piece(*id) == text.as_bytes());
            let pieces = ids.len();
            exact.ok_or_else(|| {
                Error::new(format!(
                    "{text:?} is no token: the tokenizer makes {pieces} of it"
                ))
                .hint(
                    "a space before a word is part of its token; ids can be given as [[id, bias]]",
                )
            })
        }
    }
}

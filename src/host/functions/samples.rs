//! Sampled text between script and Rust: sampling options, and rollouts as maps.

use rhai::{Dynamic, Map};

use super::models::ids_to_script;
use crate::diag::Result;
use crate::fail;
use crate::generate::{Finish, Rollout, Sampling};
use crate::host::{Call, Key, Kind};
use crate::tokenizer::Tokenizer;

/// Options of everything that samples.
pub(super) const SAMPLING: &[Key] = &[
    Key::int("max_new_tokens", 64, "Tokens at most.").at_least(0.0),
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
        "Above 1, tokens already there get less likely.",
    )
    .at_least(1e-9),
    Key::optional(
        "seed",
        Kind::Int,
        "Where sampling starts; the session's seed if left out.",
    ),
];

/// Reads the options of [`SAMPLING`]; ends at the tokenizer's end-of-sequence token.
pub(super) fn sampling(call: &Call, tokenizer: &Tokenizer) -> Result<Sampling> {
    let options = &call.options;
    let seed: Option<u64> = options.get("seed")?;
    Ok(Sampling {
        temperature: options.get("temperature")?,
        top_k: options.get("top_k")?,
        top_p: options.get("top_p")?,
        min_p: options.get("min_p")?,
        repetition_penalty: options.get("repetition_penalty")?,
        max_new_tokens: options.get("max_new_tokens")?,
        eos: tokenizer.specials().eos.into_iter().collect(),
        seed: seed.unwrap_or_else(|| call.host.seed()),
    })
}

/// Each rollout as a map: prompt, completion, prompt_ids, ids, logprobs, ended.
pub(super) fn from_rollouts(
    prompts: &[String],
    rollouts: &[Rollout],
    tokenizer: &Tokenizer,
) -> Result<Vec<Map>> {
    let map = |(prompt, rollout): (&String, &Rollout)| {
        let mut map = Map::new();
        let mut put = |name: &str, value: Dynamic| map.insert(name.into(), value);
        put("prompt", prompt.clone().into());
        put(
            "completion",
            tokenizer.decode(rollout.text_ids(), true)?.into(),
        );
        put("prompt_ids", ids_to_script(&rollout.prompt).into());
        put("ids", ids_to_script(&rollout.completion).into());
        let logprobs: rhai::Array = rollout
            .logprobs
            .iter()
            .map(|p| Dynamic::from_float(*p))
            .collect();
        put("logprobs", logprobs.into());
        put("ended", (rollout.finish == Finish::Eos).into());
        Ok(map)
    };
    prompts.iter().zip(rollouts).map(map).collect()
}

/// The rollout that a map of [`from_rollouts`] came from.
pub(super) fn to_rollout(map: &Map) -> Result<Rollout> {
    let ids = |name: &str| -> Result<Vec<u32>> {
        let array = map
            .get(name)
            .and_then(|value| value.read_lock::<rhai::Array>());
        let read = array.and_then(|array| {
            array
                .iter()
                .map(|id| id.as_int().ok()?.try_into().ok())
                .collect::<Option<Vec<u32>>>()
        });
        match read {
            Some(ids) => Ok(ids),
            None => {
                fail!("a sample needs \"{name}\", an array of token ids as `generate` gives it")
            }
        }
    };
    let ended = map
        .get("ended")
        .and_then(|value| value.as_bool().ok())
        .unwrap_or(false);
    Ok(Rollout {
        prompt: ids("prompt_ids")?,
        completion: ids("ids")?,
        logprobs: Vec::new(),
        finish: if ended { Finish::Eos } else { Finish::Length },
    })
}

//! Sampled text between script and Rust: prompts, and rollouts as maps.

use rhai::{Array, Dynamic, Map};

use super::models::ids_to_script;
use crate::diag::Result;
use crate::fail;
use crate::generate::{Finish, Rollout, Way};
use crate::host::{Call, FromScript as _, Kind};
use crate::tokenizer::Tokenizer;

/// What can be continued: a text or its token ids, or an array of such.
pub(super) const PROMPTS: Kind = Kind::Either(&[Kind::Text, Kind::Array]);

/// Prompts as the script gave them.
pub(super) struct Prompts {
    pub texts: Vec<String>,
    pub ids: Vec<Vec<u32>>,
    /// Whether it was one alone, not an array.
    one: bool,
}

impl Prompts {
    /// Reads the parameter "prompts".
    pub fn read(call: &Call, tokenizer: &Tokenizer) -> Result<Self> {
        let given: Dynamic = call.get("prompts")?;
        let numbers = Vec::<i64>::from_script(&given, call.host);
        let one = given.is_string() || numbers.is_some_and(|ids| !ids.is_empty());
        let all = if one {
            vec![given]
        } else {
            call.get("prompts")?
        };
        let mut prompts = Self {
            texts: Vec::new(),
            ids: Vec::new(),
            one,
        };
        for (i, prompt) in all.iter().enumerate() {
            let text = String::from_script(prompt, call.host);
            let ids = Vec::<u32>::from_script(prompt, call.host);
            let (text, ids) = match (text, ids) {
                (Some(text), _) => (text.clone(), tokenizer.encode(&text, true)?),
                (None, Some(ids)) => (tokenizer.decode(&ids, false)?, ids),
                (None, None) => fail!("prompt {i} is neither a text nor an array of token ids"),
            };
            prompts.texts.push(text);
            prompts.ids.push(ids);
        }
        Ok(prompts)
    }

    /// What came of each; of one alone, not in an array.
    pub fn answer(&self, maps: Vec<Map>) -> Dynamic {
        let mut maps: Array = maps.into_iter().map(Dynamic::from_map).collect();
        match self.one && maps.len() == 1 {
            true => maps.remove(0),
            false => maps.into(),
        }
    }
}

/// Each rollout as a map.
pub(super) fn from_rollouts(
    prompts: &[String],
    rollouts: &[Rollout],
    way: Way,
    tokenizer: &Tokenizer,
) -> Vec<Map> {
    let map = |(prompt, rollout): (&String, &Rollout)| {
        let mut map = Map::new();
        let mut put = |name: &str, value: Dynamic| map.insert(name.into(), value);
        put("prompt", prompt.clone().into());
        put("completion", rollout.text(tokenizer.vocabulary()).into());
        put("prompt_ids", ids_to_script(&rollout.prompt).into());
        put("ids", ids_to_script(&rollout.completion).into());
        let logprobs = rollout.logprobs.iter().copied();
        let logprobs: Array = logprobs.map(Dynamic::from_float).collect();
        put("logprobs", logprobs.into());
        if !rollout.likeliest.is_empty() {
            let steps = rollout.likeliest.iter();
            let steps: Array = steps.map(|step| likeliest(step, tokenizer)).collect();
            put("top_logprobs", steps.into());
        }
        put("ended", rollout.finish.is_end().into());
        put("finish", rollout.finish.name().into());
        put("decoding", way.name().into());
        map
    };
    prompts.iter().zip(rollouts).map(map).collect()
}

/// The likeliest tokens of a step: token, id, logprob.
fn likeliest(step: &[(u32, f64)], tokenizer: &Tokenizer) -> Dynamic {
    let map = |(id, logprob): &(u32, f64)| {
        let token = tokenizer.token_bytes(*id).unwrap_or_default();
        Dynamic::from_map(Map::from([
            (
                "token".into(),
                String::from_utf8_lossy(&token).into_owned().into(),
            ),
            ("id".into(), i64::from(*id).into()),
            ("logprob".into(), (*logprob).into()),
        ]))
    };
    step.iter().map(map).collect::<Array>().into()
}

/// The ids of a map of [`from_rollouts`].
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
    Ok(Rollout {
        prompt: ids("prompt_ids")?,
        completion: ids("ids")?,
        logprobs: Vec::new(),
        likeliest: Vec::new(),
        finish: Finish::Unfinished,
    })
}

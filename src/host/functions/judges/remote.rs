//! The judge behind a server, as scripts make it.

use std::sync::Arc;
use std::time::Duration;

use rhai::Map;
use serde_json::Value;

use super::{Judge, WORDING, wording};
use crate::diag::Result;
use crate::fail;
use crate::feedback::Wording;
use crate::feedback::remote::{
    Cache, Pace, Parts, RemoteJudge, Request, Secret, Server, Usage, Watch,
};
use crate::host::json::to_json;
use crate::host::{Call, Host, Key, Kind, ScriptFn, function, property};

/// Where the servers of Ollama, LM Studio, vLLM, llama.cpp and mlx_lm listen unless told otherwise.
const SERVERS: &[&str] = &[
    "http://localhost:11434/v1",
    "http://localhost:1234/v1",
    "http://localhost:8000/v1",
    "http://localhost:8080/v1",
];

const REMOTE: &[Key] = &[
    Key::required("model", Kind::Text, "The model, as the server calls it."),
    Key::optional("system", Kind::Text, "The system message."),
    Key::optional(
        "key_env",
        Kind::Text,
        "The environment variable that holds the server's key.",
    ),
    Key::optional(
        "cache",
        Kind::Output(&[]),
        "A folder that keeps the replies: what was asked is not asked again.",
    ),
    Key::bool(
        "replay",
        false,
        "Ask nothing: all replies come from the cache.",
    ),
    Key::optional("budget", Kind::Int, "Calls of the server altogether."),
    Key::int("parallel", 4, "Calls at a time.").between(1.0, 256.0),
    Key::float("timeout", 60.0, "Seconds that a call may take.").between(0.001, 86_400.0),
    Key::int(
        "retries",
        3,
        "How often a call is tried again when the server is busy or the connection breaks.",
    )
    .between(0.0, 16.0),
    Key::int(
        "top_logprobs",
        20,
        "How many of the likeliest tokens the server should tell; 0 for labels alone.",
    )
    .between(0.0, 1000.0),
    Key::optional(
        "extra",
        Kind::Map,
        "Further fields of each request; () takes one away.",
    ),
];

const USAGE: &[(&str, &str)] = &[
    ("calls", "Calls of the server, those tried again included."),
    ("cached", "Questions whose reply was there already."),
    (
        "labels_only",
        "Verdicts without probabilities, for the server told none.",
    ),
];

pub(super) fn functions() -> Vec<ScriptFn> {
    vec![
        function("judge_remote", "A judge behind an OpenAI-compatible server: Ollama, LM Studio, vLLM, llama.cpp, mlx_lm.")
            .param("url", Kind::Word(SERVERS), "Where its API is.")
            .options(REMOTE)
            .options(WORDING)
            .returns("Judge")
            .details("The verdict is the share of the first label among the labels, by the likelihood of the reply's first token; where the server tells no likelihoods, the label alone is a verdict of 0 or 1, and the judge's name says so. A reply that is no label is no verdict; a call that fails is an error. The server is first asked when there is something to judge; Ctrl-C leaves its calls, and what was answered is in the cache. Models that think, or want other fields: extra, as #{reasoning_effort: \"none\"} or #{max_tokens: (), max_completion_tokens: 1}.")
            .example("judge_remote(\"http://localhost:11434/v1\", #{model: \"qwen3:4b\", cache: \"verdicts\"})", "Judge(\"remote judge qwen3:4b at http://localhost:11434/v1\")")
            .run(judge_remote),
        property::<Judge>("usage", "What a remote judge has asked so far; () for a local one.")
            .returns("map")
            .fields(USAGE)
            .example("judge_remote(\"http://localhost:11434\", #{model: \"qwen3:4b\"}).usage", "#{cached: 0, calls: 0, labels_only: 0}")
            .run(|call| Ok(call.receiver::<Judge>()?.0.usage().map(to_map))),
    ]
}

fn to_map(usage: Usage) -> Map {
    let count = |count: usize| (count as i64).into();
    Map::from([
        ("calls".into(), count(usage.calls)),
        ("cached".into(), count(usage.cached)),
        ("labels_only".into(), count(usage.labels_only)),
    ])
}

fn judge_remote(call: &mut Call) -> Result<Judge> {
    let (host, options) = (call.host, &call.options);
    let replay: bool = options.get("replay")?;
    let key: Option<String> = options.get("key_env")?;
    let key = match (replay, key) {
        (false, Some(name)) => Some(Secret::read(&name, &|name| host.variable(name))?),
        _ => None,
    };
    if !replay {
        host.may_reach_network()?;
    }
    let timeout = Duration::from_secs_f64(options.get("timeout")?);
    let judge = RemoteJudge::new(Parts {
        server: Server::new(&call.get::<String>("url")?, key, timeout)?,
        request: request(call)?,
        wording: wording(call, Wording::of_chat())?,
        pace: Pace {
            parallel: options.get("parallel")?,
            retries: options.get("retries")?,
            budget: options.get("budget")?,
            ..Pace::default()
        },
        cache: cache(call, replay)?,
        replay,
        interrupt: host.interrupt().clone().into(),
        watch: watch(host),
    })?;
    host.note_judge(judge.ledger());
    Ok(Judge(Arc::new(judge)))
}

fn request(call: &Call) -> Result<Request> {
    let extra = match to_json(call.host.registry(), &call.options.get("extra")?)? {
        Value::Object(extra) => extra,
        _ => serde_json::Map::new(),
    };
    Ok(Request {
        model: call.options.get("model")?,
        system: call.options.get("system")?,
        top_logprobs: call.options.get("top_logprobs")?,
        extra,
    })
}

fn cache(call: &Call, replay: bool) -> Result<Cache> {
    let Some(folder) = call.options.get::<Option<String>>("cache")? else {
        if replay {
            fail!("replay needs the option \"cache\", the folder of the run to repeat");
        }
        return Ok(Cache::in_memory());
    };
    let cache = Cache::in_folder(&call.host.resolve(&folder), replay)?;
    if let (true, Some(file)) = (replay, cache.file()) {
        call.host.note_read(file);
    }
    Ok(cache)
}

fn watch(host: &Host) -> Watch {
    let host = host.clone();
    Box::new(move |questions| {
        let mut progress = host.passing_progress("judge", questions as u64);
        Box::new(move |done| progress.set(done as u64, ""))
    })
}

//! A language model behind an OpenAI-compatible server as a judge: Ollama, LM Studio, vLLM, llama.cpp, mlx_lm.
//!
//! It is asked as a local judge is: what counts is how likely each label is as the first token of the reply
//! (`logprobs`). Where the server does not tell, the label that the reply begins with is a verdict of 0 or 1.
//! A reply that is no label is no verdict; a request that fails is an error, never a number.

mod cache;
mod queue;
mod reply;
mod secret;
mod server;
mod usage;

pub use cache::Cache;
pub use queue::Pace;
pub use secret::Secret;
pub use server::Server;
pub use usage::{Ledger, Usage};

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::questions::{Questions, Wording};
use super::{Item, Judge, Pair, Verdict};
use crate::diag::{Error, Interrupt, Result};
use crate::fail;
use crate::files;
use queue::{Job, Sending};

/// Characters of a question that an error repeats.
const SHOWN: usize = 160;

/// What is asked, apart from the question itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub model: String,
    pub system: Option<String>,
    /// How many of the likeliest tokens the server should tell; with 0 it is not asked to.
    pub top_logprobs: usize,
    /// Further fields of the request; null takes one away.
    pub extra: Map<String, Value>,
}

impl Request {
    /// The body of the request.
    fn body(&self, question: &str) -> String {
        let system = self.system.iter();
        let system = system.map(|text| json!({ "role": "system", "content": text }));
        let user = json!({ "role": "user", "content": question });
        let messages: Vec<Value> = system.chain([user]).collect();
        let mut body = Map::new();
        body.insert("model".into(), self.model.clone().into());
        body.insert("messages".into(), messages.into());
        body.insert("max_tokens".into(), 1.into());
        body.insert("temperature".into(), 0.into());
        if self.top_logprobs > 0 {
            body.insert("logprobs".into(), true.into());
            body.insert("top_logprobs".into(), self.top_logprobs.into());
        }
        for (name, value) in &self.extra {
            match value {
                Value::Null => body.shift_remove(name),
                value => body.insert(name.clone(), value.clone()),
            };
        }
        Value::Object(body).to_string()
    }

    fn check(&self) -> Result<()> {
        let ours = ["model", "messages", "stream", "n"];
        match self.extra.keys().find(|name| ours.contains(&name.as_str())) {
            Some(name) => fail!("the judge itself sets the field \"{name}\" of its requests"),
            None => Ok(()),
        }
    }
}

/// Who is told how far it is: called with the number of questions, it gives what is called with those answered.
pub type Watch = Box<dyn Fn(usize) -> Box<dyn FnMut(usize)> + Send + Sync>;

/// What a remote judge is made of.
pub struct Parts {
    pub server: Server,
    pub request: Request,
    pub wording: Wording,
    pub pace: Pace,
    pub cache: Cache,
    /// Only what is in the cache.
    pub replay: bool,
    pub interrupt: Interrupt,
    pub watch: Watch,
}

/// A judge behind a server.
pub struct RemoteJudge {
    questions: Questions,
    mass_min: f64,
    request: Request,
    replay: bool,
    interrupt: Interrupt,
    watch: Watch,
    sending: Arc<Sending>,
}

impl RemoteJudge {
    /// The server is not asked yet.
    pub fn new(parts: Parts) -> Result<Self> {
        let Parts {
            server,
            request,
            wording,
            ..
        } = parts;
        request.check()?;
        let asked = json!({ "wording": wording, "request": request.body("") });
        let hash = files::sha256(asked.to_string().as_bytes());
        let ledger = Arc::new(Ledger::new(server.url(), &request.model, hash));
        Ok(Self {
            questions: Questions::new(&wording)?,
            mass_min: wording.mass_min,
            replay: parts.replay,
            interrupt: parts.interrupt,
            watch: parts.watch,
            sending: Arc::new(Sending {
                server,
                model: request.model.clone(),
                pace: parts.pace,
                cache: parts.cache,
                ledger,
            }),
            request,
        })
    }

    /// What it has asked so far, and will.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.sending.ledger
    }

    /// What the answer to each question is worth.
    fn ask(&self, texts: &[String], labels: &[String]) -> Result<Vec<Option<f64>>> {
        let Sending { cache, ledger, .. } = &*self.sending;
        let bodies: Vec<String> = texts.iter().map(|text| self.request.body(text)).collect();
        let keys: Vec<String> = bodies.iter().map(|b| files::sha256(b.as_bytes())).collect();
        cache.refresh()?;
        let mut new = BTreeSet::new();
        let is_new = |key: &String| !cache.has(key) && new.insert(key.clone());
        let open: Vec<bool> = keys.iter().map(is_new).collect();
        let count = open.iter().filter(|open| **open).count();
        if let (true, Some(first)) = (self.replay, open.iter().position(|open| *open)) {
            return Err(self.missing(count, &texts[first]));
        }
        let all = bodies.into_iter().zip(&keys).zip(&open);
        let jobs = all.filter(|(_, open)| **open);
        let jobs = jobs.map(|((body, key), _)| Job {
            key: key.clone(),
            body,
        });
        self.send(jobs.collect())?;
        ledger.note_cached(texts.len() - count);
        keys.iter().map(|key| self.worth(key, labels)).collect()
    }

    fn send(&self, jobs: Vec<Job>) -> Result<()> {
        let Sending { ledger, pace, .. } = &*self.sending;
        ledger.afford(jobs.len(), pace.budget)?;
        let mut step: Box<dyn FnMut(usize)> = match jobs.len() {
            0 => return Ok(()),
            1 => Box::new(|_| {}),
            count => (self.watch)(count),
        };
        self.sending.send(jobs, &self.interrupt, &mut *step)
    }

    fn worth(&self, key: &str, labels: &[String]) -> Result<Option<f64>> {
        let Some(reply) = self.sending.cache.get(key) else {
            fail!("the reply to a question is lost");
        };
        let worth = reply.worth(labels, self.mass_min)?;
        if reply.is_bare() && worth.is_some() {
            self.ledger().note_label();
        }
        Ok(worth)
    }

    fn missing(&self, count: usize, question: &str) -> Error {
        let file = self.sending.cache.file();
        let place = file.map_or("memory".into(), |file| file.display().to_string());
        let words: Vec<&str> = question.split_whitespace().collect();
        let start: String = words.join(" ").chars().take(SHOWN).collect();
        let error = Error::new(format!(
            "{place} has no reply to {count} of the questions, the first begins \"{start}\""
        ));
        error.hint("model, questions and options must be those of the run that is replayed; without replay the server is asked")
    }
}

impl Judge for RemoteJudge {
    fn name(&self) -> String {
        let Usage {
            url,
            model,
            labels_only,
            ..
        } = self.ledger().usage();
        let remark = if labels_only > 0 {
            " (labels only)"
        } else {
            ""
        };
        format!("remote judge {model} at {url}{remark}")
    }

    fn score(&self, items: &[Item]) -> Result<Vec<Option<f64>>> {
        self.questions
            .score(items, &|texts, labels| self.ask(texts, labels))
    }

    fn compare(&self, pairs: &[Pair]) -> Result<Vec<Verdict>> {
        self.questions
            .compare(pairs, &|texts, labels| self.ask(texts, labels))
    }

    fn news(&self) -> Vec<String> {
        self.sending.cache.take_news()
    }

    fn usage(&self) -> Option<Usage> {
        Some(self.ledger().usage())
    }
}

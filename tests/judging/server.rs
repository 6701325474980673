//! A chat server that a test scripts: OpenAI's protocol on a port of its own, as far as a judge uses it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub key: Option<String>,
    /// Null if there is none.
    pub body: Value,
    /// Requests before it.
    pub before: usize,
}

impl Asked {
    /// The text of the last message, if there is one.
    pub fn question(&self) -> String {
        let messages = self.body["messages"].as_array().into_iter().flatten();
        let last = messages
            .last()
            .and_then(|message| message["content"].as_str());
        last.unwrap_or_default().to_owned()
    }
}

/// What the server does.
pub enum Given {
    Answer(Value),
    /// Status, a header, the body.
    Says(u16, &'static str, String),
    /// The connection breaks in the middle of an answer.
    Breaks,
    /// No answer, for ever.
    Hangs,
}

/// A reply with the likeliest tokens and their probabilities.
pub fn likely(tokens: &[(&str, f64)]) -> Given {
    let top = tokens
        .iter()
        .map(|(token, p)| json!({ "token": token, "logprob": p.ln() }));
    let top: Vec<Value> = top.collect();
    let position =
        json!({ "token": tokens[0].0, "logprob": tokens[0].1.ln(), "top_logprobs": top });
    let message = json!({ "role": "assistant", "content": tokens[0].0 });
    let choice = json!({ "index": 0, "message": message, "logprobs": { "content": [position] } });
    Given::Answer(json!({ "object": "chat.completion", "choices": [choice] }))
}

/// A reply without probabilities.
pub fn bare(text: &str) -> Given {
    let message = json!({ "role": "assistant", "content": text });
    Given::Answer(json!({ "choices": [{ "index": 0, "message": message }] }))
}

type Mind = dyn Fn(&Asked) -> Given + Send + Sync;

/// A running server.
pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub fn open(mind: impl Fn(&Asked) -> Given + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (mind, log): (Arc<Mind>, _) = (Arc::new(mind), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (mind, log) = (mind.clone(), log.clone());
                std::thread::spawn(move || serve(stream, &*mind, &log));
            }
        });
        Self { url, asked }
    }

    /// What was asked since the last call.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// Answers the requests of a connection, until either side has enough.
fn serve(stream: TcpStream, mind: &Mind, log: &Mutex<Vec<Asked>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut asked = read(&mut reader)?;
        {
            let mut log = log.lock().unwrap();
            asked.before = log.len();
            log.push(asked.clone());
        }
        let (status, header, body) = match mind(&asked) {
            Given::Answer(body) => (200, "", body.to_string()),
            Given::Says(status, header, body) => (status, header, body),
            Given::Breaks => {
                let _ = reader
                    .get_mut()
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{");
                return None;
            }
            Given::Hangs => loop {
                std::thread::park();
            },
        };
        let header = if header.is_empty() {
            String::new()
        } else {
            format!("{header}\r\n")
        };
        let head = format!(
            "HTTP/1.1 {status} Said\r\n{header}content-length: {}\r\n\r\n",
            body.len()
        );
        reader
            .get_mut()
            .write_all((head + body.as_str()).as_bytes())
            .ok()?;
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader
            .read_line(&mut line)
            .ok()
            .filter(|count| *count > 0)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked {
        path: lines[0].split(' ').nth(1)?.to_owned(),
        key: header("authorization"),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        before: 0,
    })
}

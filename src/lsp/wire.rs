//! Messages on the wire: a header with the length, then JSON. A bad message does not end the stream.

use std::io::{self, BufRead, Write};
use std::sync::mpsc::Sender;

use lsp_server::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::diag::{Error, Result};

/// What came.
pub(super) enum Incoming {
    Message(Message),
    /// It can't be read; the id that it names, if any.
    Bad {
        id: Value,
        words: String,
    },
}

/// The longest message that is taken: more is a broken header.
const LONGEST: usize = 64 << 20;

/// Sends on what comes until the stream ends.
pub(super) fn read(mut input: impl BufRead, sender: &Sender<Incoming>) {
    while let Ok(Some(body)) = body(&mut input) {
        if sender.send(parsed(&body)).is_err() {
            return;
        }
    }
}

/// The next message; nothing at the end of the stream. Lines that are no header are passed over.
fn body(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut length: Option<usize> = None;
    loop {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value
                .trim()
                .parse()
                .ok()
                .filter(|length| *length <= LONGEST);
        }
        if line.is_empty()
            && let Some(length) = length
        {
            let mut body = vec![0; length];
            input.read_exact(&mut body)?;
            return Ok(Some(body));
        }
    }
}

fn parsed(body: &[u8]) -> Incoming {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => {
            let words = format!("the message is no JSON: {error}");
            return Incoming::Bad {
                id: Value::Null,
                words,
            };
        }
    };
    let id = value.get("id").cloned().unwrap_or(Value::Null);
    match serde_json::from_value(value) {
        Ok(message) => Incoming::Message(message),
        Err(error) => Incoming::Bad {
            id,
            words: format!("the message can't be read: {error}"),
        },
    }
}

/// Writes a message.
pub(super) fn write(output: &mut impl Write, message: &Value) -> io::Result<()> {
    let text = message.to_string();
    write!(output, "Content-Length: {}\r\n\r\n{text}", text.len())?;
    output.flush()
}

/// The fields of a message.
///
/// # Errors
/// There are others than its method has.
pub(super) fn fields<T: DeserializeOwned>(params: Value) -> Result<T> {
    serde_json::from_value(params).map_err(|error| Error::new(format!("parameters: {error}")))
}

/// An answer as JSON.
pub(super) fn value(answer: impl Serialize) -> Result<Value> {
    serde_json::to_value(answer).map_err(|error| Error::new(format!("the answer: {error}")))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn bad_messages_are_told_and_passed_over() {
        let framed = |text: &str| format!("Content-Length: {}\r\n\r\n{text}", text.len());
        let stream = [
            "noise\r\n\r\n".to_string(),
            framed("{"),
            framed("{\"id\": 3}"),
            "Content-Length: many\r\n\r\n".to_string(),
            framed("{\"method\": \"exit\"}"),
        ];
        let (sender, messages) = mpsc::channel();
        read(stream.concat().as_bytes(), &sender);
        drop(sender);
        let told: Vec<String> = messages
            .iter()
            .map(|message| match message {
                Incoming::Bad { id, words } => format!("{id}: {}", &words[..20]),
                Incoming::Message(Message::Notification(note)) => note.method,
                Incoming::Message(_) => "other".into(),
            })
            .collect();
        assert_eq!(
            told,
            [
                "null: the message is no JS",
                "3: the message can't be",
                "exit"
            ]
        );
    }
}

//! Messages as they come off the wire. Clients leave fields out that jupyter-protocol insists on, and send kinds
//! that it does not know; a message that can't be read is told apart from a socket that can't.

use jupyter_protocol::{Header, JupyterMessage, JupyterMessageContent, UnknownMessage};
use jupyter_zmq_client::{Connection, RawMessage, RuntimeError};
use serde_json::{Map, Value, json};
use zeromq::SocketRecv;

/// A message of a client.
#[derive(Debug)]
pub(super) struct Request {
    pub message: JupyterMessage,
    /// Why its content can't be used; the content is then an unknown message.
    pub fault: Option<String>,
}

/// Waits for the next message.
///
/// # Errors
/// The socket fails, the signature is wrong, or no header can be read: there is nobody to answer.
pub(super) async fn read<S: SocketRecv>(
    connection: &mut Connection<S>,
) -> Result<Request, RuntimeError> {
    let parts = connection.socket.recv().await?;
    parse(RawMessage::from_multipart(parts, &connection.mac)?)
}

fn parse(raw: RawMessage) -> Result<Request, RuntimeError> {
    let RawMessage {
        zmq_identities,
        mut jparts,
    } = raw;
    if jparts.len() < 4 {
        return Err(RuntimeError::InsufficientMessageParts(jparts.len()));
    }
    let buffers = jparts.split_off(4);
    let header: Header = serde_json::from_slice(&jparts[0])?;
    let (content, fault) = content(&header.msg_type, &jparts[3]);
    let message = JupyterMessage {
        zmq_identities,
        header,
        parent_header: serde_json::from_slice(&jparts[1]).ok(),
        metadata: serde_json::from_slice(&jparts[2]).unwrap_or_else(|_| json!({})),
        content,
        buffers,
        channel: None,
    };
    Ok(Request { message, fault })
}

/// The content of a message; what can't be read is unknown, with the reason.
fn content(kind: &str, bytes: &[u8]) -> (JupyterMessageContent, Option<String>) {
    let read = || {
        let Value::Object(mut fields) = serde_json::from_slice(bytes)? else {
            return Err(serde::de::Error::custom("expected an object"));
        };
        complete(kind, &mut fields);
        JupyterMessageContent::from_type_and_content(kind, Value::Object(fields))
    };
    match read() {
        Ok(content) => (content, None),
        Err(error) => {
            let unknown = UnknownMessage {
                msg_type: kind.into(),
                content: json!({}),
            };
            (unknown.into(), Some(format!("{kind}: {error}")))
        }
    }
}

/// Fills in what the protocol lets a client leave out.
fn complete(kind: &str, fields: &mut Map<String, Value>) {
    let defaults = match kind {
        "execute_request" => json!({
            "silent": false, "store_history": true, "user_expressions": {}, "allow_stdin": true,
            "stop_on_error": true,
        }),
        "history_request" => json!({
            "hist_access_type": "tail", "output": false, "raw": true, "session": 0, "start": 0, "stop": i32::MAX,
            "n": i32::MAX, "pattern": "*", "unique": false,
        }),
        "inspect_request" | "complete_request" => {
            let code = fields.get("code").and_then(Value::as_str).unwrap_or("");
            json!({ "cursor_pos": code.chars().count(), "detail_level": 0 })
        }
        "shutdown_request" => json!({ "restart": false }),
        _ => return,
    };
    let Value::Object(defaults) = defaults else {
        return;
    };
    for (name, default) in defaults {
        let field = fields.entry(name).or_insert(Value::Null);
        if field.is_null() {
            *field = default;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(kind: &str, text: &str) -> (String, Option<String>) {
        let (content, fault) = content(kind, text.as_bytes());
        (serde_json::to_string(&content).unwrap(), fault)
    }

    #[test]
    fn what_clients_leave_out_is_filled_in() {
        let check = |kind: &str, text: &str, expected: &str| {
            let (text, fault) = kind_of(kind, text);
            assert_eq!(fault, None, "{kind}");
            assert!(text.contains(expected), "{text}");
        };
        check(
            "execute_request",
            r#"{"code": "1"}"#,
            r#""store_history":true"#,
        );
        check(
            "execute_request",
            r#"{"code": "1", "silent": true, "user_expressions": null}"#,
            r#""silent":true"#,
        );
        check(
            "history_request",
            r#"{"hist_access_type": "search", "pattern": "a*"}"#,
            r#""unique":false"#,
        );
        check(
            "history_request",
            r#"{"hist_access_type": "range", "session": 0, "start": 1, "stop": null}"#,
            r#""stop":2147483647"#,
        );
        check("complete_request", r#"{"code": "äö"}"#, r#""cursor_pos":2"#);
        check("kernel_info_request", "{}", "{}");
        check("usage_request", r#"{"a": 1}"#, r#"{"a":1}"#);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let check = |kind: &str, text: &str, expected: &str| {
            let (_, fault) = kind_of(kind, text);
            let fault = fault.unwrap_or_default();
            assert!(fault.contains(expected), "{fault}");
        };
        check(
            "execute_request",
            "{}",
            "execute_request: missing field `code`",
        );
        check("execute_request", r#"{"code": 3}"#, "invalid type");
        check(
            "history_request",
            r#"{"hist_access_type": "all"}"#,
            "unknown variant `all`",
        );
        check("kernel_info_request", "[]", "expected an object");
        check("kernel_info_request", "{", "kernel_info_request: EOF");
    }
}

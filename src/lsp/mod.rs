//! The language server: diagnostics, completion, help and definitions for editors, over the standard streams.

mod answers;
mod documents;
mod text;
mod wire;

use std::collections::VecDeque;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};

use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response};
use serde_json::{Value, json};

use crate::diag::Result;
use crate::host::Setup;
use crate::session::{Session, catch_panics};
use documents::Documents;
use wire::Incoming;

/// Serves until the client says `exit` or closes its stream; gives the exit code. Messages that can't be read
/// are answered with an error, or passed over.
///
/// # Errors
/// The answers can't be written.
pub fn serve(
    input: impl BufRead + Send + 'static,
    output: impl Write,
    folder: PathBuf,
) -> Result<i32> {
    let (sender, messages) = mpsc::channel();
    // It ends with the stream, or with the program.
    std::thread::spawn(move || wire::read(input, &sender));
    let mut server = Server {
        session: Session::new(Setup::still(folder)),
        documents: Documents::default(),
        messages,
        waiting: VecDeque::new(),
        output,
        stage: Stage::New,
        watches: false,
    };
    server.run()
}

struct Server<W> {
    session: Session,
    documents: Documents,
    messages: Receiver<Incoming>,
    /// Messages that have come and wait for their turn.
    waiting: VecDeque<Incoming>,
    output: W,
    stage: Stage,
    /// Whether the client can tell of files that change.
    watches: bool,
}

#[derive(PartialEq, Eq)]
enum Stage {
    New,
    Ready,
    /// `shutdown` was asked for.
    Stopping,
}

impl<W: Write> Server<W> {
    fn run(&mut self) -> Result<i32> {
        while let Some(message) = self.next()? {
            match message {
                Incoming::Message(Message::Request(request)) => {
                    let response = self.answer(request);
                    self.send(Message::Response(response))?;
                }
                Incoming::Message(Message::Notification(note)) if note.method == "exit" => break,
                Incoming::Message(Message::Notification(note)) => self.note(note)?,
                Incoming::Message(Message::Response(_)) => {}
                Incoming::Bad { id, words } => {
                    let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": ErrorCode::ParseError as i32, "message": words}});
                    wire::write(&mut self.output, &error)?;
                }
            }
        }
        Ok(if self.stage == Stage::Stopping { 0 } else { 1 })
    }

    /// The next message; texts are checked once nothing newer waits.
    fn next(&mut self) -> Result<Option<Incoming>> {
        self.waiting.extend(self.messages.try_iter());
        if self.waiting.is_empty() {
            self.publish()?;
            self.waiting.extend(self.messages.recv());
        }
        Ok(self.waiting.pop_front())
    }

    fn send(&mut self, message: Message) -> Result<()> {
        Ok(message.write(&mut self.output)?)
    }

    /// Texts that an editor opens, changes and closes; what can't be read is passed over.
    fn note(&mut self, note: Notification) -> Result<()> {
        if note.method == "initialized" && self.watches {
            let scripts = json!({"watchers": [{"globPattern": "**/*.rhai"}]});
            let method = "workspace/didChangeWatchedFiles";
            let watch = json!({"registrations": [{"id": "scripts", "method": method, "registerOptions": scripts}]});
            let request = Request::new(
                "watch".to_string().into(),
                "client/registerCapability".into(),
                watch,
            );
            return self.send(Message::Request(request));
        }
        // The documents stay as they are where a message makes no sense.
        self.documents
            .note(&mut self.session, &note.method, note.params)
            .ok();
        Ok(())
    }

    fn publish(&mut self) -> Result<()> {
        for params in self.documents.diagnostics(&self.session) {
            let note = Notification::new("textDocument/publishDiagnostics".into(), params);
            self.send(Message::Notification(note))?;
        }
        Ok(())
    }

    fn answer(&mut self, request: Request) -> Response {
        let id = request.id.clone();
        let refuse =
            |code: ErrorCode, words: &str| Response::new_err(id.clone(), code as i32, words.into());
        if self.is_cancelled(&request.id) {
            return refuse(ErrorCode::RequestCanceled, "cancelled");
        }
        let result = match (request.method.as_str(), &self.stage) {
            (_, Stage::Stopping) => {
                return refuse(ErrorCode::InvalidRequest, "the server is shutting down");
            }
            ("initialize", Stage::New) => Ok(self.initialize(&request.params)),
            ("initialize", _) => return refuse(ErrorCode::InvalidRequest, "it is initialized"),
            (_, Stage::New) => {
                return refuse(ErrorCode::ServerNotInitialized, "it is not initialized");
            }
            ("shutdown", _) => {
                self.stage = Stage::Stopping;
                Ok(Value::Null)
            }
            (method, _) => match answers::find(method) {
                Some(answer) => {
                    let work = || answer(&self.session, &self.documents, request.params);
                    match catch_panics(work) {
                        Ok(result) => result,
                        Err(words) => return refuse(ErrorCode::InternalError, &words),
                    }
                }
                None => return refuse(ErrorCode::MethodNotFound, &format!("no method {method}")),
            },
        };
        match result {
            Ok(value) => Response::new_ok(id, value),
            Err(error) => refuse(ErrorCode::InvalidParams, &error.to_string()),
        }
    }

    /// Whether the client has changed its mind.
    fn is_cancelled(&mut self, id: &RequestId) -> bool {
        self.waiting.extend(self.messages.try_iter());
        let id = json!(id);
        self.waiting.iter().any(|message| {
            matches!(message, Incoming::Message(Message::Notification(note))
                if note.method == "$/cancelRequest" && note.params["id"] == id)
        })
    }

    /// What the server can; paths of scripts start at the client's folder.
    fn initialize(&mut self, params: &Value) -> Value {
        let folders = params["workspaceFolders"][0]["uri"].as_str();
        let root = folders.or_else(|| params["rootUri"].as_str());
        if let Some(folder) = root.and_then(text::path_of) {
            self.session = Session::new(Setup::still(folder));
        }
        let can = |what: &str| {
            params.pointer(&format!("/capabilities/{what}")) == Some(&Value::Bool(true))
        };
        self.documents.snippets = can("textDocument/completion/completionItem/snippetSupport");
        self.watches = can("workspace/didChangeWatchedFiles/dynamicRegistration");
        self.stage = Stage::Ready;
        json!({
            "capabilities": {
                "positionEncoding": "utf-16",
                "textDocumentSync": {"openClose": true, "change": 2, "save": true},
                "completionProvider": {"triggerCharacters": [".", ":", "\"", "{", "/"]},
                "hoverProvider": true,
                "signatureHelpProvider": {"triggerCharacters": ["(", ","]},
                "documentSymbolProvider": true,
                "definitionProvider": true,
            },
            "serverInfo": {"name": "rlaif-repl", "version": env!("CARGO_PKG_VERSION")},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ids and error codes of the answers to messages that are all there from the start.
    fn answers(messages: &[(Option<i32>, &str, Value)]) -> Vec<(i64, i64)> {
        let (sender, receiver) = mpsc::channel();
        for (id, method, params) in messages.iter().cloned() {
            let message = match id {
                Some(id) => Request::new(id.into(), method.into(), params).into(),
                None => Notification::new(method.into(), params).into(),
            };
            sender.send(Incoming::Message(message)).unwrap();
        }
        drop(sender);
        let mut server = Server {
            session: Session::new(Setup::still(PathBuf::new())),
            documents: Documents::default(),
            messages: receiver,
            waiting: VecDeque::new(),
            output: Vec::new(),
            stage: Stage::New,
            watches: false,
        };
        server.run().unwrap();
        let output = String::from_utf8(server.output).unwrap();
        let bodies = output
            .lines()
            .filter_map(|line| line.find('{').map(|at| &line[at..]));
        let codes = bodies.map(|body| {
            let body = body.split("Content-Length").next().unwrap();
            let answer: Value = serde_json::from_str(body).unwrap();
            let code = answer["error"]["code"].as_i64();
            (answer["id"].as_i64().unwrap(), code.unwrap_or(0))
        });
        codes.collect()
    }

    #[test]
    fn requests_out_of_turn_are_refused() {
        let none = || json!({});
        let told = answers(&[
            (Some(1), "textDocument/hover", none()),
            (Some(2), "initialize", none()),
            (Some(3), "initialize", none()),
            (Some(4), "textDocument/hover", none()),
            (Some(5), "textDocument/hover", none()),
            (None, "$/cancelRequest", json!({"id": 4})),
            (Some(6), "textDocument/rename", none()),
            (Some(7), "shutdown", none()),
            (Some(8), "textDocument/hover", none()),
        ]);
        let expected = [
            (1, -32002),
            (2, 0),
            (3, -32600),
            (4, -32800),
            (5, -32602),
            (6, -32601),
            (7, 0),
            (8, -32600),
        ];
        assert_eq!(told, expected);
    }
}

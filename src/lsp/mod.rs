//! The language server: diagnostics, completion, help and definitions for editors, over the standard streams.

mod answers;
mod documents;
mod text;
mod wire;

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};

use lsp_server::{ErrorCode, Message, Notification, Request, Response};
use serde_json::{Value, json};

use crate::diag::Result;
use crate::host::Setup;
use crate::session::Session;
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
        output,
        stopping: false,
    };
    server.run(&messages)
}

struct Server<W> {
    session: Session,
    documents: Documents,
    output: W,
    /// `shutdown` was asked for.
    stopping: bool,
}

impl<W: Write> Server<W> {
    fn run(&mut self, messages: &Receiver<Incoming>) -> Result<i32> {
        loop {
            let message = match messages.try_recv() {
                Ok(message) => Some(message),
                // Texts are checked once nothing newer waits.
                Err(mpsc::TryRecvError::Empty) => {
                    self.publish()?;
                    messages.recv().ok()
                }
                Err(mpsc::TryRecvError::Disconnected) => None,
            };
            match message {
                Some(Incoming::Message(Message::Request(request))) => {
                    let response = self.answer(request);
                    self.send(Message::Response(response))?;
                }
                Some(Incoming::Message(Message::Notification(note))) if note.method == "exit" => {
                    return Ok(if self.stopping { 0 } else { 1 });
                }
                Some(Incoming::Message(Message::Notification(note))) => self.note(note),
                Some(Incoming::Message(Message::Response(_))) => {}
                Some(Incoming::Bad { id, words }) => {
                    let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": ErrorCode::ParseError as i32, "message": words}});
                    wire::write(&mut self.output, &error)?;
                }
                None => return Ok(if self.stopping { 0 } else { 1 }),
            }
        }
    }

    fn send(&mut self, message: Message) -> Result<()> {
        Ok(message.write(&mut self.output)?)
    }

    /// Texts that an editor opens, changes and closes; what can't be read is passed over.
    fn note(&mut self, note: Notification) {
        // The documents stay as they are where a message makes no sense.
        self.documents.note(&note.method, note.params).ok();
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
        if self.stopping {
            let code = ErrorCode::InvalidRequest as i32;
            return Response::new_err(id, code, "the server is shutting down".into());
        }
        let result = match request.method.as_str() {
            "initialize" => Ok(self.initialize(&request.params)),
            "shutdown" => {
                self.stopping = true;
                Ok(Value::Null)
            }
            method => match answers::find(method) {
                Some(answer) => answer(&self.session, &self.documents, request.params),
                None => {
                    let code = ErrorCode::MethodNotFound as i32;
                    return Response::new_err(id, code, format!("no method {method}"));
                }
            },
        };
        match result {
            Ok(value) => Response::new_ok(id, value),
            Err(error) => {
                let code = ErrorCode::InvalidParams as i32;
                Response::new_err(id, code, error.to_string())
            }
        }
    }

    /// What the server can; paths of scripts start at the client's folder.
    fn initialize(&mut self, params: &Value) -> Value {
        let folders = params["workspaceFolders"][0]["uri"].as_str();
        let root = folders.or_else(|| params["rootUri"].as_str());
        if let Some(folder) = root.and_then(text::path_of) {
            self.session = Session::new(Setup::still(folder));
        }
        let snippets = "/capabilities/textDocument/completion/completionItem/snippetSupport";
        self.documents.snippets = params.pointer(snippets) == Some(&Value::Bool(true));
        json!({
            "capabilities": {
                "positionEncoding": "utf-16",
                "textDocumentSync": {"openClose": true, "change": 1, "save": true},
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

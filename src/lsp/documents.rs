//! The texts that the editor has open, and what is wrong with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lsp_types::{
    Diagnostic, DiagnosticSeverity, DidChangeTextDocumentParams, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, Position, Range,
};
use serde_json::{Value, json};

use super::{text, wire};
use crate::diag::{Error, Result};
use crate::fail;
use crate::host::resolver::script_text;
use crate::session::lexer::{Kind, lex};
use crate::session::{Problem, Session, Source, catch_panics};

/// The open texts by address.
#[derive(Debug, Default)]
pub(super) struct Documents {
    texts: BTreeMap<String, Document>,
    /// Those that were closed: nothing is wrong with them any more.
    closed: Vec<String>,
    /// Whether the editor can place the cursor inside of what is inserted.
    pub snippets: bool,
}

#[derive(Debug)]
pub(super) struct Document {
    /// As it is checked.
    pub text: String,
    /// As the editor has it.
    sent: String,
    /// The file it is saved in.
    pub file: Option<PathBuf>,
    version: i32,
    /// Not checked since its last change, or that of another.
    changed: bool,
}

impl Document {
    pub fn source(&self) -> Source<'_> {
        Source {
            file: self.name(),
            text: &self.text,
        }
    }

    fn name(&self) -> Option<&str> {
        self.file.as_deref().and_then(Path::to_str)
    }

    /// Definitions are no script.
    fn declares(&self) -> bool {
        self.name().is_some_and(|name| name.ends_with(".d.rhai"))
    }
}

impl Documents {
    /// The open text of an address.
    ///
    /// # Errors
    /// It is not open.
    pub fn get(&self, uri: &str) -> Result<&Document> {
        let found = self.texts.get(uri);
        found.ok_or_else(|| Error::new(format!("{uri} is not open")))
    }

    /// Takes note of a text that is opened, changed or closed; scripts that import it are told of it.
    ///
    /// # Errors
    /// The message has not the fields of its method.
    pub fn note(&mut self, session: &mut Session, method: &str, params: Value) -> Result<()> {
        match method {
            "textDocument/didOpen" => {
                let DidOpenTextDocumentParams { text_document: it } = wire::fields(params)?;
                let uri = it.uri.as_str().to_string();
                let document = Document {
                    text: script_text(it.text.clone()),
                    sent: it.text,
                    file: text::path_of(&uri),
                    version: it.version,
                    changed: true,
                };
                self.share(session, &document);
                self.texts.insert(uri, document);
            }
            "textDocument/didChange" => self.change(session, wire::fields(params)?)?,
            "textDocument/didSave" | "workspace/didChangeWatchedFiles" => self.recheck(),
            "textDocument/didClose" => {
                let it: DidCloseTextDocumentParams = wire::fields(params)?;
                let uri = it.text_document.uri.as_str().to_string();
                if let Some(Document { file, .. }) = self.texts.remove(&uri) {
                    self.closed.push(uri);
                    file.iter().for_each(|file| session.set_unsaved(file, None));
                    self.recheck();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn change(&mut self, session: &mut Session, it: DidChangeTextDocumentParams) -> Result<()> {
        let uri = it.text_document.uri.as_str();
        let Some(mut document) = self.texts.remove(uri) else {
            fail!("{uri} is not open");
        };
        for change in it.content_changes {
            text::edited(&mut document.sent, change.range, &change.text);
        }
        document.text = script_text(document.sent.clone());
        document.version = it.text_document.version;
        document.changed = true;
        self.share(session, &document);
        self.texts.insert(uri.into(), document);
        Ok(())
    }

    fn share(&mut self, session: &mut Session, document: &Document) {
        if let Some(file) = &document.file {
            session.set_unsaved(file, Some(&document.text));
            self.recheck();
        }
    }

    /// What is imported may have changed.
    fn recheck(&mut self) {
        for document in self.texts.values_mut() {
            document.changed |= document.text.contains("import");
        }
    }

    /// The parameters of `publishDiagnostics` for each text that has changed, or is closed.
    pub fn diagnostics(&mut self, session: &Session) -> Vec<Value> {
        let closed = std::mem::take(&mut self.closed).into_iter();
        let closed = closed.filter(|uri| !self.texts.contains_key(uri));
        let mut notes: Vec<Value> = closed
            .map(|uri| json!({"uri": uri, "diagnostics": []}))
            .collect();
        for (uri, document) in &mut self.texts {
            // The names in a cell come from the cells before it: the kernel tells of its problems.
            let cell = uri.starts_with("vscode-notebook-cell:");
            if std::mem::take(&mut document.changed) && !cell {
                // A text that the checker can't bear must not end the server.
                let found = catch_panics(|| problems(session, document)).unwrap_or_default();
                let version = document.version;
                notes.push(json!({"uri": uri, "version": version, "diagnostics": found}));
            }
        }
        notes
    }
}

fn problems(session: &Session, document: &Document) -> Vec<Diagnostic> {
    if document.declares() {
        return Vec::new();
    }
    let name = document.name().unwrap_or("untitled");
    let problems = session.check(name, &document.text).into_iter();
    let problems = problems.chain(session.warnings(name, &document.text));
    let told = problems.map(|problem| {
        let hint = problem
            .hint
            .map_or(String::new(), |hint| format!("\n{hint}"));
        let at = problem.frames.first();
        let (line, column) = at.map_or((1, 1), |frame| (frame.line, frame.column));
        Diagnostic {
            range: word_at(&document.text, line, column),
            severity: Some(match problem.problem {
                Problem::Warning => DiagnosticSeverity::WARNING,
                _ => DiagnosticSeverity::ERROR,
            }),
            source: Some("rlaif-repl".into()),
            message: format!("{}{hint}", problem.message),
            ..Diagnostic::default()
        }
    });
    told.collect()
}

/// The word at a line and column, both counted from 1 in characters.
fn word_at(text: &str, line: usize, column: usize) -> Range {
    let start: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    let rest = text.get(start..).unwrap_or("");
    let within = rest.char_indices().nth(column.saturating_sub(1));
    let at = start + within.map_or(rest.trim_end().len(), |(at, _)| at);
    let mut tokens = lex(text).into_iter();
    let token =
        tokens.find(|token| token.start <= at && at < token.end && token.kind != Kind::Space);
    match token {
        Some(token) => text::range(text, (token.start, token.end)),
        None => {
            let here = text::position(text, at);
            Range::new(here, Position::new(here.line, here.character + 1))
        }
    }
}

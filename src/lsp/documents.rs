//! The texts that the editor has open, and what is wrong with them.

use std::collections::BTreeMap;

use lsp_types::{
    Diagnostic, DiagnosticSeverity, DidChangeTextDocumentParams, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, Position, Range,
};
use serde_json::{Value, json};

use super::{text, wire};
use crate::diag::{Error, Result};
use crate::session::lexer::{Kind, lex};
use crate::session::{Problem, Session, Source};

/// The open texts by address.
#[derive(Debug, Default)]
pub(super) struct Documents {
    texts: BTreeMap<String, Document>,
    /// Whether the editor can place the cursor inside of what is inserted.
    pub snippets: bool,
}

#[derive(Debug)]
pub(super) struct Document {
    pub text: String,
    /// The file it is saved in.
    pub file: Option<String>,
    version: i32,
    /// Not checked since its last change.
    changed: bool,
}

impl Document {
    pub fn source(&self) -> Source<'_> {
        Source {
            file: self.file.as_deref(),
            text: &self.text,
        }
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

    /// Takes note of a text that is opened, changed or closed.
    ///
    /// # Errors
    /// The message has not the fields of its method.
    pub fn note(&mut self, method: &str, params: Value) -> Result<()> {
        match method {
            "textDocument/didOpen" => {
                let DidOpenTextDocumentParams { text_document: it } = wire::fields(params)?;
                self.set(it.uri.as_str(), it.text, it.version);
            }
            "textDocument/didChange" => {
                let change: DidChangeTextDocumentParams = wire::fields(params)?;
                let document = change.text_document;
                if let Some(last) = change.content_changes.into_iter().next_back() {
                    self.set(document.uri.as_str(), last.text, document.version);
                }
            }
            "textDocument/didSave" => {
                // Another text may import the one that was saved.
                self.texts
                    .values_mut()
                    .for_each(|document| document.changed = true);
            }
            "textDocument/didClose" => {
                let closed: DidCloseTextDocumentParams = wire::fields(params)?;
                self.texts.remove(closed.text_document.uri.as_str());
            }
            _ => {}
        }
        Ok(())
    }

    fn set(&mut self, uri: &str, text: String, version: i32) {
        let file = text::path_of(uri).map(|path| path.to_string_lossy().into_owned());
        let document = Document {
            // The first line of a script may name its interpreter.
            text: match text.strip_prefix("#!") {
                Some(rest) => format!("//{rest}"),
                None => text,
            },
            file,
            version,
            changed: true,
        };
        self.texts.insert(uri.into(), document);
    }

    /// The parameters of `publishDiagnostics` for each text that has changed.
    pub fn diagnostics(&mut self, session: &Session) -> Vec<Value> {
        let mut notes = Vec::new();
        for (uri, document) in &mut self.texts {
            if std::mem::take(&mut document.changed) {
                let found = problems(session, document);
                let version = document.version;
                notes.push(json!({"uri": uri, "version": version, "diagnostics": found}));
            }
        }
        notes
    }
}

fn problems(session: &Session, document: &Document) -> Vec<Diagnostic> {
    let name = document.file.as_deref().unwrap_or("untitled");
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

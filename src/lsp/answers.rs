//! Answers to requests: completion, hover, signatures, symbols, definitions.

use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionTextEdit, DocumentSymbol, Documentation, Hover,
    HoverContents, InsertTextFormat, MarkupContent, MarkupKind, ParameterInformation,
    ParameterLabel, SignatureHelp, SignatureInformation, SymbolKind, TextDocumentPositionParams,
    TextEdit,
};
use serde_json::{Value, json};

use super::documents::{Document, Documents};
use super::{text, wire};
use crate::diag::{Error, Result};
use crate::session::{Candidate, Session, Thing, symbols};

type Answer = fn(&Session, &Documents, Value) -> Result<Value>;

/// What answers a method.
pub(super) fn find(method: &str) -> Option<Answer> {
    match method {
        "textDocument/completion" => Some(complete),
        "textDocument/hover" => Some(hover),
        "textDocument/signatureHelp" => Some(signature),
        "textDocument/documentSymbol" => Some(outline),
        "textDocument/definition" => Some(definition),
        _ => None,
    }
}

/// The text and the byte that a request is about.
fn place(documents: &Documents, params: Value) -> Result<(&Document, usize, String)> {
    let at: TextDocumentPositionParams = wire::fields(params)?;
    let uri = at.text_document.uri.as_str().to_string();
    let document = documents.get(&uri)?;
    Ok((document, text::byte(&document.text, at.position), uri))
}

fn complete(session: &Session, documents: &Documents, params: Value) -> Result<Value> {
    let (document, byte, _) = place(documents, params)?;
    let found = session.complete_script(document.source(), byte);
    let span = (found.start, byte);
    let candidates = found.candidates.iter().enumerate();
    let items =
        candidates.map(|(at, candidate)| item(document, candidate, at, span, documents.snippets));
    let items: Vec<CompletionItem> = items.collect();
    Ok(json!({"isIncomplete": true, "items": items}))
}

fn item(
    document: &Document,
    candidate: &Candidate,
    at: usize,
    (start, end): (usize, usize),
    snippets: bool,
) -> CompletionItem {
    let rest = document.text.get(end..).unwrap_or("");
    let mut inserted = candidate.text.clone();
    // Editors close brackets and quotes themselves.
    let twice = inserted.ends_with('"') && rest.starts_with('"');
    let open = inserted.ends_with('(');
    if twice || (open && rest.starts_with('(')) {
        inserted.pop();
    }
    let snippet = snippets && open && inserted.ends_with('(');
    if snippet {
        inserted = format!("{}$0)", inserted.replace('$', "\\$"));
    }
    let label = candidate.text.trim_end_matches(['(', ')', '"', ' ', ':']);
    CompletionItem {
        label: label.to_string(),
        kind: Some(kind(candidate.thing)),
        detail: Some(candidate.label.clone()).filter(|detail| detail != label),
        documentation: (!candidate.summary.is_empty())
            .then(|| Documentation::String(candidate.summary.clone())),
        sort_text: Some(format!("{at:05}")),
        filter_text: Some(candidate.text.clone()),
        insert_text_format: snippet.then_some(InsertTextFormat::SNIPPET),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit {
            range: text::range(&document.text, (start, end)),
            new_text: inserted,
        })),
        ..CompletionItem::default()
    }
}

fn kind(thing: Thing) -> CompletionItemKind {
    match thing {
        Thing::Variable => CompletionItemKind::VARIABLE,
        Thing::Function => CompletionItemKind::FUNCTION,
        Thing::Method => CompletionItemKind::METHOD,
        Thing::Property => CompletionItemKind::PROPERTY,
        Thing::Key => CompletionItemKind::FIELD,
        Thing::Value => CompletionItemKind::ENUM_MEMBER,
        Thing::File => CompletionItemKind::FILE,
        Thing::Module => CompletionItemKind::MODULE,
        Thing::Keyword => CompletionItemKind::KEYWORD,
    }
}

fn hover(session: &Session, documents: &Documents, params: Value) -> Result<Value> {
    let (document, byte, _) = place(documents, params)?;
    let told = session.hover(document.source(), byte);
    let hover = told.map(|told| Hover {
        contents: HoverContents::Markup(MarkupContent {
            kind: MarkupKind::Markdown,
            value: told.text,
        }),
        range: Some(text::range(&document.text, told.span)),
    });
    wire::value(hover)
}

fn signature(session: &Session, documents: &Documents, params: Value) -> Result<Value> {
    let (document, byte, _) = place(documents, params)?;
    let help = session.signature(document.source(), byte).map(|found| {
        let params = found
            .params
            .into_iter()
            .map(|(label, summary)| ParameterInformation {
                label: ParameterLabel::Simple(label),
                documentation: Some(Documentation::String(summary)),
            });
        SignatureHelp {
            signatures: vec![SignatureInformation {
                label: found.label,
                documentation: Some(Documentation::String(found.summary)),
                parameters: Some(params.collect()),
                active_parameter: None,
            }],
            active_signature: Some(0),
            active_parameter: Some(found.active as u32),
        }
    });
    wire::value(help)
}

fn outline(_: &Session, documents: &Documents, params: Value) -> Result<Value> {
    let uri = params["textDocument"]["uri"].as_str();
    let uri = uri.ok_or_else(|| Error::new("the request names no document"))?;
    let text = &documents.get(uri)?.text;
    let symbols = symbols(text).into_iter().map(|symbol| {
        #[allow(deprecated, reason = "the field has to be given")]
        DocumentSymbol {
            name: symbol.name,
            detail: Some(symbol.detail).filter(|detail| !detail.is_empty()),
            kind: match symbol.is_function {
                true => SymbolKind::FUNCTION,
                false => SymbolKind::VARIABLE,
            },
            tags: None,
            deprecated: None,
            range: text::range(text, symbol.span),
            selection_range: text::range(text, symbol.at),
            children: None,
        }
    });
    wire::value(symbols.collect::<Vec<_>>())
}

fn definition(session: &Session, documents: &Documents, params: Value) -> Result<Value> {
    let (document, byte, uri) = place(documents, params)?;
    let Some(found) = session.definition(document.source(), byte) else {
        return Ok(Value::Null);
    };
    Ok(match found.file {
        Some((file, text)) => {
            json!({"uri": text::uri_of(&file), "range": text::range(&text, found.span)})
        }
        None => json!({"uri": uri, "range": text::range(&document.text, found.span)}),
    })
}

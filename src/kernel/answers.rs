//! Answers that need no evaluation: who the kernel is, what could stand at the cursor, what a name means, whether
//! input is finished.

use jupyter_protocol::{
    CodeMirrorMode, CommInfoReply, CompleteReply, CompleteRequest, HelpLink, InspectReply,
    InspectRequest, IsCompleteReply, JupyterMessageContent, KernelInfoReply, LanguageInfo, Media,
    MediaType, ReplyStatus, UnknownMessage,
};
use serde_json::{Map, Value, json};

use crate::session::lexer::{depth, lex};
use crate::session::{Candidate, Checker, Completeness, Session, Source, Thing};

/// The version of the protocol; 5.4 brought `iopub_welcome`.
const PROTOCOL: &str = "5.4";
/// One level of indentation, as at the prompt.
const INDENT: &str = "    ";
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn kernel_info() -> KernelInfoReply {
    KernelInfoReply {
        status: ReplyStatus::Ok,
        protocol_version: PROTOCOL.into(),
        implementation: "rlaif-repl".into(),
        implementation_version: VERSION.into(),
        language_info: LanguageInfo {
            name: "rhai".into(),
            version: VERSION.into(),
            mimetype: Some("text/x-rhai".into()),
            file_extension: Some(".rhai".into()),
            // Editors and pygments know no rhai. Of what editors know JavaScript is closest: only `fn`, `loop` and
            // `until` stay plain, where Rust takes `#{` for an attribute and leads all that follows astray. To
            // pygments' JavaScript each `#{` is an error, to its Rust only a back-tick.
            pygments_lexer: Some("rust".into()),
            codemirror_mode: Some(CodeMirrorMode::Simple("javascript".into())),
            nbconvert_exporter: None,
        },
        banner: format!("rlaif-repl {VERSION}: help() lists functions, name? tells about one"),
        help_links: vec![HelpLink {
            text: "The language: the Rhai book".into(),
            url: "https://rhai.rs/book/".into(),
        }],
        debugger: false,
        error: None,
    }
}

/// Nothing is kept that widgets could talk to.
pub(super) fn comm_info() -> CommInfoReply {
    CommInfoReply::default()
}

/// The answer to a request that can't be read.
pub(super) fn fault(unknown: &UnknownMessage, fault: &str) -> JupyterMessageContent {
    unknown.reply(json!({
        "status": "error", "ename": "MessageError", "evalue": fault, "traceback": [],
    }))
}

pub(super) fn complete(session: &Session, request: &CompleteRequest) -> CompleteReply {
    let code = &request.code;
    let found = session.complete(code, byte_at(code, request.cursor_pos));
    let start = code
        .get(..found.start)
        .map_or(0, |text| text.chars().count());
    let end = request.cursor_pos.min(code.chars().count());
    let described = |candidate: &Candidate| {
        json!({
            "start": start, "end": end, "text": candidate.text, "type": kind(candidate.thing),
            "signature": signature(candidate),
        })
    };
    let types: Vec<Value> = found.candidates.iter().map(described).collect();
    CompleteReply {
        matches: found.candidates.into_iter().map(|c| c.text).collect(),
        cursor_start: start,
        cursor_end: end,
        metadata: Map::from_iter([("_jupyter_types_experimental".into(), types.into())]),
        status: ReplyStatus::Ok,
        error: None,
    }
}

/// What JupyterLab draws a sign for.
fn kind(thing: Thing) -> &'static str {
    match thing {
        Thing::Variable => "instance",
        Thing::Function | Thing::Method => "function",
        Thing::Property => "property",
        Thing::Key => "param",
        Thing::Value => "text",
        Thing::File => "path",
        Thing::Module => "module",
        Thing::Keyword => "keyword",
    }
}

/// What JupyterLab shows beside the name.
fn signature(candidate: &Candidate) -> String {
    let rest = candidate
        .label
        .strip_prefix(candidate.text.trim_end_matches(['(', ')', ' ', ':']));
    let rest = rest.unwrap_or("").trim_start_matches([':', ' ']);
    match (rest, candidate.summary.as_str()) {
        ("", summary) => summary.into(),
        (rest, "") => rest.into(),
        (rest, summary) => format!("{rest}  {summary}"),
    }
}

pub(super) fn inspect(session: &Session, request: &InspectRequest) -> InspectReply {
    let at = byte_at(&request.code, request.cursor_pos);
    let told = name_at(&request.code, at).and_then(|(name, end)| told(session, request, name, end));
    InspectReply {
        found: told.is_some(),
        data: told.unwrap_or_default(),
        ..InspectReply::default()
    }
}

/// What is known of a name that ends at byte `end`: of a variable its value, of the rest what it is for.
fn told(session: &Session, request: &InspectRequest, name: &str, end: usize) -> Option<Media> {
    let tell = || match request.detail_level {
        Some(1) => session.inspect_fully(name).ok(),
        _ => session.inspect(name).ok(),
    };
    let (owner, _) = name.split_once('.').unwrap_or((name, ""));
    let (_, member) = name.rsplit_once('.').unwrap_or(("", name));
    let has_value = session.variables().any(|(known, _)| known == owner);
    let mut scripts = session.functions().iter_functions();
    let known = has_value
        || scripts.any(|function| function.name == name)
        || session.host().registry().named(member).next().is_some();
    let source = Source {
        file: None,
        text: &request.code,
    };
    let hover = || session.hover(source, end);
    let rich = (!has_value || owner != name).then(hover).flatten();
    let rich = rich.map(|told| told.text);
    let plain = known.then(tell).flatten().or_else(|| rich.clone())?;
    let forms = [MediaType::Plain(plain)].into_iter();
    Some(Media::new(
        forms.chain(rich.map(MediaType::Markdown)).collect(),
    ))
}

/// The dotted name at byte `at`, or the function whose brackets hold it, and where it ends.
fn name_at(code: &str, at: usize) -> Option<(&str, usize)> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let path = |c: char| word(c) || c == '.';
    let (before, after) = code.split_at_checked(at)?;
    let start = before.trim_end_matches(path).len();
    let end = at + after.len() - after.trim_start_matches(word).len();
    let name = code[start..end].trim_matches('.');
    if name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return Some((name, end));
    }
    let mut depth = 0_usize;
    for (place, c) in before.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' if depth == 0 => return name_at(code, before[..place].trim_end().len()),
            '(' => depth -= 1,
            _ => {}
        }
    }
    None
}

pub(super) fn is_complete(checker: &Checker, code: &str) -> IsCompleteReply {
    match checker.check_input(code) {
        Completeness::Complete => IsCompleteReply::complete(),
        Completeness::Invalid => IsCompleteReply::invalid(),
        Completeness::Incomplete => {
            IsCompleteReply::incomplete(INDENT.repeat(depth(&lex(code), code.len())))
        }
    }
}

/// Clients count code points, we count bytes.
fn byte_at(code: &str, points: usize) -> usize {
    code.char_indices()
        .nth(points)
        .map_or(code.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_at_the_cursor() {
        let check = |marked: &str, expected: Option<&str>| {
            let at = marked.find('|').unwrap();
            let code = marked.replace('|', "");
            assert_eq!(
                name_at(&code, at).map(|(name, _)| name),
                expected,
                "{marked}"
            );
        };
        check("lo|ad(1)", Some("load"));
        check("load|", Some("load"));
        check("a.b|c.d", Some("a.bc"));
        check("load(\"x\", |", Some("load"));
        check("f(g(1), |2)", Some("f"));
        check("f(1) + |", None);
        check("1 + 2|", None);
        check("|", None);
        check("größe|", Some("größe"));
    }

    #[test]
    fn cursors_count_code_points() {
        assert_eq!(byte_at("äöx", 2), 4);
        assert_eq!(byte_at("ä", 9), 2);
        assert_eq!(byte_at("👍x", 1), 4);
    }
}

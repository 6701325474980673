//! Compiling and rendering chat templates.
//!
//! The environment is that of Hugging Face's transformers: `trim_blocks`, `lstrip_blocks`, loop controls, a
//! `tojson` that is `json.dumps(x, ensure_ascii=False)`, `raise_exception`, `strftime_now`, Python's string
//! and list methods, and `{% generation %}` … `{% endgeneration %}` around what the assistant writes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, ErrorKind};
use serde_json::{Value as Json, json};

use super::python::{self, Dumps};
use crate::diag::{Error, Result};
use crate::fail;

/// Stand in rendered text for the begin and end of a `generation` block; Unicode calls them no characters.
const MARKS: [char; 2] = ['\u{FDD0}', '\u{FDD1}'];

const NAME: &str = "chat_template";

/// The moment that `strftime_now` tells: seconds since 1970, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock(pub i64);

impl Clock {
    /// The moment that RFC 3339 writes as `text`.
    pub fn read(text: &str) -> Result<Self> {
        let moment: Result<jiff::Timestamp, _> = text.parse();
        moment
            .map(|moment| Self(moment.as_second()))
            .map_err(|error| Error::new(format!("\"{text}\" is no time: {error}")))
    }
}

/// A compiled chat template.
#[derive(Debug)]
pub struct Template {
    environment: Environment<'static>,
    /// `bos_token`, `eos_token` and the like.
    tokens: BTreeMap<String, String>,
    marks: bool,
}

/// What a template is rendered with.
#[derive(Debug, Clone, Default)]
pub struct Conversation {
    /// Objects with `role` and `content`, and whatever else the template knows (`tool_calls`, `name`, …).
    pub messages: Vec<Json>,
    /// Function signatures, as the template wants them; empty for none.
    pub tools: Vec<Json>,
    /// Whether the text ends where the assistant begins to answer.
    pub add_generation_prompt: bool,
    /// Further variables (`enable_thinking`, `documents`, …).
    pub variables: serde_json::Map<String, Json>,
    pub now: Clock,
}

/// A conversation as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    /// Byte ranges of `text` inside of `generation` blocks; absent if the template has none.
    pub generated: Option<Vec<Range<usize>>>,
}

impl Template {
    /// Compiles `source`; `tokens` are the special tokens by the names that templates use.
    pub fn new(source: &str, tokens: BTreeMap<String, String>) -> Result<Self> {
        let marked = mark(source);
        let marks = marked != source;
        let environment = environment().and_then(|mut environment| {
            environment.add_template_owned(NAME, marked)?;
            Ok(environment)
        });
        Ok(Self {
            environment: environment.map_err(|error| foreign(&error))?,
            tokens,
            marks,
        })
    }

    /// The text of `conversation`. What the template itself refuses (roles out of turn) is an error.
    pub fn render(&self, conversation: &Conversation) -> Result<Rendered> {
        let messages = Json::Array(conversation.messages.clone());
        if messages.to_string().contains(MARKS) {
            fail!("a message holds U+FDD0 or U+FDD1, which are not characters");
        }
        let mut context = serde_json::Map::new();
        for (name, token) in &self.tokens {
            context.insert(name.clone(), json!(token));
        }
        context.insert("messages".into(), messages);
        let tools = match conversation.tools.is_empty() {
            true => Json::Null,
            false => Json::Array(conversation.tools.clone()),
        };
        context.insert("tools".into(), tools);
        context.insert("documents".into(), Json::Null);
        let prompt = conversation.add_generation_prompt;
        context.insert("add_generation_prompt".into(), json!(prompt));
        context.extend(conversation.variables.clone());

        let mut environment = self.environment.clone();
        let now = conversation.now;
        environment.add_function("strftime_now", move |format: &str| strftime(now, format));
        let template = environment.get_template(NAME);
        let text = template
            .and_then(|template| template.render(Value::from(Serde(context))))
            .map_err(|error| foreign(&error))?;
        Ok(self.unmark(&text))
    }

    fn unmark(&self, marked: &str) -> Rendered {
        let mut text = String::with_capacity(marked.len());
        let mut generated: Vec<Range<usize>> = Vec::new();
        for part in marked.split_inclusive(MARKS) {
            match part.chars().next_back().filter(|c| MARKS.contains(c)) {
                None => text.push_str(part),
                Some(mark) => {
                    text.push_str(&part[..part.len() - mark.len_utf8()]);
                    let at = text.len();
                    match generated.last_mut() {
                        Some(open) if mark == MARKS[1] => open.end = at,
                        _ => generated.push(at..at),
                    }
                }
            }
        }
        Rendered {
            text,
            generated: self.marks.then_some(generated),
        }
    }
}

/// The tags `generation` and `endgeneration`, which minijinja does not know, as tags that print a mark:
/// whitespace is trimmed around them in the same way.
fn mark(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find("{%") {
        let Some(length) = rest[open..].find("%}") else {
            break;
        };
        let tag = &rest[open..open + length + 2];
        out.push_str(&rest[..open]);
        let inner = &tag[2..tag.len() - 2];
        let mark = match inner.trim_matches(|c: char| c.is_whitespace() || "-+".contains(c)) {
            "generation" => Some(MARKS[0]),
            "endgeneration" => Some(MARKS[1]),
            _ => None,
        };
        match mark {
            None => out.push_str(tag),
            Some(mark) => {
                let control = |c: Option<char>| c.filter(|c| "-+".contains(*c));
                let left = control(inner.chars().next()).map_or(String::new(), String::from);
                let right = control(inner.chars().next_back()).map_or(String::new(), String::from);
                // Writing to a String can't fail.
                let _ = write!(out, "{{%{left} if true %}}{mark}{{% endif {right}%}}");
            }
        }
        rest = &rest[open + length + 2..];
    }
    out.push_str(rest);
    out
}

fn environment() -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    environment.set_syntax(syntax.build()?);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_formatter(|out, _, value| {
        out.write_str(&python::text(value)?)
            .map_err(|_| minijinja::Error::new(ErrorKind::WriteFailure, "can't write"))
    });
    environment.add_filter("tojson", tojson);
    environment.add_filter("string", |value: Value| python::text(&value));
    environment.add_function("raise_exception", |message: String| -> Result<(), _> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
    });
    Ok(environment)
}

/// `json.dumps(value, ensure_ascii=False, indent=…, separators=…, sort_keys=…)`.
fn tojson(value: Value, options: Kwargs) -> Result<String, minijinja::Error> {
    let flag =
        |name| Ok::<_, minijinja::Error>(options.get::<Option<bool>>(name)?.unwrap_or(false));
    let separators: Option<Vec<String>> = options.get("separators")?;
    let dumps = Dumps {
        indent: options.get("indent")?,
        separators: separators
            .and_then(|pair| <[String; 2]>::try_from(pair).ok())
            .map(|[a, b]| (a, b)),
        sort_keys: flag("sort_keys")?,
        ensure_ascii: flag("ensure_ascii")?,
    };
    options.assert_all_used()?;
    dumps.write(&value)
}

fn strftime(now: Clock, format: &str) -> Result<String, minijinja::Error> {
    let refuse =
        |error: jiff::Error| minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string());
    let moment = jiff::Timestamp::from_second(now.0).map_err(refuse)?;
    let local = moment.to_zoned(jiff::tz::TimeZone::UTC);
    jiff::fmt::strtime::format(format, &local).map_err(refuse)
}

fn foreign(error: &minijinja::Error) -> Error {
    let detail = error
        .detail()
        .map_or_else(|| error.to_string(), str::to_owned);
    let place = error.line().map_or(String::new(), |line| {
        format!(" (line {line} of the template)")
    });
    Error::new(format!("the chat template says: {detail}{place}"))
}

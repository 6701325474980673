//! The engine's errors in our words, with our signatures and the nearest names.

use std::collections::BTreeSet;

use rhai::{Array, Dynamic, EvalAltResult, LexError, Map, ParseErrorType};

use super::diagnose::{Context, Problem};
use super::lexer::{Kind, lex};
use crate::diag::{self, Error};
use crate::host::builtins::{self, Builtin};
use crate::host::error::words;
use crate::host::function::ScriptFn;
use crate::host::show::rename;

/// An explained error.
pub(super) struct Words {
    pub problem: Problem,
    pub message: String,
    pub hint: Option<String>,
    /// A place that the error itself carries.
    pub at: Option<diag::Position>,
}

impl Words {
    pub(super) fn new(message: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            problem: Problem::Runtime,
            message: message.into(),
            hint,
            at: None,
        }
    }
}

/// Message and hint of the innermost error.
pub(super) fn explain(error: &EvalAltResult, context: &Context) -> Words {
    match error {
        EvalAltResult::ErrorTerminated(..) => Words {
            problem: Problem::Interrupted,
            ..Words::new("interrupted", None)
        },
        EvalAltResult::ErrorTooManyOperations(_) => Words {
            problem: Problem::Limit,
            ..Words::new(
                "the limit of script operations is reached",
                Some("--max-operations gives more".into()),
            )
        },
        EvalAltResult::ErrorRuntime(token, _) => match token.clone().try_cast::<Error>() {
            Some(error) => Words {
                at: error.position().cloned(),
                ..Words::new(of_error(&error), error.hint_text().map(Into::into))
            },
            None => Words::new(token.to_string(), None),
        },
        EvalAltResult::ErrorParsing(error, _) => Words {
            problem: Problem::Syntax,
            ..parsing(error, context)
        },
        EvalAltResult::ErrorVariableNotFound(name, _) => variable(name, context),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => function(signature, context),
        EvalAltResult::ErrorDotExpr(text, _) => property(text, context),
        EvalAltResult::ErrorPropertyNotFound(name, _) => key(name, context),
        EvalAltResult::ErrorMismatchDataType(expected, got, _) => Words::new(
            format!("expected {}, got {}", rename(expected), rename(got)),
            None,
        ),
        EvalAltResult::ErrorIndexingType(text, _) => not_indexed(text),
        EvalAltResult::ErrorFor(_) => Words::new(
            "for can't go through this",
            Some("it goes through arrays, ranges, texts, tables and tensors; of maps through keys() and values()".into()),
        ),
        EvalAltResult::ErrorArrayBounds(length, index, _) => Words::new(
            format!("index {index} is outside of the array's {length} elements"),
            None,
        ),
        EvalAltResult::ErrorStackOverflow(_) => Words::new(
            "too many calls inside calls",
            Some("does a function call itself without an end?".into()),
        ),
        other => Words::new(lower_first(&words(other)), None),
    }
}

/// An error of ours without its hint and place.
pub(super) fn of_error(error: &Error) -> String {
    let contexts: String = error
        .contexts()
        .iter()
        .rev()
        .map(|context| format!("{context}: "))
        .collect();
    contexts + error.message()
}

/// "Table [i64]"
fn not_indexed(text: &str) -> Words {
    let (what, by) = text.split_once(" [").unwrap_or((text, "that"));
    let (what, by) = (rename(what), rename(by.trim_end_matches(']')));
    Words::new(format!("{what} can't be indexed with {by}"), None)
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

pub(super) fn parsing(error: &ParseErrorType, context: &Context) -> Words {
    match error {
        ParseErrorType::VariableUndefined(name) => variable(name, context),
        ParseErrorType::ModuleUndefined(name) => module(name),
        ParseErrorType::BadInput(LexError::UnterminatedString) => Words::new(
            "the string is not closed",
            Some("strings over several lines stand in `back-ticks`".into()),
        ),
        ParseErrorType::UnexpectedEOF => Words::new("the code ends too early", None),
        other => Words::new(lower_first(&other.to_string()), None),
    }
}

/// A map has no such key; the maps of the session may tell which one is meant.
fn key(name: &str, context: &Context) -> Words {
    let mut keys = BTreeSet::new();
    for (_, _, value) in context.scope.iter_raw() {
        add_keys(value, &mut keys);
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let hint = match diag::nearest(name, &keys) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("ask first whether it is there: \"{name}\" in map"),
    };
    Words::new(format!("the map has no key \"{name}\""), Some(hint))
}

/// The keys of a map, and of maps in it; in an array the first tells for all.
fn add_keys(value: &Dynamic, keys: &mut BTreeSet<String>) {
    if let Some(map) = value.read_lock::<Map>() {
        keys.extend(map.keys().map(ToString::to_string));
        map.values().for_each(|value| add_keys(value, keys));
    } else if let Some(first) = value.read_lock::<Array>().and_then(|a| a.first().cloned()) {
        add_keys(&first, keys);
    }
}

pub(super) fn module(name: &str) -> Words {
    Words::new(
        format!("unknown module {name}"),
        Some(format!("import \"path\" as {name}; makes it known")),
    )
}

/// A variable that is there, but not inside of a function.
pub(super) fn hidden(name: &str) -> Words {
    let hint = format!(
        "functions don't see the session's variables: pass {name} as a parameter, use a closure |..|, or make it a \
         const and write global::{name}"
    );
    Words::new(format!("unknown variable {name}"), Some(hint))
}

pub(super) fn variable(name: &str, context: &Context) -> Words {
    if context.scope.contains(name) {
        return hidden(name);
    }
    let message = format!("unknown variable {name}");
    let ours = context.registry.named(name).next();
    let script = context.sources.functions.contains_key(name);
    let hint = match ours {
        Some(function) => Some(format!("{name} is a function: {}", function.signature())),
        None if script => Some(format!(
            "{name} is a function: write {name}(..) to call it, Fn(\"{name}\") to pass it"
        )),
        None => {
            let mut known: Vec<&str> = context.scope.iter_raw().map(|(name, ..)| name).collect();
            known.extend(names_in(context.code, name));
            diag::nearest(name, &known).map(|near| format!("did you mean {near}?"))
        }
    };
    Words::new(message, hint)
}

/// The other names in the code: what it declares itself may be meant.
fn names_in<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let names = lex(code)
        .into_iter()
        .filter(|token| token.kind == Kind::Name);
    names
        .map(|token| &code[token.start..token.end])
        .filter(move |other| *other != name)
}

/// `name (type, type)`, as the engine reports a call that fits no function.
fn function(signature: &str, context: &Context) -> Words {
    let (name, types) = signature.split_once(" (").unwrap_or((signature, ")"));
    let types: Vec<&str> = types
        .trim_end_matches(')')
        .split(", ")
        .filter(|t| !t.is_empty())
        .map(rename)
        .collect();
    let call = format!("{name}({})", types.join(", "));
    if let Some(property) = name.strip_prefix("get$") {
        return member(types.first().unwrap_or(&"value"), property, context);
    }
    if matches!(name, "index$get$" | "index$set$") {
        return Words::new(
            format!(
                "{} can't be indexed with {}",
                types.first().unwrap_or(&"it"),
                types.get(1).unwrap_or(&"that")
            ),
            None,
        );
    }
    if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return Words::new(
            format!("{} is not defined for {}", name, types.join(" and ")),
            None,
        );
    }
    let candidates: Vec<&ScriptFn> = context.registry.named(name).collect();
    if !candidates.is_empty() {
        let signatures: Vec<String> = candidates.iter().map(|f| f.signature()).collect();
        return Words::new(
            format!("no {name} takes {}", arguments(&types)),
            Some(format!("it is called as {}", signatures.join(", or "))),
        );
    }
    if context.sources.functions.contains_key(name) {
        let name = match name.starts_with("anon$") {
            true => "the closure",
            false => name,
        };
        return Words::new(
            format!(
                "{name} takes another number of arguments than {}",
                types.len()
            ),
            None,
        );
    }
    if context.builtins.iter().any(|builtin| builtin.name == name) {
        return Words::new(
            format!("{name} is not defined for {}", types.join(", ")),
            None,
        );
    }
    unknown(name, &types, &call, context)
}

/// Neither function nor method has that name; a method of what it was called on is the likeliest.
fn unknown(name: &str, types: &[&str], call: &str, context: &Context) -> Words {
    let message = format!("unknown function {call}");
    let mut ours = context.registry.types.iter();
    let owner = ours.find(|entry| types.first() == Some(&entry.name));
    let Some(owner) = owner else {
        let receiver = |builtin: &&Builtin| builtin.receiver.and_then(builtins::type_name);
        let fits =
            |builtin: &&Builtin| !types.is_empty() && receiver(builtin).as_ref() == types.first();
        let members = context.builtins.iter().filter(fits);
        let members: Vec<&str> = members.map(|builtin| builtin.name.as_str()).collect();
        return match diag::nearest(name, &members) {
            Some(near) => Words::new(message, Some(format!("did you mean {near}?"))),
            None => unknown_function(name, call, context),
        };
    };
    let members: Vec<&ScriptFn> = context.registry.members(owner.id).collect();
    let names: Vec<&str> = members.iter().map(|f| f.name).collect();
    let listed: Vec<String> = members.iter().filter_map(|f| f.listed()).collect();
    let hint = match diag::nearest(name, &names) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("a {} has {}", owner.name, listed.join(" ")),
    };
    Words::new(message, Some(hint))
}

/// No function has that name; `call` is how it was called.
pub(super) fn unknown_function(name: &str, call: &str, context: &Context) -> Words {
    let ours = context.registry.functions.iter().map(|f| f.name);
    let builtins = context.builtins.iter().map(|builtin| builtin.name.as_str());
    let known: Vec<&str> = ours
        .chain(context.sources.functions.keys().map(String::as_str))
        .chain(builtins)
        .collect();
    let hint = diag::nearest(name, &known).map(|near| format!("did you mean {near}?"));
    Words::new(format!("unknown function {call}"), hint)
}

fn arguments(types: &[&str]) -> String {
    match types {
        [] => "no arguments".into(),
        types => format!("({})", types.join(", ")),
    }
}

/// "Unknown property 'x' - a getter is not registered for type 'T'"
fn property(text: &str, context: &Context) -> Words {
    let quoted: Vec<&str> = text.split('\'').collect();
    match quoted[..] {
        [_, property, _, type_name, ..] => member(rename(type_name), property, context),
        _ => Words::new(lower_first(text), None),
    }
}

pub(super) fn member(type_name: &str, property: &str, context: &Context) -> Words {
    let members: Vec<&ScriptFn> = context
        .registry
        .functions
        .iter()
        .map(|f| &**f)
        .filter(|f| f.receiver.is_some_and(|r| r.name == type_name))
        .collect();
    let names: Vec<&str> = members.iter().map(|f| f.name).collect();
    let same = members.iter().find(|f| f.name == property);
    let hint = match same {
        Some(method) => Some(format!("it is a method: {}", method.signature())),
        None => diag::nearest(property, &names).map(|near| format!("did you mean {near}?")),
    };
    Words::new(format!("{type_name} has no property {property}"), hint)
}

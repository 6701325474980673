//! Our errors inside the script engine and back.

use rhai::{Dynamic, EvalAltResult, Position};

use crate::diag::Error;

/// Wraps an error for the engine. An interrupt can't be caught by a script's `try`.
pub fn to_rhai(error: Error) -> Box<EvalAltResult> {
    let stops = error.is_interrupt();
    let token = Dynamic::from(error);
    Box::new(match stops {
        true => EvalAltResult::ErrorTerminated(token, Position::NONE),
        false => EvalAltResult::ErrorRuntime(token, Position::NONE),
    })
}

/// An engine error as ours, with the innermost place; `source` names the text it is in.
pub fn from_rhai(error: &EvalAltResult, source: Option<&str>) -> Error {
    let (inner, place) = innermost(error, source);
    let ours = match inner {
        EvalAltResult::ErrorRuntime(token, _) | EvalAltResult::ErrorTerminated(token, _) => {
            token.clone().try_cast::<Error>()
        }
        _ => None,
    };
    if let Some(ours) = ours.filter(|e| e.position().is_some() || e.is_interrupt()) {
        return ours;
    }
    let error = ours_or_words(inner);
    let position = inner.position();
    match (position.line(), position.position()) {
        (Some(line), column) => error.at(place, line, column.unwrap_or(1)),
        _ => error,
    }
}

fn ours_or_words(inner: &EvalAltResult) -> Error {
    match inner {
        EvalAltResult::ErrorTerminated(..) => Error::interrupted(),
        EvalAltResult::ErrorRuntime(token, _) => match token.clone().try_cast::<Error>() {
            Some(error) => error,
            None => Error::new(token.to_string()),
        },
        other => Error::new(words(other)),
    }
}

/// The engine's message without its position.
pub fn words(error: &EvalAltResult) -> String {
    let text = error.to_string();
    match text.rfind(" (line ") {
        Some(at) => text[..at].to_string(),
        None => text,
    }
}

fn innermost<'a>(error: &'a EvalAltResult, source: Option<&str>) -> (&'a EvalAltResult, String) {
    let mut place = source.unwrap_or("script").to_string();
    let mut error = error;
    loop {
        match error {
            EvalAltResult::ErrorInFunctionCall(_, source, inner, _) => {
                if !source.is_empty() {
                    place.clone_from(source);
                }
                error = inner;
            }
            EvalAltResult::ErrorInModule(name, inner, _) => {
                place.clone_from(name);
                error = inner;
            }
            _ => return (error, place),
        }
    }
}

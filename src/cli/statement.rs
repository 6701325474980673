//! A statement that has run, as one line of JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::host::{Event, Recorder};
use crate::session::{Diagnostic, Outcome, Problem, Session};

/// `{"line", "status", "output": [..], "value", "text", "error", "exit", "seconds"}`: what was shown on the way,
/// the value as it is shown and in one line, the error. `line` is where the code begins.
pub(super) fn to_json(
    session: &Session,
    recorder: &Recorder,
    code: &str,
    outcome: &Outcome,
    shown: bool,
) -> Value {
    let line = 1 + code.len() - code.trim_start_matches('\n').len();
    let value = Some(&outcome.value).filter(|value| shown && !value.is_unit());
    let display = value.and_then(|value| session.show(value, usize::MAX));
    let problem = outcome.problem.as_ref();
    json!({
        "line": line,
        "status": status(problem),
        "output": recorder.take().iter().filter_map(output).collect::<Vec<_>>(),
        "value": display.map(|display| display.to_json()),
        "text": value.map(|value| session.line(value)),
        "error": problem.map(error),
        "exit": outcome.exit,
        "seconds": outcome.elapsed.as_secs_f64(),
    })
}

fn status(problem: Option<&Diagnostic>) -> &'static str {
    match problem.map(|problem| problem.problem) {
        None => "ok",
        Some(Problem::Interrupted) => "interrupted",
        Some(Problem::Limit) => "limit",
        Some(_) => "error",
    }
}

fn output(event: &Event) -> Option<Value> {
    match event {
        Event::Show(display) => Some(display.to_json()),
        Event::Write(text) => Some(json!({ "write": text })),
        Event::Note(text) => Some(json!({ "note": text })),
        Event::Clear | Event::Progress(_) => None,
    }
}

fn error(problem: &Diagnostic) -> Value {
    let frames = problem.frames.iter().map(|frame| {
        json!({
            "source": frame.source,
            "line": frame.line,
            "column": frame.column,
            "function": frame.function,
            "text": frame.text,
            "values": frame.values.iter().cloned().collect::<BTreeMap<_, _>>(),
        })
    });
    json!({
        "message": problem.message,
        "hint": problem.hint,
        "frames": frames.collect::<Vec<_>>(),
    })
}

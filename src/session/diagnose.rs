//! Errors in one look: message, source line with a caret, the calls that led there, and a way out.

use std::fmt::Write as _;

use rhai::{EvalAltResult, Position, Scope};

use super::Sources;
use super::excerpt::excerpt;
use super::values::Values;
use super::words::{self, Words};
use crate::diag::Error;
use crate::host::builtins::Builtin;
use crate::host::notes::depth;
use crate::host::{Limits, Registry};

/// Columns of a line of values.
const LINE: usize = 90;

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// Nothing failed, but this is hardly meant.
    Warning,
    /// The code can't be compiled; nothing ran.
    Syntax,
    Runtime,
    Interrupted,
    /// The time or the operations that it may take are over.
    Limit,
    /// A fault of ours.
    Panic,
}

/// A failure with its places.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    pub problem: Problem,
    pub message: String,
    pub hint: Option<String>,
    /// What became of the cell's other work.
    pub note: Option<String>,
    /// The innermost place comes first.
    pub frames: Vec<Frame>,
}

/// A place in a source text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Cell or file.
    pub source: String,
    pub line: usize,
    pub column: usize,
    /// The function that the place is in.
    pub function: Option<String>,
    /// The source line; empty if it is not known.
    pub text: String,
    /// The variables that the line names, and what to tell of their values.
    pub values: Vec<(String, String)>,
}

/// What helps to explain an error.
pub(super) struct Context<'a> {
    pub registry: &'a Registry,
    pub builtins: &'a [Builtin],
    pub sources: &'a Sources,
    pub scope: &'a Scope<'static>,
    pub code: &'a str,
    pub values: Vec<Values>,
}

/// Explains an error of the engine that came out of `source`.
pub(super) fn diagnose(error: &EvalAltResult, source: &str, context: &Context) -> Diagnostic {
    let mut frames = Vec::new();
    let mut place = (source.to_string(), None::<String>);
    let mut error = error;
    loop {
        let (source, function) = place.clone();
        let found = frame(&source, error.position(), function, context.sources);
        let noted = |frame: &Frame| {
            let here = |values: &&Values| (values.depth, values.line) == (depth(error), frame.line);
            let values = context.values.iter().find(here);
            values.map_or(Vec::new(), |values| values.told.clone())
        };
        frames.extend(found.map(|frame| Frame {
            values: noted(&frame),
            ..frame
        }));
        match error {
            EvalAltResult::ErrorInFunctionCall(name, within, inner, _) => {
                if let Some(source) = context.sources.of_function(name, within, &place.0) {
                    place = (source, Some(function_name(name)));
                }
                error = inner;
            }
            EvalAltResult::ErrorInModule(name, inner, _) => {
                place = (name.clone(), None);
                error = inner;
            }
            _ => break,
        }
    }
    frames.reverse();
    let Words {
        problem,
        message,
        hint,
        at,
    } = words::explain(error, context);
    if let Some(at) = at {
        let known = frames
            .iter()
            .any(|f| (&f.source, f.line) == (&at.source, at.line));
        let position = Position::new(at.line.min(65_535) as u16, at.column.min(65_535) as u16);
        let found = frame(&at.source, position, None, context.sources);
        frames.splice(0..0, found.filter(|_| !known));
    }
    // A native function that calls back stands at the place of its own call.
    let place = |frame: &Frame| (frame.source.clone(), frame.line, frame.column);
    frames.reverse();
    frames.dedup_by_key(|frame| place(frame));
    frames.reverse();
    Diagnostic {
        problem,
        message,
        hint,
        note: None,
        frames,
    }
}

fn function_name(name: &str) -> String {
    match name.starts_with("anon$") {
        true => "closure".into(),
        false => name.into(),
    }
}

/// `where a = 1, b = 2`, in lines of a length that can be read.
fn where_lines(values: &[(String, String)]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (name, value) in values {
        let told = format!("{name} = {value}");
        match lines.last_mut() {
            Some(line) if line.len() + told.len() < LINE => *line += &format!(", {told}"),
            Some(_) => lines.push(format!("      {told}")),
            None => lines.push(format!("where {told}")),
        }
    }
    lines
}

fn frame(
    source: &str,
    position: Position,
    function: Option<String>,
    sources: &Sources,
) -> Option<Frame> {
    let line = position.line()?;
    let text = sources.line(source, line);
    let column = position.position().unwrap_or(1);
    Some(Frame {
        source: source.into(),
        line,
        column,
        function,
        text,
        values: Vec::new(),
    })
}

impl Sources {
    /// The source of a script's function that was called from `caller`; `within` is what the engine says.
    fn of_function(&self, name: &str, within: &str, caller: &str) -> Option<String> {
        let file = within.ends_with(".rhai");
        match self.functions.get(name) {
            Some(known) if !file || within == caller => Some(known.clone()),
            _ if file => Some(within.into()),
            // One of ours that calls back: its error stands at its own call.
            _ => None,
        }
    }

    pub(super) fn line(&self, source: &str, line: usize) -> String {
        let at = |text: &str| text.lines().nth(line - 1).unwrap_or("").to_string();
        match self.texts.get(source) {
            Some(text) => at(text),
            None => std::fs::read_to_string(source)
                .map(|text| at(&text))
                .unwrap_or_default(),
        }
    }
}

impl Diagnostic {
    /// An error of ours, outside of any evaluation.
    pub(crate) fn of_error(error: &Error, sources: &Sources) -> Self {
        let frames = error.position().map(|at| Frame {
            source: at.source.clone(),
            line: at.line,
            column: at.column,
            function: None,
            text: sources.line(&at.source, at.line),
            values: Vec::new(),
        });
        Self {
            problem: match (error.is_interrupt(), error.position()) {
                (true, _) => Problem::Interrupted,
                (false, Some(_)) => Problem::Syntax,
                (false, None) => Problem::Runtime,
            },
            message: words::of_error(error),
            hint: error.hint_text().map(Into::into),
            note: None,
            frames: frames.into_iter().collect(),
        }
    }

    /// Whether the work was stopped, by the user or by a limit.
    pub fn is_interrupt(&self) -> bool {
        matches!(self.problem, Problem::Interrupted | Problem::Limit)
    }

    /// What interrupted the work was the end of its time.
    pub(super) fn out_of_time(&mut self, limits: &Limits) {
        let time = limits.time.unwrap_or_default();
        self.problem = Problem::Limit;
        self.message = format!("the time limit of {time:?} is over");
        self.hint = Some("--time-limit gives more".into());
    }

    pub(super) fn of_panic(message: &str) -> Self {
        Self {
            problem: Problem::Panic,
            message: format!("internal error: {message}"),
            hint: Some(
                "this is a fault of the program, not of the script; the session goes on".into(),
            ),
            note: None,
            frames: Vec::new(),
        }
    }

    /// Text for a terminal or log.
    pub fn render(&self, colour: bool) -> String {
        let paint = |code: &str, text: &str| match colour {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_string(),
        };
        let title = match self.problem {
            Problem::Syntax | Problem::Runtime | Problem::Panic => paint("1;31", "error"),
            Problem::Warning => paint("1;33", "warning"),
            Problem::Interrupted | Problem::Limit => paint("1;33", "stopped"),
        };
        let mut text = format!("{title}: {}", self.message);
        let width = self
            .frames
            .iter()
            .map(|f| f.line.to_string().len())
            .max()
            .unwrap_or(1);
        for (at, frame) in self.frames.iter().enumerate() {
            let arrow = if at == 0 { "-->" } else { "called from" };
            let within = frame
                .function
                .as_ref()
                .map_or(String::new(), |name| format!(" in {name}"));
            let place = format!("{}:{}:{}", frame.source, frame.line, frame.column);
            let _ = write!(
                text,
                "\n{:width$} {} {place}{within}",
                "",
                paint("34", arrow)
            );
            if !frame.text.is_empty() {
                let (line, at) = excerpt(&frame.text, frame.column);
                let caret = format!("{}^", " ".repeat(at));
                let bar = paint("34", "|");
                let _ = write!(text, "\n{:>width$} {bar} {line}", frame.line);
                let _ = write!(text, "\n{:width$} {bar} {}", "", paint("1;31", &caret));
                for line in where_lines(&frame.values) {
                    let _ = write!(text, "\n{:width$} {bar} {}", "", paint("36", &line));
                }
            }
        }
        if let Some(note) = &self.note {
            let _ = write!(text, "\n{:width$} {} {note}", "", paint("36", "= note:"));
        }
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\n{:width$} {} {hint}", "", paint("36", "= hint:"));
        }
        text
    }
}

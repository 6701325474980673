//! A frame of a script that stands: its place, its variables, its callers, code that runs in it.

use rhai::{AST, Dynamic, Engine, EvalContext, Position, Scope};

use crate::diag::{Error, Result};
use crate::host::{Host, Registry, show};
use crate::report::{Cell, Column, Display, Table};
use crate::session::diagnose::Context;
use crate::session::watch::{script_frame, standing};
use crate::session::{Sources, words};

/// Columns of a value in the table of variables.
const WIDTH: usize = 60;

/// The place with its line and a mark.
pub(super) fn place(
    sources: &Sources,
    source: &str,
    position: Position,
    function: Option<String>,
) -> String {
    let (line, column) = (
        position.line().unwrap_or(1),
        position.position().unwrap_or(1),
    );
    let within = function.map_or(String::new(), |name| format!(" in {name}"));
    let text = sources.line(source, line).replace('\t', " ");
    let caret = format!("{:>1$}", "^", column.max(1));
    let margin = " ".repeat(line.to_string().len());
    format!("{source}:{line}:{column}{within}\n{line} | {text}\n{margin} | {caret}")
}

/// The function that runs, if any.
pub(super) fn function(context: &EvalContext, sources: &Sources) -> Option<String> {
    let frame = script_frame(context, &sources.functions)?;
    Some(named(&frame.fn_name))
}

pub(super) fn named(name: &str) -> String {
    match name.starts_with("anon$") {
        true => "closure".into(),
        false => name.into(),
    }
}

/// The calls that led here, the innermost first.
pub(super) fn calls(context: &EvalContext, sources: &Sources) -> Vec<String> {
    let debugger = context.debugger();
    let mut frames = debugger.map_or(Vec::new(), |debugger| debugger.call_stack().to_vec());
    frames.retain(|frame| sources.functions.contains_key(frame.fn_name.as_str()));
    let mut lines = Vec::new();
    for (at, frame) in frames.iter().enumerate().rev() {
        let caller = at.checked_sub(1).map(|at| frames[at].fn_name.as_str());
        let running = frame.source.as_deref().unwrap_or("");
        let source = standing(&sources.functions, caller, running);
        let (line, column) = (frame.pos.line(), frame.pos.position());
        let place = format!("{source}:{}:{}", line.unwrap_or(1), column.unwrap_or(1));
        lines.push(format!("  {} called from {place}", named(&frame.fn_name)));
    }
    if lines.is_empty() {
        lines.push("  the top level".into());
    }
    lines
}

/// A table of the variables in a scope.
pub(super) fn locals(
    registry: &Registry,
    scope: &Scope,
    this: Option<&Dynamic>,
) -> Result<Display> {
    let mut table = Table::new("", ["name", "type", "value"].map(Column::new));
    let this = this.map(|value| ("this", value));
    let known: Vec<(&str, &Dynamic)> = scope
        .into_iter()
        .map(|(name, value, _)| (name, value))
        .filter(|(name, _)| !matches!(*name, "In" | "Out"))
        .collect();
    let shown = |at: usize| !known[at + 1..].iter().any(|(name, _)| *name == known[at].0);
    let visible = (0..known.len()).filter(|at| shown(*at)).map(|at| known[at]);
    for (name, value) in this.into_iter().chain(visible) {
        let line = show::line(registry, value);
        let line = match line.char_indices().nth(WIDTH) {
            Some((at, _)) => format!("{}…", &line[..at]),
            None => line,
        };
        table.push([name.to_string(), show::type_name(value), line].map(Cell::from))?;
    }
    Ok(Display::Table(table))
}

/// Code for a frame, and what it and its errors need.
pub(super) struct Code<'a> {
    pub host: &'a Host,
    pub sources: &'a Sources,
    pub functions: &'a AST,
    pub text: &'a str,
}

/// Runs code in a frame; what it declares is gone afterwards.
pub(super) fn evaluate(engine: &Engine, scope: &mut Scope, code: &Code) -> Result<Dynamic> {
    let length = scope.len();
    let compiled = engine.compile_with_scope(scope, code.text);
    let value = match compiled {
        Ok(ast) => engine.eval_ast_with_scope(scope, &code.functions.merge(&ast)),
        Err(error) => Err(error.into()),
    };
    scope.rewind(length);
    value.map_err(|error| {
        let context = Context {
            registry: code.host.registry(),
            builtins: &[],
            sources: code.sources,
            scope: &copied(scope),
            code: code.text,
            values: Vec::new(),
        };
        Error::new(words::explain(&error, &context).message)
    })
}

/// The entries of a scope, to keep.
pub(super) fn copied(scope: &Scope) -> Scope<'static> {
    let mut copy = Scope::new();
    for (name, value, _) in scope {
        match value.is_read_only() {
            true => copy.push_constant_dynamic(name, value.clone()),
            false => copy.push_dynamic(name, value.clone()),
        };
    }
    copy
}

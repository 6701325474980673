//! The debugger's prompt: in the frame where a script stands, with its variables, its callers and steps.

mod autopsy;
mod frame;

use rhai::debugger::{BreakPoint, DebuggerCommand, DebuggerEvent};
use rhai::{AST, Dynamic, EvalContext, Position};

use super::Sources;
use super::watch::{Command, Step, Watcher};
use crate::diag::{Error, Result};
use crate::host::error::to_rhai;
use crate::host::{Host, show};

pub(super) use autopsy::{Autopsy, Body, open};

const HELP: &str = "\
  n, next      the next line, over calls        s, step      the next line, into calls
  o, out       to the end of this function      c, continue  on, to the next breakpoint
  w, where     the calls that led here          l, locals    the variables here
  b LINE       a breakpoint at that line        q, quit      stops the script
  anything else is script: it sees and may change the variables here; an empty line repeats the last step";

/// A prompt that opens where the script stops.
pub(super) struct Debugger {
    host: Host,
    sources: Sources,
    /// The session's functions, for what is typed.
    functions: AST,
    /// Whether it stops at the start.
    stops: bool,
    /// Lines that it stops at.
    lines: Vec<(String, usize)>,
    /// What an empty line repeats.
    last: DebuggerCommand,
    /// Where it stopped last.
    place: (String, usize),
}

impl Debugger {
    pub fn new(host: Host, sources: Sources, functions: AST, stops: bool) -> Self {
        Self {
            host,
            sources,
            functions,
            stops,
            lines: Vec::new(),
            last: DebuggerCommand::Next,
            place: Default::default(),
        }
    }

    /// Asks until the script is to go on.
    fn prompt(&mut self, context: &mut EvalContext, step: &Step) -> Result<Answer> {
        let place = frame::place(
            &self.sources,
            step.source,
            step.position,
            frame::function(context, &self.sources),
        );
        self.host.print(place);
        loop {
            let Some(line) = self.host.front().ask("(debug) ")? else {
                return Ok(Answer::Quit);
            };
            let command = match line.trim() {
                "" => return Ok(Answer::Go(self.last)),
                "n" | "next" => DebuggerCommand::Next,
                "s" | "step" => DebuggerCommand::StepInto,
                "o" | "out" => DebuggerCommand::FunctionExit,
                "c" | "continue" => DebuggerCommand::Continue,
                "q" | "quit" => return Ok(Answer::Quit),
                text => {
                    if let Err(error) = self.answer(context, step, text) {
                        self.host.print(format!("error: {error}"));
                    }
                    continue;
                }
            };
            if !matches!(command, DebuggerCommand::Continue) {
                self.last = command;
            }
            return Ok(Answer::Go(command));
        }
    }

    /// What does not move the script.
    fn answer(&mut self, context: &mut EvalContext, step: &Step, text: &str) -> Result<()> {
        match text {
            "h" | "help" | "?" => self.host.print(HELP),
            "l" | "locals" => {
                let this = context.this_ptr().cloned();
                let table = frame::locals(self.host.registry(), context.scope(), this.as_ref())?;
                self.host.show(table);
            }
            "w" | "where" => {
                for line in frame::calls(context, &self.sources) {
                    self.host.print(line);
                }
            }
            _ if text.starts_with("b ") => {
                let line: u16 = text[2..].trim().parse().map_err(|_| {
                    Error::new(format!("\"{}\" is no line", &text[2..])).hint("b 12")
                })?;
                let point = BreakPoint::AtPosition {
                    source: Some(step.running.into()),
                    pos: Position::new(line.max(1), 0),
                    enabled: true,
                };
                if let Some(debugger) = context.debugger_mut() {
                    debugger.break_points_mut().push(point);
                }
                self.lines
                    .push((step.source.to_string(), usize::from(line)));
                self.host
                    .print(format!("breakpoint at {}:{line}", step.source));
            }
            _ => {
                let code = frame::Code {
                    host: &self.host,
                    sources: &self.sources,
                    functions: &self.functions,
                    text,
                };
                let engine = context.engine();
                let value = frame::evaluate(engine, context.scope_mut(), &code)?;
                self.show(&value);
            }
        }
        Ok(())
    }

    fn show(&self, value: &Dynamic) {
        if !value.is_unit() {
            self.host.show(show::rich(self.host.registry(), value, 80));
        }
    }

    /// Whether a step is a stop: a statement on another line, a breakpoint, the end of a function.
    fn stops_at(&mut self, step: &Step, of_script: bool) -> bool {
        let line = (step.source.to_string(), step.position.line().unwrap_or(0));
        let stops = match step.event {
            // Point 0 is `breakpoint()`.
            DebuggerEvent::BreakPoint(0) => true,
            DebuggerEvent::BreakPoint(_) => self.lines.contains(&line) && line != self.place,
            DebuggerEvent::Step => step.node.is_stmt() && line.1 > 0 && line != self.place,
            DebuggerEvent::FunctionExitWithValue(_) => line.1 > 0 && of_script,
            _ => false,
        };
        if stops {
            self.place = line;
        }
        stops
    }
}

/// What the user wants.
enum Answer {
    Go(DebuggerCommand),
    Quit,
}

impl Watcher for Debugger {
    fn step(&mut self, context: &mut EvalContext, step: &Step) -> Command {
        if matches!(step.event, DebuggerEvent::End) {
            return Ok(DebuggerCommand::Continue);
        }
        if matches!(step.event, DebuggerEvent::Start) {
            // The first step of all is told as the start, even if it is `breakpoint()`.
            let at_point = |debugger: &rhai::debugger::Debugger| {
                let point = debugger.is_break_point(Some(step.running), step.node);
                point.is_some()
            };
            let stops = self.stops || context.debugger().is_some_and(at_point);
            return match stops && step.position.line().is_some() {
                true => self.ask(context, step),
                false => Ok(DebuggerCommand::Continue),
            };
        }
        let calls = context.debugger().map(rhai::debugger::Debugger::call_stack);
        let innermost = calls.and_then(|calls| calls.last());
        let of_script = innermost
            .is_some_and(|frame| self.sources.functions.contains_key(frame.fn_name.as_str()));
        if !self.stops_at(step, of_script) {
            return Ok(self.last);
        }
        if let DebuggerEvent::FunctionExitWithValue(value) = step.event {
            let line = show::line(self.host.registry(), value);
            self.host.print(format!("it gives {line}"));
        }
        self.ask(context, step)
    }
}

impl Debugger {
    fn ask(&mut self, context: &mut EvalContext, step: &Step) -> Command {
        self.place = (step.source.to_string(), step.position.line().unwrap_or(0));
        match self.prompt(context, step) {
            Ok(Answer::Go(command)) => Ok(command),
            Ok(Answer::Quit) => Err(rhai::EvalAltResult::ErrorTerminated(
                Dynamic::from(Error::interrupted()),
                step.position,
            )
            .into()),
            Err(error) => {
                let mut error = to_rhai(error);
                error.set_position(step.position);
                Err(error)
            }
        }
    }
}

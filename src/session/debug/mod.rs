//! The debugger's prompt: in the frame where a script stands, with its variables, its callers and steps.

mod autopsy;
mod callers;
mod frame;

use rhai::debugger::{BreakPoint, DebuggerCommand, DebuggerEvent};
use rhai::{AST, Dynamic, EvalContext, Position};

use super::Sources;
use super::watch::{Command, Step, Watcher};
use crate::diag::{Error, Result};
use crate::host::error::to_rhai;
use crate::host::{Host, show};

use callers::{Caller, Callers};

pub(super) use autopsy::{Autopsy, Body, open};

const HELP: &str = "  \
  n, next      the next line, over calls        s, step      the next line, into calls
  o, out       to the end of this function      c, continue  on, to the next breakpoint
  w, where     the calls that led here          l, locals    the variables here
  u, up        a caller's variables             d, down      back to the call it made
  b LINE       a breakpoint at that line        q, quit      stops the script
  anything else is script, which sees and may change the variables here; an empty line
  repeats the last step";

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
    /// Whether it lets the script run to the next breakpoint.
    runs: bool,
    callers: Callers,
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
            runs: !stops,
            callers: Callers::default(),
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
        let mut callers = self.callers.all(context, &self.sources, &self.functions);
        // How many calls up it looks.
        let mut up = 0;
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
                "u" | "up" | "d" | "down" => {
                    up = self.turned(up, line.trim().starts_with('u'), &callers);
                    continue;
                }
                text => {
                    let caller = up.checked_sub(1).and_then(|at| callers.get_mut(at));
                    if let Err(error) = self.answer(context, step, (text, caller)) {
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

    /// Looks one call further up or down, if there is one; gives how many it is up then.
    fn turned(&self, up: usize, further: bool, callers: &[Caller]) -> usize {
        let told = match (further, up) {
            (true, _) if up == callers.len() => Err("this is the outermost call"),
            (true, _) => Ok(up + 1),
            (false, 0) => Err("here the script stands"),
            (false, _) => Ok(up - 1),
        };
        match told {
            Err(words) => {
                self.host.print(words);
                return up;
            }
            Ok(0) => self.host.print("back where the script stands"),
            Ok(up) => {
                let caller = &callers[up - 1];
                self.host.print(&caller.place);
                if !caller.whole {
                    self.host.print("only its arguments are known");
                }
            }
        }
        told.unwrap_or(up)
    }

    /// What does not move the script.
    fn answer(
        &mut self,
        context: &mut EvalContext,
        step: &Step,
        (text, caller): (&str, Option<&mut Caller>),
    ) -> Result<()> {
        match text {
            "h" | "help" | "?" => self.host.print(HELP),
            "l" | "locals" => {
                let here = caller.is_none();
                let this = context.this_ptr().filter(|_| here).cloned();
                let scope = caller.map_or(context.scope(), |caller| &caller.scope);
                let table = frame::locals(self.host.registry(), scope, this.as_ref())?;
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
                let value = match caller {
                    Some(caller) => frame::evaluate(engine, &mut caller.scope, &code)?,
                    None => frame::evaluate(engine, context.scope_mut(), &code)?,
                };
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
            DebuggerEvent::Step => {
                !self.runs && step.node.is_stmt() && line.1 > 0 && line != self.place
            }
            DebuggerEvent::FunctionExitWithValue(_) => !self.runs && line.1 > 0 && of_script,
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
        self.callers.note(context, step, &self.sources);
        let told = matches!(step.event, DebuggerEvent::Step) && self.runs;
        if matches!(step.event, DebuggerEvent::Start) {
            // The first step of all is told as the start, even if it is `breakpoint()`.
            let stops = self.stops || point(context, step).is_some();
            return match stops && step.position.line().is_some() {
                true => self.ask(context, step),
                false => Ok(self.command()),
            };
        }
        let event = match point(context, step).filter(|_| told) {
            Some(point) => DebuggerEvent::BreakPoint(point),
            None => step.event,
        };
        let step = &Step { event, ..*step };
        let calls = context.debugger().map(rhai::debugger::Debugger::call_stack);
        let innermost = calls.and_then(|calls| calls.last());
        let of_script = innermost
            .is_some_and(|frame| self.sources.functions.contains_key(frame.fn_name.as_str()));
        if !self.stops_at(step, of_script) {
            return Ok(self.command());
        }
        if let DebuggerEvent::FunctionExitWithValue(value) = step.event {
            let line = show::line(self.host.registry(), value);
            self.host.print(format!("it gives {line}"));
        }
        self.ask(context, step)
    }
}

/// The breakpoint at a step.
fn point(context: &EvalContext, step: &Step) -> Option<usize> {
    let debugger = context.debugger()?;
    debugger.is_break_point(Some(step.running), step.node)
}

impl Debugger {
    /// How the script goes on until the next stop. While it runs freely every step is told, to keep the variables of
    /// calls.
    fn command(&self) -> DebuggerCommand {
        match self.runs {
            true => DebuggerCommand::StepInto,
            false => self.last,
        }
    }

    fn ask(&mut self, context: &mut EvalContext, step: &Step) -> Command {
        self.place = (step.source.to_string(), step.position.line().unwrap_or(0));
        match self.prompt(context, step) {
            Ok(Answer::Go(command)) => {
                self.runs = matches!(command, DebuggerCommand::Continue);
                Ok(match self.runs {
                    true => self.command(),
                    false => command,
                })
            }
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

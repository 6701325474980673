//! After an error: the cell runs again from the state before it, and the variables of each frame that led to the
//! error are kept as they were at its line.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::debugger::{DebuggerCommand, DebuggerEvent};
use rhai::{AST, Engine, EvalContext, Position, Scope};

use super::frame;
use crate::diag::Result;
use crate::host::{Host, show};
use crate::session::diagnose::Frame;
use crate::session::watch::{Command, Step, Watcher};
use crate::session::{Diagnostic, Sources};

const HELP: &str = "u, up and d, down change the frame; l, locals; w, where; q, quit; else: script";

/// The variables of each frame, the innermost first, as far as they were seen.
#[derive(Clone)]
pub(in crate::session) struct Body(Arc<Mutex<Vec<Option<Scope<'static>>>>>);

impl Body {
    pub fn new(frames: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![None; frames])))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Scope<'static>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps what is to be seen.
pub(in crate::session) struct Autopsy {
    frames: Vec<Frame>,
    body: Body,
}

impl Autopsy {
    pub fn new(frames: Vec<Frame>, body: Body) -> Self {
        Self { frames, body }
    }
}

impl Watcher for Autopsy {
    fn step(&mut self, context: &mut EvalContext, step: &Step) -> Command {
        let at_line =
            |frame: &Frame| Some(frame.line) == step.position.line() && frame.source == step.source;
        // At its end a function has lost its variables.
        let relevant = matches!(step.event, DebuggerEvent::Start | DebuggerEvent::Step);
        if let Some(at) = self.frames.iter().position(at_line).filter(|_| relevant) {
            self.body.lock()[at] = Some(frame::copied(context.scope()));
        }
        Ok(DebuggerCommand::StepInto)
    }
}

/// The prompt of a failure: looks around in its frames.
pub(in crate::session) fn open(
    host: &Host,
    engine: &Engine,
    sources: &Sources,
    functions: &AST,
    failure: (&Diagnostic, &Body),
) -> Result<()> {
    let (problem, body) = failure;
    let mut scopes = body.lock();
    let seen: Vec<usize> = (0..scopes.len())
        .filter(|at| scopes[*at].is_some())
        .collect();
    let mut here = 0;
    let place = |here: usize| {
        let Some(at) = seen.get(here) else {
            return "no frame of it was seen".to_string();
        };
        let frame = &problem.frames[*at];
        let column = u16::try_from(frame.column).unwrap_or(1);
        let position = Position::new(u16::try_from(frame.line).unwrap_or(1).max(1), column);
        frame::place(sources, &frame.source, position, frame.function.clone())
    };
    host.print(format!("error: {}\n{}", problem.message, place(here)));
    host.print(HELP);
    while let Some(line) = host.front().ask("(error) ")? {
        match line.trim() {
            "" => {}
            "h" | "help" | "?" => host.print(HELP),
            "q" | "quit" | "c" | "continue" => break,
            "u" | "up" if here + 1 < seen.len() => {
                here += 1;
                host.print(place(here));
            }
            "d" | "down" if here > 0 => {
                here -= 1;
                host.print(place(here));
            }
            "u" | "up" => host.print("this is the outermost frame"),
            "d" | "down" => host.print("this is the innermost frame"),
            "w" | "where" => {
                for at in 0..seen.len() {
                    let mark = if at == here { ">" } else { " " };
                    let told = place(at);
                    host.print(format!("{mark} {}", told.lines().next().unwrap_or("")));
                }
            }
            text => {
                let Some(scope) = seen.get(here).and_then(|at| scopes[*at].as_mut()) else {
                    host.print("there are no variables");
                    continue;
                };
                let code = frame::Code {
                    host,
                    sources,
                    functions,
                    text,
                };
                let done = look(engine, scope, &code);
                if let Err(error) = done {
                    host.print(format!("error: {error}"));
                }
            }
        }
    }
    Ok(())
}

fn look(engine: &Engine, scope: &mut Scope<'static>, code: &frame::Code) -> Result<()> {
    let (host, registry) = (code.host, code.host.registry());
    if matches!(code.text, "l" | "locals") {
        host.show(frame::locals(registry, scope, None)?);
        return Ok(());
    }
    let value = frame::evaluate(engine, scope, code)?;
    if !value.is_unit() {
        host.show(show::rich(registry, &value, 80));
    }
    Ok(())
}

//! Looking into code while it runs, and after it has failed.

use super::{Args, Magic, code};
use crate::diag::{Error, Result};
use crate::session::debug::{Autopsy, Body, Debugger, open};
use crate::session::{Reply, Session};

pub(super) const DEBUG: Magic = code(
    "debug",
    "[code]",
    "Runs code step by step; without code, looks into the last error.",
    "After an error the cell runs once more from the state before it, and the prompt opens in the frame that\n\
     failed: its variables, `up` and `down`, any expression. breakpoint() in a script opens the prompt there;\n\
     up and down show the calls that led to it, as they were when they made the next one. `h` lists the commands.",
    debug,
);

fn debug(session: &mut Session, args: &Args) -> Result<Reply> {
    match args.body.unwrap_or(args.line) {
        "" => autopsy(session),
        code => {
            session.watcher = Some(Box::new(|session| Box::new(session.debugger(true))));
            Ok(session.cell(code))
        }
    }
}

fn autopsy(session: &mut Session) -> Result<Reply> {
    let Some(failure) = session.failure.take() else {
        return Err(Error::new("no cell has failed").hint("%debug code runs code step by step"));
    };
    let body = Body::new(failure.problem.frames.len());
    for kept in &failure.states {
        (kept.put_back)()?;
    }
    let autopsy = Autopsy::new(failure.problem.frames.clone(), body.clone());
    session.watcher = Some(Box::new(|_| Box::new(autopsy)));
    let outcome = session.eval_as(&failure.name, &failure.code, true);
    session.watcher = None;
    if outcome.is_ok() {
        session.host.print("this time the cell did not fail");
        return Ok(Reply::of(outcome));
    }
    open(
        &session.host,
        &session.engine,
        &session.sources,
        &session.functions.plain,
        (&failure.problem, &body),
    )?;
    Ok(Reply::nothing())
}

impl Session {
    /// A debugger of what runs next.
    pub(in crate::session) fn debugger(&self, stops: bool) -> Debugger {
        Debugger::new(
            self.host.clone(),
            self.sources.clone(),
            self.functions.plain.clone(),
            stops,
        )
    }
}

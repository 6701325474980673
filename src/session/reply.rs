//! What an input comes to: a cell's outcome, and what the shell is to do about it.

use std::time::Duration;

use rhai::Dynamic;

use super::transcript::Output;
use super::{Diagnostic, Session, lexer};
use crate::diag::Result;

/// What came of an evaluation.
#[derive(Debug)]
pub struct Outcome {
    /// The value; `()` after a failure, or if a `;` ends the code. Of interrupted work that keeps what it
    /// has, that.
    pub value: Dynamic,
    pub problem: Option<Diagnostic>,
    /// The script wants to leave with this code.
    pub exit: Option<i32>,
    pub elapsed: Duration,
}

impl Outcome {
    pub fn is_ok(&self) -> bool {
        self.problem.is_none() && self.exit.is_none()
    }

    /// No value and no failure.
    pub(super) fn nothing() -> Self {
        Self {
            value: Dynamic::UNIT,
            problem: None,
            exit: None,
            elapsed: Duration::ZERO,
        }
    }
}

/// What came of an input, script or magic. What it printed has gone to the host's sink already.
#[derive(Debug)]
pub struct Reply {
    /// The number of the cell that ran; nothing for a magic that runs none.
    pub cell: Option<usize>,
    pub outcome: Outcome,
    /// Code for the next input, which the user may change before it runs.
    pub next_input: Option<String>,
    /// Text to read, such as what `name?` tells.
    pub page: Option<String>,
}

impl Reply {
    /// Nothing to show.
    pub(super) fn nothing() -> Self {
        Self::of(Outcome::nothing())
    }

    /// Of something that is no numbered cell.
    pub(super) fn of(outcome: Outcome) -> Self {
        Self {
            cell: None,
            outcome,
            next_input: None,
            page: None,
        }
    }

    /// Of something that failed.
    pub(super) fn failed(problem: Diagnostic) -> Self {
        Self::of(Outcome {
            problem: Some(problem),
            ..Outcome::nothing()
        })
    }

    /// The user wants to leave.
    pub(super) fn leave() -> Self {
        Self::of(Outcome {
            exit: Some(0),
            ..Outcome::nothing()
        })
    }

    /// Text to read.
    pub(super) fn page(text: String) -> Self {
        Self {
            page: Some(text),
            ..Self::nothing()
        }
    }

    /// Code to change and run.
    pub(super) fn next_input(code: String) -> Self {
        Self {
            next_input: Some(code),
            ..Self::nothing()
        }
    }
}

impl Session {
    /// Takes what the user typed: a cell, or a magic such as `%time f()`, `name?` and `!ls`.
    pub fn submit(&mut self, input: &str) -> Reply {
        if !self.at_work() {
            self.host.forget_interrupt();
        }
        let turn = self.begin();
        let mut reply = match self.dispatch(input) {
            Ok(reply) => reply,
            Err(error) => Reply::failed(Diagnostic::of_error(&error, &self.sources)),
        };
        if let Some(problem) = &mut reply.outcome.problem {
            turn.explain(problem, self.host.limits());
        }
        reply
    }

    /// As [`Session::submit`], but a magic that runs no cell takes a number too: a notebook shows one at each.
    pub fn submit_numbered(&mut self, input: &str) -> Reply {
        let next = self.next_cell();
        let reply = self.submit(input);
        if self.next_cell() == next {
            self.history.skip();
        }
        reply
    }

    /// As [`Session::submit`], but a cell leaves neither number nor result behind.
    pub fn submit_aside(&mut self, input: &str) -> Reply {
        let next = self.next_cell();
        let reply = self.submit(input);
        self.history.forget(next);
        reply
    }

    /// Runs code as the next numbered cell.
    pub(super) fn cell(&mut self, code: &str) -> Reply {
        let cell = self.next_cell();
        Reply {
            cell: Some(cell),
            ..Reply::of(self.eval(code))
        }
    }

    /// Evaluates the next numbered cell; its value becomes `_` and `Out[n]`.
    pub fn eval(&mut self, code: &str) -> Outcome {
        let cell = self.history.begin(code);
        self.transcript.turn_to(Some(cell));
        let name = format!("In [{cell}]");
        let mut outcome = self.eval_as(&name, code, true);
        self.history.end(cell, &outcome.value);
        if lexer::ends_quietly(code) {
            outcome.value = Dynamic::UNIT;
        }
        let shown = self.show(&outcome.value, 80).map(Output::Result);
        let told =
            |problem: &Diagnostic| Output::Problem(problem.message.clone(), problem.render(false));
        for output in shown.into_iter().chain(outcome.problem.as_ref().map(told)) {
            self.transcript.note(output);
        }
        self.transcript.turn_to(None);
        outcome
    }

    /// Makes the value a cell's result, as if the code had given it.
    pub(super) fn give(&mut self, code: &str, value: Dynamic) -> Result<Reply> {
        let cell = self.history.begin(code);
        self.history.end(cell, &value);
        let outcome = Outcome {
            value,
            ..Outcome::nothing()
        };
        Ok(Reply {
            cell: Some(cell),
            ..Reply::of(outcome)
        })
    }
}

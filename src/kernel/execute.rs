//! Running a cell: what it shows, what it comes to, how it fails.

use std::collections::HashMap;

use jupyter_protocol::{
    ErrorOutput, ExecuteInput, ExecuteReply, ExecuteRequest, ExecuteResult, ExecutionCount,
    ExpressionResult, Media, Payload, ReplyError, ReplyStatus, Transient,
};

use super::cells::Cells;
use super::media::{self, WIDTH};
use crate::session::{Diagnostic, Outcome, Problem, Reply};

/// What a cell comes to.
pub(super) struct Answer {
    pub reply: ExecuteReply,
    /// The kernel leaves with this code.
    pub exit: Option<i32>,
}

impl Cells {
    pub(super) fn execute(&mut self, request: &ExecuteRequest) -> Answer {
        let number = self.session.next_cell();
        self.questions.allow(request.allow_stdin);
        if request.silent {
            self.output.silence();
        }
        self.output.show(ExecuteInput {
            code: request.code.clone(),
            execution_count: number.into(),
        });
        let Reply {
            outcome,
            next_input,
            page,
            ..
        } = match request.store_history && !request.silent {
            true => self.session.submit_numbered(&request.code),
            false => self.session.submit_aside(&request.code),
        };
        let shown = self.show(&outcome, number);
        if request.store_history && !request.silent {
            self.past.add(number, &request.code, shown);
        }
        let reply = match &outcome.problem {
            Some(problem) => {
                if request.stop_on_error {
                    self.cancel_waiting();
                }
                self.fail(problem)
            }
            None => ExecuteReply {
                user_expressions: Some(self.expressions(request)),
                ..ExecuteReply::default()
            },
        };
        let page = page.map(|text| Payload::Page {
            data: media::text(text),
            start: 0,
        });
        let next_input = next_input.map(|text| Payload::SetNextInput {
            text,
            replace: false,
        });
        let leaves = outcome.exit.map(|_| Payload::AskExit { keepkernel: false });
        Answer {
            reply: ExecuteReply {
                execution_count: number.into(),
                payload: [page, next_input, leaves].into_iter().flatten().collect(),
                ..reply
            },
            exit: outcome.exit,
        }
    }

    /// Shows the value of a cell; gives its plain text.
    fn show(&self, outcome: &Outcome, number: usize) -> String {
        let Some(display) = self.session.show(&outcome.value, WIDTH) else {
            return String::new();
        };
        self.output.show(ExecuteResult {
            execution_count: ExecutionCount::new(number),
            data: media::media(&display),
            metadata: display.metadata(),
            transient: Some(Transient::default()),
        });
        display.plain(media::WIDTH)
    }

    /// Tells of a failure.
    fn fail(&self, problem: &Diagnostic) -> ExecuteReply {
        let error = told(problem);
        self.output.show(ErrorOutput {
            ename: error.ename.clone(),
            evalue: error.evalue.clone(),
            traceback: error.traceback.clone(),
        });
        ExecuteReply {
            status: ReplyStatus::Error,
            user_expressions: Some(HashMap::new()),
            error: Some(Box::new(error)),
            ..ExecuteReply::default()
        }
    }

    fn expressions(&mut self, request: &ExecuteRequest) -> HashMap<String, ExpressionResult> {
        let wanted = request.user_expressions.iter().flatten();
        let mut results = HashMap::new();
        for (name, code) in wanted {
            let outcome = self.session.eval_named("expression", code);
            let result = match &outcome.problem {
                Some(problem) => {
                    let ReplyError {
                        ename,
                        evalue,
                        traceback,
                    } = told(problem);
                    ExpressionResult::Error {
                        ename,
                        evalue,
                        traceback,
                    }
                }
                None => ExpressionResult::Ok {
                    data: self.value(&outcome),
                    metadata: serde_json::Map::new(),
                },
            };
            results.insert(name.clone(), result);
        }
        results
    }

    fn value(&self, outcome: &Outcome) -> Media {
        match self.session.show(&outcome.value, WIDTH) {
            Some(display) => media::media(&display),
            None => media::text("()"),
        }
    }
}

fn told(problem: &Diagnostic) -> ReplyError {
    let ename = match problem.problem {
        Problem::Warning => "Warning",
        Problem::Syntax => "SyntaxError",
        Problem::Runtime => "RuntimeError",
        Problem::Interrupted => "Interrupted",
        Problem::Limit => "LimitReached",
        Problem::Panic => "InternalError",
    };
    // Notebooks put errors on red, where dark pages leave red letters unread.
    let text = problem.render(true).replace("\x1b[1;31m", "\x1b[1m");
    ReplyError {
        ename: ename.into(),
        evalue: problem.message.clone(),
        traceback: text.lines().map(Into::into).collect(),
    }
}

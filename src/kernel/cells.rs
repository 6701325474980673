//! The thread that evaluates: requests in the order they came.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use jupyter_protocol::{
    CommClose, ExecuteReply, JupyterMessageContent, ReplyStatus, ShutdownReply,
};

use super::answers;
use super::outbox::Channel;
use super::output::Output;
use super::past::Past;
use super::questions::Questions;
use super::wire::Request;
use crate::session::{Checker, Session};

/// How long requests may take from the socket to here: what a client sent before it saw an error is here by then.
const GRACE: Duration = Duration::from_millis(10);

pub(super) struct Cells {
    pub session: Session,
    pub output: Arc<Output>,
    pub questions: Arc<Questions>,
    pub requests: Receiver<Option<Request>>,
    pub stop: Arc<AtomicBool>,
    pub checker: Checker,
    pub past: Past,
    /// Requests that were taken off the queue to see whether a failure cancels them.
    pub waiting: VecDeque<Waiting>,
}

pub(super) struct Waiting {
    request: Request,
    /// A cell before it failed: it is not run.
    cancelled: bool,
}

impl Cells {
    /// Answers until the kernel is told to stop, or a cell leaves; gives the exit code.
    pub fn run(mut self) -> i32 {
        while !self.stop.load(Ordering::Relaxed) {
            let Some(Waiting { request, cancelled }) = self.next() else {
                break;
            };
            self.output.begin(&request.message);
            let exit = match cancelled {
                true => self.cancel(),
                false => self.answer(&request),
            };
            self.output.end();
            if let Some(code) = exit {
                return code;
            }
        }
        0
    }

    fn next(&mut self) -> Option<Waiting> {
        let fresh = || {
            Some(Waiting {
                request: self.requests.recv().ok().flatten()?,
                cancelled: false,
            })
        };
        self.waiting.pop_front().or_else(fresh)
    }

    fn answer(&mut self, request: &Request) -> Option<i32> {
        use JupyterMessageContent as Content;
        let answer: Content = match &request.message.content {
            Content::ExecuteRequest(execute) => {
                let answer = self.execute(execute);
                self.output.reply(Channel::Shell, answer.reply);
                return answer.exit;
            }
            Content::KernelInfoRequest(_) => answers::kernel_info().into(),
            Content::CompleteRequest(complete) => answers::complete(&self.session, complete).into(),
            Content::InspectRequest(inspect) => answers::inspect(&self.session, inspect).into(),
            Content::IsCompleteRequest(check) => {
                answers::is_complete(&self.checker, &check.code).into()
            }
            Content::HistoryRequest(history) => self.past.answer(history).into(),
            Content::CommInfoRequest(_) => answers::comm_info().into(),
            // Nobody here to talk to: the other side may forget it.
            Content::CommOpen(open) => {
                self.output.publish(CommClose {
                    comm_id: open.comm_id.clone(),
                    ..CommClose::default()
                });
                return None;
            }
            Content::ShutdownRequest(shutdown) => {
                let reply = ShutdownReply {
                    restart: shutdown.restart,
                    ..ShutdownReply::default()
                };
                self.output.publish(reply.clone());
                self.output.reply(Channel::Shell, reply);
                return Some(0);
            }
            Content::UnknownMessage(unknown) => answers::fault(unknown, request.fault.as_deref()?),
            _ => return None,
        };
        self.output.reply(Channel::Shell, answer);
        None
    }

    /// Cells that wait behind a failed one will not run.
    pub(super) fn cancel_waiting(&mut self) {
        while let Ok(Some(request)) = self.requests.recv_timeout(GRACE) {
            self.waiting.push_back(Waiting {
                request,
                cancelled: false,
            });
        }
        for waiting in &mut self.waiting {
            let content = &waiting.request.message.content;
            waiting.cancelled |= matches!(content, JupyterMessageContent::ExecuteRequest(_));
        }
    }

    fn cancel(&self) -> Option<i32> {
        let reply = ExecuteReply {
            status: ReplyStatus::Aborted,
            execution_count: self.session.next_cell().saturating_sub(1).into(),
            user_expressions: Some(HashMap::new()),
            ..ExecuteReply::default()
        };
        self.output.reply(Channel::Shell, reply);
        None
    }
}

//! Questions to the user: a field that the client opens below the cell.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jupyter_protocol::InputRequest;

use super::outbox::Channel;
use super::output::Output;
use crate::diag::{Error, Result};
use crate::host::Front;

/// How often to look whether the user has interrupted instead.
const GLANCE: Duration = Duration::from_millis(50);

pub(super) struct Questions {
    output: Arc<Output>,
    answers: Mutex<Receiver<String>>,
    interrupt: Arc<AtomicBool>,
    /// Whether the client of the running cell can ask its user.
    allowed: AtomicBool,
}

impl Questions {
    pub fn new(output: Arc<Output>, answers: Receiver<String>, interrupt: Arc<AtomicBool>) -> Self {
        Self {
            output,
            answers: Mutex::new(answers),
            interrupt,
            allowed: AtomicBool::new(false),
        }
    }

    /// Whether the client of the cell that runs next can ask its user.
    pub fn allow(&self, allowed: bool) {
        self.allowed.store(allowed, Ordering::Relaxed);
    }
}

impl Front for Questions {
    fn ask(&self, prompt: &str) -> Result<Option<String>> {
        if !self.allowed.load(Ordering::Relaxed) {
            return Err(Error::new("nobody is there to answer")
                .hint("the client of this kernel does not take input"));
        }
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        // An answer that came too late for its question.
        while answers.try_recv().is_ok() {}
        let question = InputRequest {
            prompt: prompt.into(),
            password: false,
        };
        self.output.reply(Channel::Stdin, question);
        loop {
            match answers.recv_timeout(GLANCE) {
                Ok(answer) => return Ok(Some(answer)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if self.interrupt.load(Ordering::Relaxed) => {
                    return Err(Error::interrupted());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn edit(&self, _: &str, _: &str) -> Result<String> {
        Err(Error::new("a notebook opens no editor")
            .hint("%load puts a file into the next cell, where it can be edited"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::super::outbox::Outbox;
    use super::*;

    #[test]
    fn questions_are_answered_interrupted_or_refused() {
        let (answers, answered) = channel();
        let outbox = Arc::new(Outbox::default());
        let output = Arc::new(Output::new(outbox.clone(), "s".into()));
        let interrupt = Arc::new(AtomicBool::new(false));
        let questions = Questions::new(output, answered, interrupt.clone());
        assert!(questions.ask("? ").is_err());
        questions.allow(true);
        answers.send("too late".into()).unwrap();
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| questions.ask("name? "));
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            let letters = runtime.block_on(outbox.next()).unwrap();
            assert_eq!(letters[0].0, Channel::Stdin);
            answers.send("ada".into()).unwrap();
            assert_eq!(asked.join().unwrap().unwrap(), Some("ada".into()));
        });
        interrupt.store(true, Ordering::Relaxed);
        assert!(questions.ask("? ").unwrap_err().is_interrupt());
    }
}

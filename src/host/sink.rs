//! Where results and progress go: shells decide how they look.

use std::sync::{Arc, Mutex, PoisonError};

use crate::report::Display;

/// Something for the user.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Show(Display),
    /// Text that goes on where the last ended, on the same line.
    Write(String),
    Progress(Update),
}

/// A step of long work.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The same for every update of one piece of work.
    pub id: u64,
    pub label: String,
    pub done: u64,
    /// 0 if unknown.
    pub total: u64,
    /// The latest figures.
    pub message: String,
    /// What is being written, for those who can see it grow.
    pub text: String,
    pub finished: bool,
}

/// Takes what is for the user.
pub trait Sink: Send + Sync {
    fn show(&self, event: Event);
}

/// Keeps what is shown, for tests and documents.
#[derive(Default)]
pub struct Recorder(Mutex<Vec<Event>>);

impl Recorder {
    /// What was shown since the last call.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Recorder {
    fn show(&self, event: Event) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }
}

/// A progress display; dropping it ends it.
pub struct Progress {
    sink: Arc<dyn Sink>,
    update: Update,
}

impl Progress {
    pub(super) fn new(sink: Arc<dyn Sink>, id: u64, label: String, total: u64) -> Self {
        let update = Update {
            id,
            label,
            done: 0,
            total,
            message: String::new(),
            text: String::new(),
            finished: false,
        };
        sink.show(Event::Progress(update.clone()));
        Self { sink, update }
    }

    /// `done` steps are done; `message` has the latest figures.
    pub fn set(&mut self, done: u64, message: impl Into<String>) {
        self.update.done = done;
        self.update.message = message.into();
        self.sink.show(Event::Progress(self.update.clone()));
    }

    /// `done` steps are done, and the text has grown to this.
    pub fn write(&mut self, done: u64, text: &str) {
        self.update.text = text.to_owned();
        self.set(done, "");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.update.finished = true;
        self.sink.show(Event::Progress(self.update.clone()));
    }
}

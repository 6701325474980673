//! Where results and progress go: shells decide how they look.

use std::sync::{Mutex, PoisonError};

use super::progress::Update;
use crate::report::Display;

/// Something for the user.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Show(Display),
    /// Text that goes on where the last ended, on the same line.
    Write(String),
    /// A line that is no result, such as what `debug` tells.
    Note(String),
    /// What was shown makes room for what comes next.
    Clear,
    Progress(Update),
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

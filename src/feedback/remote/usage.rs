//! What was asked of a server: counted while it is asked, told to the user and to the record of a run.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use crate::diag::{Error, Result};

/// What a remote judge is and how often it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Where the server is; it carries no secret.
    pub url: String,
    pub model: String,
    /// SHA-256 of its questions, labels and parameters.
    pub questions: String,
    /// Requests sent, those that were tried again included.
    pub calls: usize,
    /// Questions whose reply was there already.
    pub cached: usize,
    /// Verdicts without probabilities: the server gave a label alone.
    pub labels_only: usize,
}

/// The counts behind a [`Usage`].
pub struct Ledger {
    url: String,
    model: String,
    questions: String,
    calls: AtomicUsize,
    answered: AtomicUsize,
    cached: AtomicUsize,
    labels_only: AtomicUsize,
}

impl Ledger {
    pub(super) fn new(url: &str, model: &str, questions: String) -> Self {
        Self {
            url: url.to_owned(),
            model: model.to_owned(),
            questions,
            calls: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            cached: AtomicUsize::new(0),
            labels_only: AtomicUsize::new(0),
        }
    }

    pub fn usage(&self) -> Usage {
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        Usage {
            url: self.url.clone(),
            model: self.model.clone(),
            questions: self.questions.clone(),
            calls: count(&self.calls),
            cached: count(&self.cached),
            labels_only: count(&self.labels_only),
        }
    }

    /// Counts a request that is about to be sent.
    ///
    /// # Errors
    /// The budget is spent.
    pub(super) fn spend(&self, budget: Option<usize>) -> Result<()> {
        let most = budget.unwrap_or(usize::MAX);
        let count = |calls: usize| (calls < most).then_some(calls + 1);
        let spent = self
            .calls
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        spent.map(|_| ()).map_err(|_| self.poor(1, most))
    }

    /// Fails if that many requests are more than what is left.
    pub(super) fn afford(&self, requests: usize, budget: Option<usize>) -> Result<()> {
        let most = budget.unwrap_or(usize::MAX);
        let left = most.saturating_sub(self.calls.load(Ordering::Relaxed));
        match requests <= left {
            true => Ok(()),
            false => Err(self.poor(requests, most)),
        }
    }

    fn poor(&self, requests: usize, most: usize) -> Error {
        let calls = self.calls.load(Ordering::Relaxed);
        let error = Error::new(format!(
            "the judge needs {requests} more calls, and has made {calls} of its budget of {most}"
        ));
        error.hint("the option budget lets it make more")
    }

    pub(super) fn note_answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn note_cached(&self, questions: usize) {
        self.cached.fetch_add(questions, Ordering::Relaxed);
    }

    pub(super) fn note_label(&self) {
        self.labels_only.fetch_add(1, Ordering::Relaxed);
    }
}

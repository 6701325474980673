//! The one thread that owns a model's Core ML objects, which may neither be sent nor shared.
//!
//! It also gives Core ML's rule on states for free: nothing touches a state while a prediction uses it.

use std::sync::mpsc::{self, Sender};
use std::thread;

use objc2::rc::autoreleasepool;

use super::load::Models;
use crate::diag::{Error, Result};

type Job = Box<dyn FnOnce(&mut Models) + Send>;

/// A handle to the thread; it ends when the last handle is dropped.
#[derive(Clone)]
pub(super) struct Worker {
    jobs: Sender<Job>,
}

impl Worker {
    /// Starts the thread; `open` makes the models on it.
    pub(super) fn start(open: impl FnOnce() -> Result<Models> + Send + 'static) -> Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (opened, outcome) = mpsc::channel();
        let work = move || {
            let mut models = match autoreleasepool(|_| open()) {
                Ok(models) => models,
                Err(error) => return drop(opened.send(Err(error))),
            };
            // Whoever started the thread may have given up waiting.
            drop(opened.send(Ok(())));
            for job in queue {
                autoreleasepool(|_| job(&mut models));
            }
        };
        thread::Builder::new().name("core-ml".into()).spawn(work)?;
        outcome.recv().map_err(|_| stopped())??;
        Ok(Self { jobs })
    }

    /// Runs `job` on the thread, inside an autorelease pool of its own, and waits for its result.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Models) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (done, outcome) = mpsc::channel();
        let job = Box::new(move |models: &mut Models| drop(done.send(job(models))));
        self.jobs.send(job).map_err(|_| stopped())?;
        outcome.recv().map_err(|_| stopped())?
    }
}

fn stopped() -> Error {
    Error::new("the Core ML thread has stopped").hint("load the model again")
}

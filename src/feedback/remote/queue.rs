//! Many requests at a time, each tried again where that may help, and left at once when the user interrupts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::cache::Cache;
use super::reply::Reply;
use super::server::{Failure, Server};
use super::usage::Ledger;
use crate::diag::{Error, Interrupt, Result};
use crate::fail;

/// How often the flags are looked at.
const TICK: Duration = Duration::from_millis(10);
/// The longest wait before a request is tried again, whatever the server asks for.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How requests are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    /// Requests at a time.
    pub parallel: usize,
    /// How often a request is tried again.
    pub retries: usize,
    /// The wait before it is first tried again; it doubles.
    pub pause: Duration,
    /// Requests of the judge altogether.
    pub budget: Option<usize>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            parallel: 4,
            retries: 3,
            pause: Duration::from_millis(500),
            budget: None,
        }
    }
}

/// A request that is not in the cache.
pub(super) struct Job {
    pub key: String,
    pub body: String,
}

/// What the threads share that send requests.
pub(super) struct Sending {
    pub server: Server,
    pub model: String,
    pub pace: Pace,
    pub cache: Cache,
    pub ledger: Arc<Ledger>,
}

struct Work {
    sending: Arc<Sending>,
    jobs: Vec<Job>,
    next: AtomicUsize,
    stop: AtomicBool,
}

impl Sending {
    /// Puts the replies to all jobs into the cache; `step` hears how many are there. When the user interrupts, or a
    /// request fails, no more are sent; replies on their way still reach the cache.
    pub fn send(
        self: &Arc<Self>,
        jobs: Vec<Job>,
        interrupt: &Interrupt,
        step: &mut dyn FnMut(usize),
    ) -> Result<()> {
        interrupt.check()?;
        let (threads, count) = (self.pace.parallel.clamp(1, jobs.len().max(1)), jobs.len());
        let work = Arc::new(Work {
            sending: self.clone(),
            jobs,
            next: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let (sender, told) = channel();
        for _ in 0..threads {
            let (work, sender) = (work.clone(), sender.clone());
            std::thread::Builder::new().spawn(move || work.run(&sender))?;
        }
        drop(sender);
        let outcome = follow(&told, count, interrupt, step);
        work.stop.store(true, Ordering::Relaxed);
        outcome
    }
}

/// Waits until all `count` jobs are done, one has failed, or the user interrupts.
fn follow(
    told: &Receiver<Result<()>>,
    count: usize,
    interrupt: &Interrupt,
    step: &mut dyn FnMut(usize),
) -> Result<()> {
    let mut done = 0;
    loop {
        interrupt.check()?;
        match told.recv_timeout(TICK) {
            Ok(outcome) => {
                outcome?;
                done += 1;
                step(done);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) if done == count => return Ok(()),
            Err(RecvTimeoutError::Disconnected) => fail!("a request broke off"),
        }
    }
}

impl Work {
    fn run(&self, told: &Sender<Result<()>>) {
        while !self.stop.load(Ordering::Relaxed) {
            let Some(job) = self.jobs.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            // Nobody listens when the work was left.
            told.send(self.obtain(job)).ok();
        }
    }

    /// Puts the reply into the cache.
    fn obtain(&self, job: &Job) -> Result<()> {
        let Sending {
            server,
            model,
            pace,
            cache,
            ledger,
        } = &*self.sending;
        let mut tries = 0;
        loop {
            ledger.spend(pace.budget)?;
            let (error, asked) = match server.complete(model, &job.body) {
                Ok(answer) => {
                    ledger.note_answer();
                    return cache.put(&job.key, model, Reply::parse(&answer)?);
                }
                Err(Failure::Final(error)) => return Err(error),
                // A server that was there may come back.
                Err(Failure::Absent(error)) if ledger.answered() == 0 => return Err(error),
                Err(Failure::Absent(error)) => (error, None),
                Err(Failure::Passing(error, asked)) => (error, asked),
            };
            if tries == pace.retries {
                return Err(match tries {
                    0 => error,
                    _ => error.context(format!("asked {} times", tries + 1)),
                });
            }
            let wait = asked.unwrap_or_else(|| pace.pause.saturating_mul(1 << tries.min(16)));
            if asked.is_some_and(|wait| wait > WAIT_MAX) {
                let seconds = wait.as_secs();
                return Err(error.hint(format!("the server asks to wait {seconds} s: run it again then, and what was answered is not asked again")));
            }
            self.wait(wait.min(WAIT_MAX))?;
            tries += 1;
        }
    }

    /// Waits, but not for a work that was left.
    fn wait(&self, time: Duration) -> Result<()> {
        let mut left = time;
        while !left.is_zero() {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            let piece = left.min(TICK);
            std::thread::sleep(piece);
            left -= piece;
        }
        Ok(())
    }
}

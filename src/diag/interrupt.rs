//! The user's Ctrl-C, as a flag that long work polls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::{Error, Result};

/// How often the flag is looked at while work goes on elsewhere.
const PAUSE: Duration = Duration::from_millis(10);

/// Of a thread for work that may call itself deeply.
const STACK: usize = 256 << 20;

/// A shared flag: set by the shell, polled by loops. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// A flag that somebody else holds too.
impl From<Arc<AtomicBool>> for Interrupt {
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}

impl Interrupt {
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn clear(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails with [`Kind::Interrupted`](super::Kind::Interrupted) once the flag is set.
    pub fn check(&self) -> Result<()> {
        if self.is_set() {
            Err(Error::interrupted())
        } else {
            Ok(())
        }
    }

    /// The result of work that never looks at the flag. It has a thread of its own; once the flag is set the thread is
    /// left to end by itself, for nothing. Work that comes after the flag was set is not begun.
    pub fn leave<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.check()?;
        let (sender, result) = channel();
        let run = move || {
            // Nobody waits any more for work that was left.
            sender.send(work()).ok();
        };
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(run)?;
        loop {
            match result.recv_timeout(PAUSE) {
                Ok(value) => return Ok(value),
                Err(RecvTimeoutError::Timeout) => self.check()?,
                Err(RecvTimeoutError::Disconnected) => {
                    let panic = thread.join().err();
                    std::panic::resume_unwind(panic.unwrap_or_else(|| Box::new("no result")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_left_once_the_flag_is_set() {
        let interrupt = Interrupt::default();
        assert_eq!(interrupt.leave(|| 6 * 7).unwrap(), 42);
        let (goes_on, waits) = channel::<()>();
        let stop = interrupt.clone();
        let error = interrupt.leave(move || {
            stop.set();
            waits.recv().ok();
        });
        assert!(error.unwrap_err().is_interrupt());
        assert!(interrupt.leave(|| ()).unwrap_err().is_interrupt());
        drop(goes_on);
        let panics = || Interrupt::default().leave(|| panic!("inside"));
        let told = std::panic::catch_unwind(panics).unwrap_err();
        assert_eq!(told.downcast_ref::<&str>(), Some(&"inside"));
    }
}

//! Ctrl-C: asks the evaluation to stop; pressed again it leaves the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::diag::{Error, Result};

/// The exit code of an interrupted program.
pub(super) const CODE: u8 = 130;

pub(super) struct Interrupts;

impl Interrupts {
    /// The flag that Ctrl-C sets. A second press leaves the program if the first was not heeded; at the prompt,
    /// where more is at stake, a third.
    pub(super) fn install(prompt: bool) -> Result<Arc<AtomicBool>> {
        let flag = Arc::new(AtomicBool::new(false));
        let patience = if prompt { 2 } else { 1 };
        let (pressed, ignored) = (flag.clone(), AtomicUsize::new(0));
        ctrlc::set_handler(move || {
            if !pressed.swap(true, Ordering::Relaxed) {
                ignored.store(0, Ordering::Relaxed);
            } else if ignored.fetch_add(1, Ordering::Relaxed) + 1 >= patience {
                crate::repl::restore_terminal();
                std::process::exit(i32::from(CODE));
            }
        })
        .map_err(|error| Error::new(format!("can't listen for Ctrl-C: {error}")))?;
        Ok(flag)
    }
}

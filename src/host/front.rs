//! The person in front of the program: what only a shell can ask of them.

use std::any::Any;

use crate::diag::{Error, Result};

/// Questions to the user. A terminal reads a line, a notebook opens a field, a script without a prompt refuses.
pub trait Front: Send + Sync {
    /// The line that the user answers with; nothing if they end the input.
    ///
    /// # Errors
    /// Nobody can answer.
    fn ask(&self, prompt: &str) -> Result<Option<String>>;

    /// The text after the user has changed it in their editor; `name` ends as the editor should know it.
    ///
    /// # Errors
    /// There is no editor, or it failed.
    fn edit(&self, text: &str, name: &str) -> Result<String>;

    /// Lends the keyboard to a program that the user calls, until what it gives is dropped; nothing where there
    /// is none to lend.
    fn lend(&self) -> Option<Box<dyn Any>> {
        None
    }
}

/// Nobody is there: scripts, pipes, tests.
pub struct Nobody;

impl Front for Nobody {
    fn ask(&self, _: &str) -> Result<Option<String>> {
        Err(Error::new("nobody is there to answer").hint("open the prompt with -i"))
    }

    fn edit(&self, _: &str, _: &str) -> Result<String> {
        Err(Error::new("there is no editor here").hint("open the prompt in a terminal"))
    }
}

//! A JSON Lines file that grows.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use crate::diag::{Context, Error, Result};
use crate::files;

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// Opened at the first line, so that reading a run needs no right to write.
    file: Option<File>,
}

impl Journal {
    pub fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// Appends one line. What a full disk leaves of it is removed before the next.
    pub fn append(&mut self, line: &Value) -> Result<()> {
        let mut write = || -> Result<()> {
            let mut file = match self.file.take() {
                Some(file) => file,
                None => self.reopen()?,
            };
            file.write_all(format!("{line}\n").as_bytes())?;
            self.file = Some(file);
            Ok(())
        };
        let written = write();
        written.with_context(|| format!("append to {}", self.path.display()))
    }

    /// Opens the file for appending, cut after its last complete line.
    fn reopen(&self) -> Result<File> {
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(&self.path)?;
        file.set_len(self.complete()?.len() as u64)?;
        Ok(file)
    }

    /// Every complete line; one that is no JSON is an error with its number.
    pub fn lines(&self) -> Result<Vec<Value>> {
        let content = self.complete()?;
        let parse = |(index, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| {
                let source = self.path.display().to_string();
                Error::new(error.to_string()).at(source, index + 1, error.column())
            })
        };
        content.lines().enumerate().map(parse).collect()
    }

    /// The content up to its last line end: a crash can leave half a line behind.
    fn complete(&self) -> Result<String> {
        if !self.path.exists() {
            return Ok(String::new());
        }
        let mut content = files::read(&self.path)?;
        let end = content
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        content.truncate(end);
        String::from_utf8(content)
            .map_err(|_| Error::new(format!("{} is not UTF-8 text", self.path.display())))
    }
}

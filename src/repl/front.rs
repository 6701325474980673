//! What the terminal asks the user: a line, a text in their editor.

use std::any::Any;
use std::io::IsTerminal as _;
use std::process::Command;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use super::keyboard;
use super::terminal::Terminal;
use crate::diag::{Context as _, Error, Result};
use crate::host::Front;

impl Front for Terminal {
    fn ask(&self, prompt: &str) -> Result<Option<String>> {
        self.settle();
        let _keys = keyboard::lend();
        let failed = |error: ReadlineError| Error::new(format!("can't read the terminal: {error}"));
        // It lives on: it holds what was typed ahead, and the answers that the arrows recall.
        let mut asker = self.asker();
        let editor = match &mut *asker {
            Some(editor) => editor,
            None => asker.insert(DefaultEditor::new().map_err(failed)?),
        };
        match editor.readline(prompt) {
            Ok(line) => {
                editor.add_history_entry(&line).map_err(failed)?;
                Ok(Some(line))
            }
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    fn edit(&self, text: &str, name: &str) -> Result<String> {
        let name = std::path::Path::new(name);
        let ending = name.extension().unwrap_or_default().to_string_lossy();
        let file = tempfile::Builder::new()
            .prefix("rlaif-")
            .suffix(&format!(".{ending}"))
            .tempfile()
            .context("can't make a file for the editor")?;
        std::fs::write(file.path(), text).context("can't write the editor's file")?;
        let editor = ["VISUAL", "EDITOR"]
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
            .unwrap_or_else(|| if cfg!(windows) { "notepad" } else { "vi" }.into());
        let _keys = keyboard::lend();
        let mut words = editor.split_whitespace();
        let status = Command::new(words.next().unwrap_or(&editor))
            .args(words)
            .arg(file.path())
            .status()
            .with_context(|| format!("can't start the editor {editor}"))?;
        if !status.success() {
            return Err(Error::new(format!("{editor} failed: {status}"))
                .hint("set EDITOR to the editor of your choice"));
        }
        std::fs::read_to_string(file.path()).context("can't read the editor's file")
    }

    fn lend(&self) -> Option<Box<dyn Any>> {
        let terminal = std::io::stdin().is_terminal();
        terminal.then(|| Box::new(keyboard::lend()) as Box<dyn Any>)
    }
}

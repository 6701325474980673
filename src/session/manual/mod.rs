//! The manual out of the table of functions: HTML pages for a browser, definition files for editors.

mod code;
mod definitions;
mod html;
mod pages;

pub(super) use definitions::{markdown, markdown_of_key};

use super::{MAGICS, Session};

/// A file of the manual.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub name: String,
    pub text: String,
}

impl Page {
    fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }
}

impl Session {
    /// The manual: `index.html`, a page for each topic, one for the language, one for the prompt.
    pub fn manual(&self) -> Vec<Page> {
        let registry = self.host().registry();
        pages::all(registry, self.builtins(), MAGICS)
    }

    /// What editors read: `.d.rhai` files of the language's functions and of ours.
    pub fn definitions(&self) -> Vec<Page> {
        definitions::all(self.host().registry())
    }
}

#[cfg(test)]
mod tests;

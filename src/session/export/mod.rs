//! A session as a document: its cells with what they showed.

mod notebook;
mod page;

pub(super) use notebook::notebook;
pub(super) use page::page;

use super::Session;
use super::transcript::Output;

/// Columns of plain text.
const WIDTH: usize = 100;

/// A cell as it stands in a document.
pub(super) struct Cell {
    pub number: usize,
    pub code: String,
    pub outputs: Vec<Output>,
}

impl Session {
    /// All cells with what they showed.
    pub(super) fn document(&self) -> Vec<Cell> {
        let cell = |(number, code): (usize, String)| {
            let shown = self.transcript.of(number);
            let mut outputs = shown.outputs;
            if shown.cut {
                outputs.push(Output::Text("… more was shown\n".into()));
            }
            Cell {
                number,
                code,
                outputs,
            }
        };
        self.cells().into_iter().map(cell).collect()
    }
}

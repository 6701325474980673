//! What the cells showed, kept for exports: a sink that notes what passes through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::host::{Event, Sink};
use crate::report::Display;

/// Outputs of a cell that are kept.
const OUTPUTS_MAX: usize = 200;
/// Bytes of a cell's text that are kept.
const TEXT_MAX: usize = 100_000;

/// What a cell showed.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub outputs: Vec<Output>,
    /// Whether some are left out.
    pub cut: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Output {
    Text(String),
    Display(Display),
    /// The cell's value.
    Result(Display),
    /// Message and full text.
    Problem(String, String),
}

/// The outputs by cell.
pub(super) struct Transcript {
    sink: Arc<dyn Sink>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    cell: Option<usize>,
    cells: BTreeMap<usize, Shown>,
}

impl Transcript {
    /// In front of a sink.
    pub fn new(sink: Arc<dyn Sink>) -> Self {
        Self {
            sink,
            notes: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes now is the cell's; without a cell it is not kept.
    pub fn turn_to(&self, cell: Option<usize>) {
        let mut notes = self.lock();
        notes.cell = cell;
        if let Some(cell) = cell {
            notes.cells.remove(&cell);
        }
    }

    pub fn of(&self, cell: usize) -> Shown {
        self.lock().cells.get(&cell).cloned().unwrap_or_default()
    }

    /// Adds to the cell of now.
    pub fn note(&self, output: Output) {
        let mut notes = self.lock();
        let Some(cell) = notes.cell else {
            return;
        };
        let shown = notes.cells.entry(cell).or_default();
        let room = shown.outputs.len() < OUTPUTS_MAX;
        match (shown.outputs.last_mut(), output) {
            (Some(Output::Text(text)), Output::Text(more)) => match text.len() < TEXT_MAX {
                true => text.push_str(&more),
                false => shown.cut = true,
            },
            (_, output) if room => shown.outputs.push(output),
            _ => shown.cut = true,
        }
    }
}

impl Sink for Transcript {
    fn show(&self, event: Event) {
        match &event {
            Event::Show(Display::Text(text)) => self.note(Output::Text(format!("{text}\n"))),
            Event::Show(display) => self.note(Output::Display(display.clone())),
            Event::Write(text) => self.note(Output::Text(text.clone())),
            Event::Note(text) => self.note(Output::Text(format!("{text}\n"))),
            Event::Clear | Event::Progress(_) => {}
        }
        self.sink.show(event);
    }
}

//! What is shown to the user: text, tables, progress. Shells decide how.

use std::sync::{Arc, Mutex, PoisonError};

use rhai::Dynamic;

/// Something to show.
#[derive(Debug, Clone, PartialEq)]
pub enum Display {
    Rich(Rich),
    Progress(Update),
}

/// Content that each shell renders in its own way and width.
#[derive(Debug, Clone, PartialEq)]
pub enum Rich {
    Text(String),
    Table(Table),
    Stack(Vec<Rich>),
}

/// A table of text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// A step of long work.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The same for every update of one piece of work.
    pub id: u64,
    pub label: String,
    pub done: u64,
    /// 0 if unknown.
    pub total: u64,
    /// The latest figures.
    pub message: String,
    pub finished: bool,
}

/// Where displays go.
pub trait Sink: Send + Sync {
    fn show(&self, display: Display);
}

/// Keeps what is shown, for tests and documents.
#[derive(Default)]
pub struct Recorder(Mutex<Vec<Display>>);

impl Recorder {
    /// What was shown since the last call.
    pub fn take(&self) -> Vec<Display> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Recorder {
    fn show(&self, display: Display) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(display);
    }
}

/// A progress display; dropping it ends it.
pub struct Progress {
    sink: Arc<dyn Sink>,
    update: Update,
}

impl Progress {
    pub(super) fn new(sink: Arc<dyn Sink>, id: u64, label: String, total: u64) -> Self {
        let update = Update {
            id,
            label,
            done: 0,
            total,
            message: String::new(),
            finished: false,
        };
        sink.show(Display::Progress(update.clone()));
        Self { sink, update }
    }

    /// `done` steps are done; `message` has the latest figures.
    pub fn set(&mut self, done: u64, message: impl Into<String>) {
        self.update.done = done;
        self.update.message = message.into();
        self.sink.show(Display::Progress(self.update.clone()));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.update.finished = true;
        self.sink.show(Display::Progress(self.update.clone()));
    }
}

impl Rich {
    /// Plain text of at most `width` columns where a table can shrink.
    pub fn plain(&self, width: usize) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Table(table) => table.plain(width),
            Self::Stack(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| part.plain(width)).collect();
                parts.join("\n")
            }
        }
    }
}

impl Table {
    fn plain(&self, width: usize) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(comfy_table::ContentArrangement::Dynamic)
            .set_width(width.min(usize::from(u16::MAX)) as u16)
            .force_no_tty();
        table.set_header(self.columns.clone());
        table.add_rows(self.rows.clone());
        for column in 0..self.columns.len() {
            let number =
                |row: &Vec<String>| row.get(column).is_some_and(|c| c.parse::<f64>().is_ok());
            if !self.rows.is_empty()
                && self.rows.iter().all(number)
                && let Some(column) = table.column_mut(column)
            {
                column.set_cell_alignment(comfy_table::CellAlignment::Right);
            }
        }
        table.trim_fmt()
    }
}

/// A value in an error message: its type, and the value if it is short.
pub fn describe(value: &Dynamic) -> String {
    if value.is_unit() {
        return "()".into();
    }
    let name = type_name(value);
    match value.is_int() || value.is_float() || value.is_bool() {
        true => format!("{name} {value}"),
        false => article(&name),
    }
}

fn article(name: &str) -> String {
    let vowel = name.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']);
    format!("{} {name}", if vowel { "an" } else { "a" })
}

/// The type's name as signatures write it.
pub fn type_name(value: &Dynamic) -> String {
    rename(value.type_name()).to_string()
}

/// The engine's name of a type as signatures write it.
pub fn rename(name: &str) -> &str {
    match name.trim() {
        "i64" => "int",
        "f64" => "float",
        "Fn" => "function",
        "&str | ImmutableString | String" | "ImmutableString" | "&str" | "String" => "string",
        "()" => "()",
        other => other.rsplit("::").next().unwrap_or(other),
    }
}

//! Tables: typed columns, one way to write their numbers, text and JSON forms.

mod render;

use serde_json::{Value, json};

use super::number::{format_column, with_decimals};
use super::text::harmless;
use crate::diag::Result;
use crate::fail;
use crate::numeric::to_json;

/// A titled table. Rows have exactly as many cells as there are columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    title: String,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    name: String,
    align: Option<Align>,
    decimals: Option<usize>,
    spare: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
    Centre,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Text(String),
    Int(i64),
    Real(f64),
    Bool(bool),
    /// Nothing to say; shown as blank, null in JSON.
    Empty,
}

/// A column as it is shown.
pub(super) struct LaidOut {
    pub name: String,
    /// As CSS names it.
    pub align: &'static str,
    pub texts: Vec<String>,
}

impl Column {
    /// A column that aligns numbers to the right, all else to the left.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            align: None,
            decimals: None,
            spare: false,
        }
    }

    pub fn align(mut self, align: Align) -> Self {
        self.align = Some(align);
        self
    }

    /// Writes reals with exactly `decimals` decimals; by default the largest of the column gets four
    /// significant digits and the others as many decimals.
    pub fn decimals(mut self, decimals: usize) -> Self {
        self.decimals = Some(decimals);
        self
    }

    /// Leaves the column out on a screen that the table is too wide for, the last such column first.
    pub fn spare(mut self) -> Self {
        self.spare = true;
        self
    }
}

impl From<&str> for Column {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl Table {
    pub fn new<C: Into<Column>>(
        title: impl Into<String>,
        columns: impl IntoIterator<Item = C>,
    ) -> Self {
        Self {
            title: title.into(),
            columns: columns.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; fails if its number of cells is not that of the columns.
    pub fn push<C: Into<Cell>>(&mut self, row: impl IntoIterator<Item = C>) -> Result<()> {
        let row: Vec<Cell> = row.into_iter().map(Into::into).collect();
        if row.len() != self.columns.len() {
            let (got, want) = (row.len(), self.columns.len());
            fail!(
                "row of {got} cells in table \"{}\" of {want} columns",
                self.title
            );
        }
        self.rows.push(row);
        Ok(())
    }

    /// The same table under another title.
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|c| c.name.as_str())
    }

    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// Every column with its cells as text.
    pub(super) fn laid_out(&self) -> Vec<LaidOut> {
        let column = |(index, column): (usize, &Column)| LaidOut {
            name: harmless(&column.name),
            align: match self.alignment(index) {
                Align::Left => "left",
                Align::Right => "right",
                Align::Centre => "center",
            },
            texts: self.texts(index),
        };
        self.columns.iter().enumerate().map(column).collect()
    }

    /// `{"title", "columns": [name], "rows": [[cell]]}`.
    pub fn to_json(&self) -> Value {
        let row = |row: &Vec<Cell>| Value::Array(row.iter().map(Cell::to_json).collect());
        json!({
            "title": self.title,
            "columns": self.columns().collect::<Vec<_>>(),
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }

    fn texts(&self, column: usize) -> Vec<String> {
        let cells = || self.rows.iter().map(move |row| &row[column]);
        let reals: Vec<f64> = cells().filter_map(Cell::real).collect();
        let mut written = match self.columns[column].decimals {
            Some(decimals) => reals.iter().map(|v| with_decimals(*v, decimals)).collect(),
            None => format_column(&reals, 4),
        }
        .into_iter();
        cells()
            .map(|cell| match cell {
                Cell::Real(_) => written.next().unwrap_or_default(),
                Cell::Text(text) => harmless(text),
                Cell::Int(value) => value.to_string(),
                Cell::Bool(value) => value.to_string(),
                Cell::Empty => String::new(),
            })
            .collect()
    }

    /// Whether a column holds numbers (and blanks) only, at least one.
    fn is_numeric(&self, column: usize) -> bool {
        let number = |cell: &Cell| matches!(cell, Cell::Int(_) | Cell::Real(_));
        let cells = || self.rows.iter().map(|row| &row[column]);
        cells().any(number) && cells().all(|cell| number(cell) || *cell == Cell::Empty)
    }

    fn alignment(&self, column: usize) -> Align {
        match self.columns[column].align {
            Some(align) => align,
            None if self.is_numeric(column) => Align::Right,
            None => Align::Left,
        }
    }
}

impl Cell {
    pub fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Int(value) => Value::from(*value),
            Self::Real(value) => to_json(*value),
            Self::Bool(value) => Value::from(*value),
            Self::Empty => Value::Null,
        }
    }

    fn real(&self) -> Option<f64> {
        match self {
            Self::Real(value) => Some(*value),
            _ => None,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Empty, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn sample() -> Table {
        let mut table = Table::new("top tokens", ["token", "id", "logprob"]);
        let rows: [(&str, usize, Option<f64>); 3] = [
            ("␣Paris", 7042, Some(-0.0123)),
            ("␣the", 260, Some(-4.5)),
            ("⏎", 198, None),
        ];
        for (token, id, logprob) in rows {
            table
                .push([Cell::from(token), id.into(), logprob.into()])
                .unwrap();
        }
        table
    }

    #[test]
    fn json_keeps_types() {
        assert_eq!(
            sample().to_json()["rows"],
            json!([
                ["␣Paris", 7042, -0.0123],
                ["␣the", 260, -4.5],
                ["⏎", 198, null]
            ])
        );
    }

    #[test]
    fn a_row_of_another_length_is_an_error() {
        assert_eq!(
            sample().push(["a"]).unwrap_err().to_string(),
            "row of 1 cells in table \"top tokens\" of 3 columns"
        );
    }
}

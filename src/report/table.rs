//! Tables: typed columns, one way to write their numbers, text and JSON forms.

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle, LineStyle, TableStyle,
    presets,
};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use super::Terminal;
use super::number::{format_column, with_decimals};
use super::text::harmless;
use crate::diag::Result;
use crate::fail;
use crate::numeric::to_json;

const UTF8: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('╭', '─', '┬', '╮'))
    .header_lines(ContentLineStyle::new('│', '│', '│'))
    .header_separator(LineStyle::new('├', '─', '┼', '┤'))
    .content_lines(ContentLineStyle::new('│', '│', '│'))
    .bottom_border(LineStyle::new('╰', '─', '┴', '╯'));

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

    /// The title and the table, as wide as the terminal at most; long text wraps, numbers never do.
    pub fn render(&self, terminal: &Terminal) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(if terminal.utf8 {
            UTF8
        } else {
            presets::ASCII_FULL_CONDENSED
        });
        table.force_no_tty();
        table.set_truncation_indicator(if terminal.utf8 { "…" } else { "..." });
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(terminal.width).unwrap_or(u16::MAX));
        let texts: Vec<Vec<String>> = (0..self.columns.len()).map(|c| self.texts(c)).collect();
        let shown = self.fitting(&texts, terminal.width);
        table.set_header(shown.iter().map(|c| harmless(&self.columns[*c].name)));
        let cell = |row: usize, column: &usize| texts[*column][row].as_str();
        for row in 0..self.rows.len() {
            table.add_row(shown.iter().map(|column| cell(row, column)));
        }
        for (index, column) in shown.into_iter().zip(table.column_iter_mut()) {
            column.set_cell_alignment(self.alignment(index));
            if self.is_numeric(index) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        let title = harmless(&self.title);
        if title.is_empty() {
            table.to_string()
        } else {
            format!("{title}\n{table}")
        }
    }

    /// Every column with its cells as text.
    pub(super) fn laid_out(&self) -> Vec<LaidOut> {
        let column = |(index, column): (usize, &Column)| LaidOut {
            name: harmless(&column.name),
            align: match self.alignment(index) {
                CellAlignment::Left => "left",
                CellAlignment::Right => "right",
                CellAlignment::Center => "center",
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

    /// The columns that are shown on a screen of that width.
    fn fitting(&self, texts: &[Vec<String>], screen: usize) -> Vec<usize> {
        let wide = |text: &str| text.lines().map(UnicodeWidthStr::width).max().unwrap_or(0);
        let width = |column: &usize| {
            let cells = texts[*column].iter().map(|text| wide(text)).max();
            cells.unwrap_or(0).max(wide(&self.columns[*column].name)) + 3
        };
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        while shown.iter().map(width).sum::<usize>() + 1 > screen {
            match shown.iter().rposition(|column| self.columns[*column].spare) {
                Some(last) => shown.remove(last),
                None => break,
            };
        }
        shown
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

    fn alignment(&self, column: usize) -> CellAlignment {
        match self.columns[column].align {
            Some(Align::Left) => CellAlignment::Left,
            Some(Align::Right) => CellAlignment::Right,
            Some(Align::Centre) => CellAlignment::Center,
            None if self.is_numeric(column) => CellAlignment::Right,
            None => CellAlignment::Left,
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

    fn sample() -> Table {
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
    fn boxes_and_ascii() {
        let utf8 = "\
top tokens
╭────────┬──────┬─────────╮
│ token  │   id │ logprob │
├────────┼──────┼─────────┤
│ ␣Paris │ 7042 │  -0.012 │
│ ␣the   │  260 │  -4.500 │
│ ⏎      │  198 │         │
╰────────┴──────┴─────────╯";
        assert_eq!(sample().render(&Terminal::default()), utf8);
        let plain = sample().render(&Terminal {
            utf8: false,
            ..Terminal::default()
        });
        assert!(plain.contains("| token  |   id | logprob |"), "{plain}");
    }

    #[test]
    fn text_wraps_to_the_width_and_numbers_do_not() {
        let mut table = Table::new("", ["n", "text"]);
        table
            .push([Cell::from(1234567usize), "word ".repeat(40).into()])
            .unwrap();
        let text = table.render(&Terminal {
            width: 40,
            ..Terminal::default()
        });
        assert!(text.lines().all(|l| l.chars().count() <= 40), "{text}");
        assert!(text.contains("1234567"), "{text}");
    }

    #[test]
    fn spare_columns_go_where_the_screen_is_narrow() {
        let columns = [
            "a".into(),
            Column::new("b").spare(),
            Column::new("c").spare(),
        ];
        let mut table = Table::new("", columns);
        table.push(["aaaa", "你你", "cccc"]).unwrap();
        let check = |width, expected: &[&str]| {
            let screen = Terminal {
                width,
                ..Terminal::default()
            };
            let text = table.render(&screen);
            let header = text.lines().nth(1).unwrap();
            let names: Vec<&str> = header.split(['│', ' ']).filter(|s| !s.is_empty()).collect();
            assert_eq!(names, expected, "{text}");
        };
        check(22, &["a", "b", "c"]);
        check(21, &["a", "b"]);
        check(14, &["a"]);
        check(4, &["a"]);
    }

    #[test]
    fn cells_cannot_steer_the_terminal() {
        let mut table = Table::new("t", ["x"]);
        table.push(["\x1b[2Jboo"]).unwrap();
        assert!(!table.render(&Terminal::default()).contains('\x1b'));
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

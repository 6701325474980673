//! Tables: made of maps, read by row and by column.

use rhai::{Array, Dynamic, Map};

use crate::diag::{Error, Result};
use crate::fail;
use crate::host::records::cell;
use crate::host::value::place;
use crate::host::{
    Call, Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, function, index, method, property,
    show,
};
use crate::report::{Cell, Display, Table};

pub(super) const TOPIC: Topic = Topic {
    name: "tables",
    summary: "Rows and columns.",
    functions,
    types: || vec![TypeEntry::of::<Table>()],
};

impl ScriptValue for Table {
    const NAME: &'static str = "Table";
    const SUMMARY: &'static str = "Rows and columns of text and numbers.";
    const PARTS: Option<fn(&Self) -> Result<Array>> = Some(|table| Ok(rows(table)));

    fn line(&self) -> String {
        let count = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
        let columns = self.columns().count();
        format!(
            "Table({}, {})",
            count(self.rows().len(), "row"),
            count(columns, "column")
        )
    }

    fn show(&self) -> Display {
        Display::Table(self.clone())
    }

    fn data(&self) -> Option<Dynamic> {
        Some(Dynamic::from_array(rows(self)))
    }
}

fn functions() -> Vec<ScriptFn> {
    vec![
        function("table", "A table of maps (the keys are the columns) or of arrays.")
            .param("rows", Kind::Array, "Maps or arrays, one a row.")
            .optional("columns", Kind::Array, "The columns' names, in order; all if left out.")
            .options(&[Key::text("title", "", "Stands above the table.")])
            .returns("Table")
            .example(
                "table([#{name: \"a\", score: 1.5}, #{name: \"b\", score: 10.0}])",
                "╭──────┬───────╮\n│ name │ score │\n├──────┼───────┤\n│ a    │  1.50 │\n│ b    │ 10.00 │\n╰──────┴───────╯",
            )
            .run(table),
        property::<Table>("columns", "The names of its columns.")
            .returns("array")
            .example("table([#{id: 1, name: \"a\"}]).columns", "[\"id\", \"name\"]")
            .run(|call| {
                let names: Vec<String> = call.receiver::<Table>()?.columns().map(Into::into).collect();
                Ok(names)
            }),
        method::<Table>("rows", "Its rows as maps, by the columns' names.")
            .returns("array")
            .example("table([#{id: 1, name: \"a\"}]).rows()", "[#{id: 1, name: \"a\"}]")
            .run(|call| Ok(rows(&call.receiver::<Table>()?))),
        method::<Table>("column", "The cells of a column.")
            .param("name", Kind::Text, "Its name.")
            .returns("array")
            .example("table([#{id: 1}, #{id: 2}]).column(\"id\")", "[1, 2]")
            .run(column),
        index::<Table>("A row as a map.")
            .param("at", Kind::Int, "Its place; negative counts from the end.")
            .returns("map")
            .example("table([#{id: 1}, #{id: 2}])[-1].id", "2")
            .run(|call| {
                let (table, at): (Table, i64) = (call.receiver::<Table>()?, call.get("at")?);
                let count = table.rows().len();
                match place(at, count) {
                    Some(place) => Ok(row(&table, place)),
                    None => fail!("row {at} is out of range: the table has {count}"),
                }
            }),
    ]
}

fn table(call: &mut Call) -> Result<Table> {
    let rows: Array = call.get::<Vec<Dynamic>>("rows")?;
    let names: Option<Vec<String>> = call.get("columns")?;
    let names = names.unwrap_or_else(|| column_names(&rows));
    let mut table = Table::new(
        call.options.get::<String>("title")?,
        names.iter().map(String::as_str),
    );
    let registry = call.host.registry();
    for row in &rows {
        let cells: Vec<Cell> = if let Some(map) = row.read_lock::<Map>() {
            let cell_of = |name: &String| {
                map.get(name.as_str())
                    .map_or(Cell::Empty, |v| cell(registry, v))
            };
            names.iter().map(cell_of).collect()
        } else if let Some(items) = row.read_lock::<Array>() {
            items.iter().map(|item| cell(registry, item)).collect()
        } else {
            fail!(
                "a row must be a map or an array, not {}",
                show::describe(row)
            );
        };
        table.push(cells)?;
    }
    Ok(table)
}

fn rows(table: &Table) -> Array {
    let rows = 0..table.rows().len();
    rows.map(|at| Dynamic::from_map(row(table, at))).collect()
}

fn row(table: &Table, at: usize) -> Map {
    let cells = table.rows()[at].iter().map(value);
    let names = table.columns().map(Into::into);
    names.zip(cells).collect()
}

fn column(call: &mut Call) -> Result<Array> {
    let (table, name): (Table, String) = (call.receiver::<Table>()?, call.get("name")?);
    let Some(at) = table.columns().position(|column| column == name) else {
        return Err(Error::unknown("column", &name, table.columns()));
    };
    Ok(table.rows().iter().map(|row| value(&row[at])).collect())
}

/// A cell as a script value.
fn value(cell: &Cell) -> Dynamic {
    match cell {
        Cell::Text(text) => text.into(),
        Cell::Int(value) => (*value).into(),
        Cell::Real(value) => (*value).into(),
        Cell::Bool(value) => (*value).into(),
        Cell::Empty => Dynamic::UNIT,
    }
}

/// The keys of all maps in the order of first sight, or numbers for arrays.
fn column_names(rows: &[Dynamic]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for row in rows {
        if let Some(map) = row.read_lock::<Map>() {
            for key in map.keys() {
                if !names.iter().any(|name| name == key.as_str()) {
                    names.push(key.to_string());
                }
            }
        } else if let Some(items) = row.read_lock::<Array>() {
            names.extend((names.len()..items.len()).map(|at| at.to_string()));
        }
    }
    names
}

//! Numbers and tables as text.

use rhai::{Array, Dynamic, Map};

use crate::diag::Result;
use crate::fail;
use crate::host::records::cell;
use crate::host::{Call, Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, function, show};
use crate::report::{Cell, Display, Table};

pub(super) const TOPIC: Topic = Topic {
    name: "text",
    summary: "Numbers and tables.",
    functions,
    types: || vec![TypeEntry::of::<Table>()],
};

impl ScriptValue for Table {
    const NAME: &'static str = "Table";
    const SUMMARY: &'static str = "Rows and columns of text and numbers.";

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
}

fn functions() -> Vec<ScriptFn> {
    vec![
        function("format", "A number with a fixed count of decimals.")
            .param("x", Kind::Float, "The number.")
            .param("digits", Kind::Int, "How many decimals, at most 30.")
            .returns("string")
            .example("format(2.0 / 3.0, 3)", "\"0.667\"")
            .run(|call| {
                let (x, digits): (f64, usize) = (call.get("x")?, call.get("digits")?);
                match digits {
                    0..=30 => Ok(format!("{x:.digits$}")),
                    _ => fail!("parameter \"digits\" must be at most 30, not {digits}"),
                }
            }),
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

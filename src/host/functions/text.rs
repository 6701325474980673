//! Numbers and tables as text.

use rhai::{Array, Dynamic, Map};

use crate::diag::Result;
use crate::fail;
use crate::host::display::{Rich, Table, describe};
use crate::host::{Call, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, function, show};

pub(super) const TOPIC: Topic = Topic {
    name: "text",
    summary: "Numbers and tables as text.",
    functions,
    types: || vec![TypeEntry::of::<Table>()],
};

impl ScriptValue for Table {
    const NAME: &'static str = "Table";
    const SUMMARY: &'static str = "Rows and columns of text.";

    fn line(&self) -> String {
        format!(
            "Table({} rows, {} columns)",
            self.rows.len(),
            self.columns.len()
        )
    }

    fn show(&self) -> Rich {
        Rich::Table(self.clone())
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
            .returns("Table")
            .example(
                "table([#{name: \"a\", score: 1.5}, #{name: \"b\", score: 10.0}])",
                "──────────────\n name   score \n══════════════\n a        1.5 \n b       10.0 \n──────────────",
            )
            .run(table),
    ]
}

fn table(call: &mut Call) -> Result<Table> {
    let rows: Array = call.get::<Vec<Dynamic>>("rows")?;
    let columns: Option<Vec<String>> = call.get("columns")?;
    let columns = columns.unwrap_or_else(|| column_names(&rows));
    let cell = |value: &Dynamic| show::text(call.host.registry(), value);
    let mut table = Table {
        columns,
        rows: Vec::with_capacity(rows.len()),
    };
    for row in &rows {
        let cells: Vec<String> = if let Some(map) = row.read_lock::<Map>() {
            table
                .columns
                .iter()
                .map(|name| map.get(name.as_str()).map_or(String::new(), cell))
                .collect()
        } else if let Some(items) = row.read_lock::<Array>() {
            items.iter().map(cell).collect()
        } else {
            fail!("a row must be a map or an array, not {}", describe(row));
        };
        if cells.len() != table.columns.len() {
            fail!(
                "a row has {} cells, but there are {} columns",
                cells.len(),
                table.columns.len()
            );
        }
        table.rows.push(cells);
    }
    Ok(table)
}

/// The keys of all maps in the order of first sight, or numbers for arrays.
fn column_names(rows: &[Dynamic]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for row in rows {
        if let Some(map) = row.read_lock::<Map>() {
            for key in map
                .keys()
                .filter(|key| !names.iter().any(|name| name == key.as_str()))
                .collect::<Vec<_>>()
            {
                names.push(key.to_string());
            }
        } else if let Some(items) = row.read_lock::<Array>() {
            names.extend((names.len()..items.len()).map(|at| at.to_string()));
        }
    }
    names
}

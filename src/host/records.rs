//! Arrays of maps as tables.

use rhai::{Array, Dynamic, Map};

use super::registry::Registry;
use super::show;
use crate::report::{Cell, Column, Table};

/// A table of at least two maps that all have the same keys: first the columns that differ from row to row, then
/// those that don't, which give way on a narrow screen. Arrays and maps inside are named above it.
pub(super) fn records(registry: &Registry, value: &Dynamic) -> Option<Table> {
    let rows = value.read_lock::<Array>()?;
    let first = rows.first().filter(|_| rows.len() > 1)?;
    let first = first.read_lock::<Map>()?;
    let alike = |row: &Dynamic| {
        let row = row.read_lock::<Map>();
        row.is_some_and(|row| row.keys().eq(first.keys()))
    };
    if !rows.iter().all(alike) {
        return None;
    }
    let mut columns: Vec<(&str, Vec<Cell>)> = Vec::new();
    let mut nested: Vec<&str> = Vec::new();
    for key in first.keys() {
        let values = rows.iter().filter_map(|row| field(row, key));
        let values: Vec<Dynamic> = values.collect();
        match values.iter().any(|v| v.is_array() || v.is_map()) {
            true => nested.push(key),
            false => columns.push((key, values.iter().map(|v| cell(registry, v)).collect())),
        }
    }
    let same = |cells: &[Cell]| cells.windows(2).all(|pair| pair[0] == pair[1]);
    columns.sort_by_key(|(_, cells)| same(cells));
    let title = match nested.is_empty() {
        true => String::new(),
        false => format!("each with {} too", nested.join(", ")),
    };
    let heads = columns.iter().map(|(name, cells)| match same(cells) {
        true => Column::new(*name).spare(),
        false => Column::new(*name),
    });
    let mut table = Table::new(title, heads);
    for row in 0..rows.len() {
        let cells = columns.iter().map(|(_, cells)| cells[row].clone());
        table.push(cells).ok()?;
    }
    (!columns.is_empty()).then_some(table)
}

fn field(row: &Dynamic, key: &str) -> Option<Dynamic> {
    row.read_lock::<Map>()?.get(key).map(Dynamic::flatten_clone)
}

/// A value in a table: numbers stay numbers.
pub(super) fn cell(registry: &Registry, value: &Dynamic) -> Cell {
    if value.is_unit() {
        return Cell::Empty;
    }
    let number = value
        .as_int()
        .map(Cell::Int)
        .or_else(|_| value.as_float().map(Cell::Real));
    number
        .or_else(|_| value.as_bool().map(Cell::Bool))
        .unwrap_or_else(|_| Cell::Text(show::text(registry, value)))
}

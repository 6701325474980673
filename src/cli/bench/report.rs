//! The figures as tables and as JSON.

use serde_json::{Map, Value, json};

use super::times::Times;
use super::{Measured, machine};
use crate::diag::Result;
use crate::report::{Cell, Column, Table};

pub fn tables(measured: &[Measured]) -> Result<Vec<Table>> {
    let mut tables = vec![about(measured)?];
    for side in measured {
        let mut table = Table::new(
            side.name.clone(),
            [
                Column::new(""),
                Column::new("median").decimals(4),
                Column::new("min").decimals(4),
                Column::new("p90").decimals(4),
                Column::new("runs"),
            ],
        );
        for (name, times) in rows(side) {
            let figure = |share| times.quantile(share).map_or(Cell::Empty, Cell::Real);
            let count = Cell::Int(times.len() as i64);
            table.push([
                Cell::Text(name.into()),
                figure(0.5),
                figure(0.0),
                figure(0.9),
                count,
            ])?;
        }
        for (name, figure) in rates(side) {
            let blank = || Cell::Empty;
            table.push([
                Cell::Text(name.into()),
                Cell::Real(figure),
                blank(),
                blank(),
                blank(),
            ])?;
        }
        tables.push(table);
    }
    if let [first, second] = measured {
        tables.push(ratio(first, second)?);
    }
    Ok(tables)
}

fn rows(side: &Measured) -> Vec<(&'static str, &Times)> {
    let rows = [
        ("load, s", &side.load),
        ("first call, s", &side.first),
        ("forward, s", &side.forward),
        ("decode, tokens/s", &side.decode),
    ];
    rows.into_iter()
        .filter(|(_, times)| times.len() > 0)
        .collect()
}

/// Figures that follow from the median forward.
fn rates(side: &Measured) -> Vec<(&'static str, f64)> {
    let busy = side
        .busy
        .map(|busy| busy / side.forward.len().max(1) as f64);
    let tokens = side.tokens.zip(side.forward.median());
    let rates = [
        ("forward, s of all cores", busy),
        (
            "forward, tokens/s",
            tokens.map(|(tokens, seconds)| tokens as f64 / seconds),
        ),
    ];
    rates
        .into_iter()
        .filter_map(|(name, figure)| Some((name, figure?)))
        .collect()
}

fn about(measured: &[Measured]) -> Result<Table> {
    let mut table = Table::new("measured", ["", "value"]);
    for (name, fact) in machine::described() {
        let text = fact
            .as_str()
            .map_or_else(|| fact.to_string(), str::to_owned);
        table.push([name, text])?;
    }
    for shape in measured.iter().take(1).flat_map(|side| &side.shapes) {
        table.push(["input".to_owned(), shape.clone()])?;
    }
    if let Some(bytes) = machine::peak_memory() {
        let mega = bytes as f64 / 1e6;
        table.push(["peak memory".to_owned(), format!("{mega:.0} MB")])?;
    }
    Ok(table)
}

fn ratio(first: &Measured, second: &Measured) -> Result<Table> {
    let columns = ["", "median", "p10", "p90"];
    let title = format!("{} over {}", second.name, first.name);
    let mut table = Table::new(title, columns.map(|name| Column::new(name).decimals(3)));
    for ((name, own), (_, other)) in rows(first).into_iter().zip(rows(second)) {
        let ratio = other.over(own);
        let figure = |share| ratio.quantile(share).map_or(Cell::Empty, Cell::Real);
        let name = name.split(',').next().unwrap_or(name);
        table.push([
            Cell::Text(name.into()),
            figure(0.5),
            figure(0.1),
            figure(0.9),
        ])?;
    }
    Ok(table)
}

pub fn json(measured: &[Measured]) -> Value {
    let sides: Vec<Value> = measured.iter().map(side).collect();
    let mut all = Map::from_iter([
        ("machine".to_owned(), Value::Object(machine::described())),
        (
            "peak_memory_bytes".to_owned(),
            json!(machine::peak_memory()),
        ),
        ("sides".to_owned(), Value::Array(sides)),
    ]);
    if let [first, second] = measured {
        let ratio = second.forward.over(&first.forward);
        let told = json!({
            "median": ratio.median(),
            "p10": ratio.quantile(0.1),
            "p90": ratio.quantile(0.9),
        });
        all.insert("forward_ratio".to_owned(), told);
    }
    Value::Object(all)
}

fn side(side: &Measured) -> Value {
    let rates: Map<String, Value> = rates(side)
        .into_iter()
        .map(|(name, figure)| {
            (
                name.replace([',', '/'], "").replace(' ', "_"),
                json!(figure),
            )
        })
        .collect();
    json!({
        "name": side.name,
        "inputs": side.shapes,
        "load_seconds": side.load.json(),
        "first_call_seconds": side.first.json(),
        "forward_seconds": side.forward.json(),
        "decode_tokens_per_second": side.decode.json(),
        "rates": rates,
        "remarks": side.remarks,
    })
}

//! A trace as tables.

use std::cmp::Reverse;

use crate::diag::Result;
use crate::engine::portable::{Event, NonFinite, Precision, Seen, Trace};
use crate::numeric::Stats;
use crate::report::{Align, Cell, Column, Table, format_bytes, format_number};

use super::millis;

/// Which operations a table shows, and how much of them.
#[derive(Clone)]
pub(super) struct View {
    /// All if absent.
    pub top: Option<usize>,
    /// `time`, `order`, `memory` or `drift`.
    pub sort: String,
    /// `short`, `values`, `memory` or `all`.
    pub columns: String,
}

/// A column: whether it is shown, its form, what it says of an operation.
struct Told {
    shown: bool,
    column: Column,
    cell: fn(&Trace, &Event) -> Cell,
}

/// The operations of the trace, sorted and cut as `view` says.
pub(super) fn operations(trace: &Trace, view: &View) -> Result<Table> {
    let columns: Vec<Told> = columns(trace, &view.columns)
        .into_iter()
        .filter(|told| told.shown)
        .collect();
    let events = sorted(trace, &view.sort);
    let shown = view.top.unwrap_or(usize::MAX).min(events.len());
    let title = title(trace, shown, &view.sort);
    let mut table = Table::new(title, columns.iter().map(|told| told.column.clone()));
    for event in &events[..shown] {
        table.push(columns.iter().map(|told| (told.cell)(trace, event)))?;
    }
    Ok(table)
}

fn sorted<'a>(trace: &'a Trace, sort: &str) -> Vec<&'a Event> {
    let mut events: Vec<&Event> = trace.events.iter().collect();
    match sort {
        "time" => events.sort_by_key(|event| Reverse(event.own)),
        "memory" => events.sort_by_key(|event| Reverse(event.allocated)),
        "drift" => {
            let drift = |event: &Event| event.drift().unwrap_or(-1.0);
            events.sort_by(|a, b| drift(b).total_cmp(&drift(a)));
        }
        _ => {}
    }
    events
}

fn columns(trace: &Trace, choice: &str) -> Vec<Told> {
    let (values, memory, time) = match choice {
        "values" => (true, false, false),
        "memory" => (false, true, true),
        "all" => (true, true, true),
        _ => (false, false, true),
    };
    let range = values || !memory;
    let any = |what: fn(&Event) -> bool| trace.events.iter().any(what);
    let bad = |event: &Event| event.stats().is_some_and(|s| s.nan + s.inf > 0);
    let told = |shown: bool, column: Column, cell| Told {
        shown,
        column,
        cell,
    };
    let number = |name: &str| Column::new(name).align(Align::Right);
    vec![
        told(true, Column::new("op"), |_, e| e.op.into()),
        told(true, Column::new("label"), |_, e| e.label.as_str().into()),
        told(any(|e| e.place.is_some()), Column::new("in"), |_, e| {
            e.place.as_deref().into()
        }),
        told(true, Column::new("result"), |_, e| result(e).into()),
        told(range, number("min"), |_, e| stat(e, |s| s.min)),
        told(range, number("max"), |_, e| stat(e, |s| s.max)),
        told(values, number("mean"), |_, e| stat(e, |s| s.mean)),
        told(values, number("std"), |_, e| stat(e, |s| s.std)),
        told(values || any(bad), number("NaN"), |_, e| {
            e.stats().map(|s| s.nan).into()
        }),
        told(values || any(bad), number("Inf"), |_, e| {
            e.stats().map(|s| s.inf).into()
        }),
        told(trace.drift.is_some(), number("drift"), |_, e| {
            e.drift().map(|drift| format_number(drift, 2)).into()
        }),
        told(time, number("ms").decimals(3), |_, e| millis(e.own).into()),
        told(time, number("%").decimals(1), |t, e| {
            (100.0 * t.share(e.own)).into()
        }),
        told(memory, number("allocated"), |_, e| {
            format_bytes(e.allocated).into()
        }),
        told(memory, number("live"), |_, e| format_bytes(e.live).into()),
    ]
}

/// What the run was, and what is wrong with it.
fn title(trace: &Trace, shown: usize, sort: &str) -> String {
    let precision = match trace.precision {
        Precision::F32 => "f32",
        Precision::F64 => "f64",
        Precision::Faithful => "fp16 where declared",
    };
    let total = millis(trace.total);
    let mut lines = vec![format!(
        "{}: {} operations in {total:.3} ms, {precision}; values hold {} at most",
        trace.function,
        trace.events.len(),
        format_bytes(trace.peak),
    )];
    if trace.dropped > 0 {
        lines.push(format!(
            "{} more operations ran and are not kept",
            trace.dropped
        ));
    }
    if let Some(bad) = &trace.first_bad {
        lines.push(sentence(bad, false));
    }
    if let Some(drift) = &trace.drift {
        lines.extend(drift.first_bad.iter().map(|bad| sentence(bad, true)));
        let parted = drift.parted.iter();
        lines.extend(parted.map(|place| format!("f32 and fp16 take different ways after {place}")));
    }
    if shown < trace.events.len() {
        let order = match sort {
            "time" => "slowest",
            "memory" => "largest",
            "drift" => "farthest from f32",
            _ => "first",
        };
        lines.push(format!("the {shown} {order}:"));
    }
    lines.join("\n")
}

/// "the first non-finite value appears in exp at "x_12": …".
pub(super) fn sentence(bad: &NonFinite, fp16: bool) -> String {
    let where_ = if fp16 { " in fp16" } else { "" };
    format!("the first non-finite value{where_} appears in {bad}")
}

/// Type and shape, of several results those that differ.
fn result(event: &Event) -> String {
    let mut texts: Vec<String> = event.values.iter().map(value).collect();
    let count = texts.len();
    texts.dedup();
    match (texts.as_slice(), count) {
        ([one], 2..) => format!("{count} × {one}"),
        _ => texts.join(", "),
    }
}

fn value(seen: &Seen) -> String {
    match seen.dtype {
        Some(dtype) if seen.shape.is_empty() => dtype.to_string(),
        Some(dtype) => format!("{dtype} {:?}", seen.shape),
        None => "list".to_owned(),
    }
}

fn stat(event: &Event, pick: fn(&Stats) -> f64) -> Cell {
    let stats = event.stats().filter(|stats| stats.finite() > 0);
    stats.map(|stats| format_number(pick(&stats), 4)).into()
}

/// Totals by kind of operation.
pub(super) fn by_op(trace: &Trace) -> Result<Table> {
    let right = |name: &str| Column::new(name).align(Align::Right);
    let mut columns = vec![
        right("op").align(Align::Left),
        right("count"),
        right("ms").decimals(3),
        right("%").decimals(1),
        right("ms each").decimals(3),
        right("allocated"),
    ];
    if trace.drift.is_some() {
        columns.push(right("drift"));
    }
    let mut table = Table::new("", columns);
    for total in trace.by_op() {
        let time = millis(total.time);
        let mut row = vec![
            Cell::from(total.op),
            total.count.into(),
            time.into(),
            (100.0 * trace.share(total.time)).into(),
            (time / total.count as f64).into(),
            format_bytes(total.allocated).into(),
        ];
        if trace.drift.is_some() {
            row.push(total.drift.map(|drift| format_number(drift, 2)).into());
        }
        table.push(row)?;
    }
    Ok(table)
}

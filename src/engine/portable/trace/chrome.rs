//! A trace in the Chrome trace-event format, which Perfetto and chrome://tracing open.
//! Format: "Trace Event Format", Google, 2016: complete events (`X`), counters (`C`), metadata (`M`).

use std::time::Duration;

use serde_json::{Value, json};

use super::{Event, Trace};
use crate::numeric::to_json;

impl Trace {
    /// The trace as a JSON document: one slice an operation, and a curve of the bytes that values hold.
    pub fn to_chrome(&self) -> Value {
        let name = |kind: &str, name: &str| json!({"ph": "M", "pid": 1, "tid": 1, "name": kind, "args": {"name": name}});
        let mut events = vec![
            name("process_name", "portable engine"),
            name("thread_name", &self.function),
        ];
        for event in &self.events {
            events.push(slice(event));
            events.push(json!({
                "ph": "C",
                "pid": 1,
                "name": "live bytes",
                "ts": micros(event.start + event.time),
                "args": {"bytes": event.live},
            }));
        }
        json!({
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {
                "function": self.function,
                "peak_bytes": self.peak,
                "first_non_finite": self.first_bad.as_ref().map(ToString::to_string),
                "dropped": self.dropped,
            },
        })
    }
}

fn slice(event: &Event) -> Value {
    let values = event.values.iter().map(|value| {
        json!({
            "shape": value.shape,
            "dtype": value.dtype.map(|dtype| dtype.name()),
            "drift": value.drift.map(to_json),
        })
    });
    let mut args = json!({
        "label": event.label,
        "values": values.collect::<Vec<_>>(),
        "allocated": event.allocated,
    });
    if let Some(place) = &event.place {
        args["place"] = Value::from(&**place);
    }
    if let Some(stats) = event.stats() {
        for (name, number) in [
            ("min", stats.min),
            ("max", stats.max),
            ("mean", stats.mean),
            ("std", stats.std),
        ] {
            args[name] = to_json(number);
        }
        args["nan"] = json!(stats.nan);
        args["inf"] = json!(stats.inf);
    }
    json!({
        "ph": "X",
        "pid": 1,
        "tid": 1,
        "name": format!("{} {}", event.op, event.label),
        "cat": event.op,
        "ts": micros(event.start),
        "dur": micros(event.time),
        "args": args,
    })
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

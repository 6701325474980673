//! Tracing a model: what every operation gave, how long it took, where fp16 leads astray.

pub(super) mod inputs;
mod tables;

use std::path::PathBuf;
use std::sync::Arc;

use rhai::{Dynamic, Map};

use super::models::Model;
use crate::diag::{Error, Result};
use crate::engine::portable::{Event, NonFinite, Seen, Trace, TraceOptions};
use crate::files;
use crate::host::{
    Call, IntoScript, Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, function, method,
    property,
};
use crate::numeric::Stats;
use crate::report::Display;
use tables::View;

pub(super) const TOPIC: Topic = Topic {
    name: "tracing",
    summary: "What happens inside a model: values, time, memory, fp16 drift, the first NaN.",
    functions,
    types: || vec![TypeEntry::of::<TraceHandle>()],
};

/// A trace as scripts hold it.
#[derive(Clone)]
struct TraceHandle {
    trace: Arc<Trace>,
    view: View,
}

impl ScriptValue for TraceHandle {
    const NAME: &'static str = "Trace";
    const SUMMARY: &'static str = "What every operation of a model gave when it ran.";

    fn line(&self) -> String {
        let count = self.trace.events.len();
        format!("Trace({:?}, {count} operations)", self.trace.function)
    }

    fn show(&self) -> Display {
        match tables::operations(&self.trace, &self.view) {
            Ok(table) => Display::Table(table),
            Err(_) => Display::Text(self.line()),
        }
    }
}

/// How a table of operations looks.
const VIEW: &[Key] = &[
    Key::int("top", 20, "How many operations are shown; 0 for all.").at_least(0.0),
    Key::choice(
        "sort",
        &["time", "order", "memory", "drift"],
        "time",
        "What comes first: the slowest, the first to run, the largest, the farthest from f32.",
    ),
    Key::choice(
        "columns",
        &["short", "values", "memory", "all"],
        "short",
        "What is told: the most important, statistics, bytes, or all (for a wide terminal).",
    ),
];

const RUN: &[Key] = &[
    Key::bool(
        "drift",
        false,
        "Also run in f32 and with fp16 rounding and compare each value.",
    ),
    Key::bool(
        "fused",
        false,
        "What a prediction really runs, with operations fused, rather than the program's own.",
    ),
    Key::int("warmup", 1, "Runs before the traced one.").between(0.0, 100.0),
    Key::optional(
        "function",
        Kind::Text,
        "The function of the program; the model's own if left out.",
    ),
];

fn functions() -> Vec<ScriptFn> {
    vec![
        function("trace", "Runs a model once and notes of every operation its values, time and memory.")
            .param("model", Kind::object::<Model>(), "The model, on the portable engine.")
            .param("inputs", Kind::Either(&[Kind::Text, Kind::Array, Kind::Map]), "A text, token ids, or a map of input name to numbers (nested arrays).")
            .options(RUN)
            .options(VIEW)
            .returns("Trace")
            .details("What no input reaches is made once and left out. The time that tracing takes is not counted. Drift is max |fp16-rounded - f32| / max |f32| of a value, both runs having started from the same inputs.")
            .example("type_of(load(\"embedded:student\").trace(\"the soup was\"))", "\"Trace\"")
            .run(trace),
        method::<TraceHandle>("table", "The operations as a table.")
            .options(VIEW)
            .returns("Table")
            .example("let t = trace(load(\"embedded:student\"), \"tea\"); [t.table(#{top: 5, sort: \"order\", columns: \"all\"})]", "[Table(5 rows, 13 columns)]")
            .run(|call| tables::operations(&call.receiver::<TraceHandle>()?.trace, &view(call)?)),
        method::<TraceHandle>("by_op", "Count, time and share of each kind of operation.")
            .returns("Table")
            .example("type_of(load(\"embedded:student\").trace(\"tea\").by_op())", "\"Table\"")
            .run(|call| tables::by_op(&call.receiver::<TraceHandle>()?.trace)),
        method::<TraceHandle>("rows", "Each operation as a map, in the order of the run.")
            .returns("array")
            .fields(&[
                ("op", "The operation."),
                ("label", "Its name in the program."),
                ("place", "The nested block and turn, or ()."),
                ("start_ms", "When it began."),
                ("ms", "How long it took."),
                ("own_ms", "Without nested blocks."),
                ("allocated", "Bytes."),
                ("live", "Bytes in use after it."),
                ("min", "The smallest value."),
                ("max", "The largest."),
                ("mean", "Their mean."),
                ("std", "Their standard deviation."),
                ("nan", "How many are NaN."),
                ("inf", "How many are infinite."),
                ("drift", "How far it is from f32, if asked for."),
                ("outputs", "An array of maps of shape, dtype, drift and statistics."),
            ])
            .example("let r = trace(load(\"embedded:student\"), [5, 6]).rows(); r[0].op", "\"shape\"")
            .run(|call| Ok(rows(&call.receiver::<TraceHandle>()?.trace))),
        method::<TraceHandle>("first_bad", "Where NaN or infinity first appears, or ().")
            .returns("map")
            .fields(&[
                ("text", "A sentence."),
                ("op", "The operation."),
                ("label", "Its name in the program."),
                ("place", "The nested block and turn, or ()."),
                ("fp16", "Whether only rounding to fp16 brings it about."),
                ("inputs", "An array of maps of parameter, name and statistics."),
            ])
            .example("load(\"embedded:student\").trace(\"tea\").first_bad() == ()", "true")
            .run(|call| Ok(first_bad(&call.receiver::<TraceHandle>()?.trace))),
        method::<TraceHandle>("save", "Writes the trace in Chrome's format; Perfetto and chrome://tracing open it.")
            .param("path", Kind::Output(&["json"]), "The file.")
            .example("load(\"embedded:student\").trace(\"tea\").save(\"trace.json\"); read_json(\"trace.json\").displayTimeUnit", "\"ms\"")
            .run(save),
        property::<TraceHandle>("ms", "Time of all operations, in milliseconds.")
            .returns("float")
            .example("load(\"embedded:student\").trace(\"tea\").ms >= 0.0", "true")
            .run(|call| Ok(millis(call.receiver::<TraceHandle>()?.trace.total))),
        property::<TraceHandle>("peak", "Most bytes that values held at any time, constants apart.")
            .returns("int")
            .example("load(\"embedded:student\").trace(\"tea\").peak > 0", "true")
            .run(|call| Ok(call.receiver::<TraceHandle>()?.trace.peak as usize)),
    ]
}

fn view(call: &Call) -> Result<View> {
    let top: usize = call.options.get("top")?;
    Ok(View {
        top: Some(top).filter(|top| *top > 0),
        sort: call.options.get("sort")?,
        columns: call.options.get("columns")?,
    })
}

fn trace(call: &mut Call) -> Result<TraceHandle> {
    let model = call.get::<Model>("model")?.0;
    let portable = model.portable()?;
    let function: Option<String> = call.options.get("function")?;
    let function = function.unwrap_or_else(|| model.function().to_owned());
    let described = model.description().function(&function)?;
    let inputs = inputs::features(call, &model, described)?;
    let clock = call.host.clock();
    let options = TraceOptions {
        drift: call.options.get("drift")?,
        fused: call.options.get("fused")?,
        warmup: call.options.get("warmup")?,
        now: &|| clock.elapsed(),
    };
    let mut view = view(call)?;
    if options.drift && !call.options.given("sort") {
        view.sort = "drift".to_owned();
    }
    let trace = portable.trace(&function, &inputs, None, &options)?;
    Ok(TraceHandle {
        trace: Arc::new(trace),
        view,
    })
}

fn save(call: &mut Call) -> Result<()> {
    let handle: TraceHandle = call.receiver()?;
    let text = serde_json::to_vec(&handle.trace.to_chrome())
        .map_err(|error| Error::new(error.to_string()))?;
    files::write_atomic(&call.get::<PathBuf>("path")?, &text)
}

fn millis(time: std::time::Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn rows(trace: &Trace) -> Vec<Map> {
    trace.events.iter().map(row).collect()
}

fn row(event: &Event) -> Map {
    let mut map = Map::new();
    let outputs: Vec<Map> = event.values.iter().map(output).collect();
    put(&mut map, "op", event.op);
    put(&mut map, "label", event.label.as_str());
    put(&mut map, "place", event.place.as_deref());
    put(&mut map, "start_ms", millis(event.start));
    put(&mut map, "ms", millis(event.time));
    put(&mut map, "own_ms", millis(event.own));
    put(&mut map, "allocated", event.allocated as usize);
    put(&mut map, "live", event.live as usize);
    put(&mut map, "drift", event.drift());
    put(&mut map, "outputs", outputs);
    put_stats(&mut map, event.stats());
    map
}

fn output(seen: &Seen) -> Map {
    let mut map = Map::new();
    put(&mut map, "shape", seen.shape.clone());
    put(&mut map, "dtype", seen.dtype.map(|dtype| dtype.name()));
    put(&mut map, "drift", seen.drift);
    put_stats(&mut map, seen.stats);
    map
}

fn put(map: &mut Map, key: &str, value: impl IntoScript) {
    map.insert(key.into(), value.into_script());
}

/// What has no numbers has `()` for each.
fn put_stats(map: &mut Map, stats: Option<Stats>) {
    put(map, "min", stats.map(|s| s.min));
    put(map, "max", stats.map(|s| s.max));
    put(map, "mean", stats.map(|s| s.mean));
    put(map, "std", stats.map(|s| s.std));
    put(map, "nan", stats.map(|s| s.nan));
    put(map, "inf", stats.map(|s| s.inf));
}

fn first_bad(trace: &Trace) -> Dynamic {
    match (&trace.first_bad, &trace.drift) {
        (Some(bad), _) => bad_map(bad, false),
        (None, Some(drift)) => match &drift.first_bad {
            Some(bad) => bad_map(bad, true),
            None => Dynamic::UNIT,
        },
        (None, None) => Dynamic::UNIT,
    }
}

fn bad_map(bad: &NonFinite, fp16: bool) -> Dynamic {
    let mut map = Map::new();
    let inputs = bad.inputs.iter().map(|(parameter, name, stats)| {
        let mut map = Map::new();
        put(&mut map, "parameter", parameter.as_str());
        put(&mut map, "name", name.as_str());
        put_stats(&mut map, Some(*stats));
        map
    });
    put(&mut map, "text", tables::sentence(bad, fp16));
    put(&mut map, "op", bad.op);
    put(&mut map, "label", bad.label.as_str());
    put(&mut map, "place", bad.place.as_deref());
    put(&mut map, "fp16", fp16);
    put(&mut map, "inputs", inputs.collect::<Vec<_>>());
    put_stats(&mut map, Some(bad.stats));
    Dynamic::from_map(map)
}

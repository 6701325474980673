//! Run records: what was run, on what, and what came out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{Dynamic, Identifier, Map};

use crate::diag::{Context as _, Result};
use crate::fail;
use crate::host::function::Entries;
use crate::host::json::to_json;
use crate::host::limits::RUNS;
use crate::host::{
    Call, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, function, method, property, show,
};
use crate::runs::{Record, Run, free_folder};

use super::metrics::LOGGED;

pub(super) const TOPIC: Topic = Topic {
    name: "runs",
    summary: "The record of an experiment: script, seed, inputs, metrics, samples, results.",
    functions,
    types: || vec![TypeEntry::of::<RunHandle>()],
};

/// An open run as scripts hold it.
#[derive(Clone)]
pub(super) struct RunHandle(pub Arc<Mutex<Run>>);

impl RunHandle {
    pub fn lock(&self) -> MutexGuard<'_, Run> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScriptValue for RunHandle {
    const NAME: &'static str = "Run";
    const SUMMARY: &'static str = "The record of an experiment, a folder.";

    fn line(&self) -> String {
        format!("Run({})", self.lock().folder().display())
    }
}

fn functions() -> Vec<ScriptFn> {
    vec![
        function("start_run", "Opens the record of an experiment in a fresh folder under runs/.")
            .param("name", Kind::Text, "What the experiment is called.")
            .optional("arguments", Kind::Map, "What it was called with.")
            .returns("Run")
            .details("Script, seed, git commit and versions are noted at once; inputs, status and results when the script ends, also when it fails or is interrupted.")
            .example("type_of(start_run(\"try\", #{steps: 3}))", "\"Run\"")
            .run(start),
        property::<RunHandle>("folder", "Where the record is.")
            .returns("string")
            .example("let r = start_run(\"try\"); r.folder.ends_with(\"try\")", "true")
            .run(|call| Ok(call.receiver::<RunHandle>()?.lock().folder().display().to_string())),
        method::<RunHandle>("log", "Notes the metrics of a step.")
            .param("step", Kind::Int, "The step, counted from 0.")
            .param("metrics", Kind::Map, "Names and numbers.")
            .entries(Entries { known: LOGGED, had })
            .example("let r = start_run(\"try\"); r.log(0, #{reward: 0.5}); read_text(r.folder + \"/metrics.jsonl\").contains(\"reward\")", "true")
            .run(|call| {
                let metrics = numbers(&call.get::<Map>("metrics")?)?;
                let step: usize = call.get("step")?;
                call.receiver::<RunHandle>()?.lock().log(step, &metrics)
            }),
        method::<RunHandle>("sample", "Notes a sample: any map.")
            .param("sample", Kind::Map, "What to note.")
            .example("let r = start_run(\"try\"); r.sample(#{prompt: \"a\", completion: \"b\"}); read_text(r.folder + \"/samples.jsonl\").contains(\"completion\")", "true")
            .run(|call| {
                let sample = to_json(call.host.registry(), &call.get::<Dynamic>("sample")?)?;
                call.receiver::<RunHandle>()?.lock().sample(&sample)
            }),
        method::<RunHandle>("result", "Notes a result of the experiment.")
            .param("name", Kind::Text, "What it is.")
            .param("value", Kind::Any, "A number, text, array or map.")
            .example("let r = start_run(\"try\"); r.result(\"kl\", 0.25); read_json(r.folder + \"/run.json\").results", "#{kl: 0.25}")
            .run(|call| {
                let (name, value): (String, Dynamic) = (call.get("name")?, call.get("value")?);
                let value = to_json(call.host.registry(), &value)?;
                let run = call.receiver::<RunHandle>()?;
                run.lock().update(|record| {
                    record.results.insert(name, value);
                })
            }),
    ]
}

/// The metrics that the run has logged.
fn had(run: &Dynamic) -> Vec<String> {
    let run = run.read_lock::<RunHandle>();
    run.map_or(Vec::new(), |run| {
        run.lock().logged().iter().cloned().collect()
    })
}

fn start(call: &mut Call) -> Result<RunHandle> {
    let name: String = call.get("name")?;
    let host = call.host;
    let folder = free_folder(&host.resolve(RUNS), &name);
    let mut record = Record::new(&name, host.clock().now());
    record.seed = Some(host.seed());
    record.script = host.script()?;
    record.git = host.git();
    record
        .versions
        .insert("rlaif-repl".into(), env!("CARGO_PKG_VERSION").into());
    if let Some(arguments) = call.get::<Option<Dynamic>>("arguments")?
        && let serde_json::Value::Object(map) = to_json(host.registry(), &arguments)?
    {
        record.arguments = map;
    }
    let run = Run::create(&folder, record).context("start_run")?;
    let run = Arc::new(Mutex::new(run));
    host.keep_run(&run);
    Ok(RunHandle(run))
}

/// The numbers of a map, by name; () is no number, and left out.
fn numbers(metrics: &Map) -> Result<Vec<(String, f64)>> {
    let number = |(name, value): (&Identifier, &Dynamic)| {
        let float = value
            .as_float()
            .or_else(|_| value.as_int().map(|n| n as f64));
        match float {
            Ok(float) => Ok((name.to_string(), float)),
            Err(_) => {
                let what = show::describe(value);
                fail!("metric \"{name}\" must be a number, not {what}")
            }
        }
    };
    let told = metrics.iter().filter(|(_, value)| !value.is_unit());
    told.map(number).collect()
}

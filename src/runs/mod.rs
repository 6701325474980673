//! The record of an experiment: a folder from which it can be understood and repeated.
//!
//! ```text
//! runs/<name>/run.json        what ran: script, seed, versions, inputs, status
//!             metrics.jsonl   {"step": 3, "reward": 0.5, …}, names as in TRL
//!             samples.jsonl   prompts, completions, rewards
//! ```
//!
//! Clock, host and command line are the caller's to pass in.

mod journal;
mod record;

pub use record::{Git, Record, Script, Status};

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::diag::{Context, Error, Result};
use crate::numeric::{from_json, to_json};
use journal::Journal;

/// An open run directory.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    record: Record,
    metrics: Journal,
    /// The names of the metrics that were logged since it was opened.
    logged: BTreeSet<String>,
    samples: Journal,
}

/// Metrics of one step, in the order in which they were logged.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub step: usize,
    pub metrics: Vec<(String, f64)>,
}

impl Run {
    /// Makes the folder and its `run.json`; fails if there is a run already.
    pub fn create(folder: &Path, record: Record) -> Result<Self> {
        if folder.join(record::FILE).exists() {
            return Err(
                Error::new(format!("{} holds a run already", folder.display()))
                    .hint("choose another name, or open it to go on"),
            );
        }
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        record.write(folder)?;
        Ok(Self::attach(folder, record))
    }

    /// Opens a run to read it or to go on logging. A line that a crash cut short is dropped.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Self::attach(folder, Record::read(folder)?))
    }

    fn attach(folder: &Path, record: Record) -> Self {
        Self {
            metrics: Journal::new(folder.join("metrics.jsonl")),
            samples: Journal::new(folder.join("samples.jsonl")),
            logged: BTreeSet::new(),
            folder: folder.to_owned(),
            record,
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Changes the record and writes it; on an error both keep the old one.
    pub fn update(&mut self, change: impl FnOnce(&mut Record)) -> Result<()> {
        let mut record = self.record.clone();
        change(&mut record);
        record.write(&self.folder)?;
        self.record = record;
        Ok(())
    }

    /// Appends the metrics of a step.
    pub fn log(&mut self, step: usize, metrics: &[(String, f64)]) -> Result<()> {
        self.logged
            .extend(metrics.iter().map(|(name, _)| name.clone()));
        let mut line = Map::new();
        line.insert("step".to_owned(), step.into());
        line.extend(metrics.iter().map(|(name, v)| (name.clone(), to_json(*v))));
        self.metrics.append(&Value::Object(line))
    }

    /// The names of the metrics that were logged since the run was opened.
    pub fn logged(&self) -> &BTreeSet<String> {
        &self.logged
    }

    /// Appends one sample, as the caller shapes it.
    pub fn sample(&mut self, sample: &Value) -> Result<()> {
        self.samples.append(sample)
    }

    /// All logged steps; what is no number in a line is left out.
    pub fn steps(&self) -> Result<Vec<Step>> {
        let step = |line: &Value| -> Option<Step> {
            let fields = line.as_object()?;
            let metrics = fields.iter().filter(|(name, _)| *name != "step");
            let metrics = metrics.filter_map(|(name, v)| Some((name.clone(), from_json(v)?)));
            Some(Step {
                step: usize::try_from(fields.get("step")?.as_u64()?).ok()?,
                metrics: metrics.collect(),
            })
        };
        Ok(self.metrics.lines()?.iter().filter_map(step).collect())
    }

    /// One metric over the steps, for a plot; an unknown name is an error.
    pub fn series(&self, name: &str) -> Result<Vec<(f64, f64)>> {
        let steps = self.steps()?;
        let value = |step: &Step| {
            let found = step.metrics.iter().find(|(key, _)| key == name)?;
            Some((step.step as f64, found.1))
        };
        let points: Vec<(f64, f64)> = steps.iter().filter_map(value).collect();
        if points.is_empty() {
            let known = steps.iter().flat_map(|s| &s.metrics).map(|m| m.0.as_str());
            let known: std::collections::BTreeSet<&str> = known.collect();
            return Err(Error::unknown("metric", name, known));
        }
        Ok(points)
    }

    pub fn samples(&self) -> Result<Vec<Value>> {
        self.samples.lines()
    }

    /// Ends the run; `time` as the caller writes times.
    pub fn finish(&mut self, status: Status, time: &str) -> Result<()> {
        self.update(|record| {
            record.status = status;
            record.finished = Some(time.to_owned());
        })
    }
}

/// `parent/name`, or the first of `name-2`, `name-3`, … that is free.
pub fn free_folder(parent: &Path, name: &str) -> PathBuf {
    let numbered = |n: usize| parent.join(format!("{name}-{n}"));
    std::iter::once(parent.join(name))
        .chain((2..).map(numbered))
        .find(|folder| !folder.exists())
        .unwrap_or_else(|| parent.join(name))
}

/// The records of all runs in a folder, by name; none if there is no such folder.
pub fn list(parent: &Path) -> Result<Vec<Record>> {
    if !parent.exists() {
        return Ok(Vec::new());
    }
    let reading = || format!("read {}", parent.display());
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(parent).with_context(reading)? {
        let folder = entry.with_context(reading)?.path();
        if folder.join(record::FILE).exists() {
            folders.push(folder);
        }
    }
    folders.sort();
    folders.iter().map(|folder| Record::read(folder)).collect()
}

#[cfg(test)]
mod tests;

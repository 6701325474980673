//! `run.json`: what ran, from which inputs, and how it ended.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::diag::{Error, Result};
use crate::files;

pub(super) const FILE: &str = "run.json";

/// Everything needed to run the same again. Times are text, as the caller writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub name: String,
    pub status: Status,
    pub started: String,
    #[serde(default)]
    pub finished: Option<String>,
    #[serde(default)]
    pub seed: Option<u64>,
    #[serde(default)]
    pub device: Option<String>,
    #[serde(default)]
    pub script: Option<Script>,
    #[serde(default)]
    pub git: Option<Git>,
    /// Options of the experiment, by name.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// Of this program and of what it runs on, by name.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// SHA-256 of models and data, by name.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// Judges behind servers: what they are, and how often they were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judges: Vec<Value>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
    /// What came out of it.
    #[serde(default)]
    pub results: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    pub path: String,
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    pub commit: String,
    /// Whether files differed from the commit.
    pub dirty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Still at it, or stopped without a word.
    Running,
    Finished,
    Failed,
    Interrupted,
}

impl Record {
    /// A run that starts now; the rest is for the caller to fill in.
    pub fn new(name: impl Into<String>, started: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            status: Status::Running,
            started: started.into(),
            finished: None,
            seed: None,
            device: None,
            script: None,
            git: None,
            arguments: Map::new(),
            versions: BTreeMap::new(),
            inputs: BTreeMap::new(),
            judges: Vec::new(),
            error: None,
            results: Map::new(),
        }
    }

    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        if !path.exists() {
            let error = Error::new(format!("{} holds no run", folder.display()));
            return Err(error.hint("a run is a folder with a run.json"));
        }
        serde_json::from_str(&files::read_text(&path)?).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Error::new(error.to_string()).at(path.display().to_string(), line, column)
        })
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::new(format!("can't write the run's record: {error}")))?;
        files::write_atomic(&folder.join(FILE), format!("{text}\n").as_bytes())
    }
}

//! Where a result comes from: the script, the commit, the inputs; and the runs that note it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::context::Host;
use crate::diag::{Error, Result};
use crate::files;
use crate::package;
use crate::runs::{Git, Run, Script, Status};

/// What the shell knows of where a script comes from.
#[derive(Debug, Clone, Default)]
pub struct Provenance {
    /// The script that runs.
    pub script: Option<PathBuf>,
    /// Asks git about a folder.
    pub git: Option<fn(&Path) -> Option<Git>>,
}

/// Runs that are open, to be closed when the script ends.
#[derive(Debug, Default)]
pub(super) struct OpenRuns(Mutex<Vec<Weak<Mutex<Run>>>>);

impl OpenRuns {
    pub fn keep(&self, run: &Arc<Mutex<Run>>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::downgrade(run));
    }

    fn take(&self) -> Vec<Weak<Mutex<Run>>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Host {
    /// The script with the hash of its text.
    pub fn script(&self) -> Result<Option<Script>> {
        let Some(path) = &self.provenance().script else {
            return Ok(None);
        };
        let sha256 = hash(path)?;
        Ok(Some(Script {
            path: path.display().to_string(),
            sha256,
        }))
    }

    /// The commit that the base folder is at, if it is in a repository.
    pub fn git(&self) -> Option<Git> {
        self.provenance().git.and_then(|git| git(self.base()))
    }

    /// Notes how the script ended in every run it opened: status, inputs by hash, error.
    pub fn end_runs(&self, status: Status, error: Option<&str>) -> Result<()> {
        for run in self.open_runs().take().iter().filter_map(Weak::upgrade) {
            let mut run = run.lock().unwrap_or_else(PoisonError::into_inner);
            let mut inputs = Vec::new();
            for path in self.files_read() {
                inputs.push((path.display().to_string(), hash(&path)?));
            }
            let judges = self.judges();
            let judges = judges.iter().map(serde_json::to_value);
            let judges = judges.collect::<Result<_, _>>();
            let judges = judges.map_err(|error| Error::new(error.to_string()))?;
            run.update(|record| {
                record.inputs.extend(inputs);
                record.judges = judges;
                record.error = error.map(str::to_owned);
            })?;
            run.finish(status, &self.clock().now())?;
        }
        Ok(())
    }
}

/// SHA-256 in hexadecimal: of a file's content, or of all that a folder holds.
fn hash(path: &Path) -> Result<String> {
    match path.is_dir() {
        true => package::digest(path),
        false => Ok(files::sha256(&files::read(path)?)),
    }
}

//! Models of the Hugging Face hub: fetched into the cache that `huggingface_hub` and `hf-hub` share.
//!
//! A snapshot is a folder of links to contents; the name of a revision (`refs/main`) is written when all of
//! it is there, so that what is found offline is whole.

mod download;
mod files;
mod listing;
mod settings;

pub use settings::{Settings, names_in_cache};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use hf_hub::{Cache, Repo, RepoType};

use crate::diag::{Error, Interrupt, Result};
use crate::fail;
use crate::report::format_bytes;
use download::Work;

/// What to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// `org/name`.
    pub name: String,
    /// A branch, tag or commit.
    pub revision: String,
    /// Patterns of files, `*` standing for any characters; what a model needs if there are none.
    pub files: Vec<String>,
}

/// How far a fetch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is being fetched.
    pub file: String,
    /// Bytes of all files.
    pub done: u64,
    pub total: u64,
}

impl Step {
    pub fn percent(&self) -> u64 {
        (self.done * 100).checked_div(self.total).unwrap_or(100)
    }

    /// What is being fetched, and how much is there.
    pub fn message(&self) -> String {
        let Self { file, done, total } = self;
        format!(
            "{file}, {} of {}",
            format_bytes(*done),
            format_bytes(*total)
        )
    }
}

/// Fetches a repository's files and gives the folder that they are in. What is there is not fetched again;
/// what was begun goes on.
///
/// # Errors
/// The name is none of the hub's; the hub can't be reached or refuses; offline, it is not in the cache.
pub fn fetch(
    wanted: &Wanted,
    settings: &Settings,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(&Step),
) -> Result<PathBuf> {
    if !is_name(&wanted.name) {
        return Err(
            Error::new(format!("\"{}\" is no name of the hub", wanted.name))
                .hint("models are called org/name"),
        );
    }
    if settings.offline {
        return cached(wanted, settings);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (steps, told) = channel();
    let work = Work {
        wanted: wanted.clone(),
        settings: settings.clone(),
        stop: stop.clone(),
        steps,
    };
    // The client can't be interrupted: it works on a thread of its own, which is left if it does not hear.
    let worker = std::thread::spawn(move || work.run());
    let interrupted = follow(&told, interrupt, progress);
    stop.store(true, Ordering::Relaxed);
    interrupted?;
    match worker.join() {
        Ok(result) => result,
        Err(_) => fail!("{}: the download broke off", wanted.name),
    }
}

/// Tells steps until there are no more.
fn follow(
    told: &Receiver<Step>,
    interrupt: &Interrupt,
    progress: &mut dyn FnMut(&Step),
) -> Result<()> {
    loop {
        interrupt.check()?;
        match told.recv_timeout(Duration::from_millis(50)) {
            Ok(step) => progress(&told.try_iter().last().unwrap_or(step)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// The folder of what was fetched before.
fn cached(wanted: &Wanted, settings: &Settings) -> Result<PathBuf> {
    let folder = repository(wanted, settings);
    let name = folder.join("refs").join(&wanted.revision);
    let commit = std::fs::read_to_string(name).unwrap_or_else(|_| wanted.revision.clone());
    let snapshot = folder.join("snapshots").join(commit.trim());
    if !snapshot.is_dir() {
        let Wanted { name, revision, .. } = wanted;
        return Err(Error::new(format!(
            "{name} at \"{revision}\" is not in {}",
            settings.cache.display()
        ))
        .hint("fetch it once without offline mode (HF_HUB_OFFLINE)"));
    }
    let missing = |pattern: &&String| {
        !listing::below(&snapshot)
            .iter()
            .any(|file| crate::files::matches(pattern, file))
    };
    match wanted.files.iter().find(missing) {
        None => Ok(snapshot),
        Some(pattern) => fail!("there is no \"{pattern}\" in {}", snapshot.display()),
    }
}

/// The folder of a repository in the cache.
fn repository(wanted: &Wanted, settings: &Settings) -> PathBuf {
    let repo = Repo::new(wanted.name.clone(), RepoType::Model);
    Cache::new(settings.cache.clone())
        .path()
        .join(repo.folder_name())
}

/// The error of opening `path`; where the user's own words for it name a model of the hub, and there is no
/// such file, with the way there.
pub fn or_fetch(error: Error, words: &str, path: &Path) -> Error {
    match is_name(words) && !path.exists() {
        true => error.hint(format!(
            "a model of the hub is fetched first: fetch(\"{words}\"), or rlaif-repl fetch {words}"
        )),
        false => error,
    }
}

/// Whether a text could name a model on the hub: `org/name` in letters, digits, `-`, `_` and `.`.
fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        part.chars().all(plain) && part.starts_with(|c: char| c.is_ascii_alphanumeric())
    };
    text.split('/').count() == 2 && text.split('/').all(part)
}

//! The download itself, on its own thread, over `hf-hub`.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};

use super::files::{File, choose};
use super::listing::{self, Listing};
use super::{Settings, Step, Wanted, repository};
use crate::diag::{Context, Error, Kind, Result};
use crate::fail;
use crate::files;

/// How often a broken connection is tried again.
const TRIES: usize = 3;
/// Most bytes of a listing.
const LISTING: u64 = 64 << 20;

/// A repository to fetch.
pub(super) struct Work {
    pub wanted: Wanted,
    pub settings: Settings,
    /// Set when nobody waits any more.
    pub stop: Arc<AtomicBool>,
    pub steps: Sender<Step>,
}

impl Work {
    pub fn run(&self) -> Result<PathBuf> {
        let builder = ApiBuilder::from_cache(Cache::new(self.settings.cache.clone()))
            .with_endpoint(self.settings.endpoint.clone())
            .with_token(self.settings.token.clone())
            .with_user_agent(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        let api = builder
            .build()
            .map_err(|error| Error::new(error.to_string()))?;
        let Listing { commit, files } = self.listing(&api)?;
        let files = choose(files, &self.wanted.files)?;
        let total = files.iter().map(|file| file.size).sum();
        // The commit that was listed, whatever its branch becomes meanwhile.
        let repo = Repo::with_revision(self.wanted.name.clone(), RepoType::Model, commit.clone());
        let pinned = api.repo(repo);
        let mut before = 0;
        for file in &files {
            let teller = Teller {
                step: Step {
                    file: file.path.clone(),
                    done: before,
                    total,
                },
                before,
                stop: self.stop.clone(),
                steps: self.steps.clone(),
            };
            self.obtain(&pinned, &commit, file, &teller)
                .with_context(|| file.path.clone())?;
            before += file.size;
        }
        let folder = repository(&self.wanted, &self.settings);
        self.name(&folder, &commit)?;
        Ok(folder.join("snapshots").join(commit))
    }

    fn listing(&self, api: &Api) -> Result<Listing> {
        let Wanted { name, revision, .. } = &self.wanted;
        let repo = Repo::with_revision(name.clone(), RepoType::Model, revision.clone());
        let request = api.repo(repo).info_request().query("blobs", "true");
        let answer = request.call().map_err(|error| {
            let words = error.to_string();
            self.refused(
                error.into_response().map(|response| response.status()),
                &words,
            )
        })?;
        let mut json = String::new();
        answer
            .into_reader()
            .take(LISTING)
            .read_to_string(&mut json)?;
        listing::read(&json)
    }

    /// An answer that is no answer, or none at all.
    fn refused(&self, status: Option<u16>, words: &str) -> Error {
        let Wanted { name, revision, .. } = &self.wanted;
        let endpoint = &self.settings.endpoint;
        match (status, &self.settings.token) {
            (Some(404), _) => Error::new(format!(
                "there is no {name} at \"{revision}\" on {endpoint}"
            )),
            (Some(code @ (401 | 403)), None) => {
                Error::new(format!("{endpoint} does not show {name} ({code})"))
                    .hint("there is no such model, or it needs a token: set HF_TOKEN")
            }
            (Some(code @ (401 | 403)), Some(_)) => {
                Error::new(format!("{endpoint} does not show {name} ({code})"))
                    .hint("there is no such model, or the token may not read it")
            }
            (Some(code), _) => Error::new(format!("{endpoint} answers {code}")),
            (None, _) => Error::new(format!("can't reach {endpoint}: {words}"))
                .kind_of(Kind::Io)
                .hint("what was fetched before is found with offline mode (HF_HUB_OFFLINE)"),
        }
    }

    /// Puts a file into the snapshot.
    fn obtain(&self, repo: &ApiRepo, commit: &str, file: &File, teller: &Teller) -> Result<()> {
        let folder = repository(&self.wanted, &self.settings);
        let blob = folder.join("blobs").join(&file.etag);
        let link = folder.join("snapshots").join(commit).join(&file.path);
        let there = |path: &Path| fs::metadata(path).is_ok_and(|found| found.len() == file.size);
        if there(&link) {
            return Ok(());
        }
        recover(&blob, file)?;
        if there(&blob) {
            return point(&blob, &link, file);
        }
        fs::remove_file(&link).or_else(ignore_missing)?;
        let mut tries = 0;
        loop {
            teller.check()?;
            tries += 1;
            let failed = match repo.download_with_progress(&file.path, teller.clone()) {
                Ok(path) if is_whole(&path, file)? => {
                    return Ok(
                        fs::remove_file(blob.with_extension("lock")).or_else(ignore_missing)?
                    );
                }
                Ok(path) => {
                    fs::remove_file(path.canonicalize()?)?;
                    fs::remove_file(&path).or_else(ignore_missing)?;
                    Error::new("what came is not what the hub lists")
                }
                Err(ApiError::RequestError(error)) => {
                    let words = error.to_string();
                    let status = error.into_response().map(|response| response.status());
                    let refused = self.refused(status, &words);
                    match status {
                        Some(400..500) => return Err(refused),
                        _ => refused,
                    }
                }
                Err(error) => Error::new(error.to_string()),
            };
            if tries == TRIES {
                return Err(failed);
            }
        }
    }

    /// Writes which commit the revision is, now that all of it is there.
    fn name(&self, folder: &Path, commit: &str) -> Result<()> {
        let Wanted { name, revision, .. } = &self.wanted;
        let repo = Repo::with_revision(name.clone(), RepoType::Model, revision.clone());
        // The name of the commit itself, which the client wrote with each file.
        fs::remove_file(folder.join("refs").join(commit)).or_else(ignore_missing)?;
        if revision != commit {
            Cache::new(self.settings.cache.clone())
                .repo(repo)
                .create_ref(commit)?;
        }
        Ok(())
    }
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

/// A part that has all its bytes becomes the content; the client would ask for more of it.
fn recover(blob: &Path, file: &File) -> Result<()> {
    let part = blob.with_extension("part");
    match fs::metadata(&part) {
        Ok(found) if found.len() == file.size && is_whole(&part, file)? => fs::rename(&part, blob)?,
        Ok(found) if found.len() >= file.size => fs::remove_file(&part)?,
        _ => {}
    }
    Ok(())
}

/// Whether a file has the size and the digest that the hub lists.
fn is_whole(path: &Path, file: &File) -> Result<bool> {
    let content = fs::File::open(path)?;
    if content.metadata()?.len() != file.size {
        return Ok(false);
    }
    match &file.sha256 {
        Some(expected) => Ok(files::sha256_of(content)? == *expected),
        None => Ok(true),
    }
}

/// Makes the snapshot's link to a content that is there already.
fn point(blob: &Path, link: &Path, file: &File) -> Result<()> {
    let parent = link.parent().unwrap_or(link);
    fs::create_dir_all(parent)?;
    fs::remove_file(link).or_else(ignore_missing)?;
    #[cfg(unix)]
    {
        // From snapshots/<commit>/<folders of the path>.
        let up = "../".repeat(2 + file.path.matches('/').count());
        std::os::unix::fs::symlink(format!("{up}blobs/{}", file.etag), link)?;
    }
    #[cfg(not(unix))]
    fs::copy(blob, link)?;
    match link.exists() && blob.exists() {
        true => Ok(()),
        false => fail!("can't link {} to {}", file.path, blob.display()),
    }
}

/// Tells how many bytes of a file are there.
#[derive(Clone)]
struct Teller {
    step: Step,
    /// Bytes of the files before.
    before: u64,
    stop: Arc<AtomicBool>,
    steps: Sender<Step>,
}

impl Teller {
    fn check(&self) -> Result<()> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Error::interrupted()),
            false => Ok(()),
        }
    }
}

impl Progress for Teller {
    fn init(&mut self, _: usize, _: &str) {
        self.step.done = self.before;
    }

    fn update(&mut self, bytes: usize) {
        if self.check().is_err() {
            // The client has no way to stop; unwinding ends this thread, and what has come stays a part.
            std::panic::resume_unwind(Box::new("nobody waits"));
        }
        self.step.done += bytes as u64;
        // Nobody listens only when nobody waits.
        let _ = self.steps.send(self.step.clone());
    }

    fn finish(&mut self) {}
}

//! Replies by the hash of what was asked: in memory, or in a file of JSON lines that several sessions share.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::reply::Reply;
use crate::diag::{Context, Error, Result};

const FILE: &str = "verdicts.jsonl";

/// Replies that need not be asked for again.
pub struct Cache {
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: BTreeMap<String, Reply>,
    /// Bytes and lines of the file that were read.
    bytes: u64,
    lines: usize,
    /// Lines that are no verdicts and were told.
    broken: BTreeSet<usize>,
    news: Vec<String>,
}

impl Cache {
    /// One that ends with the session.
    pub fn in_memory() -> Self {
        Self {
            file: None,
            state: Mutex::default(),
        }
    }

    /// One in a folder, which is made with the first reply.
    ///
    /// # Errors
    /// What is there can't be read; nothing is there, and it `must_exist`.
    pub fn in_folder(folder: &Path, must_exist: bool) -> Result<Self> {
        let file = folder.join(FILE);
        if must_exist && !file.is_file() {
            let error = Error::new(format!("there are no verdicts in {}", folder.display()));
            return Err(error.hint("replay repeats what an earlier run has put into its cache"));
        }
        let cache = Self {
            file: Some(file),
            state: Mutex::default(),
        };
        cache.refresh()?;
        Ok(cache)
    }

    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Reads what other sessions have added.
    pub(super) fn refresh(&self) -> Result<()> {
        match &self.file {
            Some(file) if file.exists() => {
                let read = self.state().read(file);
                read.with_context(|| format!("read {}", file.display()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Reply> {
        self.state().known.get(key).cloned()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.state().known.contains_key(key)
    }

    /// Adds a reply. Where another session has added one to the same question before, that stays: a replay must
    /// give what the run has seen.
    pub(super) fn put(&self, key: &str, model: &str, reply: Reply) -> Result<()> {
        let mut state = self.state();
        let Some(file) = &self.file else {
            state.known.entry(key.to_owned()).or_insert(reply);
            return Ok(());
        };
        let mut line = json!({ "key": key, "model": model });
        if let (Value::Object(line), Value::Object(reply)) = (&mut line, reply.to_json()) {
            line.extend(reply);
        }
        append(file, &line.to_string())
            .and_then(|()| state.read(file))
            .with_context(|| format!("write {}", file.display()))
    }

    /// What was wrong with the file.
    pub(super) fn take_news(&self) -> Vec<String> {
        std::mem::take(&mut self.state().news)
    }

    /// Whole lines are read and replies added one at a time: a panic leaves the state as it should be.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a line in one write, so that those of several sessions don't mix; after a line that was cut off, on a new one.
fn append(path: &Path, line: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)?;
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let start = if last == [b'\n'] { "" } else { "\n" };
    file.write_all(format!("{start}{line}\n").as_bytes())
}

impl State {
    /// Reads on from where it was.
    fn read(&mut self, path: &Path) -> std::io::Result<()> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.bytes))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        let (lines, rest) = bytes.split_at(whole);
        for line in lines.split_inclusive(|b| *b == b'\n') {
            self.take(line, path);
        }
        self.bytes += whole as u64;
        if !rest.is_empty() {
            self.tell(self.lines + 1, path, "is cut off");
        }
        Ok(())
    }

    fn take(&mut self, line: &[u8], path: &Path) {
        self.lines += 1;
        let entry = || -> Option<(String, Reply)> {
            let json: Value = serde_json::from_slice(line).ok()?;
            Some((
                json.get("key")?.as_str()?.to_owned(),
                Reply::from_json(&json)?,
            ))
        };
        match entry() {
            Some((key, reply)) => {
                self.known.entry(key).or_insert(reply);
            }
            None if line.trim_ascii().is_empty() => {}
            None => self.tell(self.lines, path, "is no verdict"),
        }
    }

    fn tell(&mut self, line: usize, path: &Path, what: &str) {
        if self.broken.insert(line) {
            let path = path.display();
            self.news
                .push(format!("line {line} of {path} {what}: it is passed over"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Reply {
        Reply::from_json(&json!({ "text": text, "likely": null })).unwrap()
    }

    fn open(folder: &Path) -> Cache {
        Cache::in_folder(folder, false).unwrap()
    }

    #[test]
    fn sessions_share_a_file_and_the_first_reply_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/cache");
        assert!(Cache::in_folder(&folder, true).is_err());
        let (one, two) = (open(&folder), open(&folder));
        one.put("a", "m", reply("A")).unwrap();
        two.put("a", "m", reply("B")).unwrap();
        two.put("b", "m", reply("B")).unwrap();
        assert!(!one.has("b"));
        one.refresh().unwrap();
        for cache in [one, two, Cache::in_folder(&folder, true).unwrap()] {
            assert_eq!(cache.get("a"), Some(reply("A")));
            assert_eq!(cache.get("b"), Some(reply("B")));
            assert!(cache.take_news().is_empty());
        }
    }

    #[test]
    fn a_line_that_was_cut_off_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path()).put("a", "m", reply("A")).unwrap();
        let file = folder.path().join(FILE);
        let mut text = std::fs::read_to_string(&file).unwrap();
        text += "not json\n{\"key\": \"b\", \"te";
        std::fs::write(&file, text).unwrap();
        let cache = open(folder.path());
        let news = cache.take_news().join("; ");
        assert!(news.contains("line 2") && news.contains("line 3"), "{news}");
        cache.put("c", "m", reply("B")).unwrap();
        assert!(cache.take_news().is_empty());
        let again = open(folder.path());
        assert!(again.has("a") && again.has("c") && !again.has("b"));
        assert_eq!(again.take_news().len(), 2);
    }
}

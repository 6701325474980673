//! What a repository holds: as the hub tells, and as a folder shows.

use std::path::Path;

use serde_json::Value;

use super::files::File;
use crate::diag::{Error, Result};

/// A commit and its files.
pub(super) struct Listing {
    pub commit: String,
    pub files: Vec<File>,
}

/// Reads the hub's answer to `/api/models/…/revision/…?blobs=true`.
pub(super) fn read(json: &str) -> Result<Listing> {
    let odd = || Error::new("the hub's answer is not what a hub answers");
    let answer: Value = serde_json::from_str(json).map_err(|_| odd())?;
    let commit = answer["sha"].as_str().ok_or_else(odd)?;
    let files = answer["siblings"].as_array().ok_or_else(odd)?;
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
    let file = |file: &Value| {
        let sha256 = file["lfs"]["sha256"].as_str();
        let etag = sha256.or_else(|| file["blobId"].as_str());
        Some(File {
            path: file["rfilename"].as_str()?.to_owned(),
            size: file["size"].as_u64()?,
            etag: etag.filter(|etag| plain(etag))?.to_owned(),
            sha256: sha256.map(str::to_owned),
        })
    };
    let files: Option<Vec<File>> = files.iter().map(file).collect();
    Ok(Listing {
        commit: Some(commit)
            .filter(|commit| plain(commit))
            .ok_or_else(odd)?
            .to_owned(),
        files: files.ok_or_else(odd)?,
    })
}

/// The files in a folder and below, by their paths with `/`; unreadable folders are empty.
pub(super) fn below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.path().is_dir() {
            true => found.extend(
                below(&entry.path())
                    .iter()
                    .map(|file| format!("{name}/{file}")),
            ),
            false => found.push(name),
        }
    }
    found
}

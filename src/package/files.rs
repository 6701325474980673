//! The files of a bundle: a folder on disk, or bytes embedded in the program.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::mil::{Data, Program};
use crate::weights::Blob;

/// Where the files of a bundle lie. Paths into it are relative and never leave it.
#[derive(Debug, Clone)]
pub(super) enum Files {
    Folder(PathBuf),
    Memory {
        name: String,
        files: Arc<BTreeMap<String, Cow<'static, [u8]>>>,
    },
}

impl Files {
    pub(super) fn has(&self, path: &str) -> bool {
        match self {
            Files::Folder(root) => root.join(path).exists(),
            Files::Memory { files, .. } => {
                let inside = format!("{path}/");
                files.contains_key(path) || files.keys().any(|file| file.starts_with(&inside))
            }
        }
    }

    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>> {
        let bytes = self.raw(path)?;
        match is_pointer(&bytes) {
            true => Err(pointer(&self.display(path))),
            false => Ok(bytes),
        }
    }

    /// Whether `path` is there, and not as a pointer of Git LFS.
    pub(super) fn has_content(&self, path: &str) -> bool {
        self.has(path) && !self.raw(path).is_ok_and(|bytes| is_pointer(&bytes))
    }

    fn raw(&self, path: &str) -> Result<Vec<u8>> {
        match self {
            Files::Folder(_) => {
                let path = self.locate(path)?;
                std::fs::read(&path).with_context(|| path.display().to_string())
            }
            Files::Memory { .. } => Ok(self.embedded(path)?.to_vec()),
        }
    }

    pub(super) fn blob(&self, path: &str) -> Result<Blob> {
        match self {
            Files::Folder(_) => {
                let real = self.locate(path)?;
                Blob::open(&real).map_err(|error| match std::fs::read(&real) {
                    Ok(bytes) if is_pointer(&bytes) => pointer(&self.display(path)),
                    _ => error,
                })
            }
            Files::Memory { .. } => {
                Blob::from_bytes(self.embedded(path)?.clone()).context(self.display(path))
            }
        }
    }

    /// The path as messages show it.
    pub(super) fn display(&self, path: &str) -> String {
        match self {
            Files::Folder(root) => root.join(path).display().to_string(),
            Files::Memory { name, .. } => format!("{name}/{path}"),
        }
    }

    fn embedded(&self, path: &str) -> Result<&Cow<'static, [u8]>> {
        let Files::Memory { files, .. } = self else {
            fail!("{path} is not embedded");
        };
        match files.get(&within(path)?) {
            Some(bytes) => Ok(bytes),
            None => fail!("there is no {}", self.display(path)),
        }
    }

    /// The real path of an existing file of the bundle's folder.
    pub(super) fn locate(&self, path: &str) -> Result<PathBuf> {
        let Files::Folder(root) = self else {
            fail!("{} is not on disk", self.display(path));
        };
        let full = root.join(within(path)?);
        let real = full
            .canonicalize()
            .with_context(|| full.display().to_string())?;
        let real_root = root
            .canonicalize()
            .with_context(|| root.display().to_string())?;
        if real.starts_with(&real_root) || in_same_hub_cache(&real_root, &real) {
            return Ok(real);
        }
        fail!(
            "{} is a link out of the bundle, to {}",
            full.display(),
            real.display()
        )
    }
}

/// `path` with plain parts only; fails if it is absolute or steps out.
fn within(path: &str) -> Result<String> {
    let mut parts = Vec::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            Component::CurDir => {}
            Component::ParentDir if parts.pop().is_some() => {}
            _ => fail!("the path \"{path}\" leaves the bundle"),
        }
    }
    Ok(parts.join("/"))
}

/// The Hugging Face hub's cache keeps `snapshots/REVISION/…` as links into `blobs/` beside it.
fn in_same_hub_cache(root: &Path, real: &Path) -> bool {
    let snapshots = root.ancestors().find(|a| a.ends_with("snapshots"));
    let blobs = snapshots.and_then(Path::parent).map(|m| m.join("blobs"));
    blobs.is_some_and(|blobs| real.parent() == Some(&blobs))
}

/// Git LFS leaves a short text in place of a large file that was not downloaded.
fn is_pointer(bytes: &[u8]) -> bool {
    bytes.starts_with(b"version https://git-lfs")
}

fn pointer(path: &str) -> Error {
    Error::new(format!("{path} is a Git LFS pointer, not the file itself"))
        .hint("run git lfs pull in the repository it came from")
}

/// The weight files of a bundle.
#[derive(Clone)]
pub(super) struct Weights(Arc<Inner>);

struct Inner {
    files: Files,
    /// What `@model_path` means, relative to the files' root; empty for the root itself.
    model_path: String,
    open: Mutex<BTreeMap<String, Arc<Blob>>>,
}

impl Weights {
    pub(super) fn new(files: Files, model_path: &str) -> Self {
        Self(Arc::new(Inner {
            files,
            model_path: model_path.to_owned(),
            open: Mutex::new(BTreeMap::new()),
        }))
    }

    /// A bundle that has no files.
    pub(super) fn none() -> Self {
        let files = Files::Memory {
            name: "a bundle in memory".into(),
            files: Arc::default(),
        };
        Self::new(files, "")
    }

    /// Maps the weight files of `program` now, so that files which replace them later change nothing.
    /// Those that can't be mapped fail when they are used.
    pub(super) fn map_all(&self, program: &Program) {
        let functions = program.functions.values();
        let values = functions.flat_map(|f| f.operations().flat_map(|op| op.values()));
        let paths: BTreeSet<&str> = values
            .filter_map(|value| match &value.data {
                Data::Blob { path, .. } => Some(path.as_str()),
                _ => None,
            })
            .collect();
        for path in paths {
            let _ = self.blob(path);
        }
    }

    /// The weight file that a program calls `path`.
    pub(super) fn blob(&self, path: &str) -> Result<Arc<Blob>> {
        let mut open = match self.0.open.lock() {
            Ok(open) => open,
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some(blob) = open.get(path) {
            return Ok(blob.clone());
        }
        let blob = Arc::new(self.0.files.blob(&self.inside(path)?)?);
        open.insert(path.to_owned(), blob.clone());
        Ok(blob)
    }

    /// The file on disk that a program calls `path`.
    pub(super) fn locate(&self, path: &str) -> Result<PathBuf> {
        self.0.files.locate(&self.inside(path)?)
    }

    /// Copies the weight file that a program calls `path` to `target` below `folder`.
    pub(super) fn copy(&self, path: &str, folder: &Path, target: &str) -> Result<()> {
        let blob = self.blob(path)?;
        let target = folder.join(within(target)?);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&target, blob.bytes()).with_context(|| target.display().to_string())
    }

    /// `path` relative to the files' root.
    fn inside(&self, path: &str) -> Result<String> {
        let Some(relative) = path.strip_prefix("@model_path/") else {
            fail!("the weight path \"{path}\" does not start with @model_path/");
        };
        match &self.0.model_path {
            folder if folder.is_empty() => within(relative),
            folder => within(&format!("{folder}/{relative}")),
        }
    }
}

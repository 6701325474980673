//! One number for all that a bundle holds.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Bundle;
use crate::diag::{Context, Result};
use crate::mil::{Data, Value, text};

/// SHA-256 in hex of a file, or of a folder: the relative path, length and content of each file in it, in
/// order of path. Neither the name of the bundle nor any time is part of it.
pub fn digest(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    if path.is_dir() {
        for file in files(path)? {
            let name = file.strip_prefix(path).unwrap_or(&file);
            let name = name.to_string_lossy().replace('\\', "/");
            hasher.update((name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            add(&mut hasher, &file)?;
        }
    } else {
        add(&mut hasher, path)?;
    }
    Ok(hex(hasher))
}

impl Bundle {
    /// SHA-256 in hex of the program and of every array in it, wherever that is kept: a bundle that was saved in
    /// another form has the same.
    ///
    /// # Errors
    /// A weight can't be read.
    pub fn content(&self) -> Result<String> {
        let program = self.program.try_map_values(&mut |_, _, value| {
            Ok(match &value.data {
                Data::Array(_) | Data::Blob { .. } => Value {
                    ty: value.ty.clone(),
                    data: Data::Blob {
                        path: hex(Sha256::new_with_prefix(self.resolve(value)?.bytes())),
                        offset: 0,
                    },
                },
                _ => value.clone(),
            })
        })?;
        let text = text::print(&program, text::Dialect::V1_3);
        Ok(hex(Sha256::new_with_prefix(text)))
    }
}

fn hex(hasher: Sha256) -> String {
    let bytes = hasher.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every file below `folder`, in order of path.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let reading = || format!("read {}", folder.display());
        for entry in fs::read_dir(&folder).with_context(reading)? {
            let path = entry.with_context(reading)?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn add(hasher: &mut Sha256, path: &Path) -> Result<()> {
    let reading = || format!("read {}", path.display());
    let mut file = File::open(path).with_context(reading)?;
    hasher.update(file.metadata().with_context(reading)?.len().to_le_bytes());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).with_context(reading)? {
            0 => return Ok(()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_and_relative_paths_decide() {
        let make = |files: &[(&str, &str)]| {
            let folder = tempfile::tempdir().unwrap();
            for (name, content) in files {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
            digest(folder.path()).unwrap()
        };
        let one = make(&[("a", "x"), ("w/b", "yz")]);
        assert_eq!(one.len(), 64);
        assert_eq!(one, make(&[("w/b", "yz"), ("a", "x")]));
        assert_ne!(one, make(&[("a", "x"), ("w/b", "y")]));
        assert_ne!(one, make(&[("a", "x"), ("w/c", "yz")]));
        assert_ne!(make(&[("a", "bc")]), make(&[("ab", "c")]));
        assert!(digest(Path::new("no such file")).is_err());
    }
}

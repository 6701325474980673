//! Which files of a repository a model needs.

use crate::diag::{Error, Result};
use crate::fail;
use crate::files::matches;

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Its path there, with `/`.
    pub path: String,
    pub size: u64,
    /// What its content is kept under: its SHA-256, or the id that git gives it.
    pub etag: String,
    /// Of files that are not kept in git itself.
    pub sha256: Option<String>,
}

/// Files at the top that say what a model is and how it is spoken to.
const TOP: [&str; 4] = ["*.json", "*.jinja", "tokenizer.model", "merges.txt"];
/// Compiled models and packages, wherever they are.
const BUNDLES: [&str; 3] = ["*.mlpackage/*", "*.mlmodelc/*", "*.mlmodel"];
const WEIGHTS: &str = "*.safetensors";
const GGUF: &str = "*.gguf";

/// The files that match one of `patterns` (`*` stands for any characters, `/` too); without patterns the
/// configuration, tokenizer and weights: Core ML bundles, safetensors at the top, or the one GGUF file.
///
/// # Errors
/// A pattern matches nothing; there are several GGUF files and nothing says which; there is no model.
pub(super) fn choose(files: Vec<File>, patterns: &[String]) -> Result<Vec<File>> {
    for file in &files {
        let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', ':']);
        if !file.path.split('/').all(plain) {
            fail!("the hub names a file that can't be kept: {:?}", file.path);
        }
    }
    if !patterns.is_empty() {
        return matching(files, patterns);
    }
    let bundles = files.iter().any(|file| any(&BUNDLES, &file.path));
    let at_top = |file: &File, pattern| !file.path.contains('/') && matches(pattern, &file.path);
    let weights = files.iter().any(|file| at_top(file, WEIGHTS));
    let ggufs: Vec<&str> = files
        .iter()
        .map(|file| file.path.as_str())
        .filter(|path| matches(GGUF, path))
        .collect();
    if !bundles && !weights && ggufs.len() != 1 {
        return Err(undecided(&ggufs));
    }
    let wanted = |file: &File| {
        TOP.iter().any(|pattern| at_top(file, pattern))
            || any(&BUNDLES, &file.path)
            || at_top(file, WEIGHTS)
            || (!bundles && !weights && matches(GGUF, &file.path))
    };
    Ok(files.into_iter().filter(wanted).collect())
}

fn undecided(ggufs: &[&str]) -> Error {
    match ggufs.first() {
        None => Error::new(
            "there are no weights that can be used: no Core ML bundle, safetensors or GGUF file",
        )
        .hint("name files with #{files: [..]} to fetch them all the same"),
        Some(first) => Error::new(format!(
            "there are {} GGUF files, and one is needed: {}",
            ggufs.len(),
            ggufs.join(", ")
        ))
        .hint(format!("name it: #{{files: [{first:?}]}}")),
    }
}

fn matching(files: Vec<File>, patterns: &[String]) -> Result<Vec<File>> {
    let names: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for pattern in patterns {
        if !names.iter().any(|name| matches(pattern, name)) {
            return Err(Error::unknown("file", pattern, names));
        }
    }
    let wanted = |file: &File| any(patterns, &file.path);
    Ok(files.into_iter().filter(wanted).collect())
}

fn any<T: AsRef<str>>(patterns: &[T], path: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| matches(pattern.as_ref(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(paths: &[&str], patterns: &[&str]) -> Result<Vec<String>> {
        let file = |path: &&str| File {
            path: (*path).to_owned(),
            size: 1,
            etag: "e".to_owned(),
            sha256: None,
        };
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let chosen = choose(paths.iter().map(file).collect(), &patterns)?;
        Ok(chosen.into_iter().map(|file| file.path).collect())
    }

    #[test]
    fn a_model_is_its_configuration_tokenizer_and_weights() {
        let check = |paths: &[&str], patterns: &[&str], expected: &[&str]| {
            assert_eq!(chosen(paths, patterns).unwrap(), expected);
        };
        let hugging_face = [
            ".gitattributes",
            "README.md",
            "config.json",
            "merges.txt",
            "model.safetensors",
            "onnx/config.json",
            "onnx/model.onnx",
            "pytorch_model.bin",
            "tokenizer.json",
        ];
        check(
            &hugging_face,
            &[],
            &[
                "config.json",
                "merges.txt",
                "model.safetensors",
                "tokenizer.json",
            ],
        );
        check(
            &hugging_face,
            &["onnx/*"],
            &["onnx/config.json", "onnx/model.onnx"],
        );
        check(&["README.md", "q4.gguf"], &[], &["q4.gguf"]);
        check(&["q4.gguf", "q8.gguf"], &["*q8*"], &["q8.gguf"]);
        let bundle = [
            "M.mlpackage/Data/model.mlmodel",
            "M.mlpackage/Manifest.json",
            "q4.gguf",
        ];
        check(&bundle, &[], &bundle[..2]);
    }

    #[test]
    fn what_cannot_be_chosen() {
        let check = |paths: &[&str], patterns: &[&str], expected: &str| {
            let error = chosen(paths, patterns).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&["q4.gguf", "q8.gguf"], &[], "#{files: [\"q4.gguf\"]}");
        check(&["README.md"], &[], "no weights that can be used");
        check(&["a.json"], &["b.json"], "unknown file \"b.json\"");
        check(&["../../x.json"], &[], "can't be kept");
        check(&["/etc/x.json"], &[], "can't be kept");
    }
}

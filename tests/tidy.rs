//! The rules of the house that no compiler holds: layers, homes of foreign crates, files and words.

mod layers;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use source::{Source, files, root};

const TOP_LEVEL: [&str; 12] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "LICENSE-THIRD-PARTY",
    "README.md",
    "examples",
    "runs",
    "scripts",
    "src",
    "target",
    "tests",
];

const LINES_MAX: usize = 500;

/// Names that say nothing of what a file is for.
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "helper", "helpers", "common", "misc"];

/// Modules in which `unsafe` may be written: Objective-C, matrix products, memory maps, an allocator.
const UNSAFE_HOMES: [&str; 7] = [
    "engine/apple",
    "engine/portable/kernels",
    "package",
    "repl/asking/posix",
    "repl/keyboard",
    "tests/fuzz/memory",
    "weights",
];

#[test]
fn the_top_level_is_short() {
    let entries = fs::read_dir(root()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let strange: Vec<String> = names
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    assert!(strange.is_empty(), "not at the top level: {strange:?}");
}

#[test]
fn files_are_short_named_and_introduced() {
    let mut wrong = Vec::new();
    for path in rust_files() {
        let text = fs::read_to_string(&path).unwrap();
        let shown = path.strip_prefix(root()).unwrap().display();
        let lines = text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!(
                "{shown} has {lines} lines, at most {LINES_MAX} are read with pleasure"
            ));
        }
        if !text.starts_with("//! ") {
            wrong.push(format!(
                "{shown} does not open by saying what it is for (`//! ...`)"
            ));
        }
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if EMPTY_NAMES.contains(&stem) {
            wrong.push(format!("{shown}: name it after what it is for"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    let mut wrong = Vec::new();
    for source in &sources() {
        for name in ["todo", "unimplemented", "dbg"] {
            if source.tokens().windows(2).any(|pair| pair == [name, "!"]) {
                wrong.push(format!("{} calls {name}!", source.path()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_stays_at_home() {
    let at_home = |source: &Source| UNSAFE_HOMES.iter().any(|home| source.is_in(home));
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|source| !at_home(source) && source.tokens().contains(&"unsafe"))
        .map(|source| source.path().to_string())
        .collect();
    assert!(wrong.is_empty(), "unsafe code in {wrong:?}");
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    let words = [["/wo", "rk/"].concat(), ["../sha", "red"].concat()];
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "scripts", "examples", ".ci"] {
        for path in files(&root().join(folder), &|_| true) {
            // Models and other binary fixtures hold no words.
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            let named = words.iter().filter(|word| text.contains(*word));
            wrong.extend(named.map(|word| format!("{} names {word}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_readme_can_be_followed() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let checks = fs::read_to_string(root().join(".ci/run")).unwrap();
    for command in [
        "cargo run --release -- scripts/train.rhai",
        "cargo test --locked",
    ] {
        let shown = readme.lines().any(|line| line.trim() == command);
        assert!(shown, "README.md does not show the command: {command}");
    }
    assert!(
        checks
            .lines()
            .any(|line| line.ends_with("cargo test --locked"))
    );
    let separators = |c: char| c.is_whitespace() || "()[]`'\",".contains(c);
    let missing: Vec<&str> = readme
        .split(separators)
        .filter(|word| word.starts_with("scripts/") || word.starts_with("examples/"))
        .filter(|word| !root().join(word).exists())
        .collect();
    assert!(
        missing.is_empty(),
        "README.md names what is not there: {missing:?}"
    );
}

fn rust_files() -> Vec<PathBuf> {
    let is_rust = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
    let mut found = files(&root().join("src"), &is_rust);
    found.extend(files(&root().join("tests"), &is_rust));
    found
}

fn sources() -> Vec<Source> {
    rust_files().iter().map(|path| Source::read(path)).collect()
}

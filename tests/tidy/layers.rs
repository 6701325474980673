//! Who may use whom. The map in `src/lib.rs` tells it in short; these tables are held against the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::source::{Source, root};

/// Each module and the modules that it may use, in the order of the map, from below.
const ALLOWED: &[(&str, &[&str])] = &[
    ("diag", &[]),
    ("files", &["diag"]),
    ("numeric", &["diag"]),
    ("mil", &["numeric", "diag"]),
    ("weights", &["numeric", "diag"]),
    ("package", &["weights", "mil", "numeric", "diag"]),
    ("report", &["numeric", "diag"]),
    ("hub", &["report", "files", "diag"]),
    ("runs", &["files", "numeric", "diag"]),
    ("tokenizer", &["files", "numeric", "diag"]),
    ("chat", &["tokenizer", "numeric", "diag"]),
    ("data", &["tokenizer", "files", "numeric", "diag"]),
    ("engine", &["package", "weights", "mil", "numeric", "diag"]),
    ("graph", &["mil", "report", "numeric", "diag"]),
    ("verify", &["report", "numeric", "diag"]),
    ("optim", &["numeric", "diag"]),
    ("objectives", &["engine", "numeric", "diag"]),
    ("generate", &["tokenizer", "numeric", "diag"]),
    (
        "models",
        &[
            "generate",
            "objectives",
            "optim",
            "engine",
            "verify",
            "tokenizer",
            "package",
            "weights",
            "files",
            "numeric",
            "diag",
        ],
    ),
    (
        "convert",
        &[
            "models",
            "verify",
            "report",
            "package",
            "tokenizer",
            "weights",
            "mil",
            "numeric",
            "diag",
        ],
    ),
    (
        "feedback",
        &[
            "generate",
            "models",
            "data",
            "tokenizer",
            "files",
            "numeric",
            "diag",
        ],
    ),
    ("train", &[BELOW]),
    ("host", &[BELOW]),
    (
        "session",
        &["host", "report", "runs", "files", "numeric", "diag"],
    ),
    ("repl", &["session", "host", "report", "diag"]),
    ("kernel", &["session", "host", "report", "files", "diag"]),
    ("lsp", &["session", "host", "diag"]),
    ("cli", &[BELOW]),
];

/// Every module above in the table.
const BELOW: &str = "*";

/// Where a foreign crate may be used: folders or files under `src`. What is not listed has no fixed home.
const HOMES: &[(&str, &[&str])] = &[
    ("block2", &["engine/apple"]),
    (
        "candle_core",
        &[
            "diag",
            "convert/source/gguf",
            "convert/oracle",
            "engine",
            "optim",
            "objectives",
            "models",
            "generate",
            "feedback",
            "train",
            "host",
        ],
    ),
    ("candle_coreml", &["engine/apple"]),
    ("clap", &["cli"]),
    ("comfy_table", &["report"]),
    ("coreml_proto", &["mil/proto", "package"]),
    ("epaint_default_fonts", &["report"]),
    ("hf_hub", &["hub"]),
    ("icy_sixel", &["report"]),
    ("jupyter_protocol", &["kernel"]),
    ("jupyter_zmq_client", &["kernel"]),
    ("lsp_server", &["lsp"]),
    ("lsp_types", &["lsp"]),
    ("memmap2", &["weights", "package"]),
    ("objc2", &["engine/apple", "engine/device"]),
    ("objc2_core_ml", &["engine/apple"]),
    ("objc2_foundation", &["engine/apple"]),
    ("objc2_metal", &["engine/apple"]),
    ("prost", &["mil/proto", "package"]),
    ("resvg", &["report"]),
    ("rhai", &["host", "session"]),
    ("nix", &["repl"]),
    ("rustyline", &["repl"]),
    ("safetensors", &["numeric"]),
    ("tokenizers", &["tokenizer"]),
    ("tokio", &["kernel"]),
    ("ureq", &["feedback/remote"]),
    ("zeromq", &["kernel"]),
];

/// What `crate::` reaches besides modules, and the module it comes from.
const MACROS: &[(&str, &str)] = &[("fail", "diag")];

#[test]
fn modules_use_only_what_stands_below_them() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    for source in library() {
        let module = source.module()[0];
        let own = allowed.get(module);
        let own =
            own.unwrap_or_else(|| panic!("{}: `{module}` is not in the table", source.path()));
        for name in source.crate_names() {
            let from_macro = MACROS.iter().find(|(known, _)| *known == name);
            let used = from_macro.map_or(name, |(_, home)| home);
            let is_module = allowed.contains_key(used);
            if is_module && used != module && !own.contains(used) {
                wrong.push(format!("{}: {module} → {used}", source.path()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "edges that are not in the table:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_table_has_no_cycle() {
    let mut below = BTreeSet::new();
    for (module, uses) in ALLOWED {
        for used in uses.iter().filter(|used| **used != BELOW) {
            assert!(
                below.contains(used),
                "{module} → {used}: {used} must stand before {module}"
            );
        }
        assert!(below.insert(module), "{module} stands twice in the table");
    }
}

#[test]
fn the_table_agrees_with_the_map() {
    let layers = map();
    let names: BTreeSet<&str> = layers.keys().map(String::as_str).collect();
    let table: BTreeSet<&str> = ALLOWED.iter().map(|(module, _)| *module).collect();
    assert_eq!(names, table, "the map in src/lib.rs and the table");
    for (module, uses) in allowed() {
        let (layer, arrows) = &layers[module];
        for used in uses {
            let drawn = layers[used].0 < *layer || arrows.iter().any(|arrow| arrow == used);
            assert!(drawn, "the map does not let {module} use {used}");
        }
    }
}

#[test]
fn every_module_is_on_the_map() {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "));
    let allowed = allowed();
    for name in declared.map(|line| line.trim_end_matches(';')) {
        assert!(allowed.contains_key(name), "{name} is not in the table");
    }
}

#[test]
fn foreign_crates_stay_at_home() {
    let mut wrong = Vec::new();
    for source in library() {
        let roots = source.path_roots();
        for (name, homes) in HOMES.iter().filter(|(name, _)| roots.contains(name)) {
            if !homes.iter().any(|home| source.is_in(home)) {
                wrong.push(format!(
                    "{} uses {name}, at home in {homes:?}",
                    source.path()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The files of the library's modules.
fn library() -> Vec<Source> {
    let outside = ["src/lib.rs", "src/main.rs"];
    let sources = super::sources().into_iter();
    sources
        .filter(|source| source.path().starts_with("src/") && !outside.contains(&source.path()))
        .collect()
}

fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut table = BTreeMap::new();
    for (at, (module, uses)) in ALLOWED.iter().enumerate() {
        let below = || ALLOWED[..at].iter().map(|(name, _)| *name);
        let uses = match *uses {
            [BELOW] => below().collect(),
            uses => uses.iter().copied().collect(),
        };
        table.insert(*module, uses);
    }
    table
}

/// The map of `src/lib.rs`: each module with its layer, and what it may use in its own layer. A line is
/// `layer  a → b, c    d {parts}`.
fn map() -> BTreeMap<String, (usize, Vec<String>)> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("//!"));
    let block = lines.skip_while(|line| line.trim() != "```text").skip(1);
    let mut layers = BTreeMap::new();
    for line in block.take_while(|line| line.trim() != "```") {
        let Some((layer, groups)) = line.trim().split_once("  ") else {
            continue;
        };
        let layer: usize = layer
            .parse()
            .unwrap_or_else(|_| panic!("a layer's number: {line}"));
        for group in groups
            .split("  ")
            .map(str::trim)
            .filter(|group| !group.is_empty())
        {
            let group = group.split('{').next().unwrap();
            let mut steps = group.split('→').map(|step| step.split(',').map(str::trim));
            let mut users: Vec<&str> = steps.next().unwrap().collect();
            for name in &users {
                layers.insert(name.to_string(), (layer, Vec::new()));
            }
            for step in steps {
                let used: Vec<&str> = step.collect();
                for name in &users {
                    let (_, arrows) = layers.get_mut(*name).unwrap();
                    arrows.extend(used.iter().map(|name| name.to_string()));
                }
                for name in &used {
                    layers.insert(name.to_string(), (layer, Vec::new()));
                }
                users = used;
            }
        }
    }
    layers
}

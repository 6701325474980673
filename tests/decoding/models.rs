//! The embedded models, and the reference models where they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rlaif_repl::diag::Interrupt;
use rlaif_repl::generate::NextLogits as _;
use rlaif_repl::models::{CoreMLModelWrapper, Decoding, LoadOptions, embedded};

use super::{EXACT, difference};

#[test]
fn embedded_models() {
    for name in ["student", "judge"] {
        let model = embedded(name, &LoadOptions::default()).unwrap();
        let worst = difference(&model, 384, 24).unwrap();
        assert!(worst < EXACT, "{name}: {worst:e}");
        assert_eq!(model.decoding(), Some(Decoding::Incremental));
    }
}

/// Ctrl-C while it is found out how a model decodes, at whatever moment, says nothing of the model.
#[test]
fn an_interrupt_is_no_finding() {
    for moment in 0..16 {
        let flag = Arc::new(AtomicBool::new(false));
        let options = LoadOptions {
            interrupt: Interrupt::from(flag.clone()),
            ..LoadOptions::default()
        };
        let model = embedded("student", &options).unwrap();
        let press = flag.clone();
        let pressed = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(moment));
            press.store(true, Ordering::Relaxed);
        });
        if let Err(error) = model.decoder(24) {
            assert!(error.is_interrupt(), "{error}");
        }
        pressed.join().unwrap();
        flag.store(false, Ordering::Relaxed);
        assert!(model.decoder(24).unwrap().is_some(), "{moment} ms");
    }
}

/// Each folder with what its models' names contain, and the share of the steps that is tried.
const REFERENCES: [(&str, &str); 5] = [
    ("small/gpt2", ""),
    ("small/llama-gqa", ""),
    ("small/qwen2", ""),
    ("generated", "gpt2tiny_"),
    ("generated", "flex_"),
];

#[test]
fn reference_models() {
    let Some(root) = std::env::var_os("RLAIF_MODELS") else {
        println!("skipped: set RLAIF_MODELS to the folder of reference models");
        return;
    };
    let mut wrong = Vec::new();
    for (folder, part) in REFERENCES {
        for path in bundles(&Path::new(&root).join(folder), part) {
            let model = CoreMLModelWrapper::load(&path, &LoadOptions::default()).unwrap();
            let longest = model.convention().unwrap().length_max().min(14);
            let worst = difference(&model, 250, longest).unwrap();
            println!("{}: {worst:.1e}", path.display());
            if worst > EXACT {
                wrong.push(format!("{}: {worst:e}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn bundles(folder: &Path, part: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.contains(part) && (name.ends_with(".mlpackage") || name.ends_with(".mlmodelc"))
    });
    found.sort();
    found
}

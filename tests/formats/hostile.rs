//! Damaged and hostile files: every reader ends in a value or an error, never in a panic.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use rlaif_repl::mil::{proto, text};
use rlaif_repl::package::{Bundle, is_constant};

use super::find;
use super::save::{bundle, contents};

type Files = BTreeMap<String, Vec<u8>>;

/// The files of a small bundle, in one of its forms.
fn files(form: &str) -> Files {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(form);
    bundle().save(&path).unwrap();
    contents(&path)
}

/// Opens the files and uses all that was read.
fn exercise(files: Files) {
    let files = files.iter().map(|(name, b)| (name.as_str(), b.clone()));
    let Ok(bundle) = Bundle::from_files("hostile", files) else {
        return;
    };
    for dialect in [text::Dialect::V1_0, text::Dialect::V1_3] {
        let printed = text::print(&bundle.program, dialect);
        let _ = text::parse(&printed, "printed");
    }
    let _ = proto::read(&proto::write(&bundle.program));
    for (name, function) in &bundle.program.functions {
        for operation in function.operations().filter(|op| is_constant(op)) {
            for output in &operation.outputs {
                let _ = bundle.weight(name, &output.name);
            }
        }
    }
}

/// Changes single bytes, or cuts the end off.
#[derive(Debug, Clone)]
enum Damage {
    Flip(Vec<(usize, u8)>),
    Cut(usize),
    Insert(usize, Vec<u8>),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len().max(1);
        match self {
            Damage::Flip(flips) => {
                for (at, mask) in flips {
                    if let Some(byte) = bytes.get_mut(at % length) {
                        *byte ^= mask;
                    }
                }
            }
            Damage::Cut(at) => bytes.truncate(at % length),
            Damage::Insert(at, new) => {
                let at = (at % length).min(bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        prop::collection::vec((any::<usize>(), 1u8..), 1..4).prop_map(Damage::Flip),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), prop::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, new)| Damage::Insert(at, new)),
    ]
}

/// Damages one file of a bundle in every way that `cases` tries.
fn damaged(form: &str, file: &str, cases: u32) {
    let whole = files(form);
    assert!(whole.contains_key(file), "{file}");
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(damage in damage())| {
        let mut files = whole.clone();
        if let Some(bytes) = files.get_mut(file) {
            damage.apply(bytes);
        }
        exercise(files);
    });
}

#[test]
fn damaged_text_is_no_panic() {
    damaged("m.mlmodelc", "model.mil", 300);
}

#[test]
fn damaged_protobuf_is_no_panic() {
    damaged("m.mlpackage", "Data/com.apple.CoreML/model.mlmodel", 300);
}

#[test]
fn damaged_weights_are_no_panic() {
    damaged("m.mlmodelc", "weights/weight.bin", 200);
}

#[test]
fn damaged_descriptions_are_no_panic() {
    damaged("m.mlmodelc", "coremldata.bin", 200);
    damaged("m.mlpackage", "Manifest.json", 100);
}

#[test]
fn hostile_files_are_no_panic_in_any_reader() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hostile");
    let corpus = find(&folder, &|path| path.is_file());
    assert!(corpus.len() > 30);
    let compiled = files("m.mlmodelc");
    let package = files("m.mlpackage");
    for path in corpus {
        let hostile = std::fs::read(&path).unwrap();
        for whole in [&compiled, &package] {
            for place in whole.keys() {
                let mut files = whole.clone();
                files.insert(place.clone(), hostile.clone());
                // metadata.json is read where coremldata.bin is absent.
                if place == "metadata.json" {
                    files.remove("coremldata.bin");
                }
                exercise(files);
            }
        }
    }
}

#[test]
fn hostile_text_is_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hostile");
    for (file, message) in [
        ("deep-types.mil", "1:111: a type that is nested too deeply"),
        ("deep-blocks.mil", "blocks are nested too deeply"),
        ("deep-literal.mil", "expected a fp16 literal, got \"[\""),
        ("huge-rank.mil", "a tensor of rank above 16"),
        (
            "huge-extent.mil",
            "\"99999999999999999999\" is not an extent",
        ),
        ("repeated-types.mil", "repeats too large a type"),
        (
            "exponent.mil",
            "\"0x1p99999999999999999999\" is not a number",
        ),
        ("unclosed-string.mil", "unknown escape"),
    ] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let error = text::parse(&text, file).unwrap_err().to_string();
        assert!(error.contains(message), "{error}\nexpected {message}");
    }
}

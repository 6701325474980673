//! Reading and writing Core ML bundles, on real models where `RLAIF_MODELS` names their folder.

mod compiled;
mod compression;
mod hostile;
pub mod npz;
mod pipelines;
mod save;

use std::path::{Path, PathBuf};

use rlaif_repl::mil::{Program, text};
use rlaif_repl::package::Bundle;

/// The folder of reference models, or nothing (said so) where it is not given.
#[expect(clippy::print_stderr, reason = "says which tests were left out")]
pub fn models() -> Option<PathBuf> {
    let folder = std::env::var_os("RLAIF_MODELS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: set RLAIF_MODELS to the folder of reference models");
    }
    folder
}

/// Every file or folder below `root` that `keep` wants; wanted folders are not entered.
pub fn find(root: &Path, keep: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if keep(&path) {
            found.push(path);
        } else if path.is_dir() {
            found.extend(find(&path, keep));
        }
    }
    found
}

pub fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e == extension)
}

/// The program with each function's inputs sorted by name, as text has them.
fn sorted(mut program: Program) -> Program {
    for function in program.functions.values_mut() {
        function.inputs.sort_by(|a, b| a.name.cmp(&b.name));
    }
    program
}

/// The program without what tools write about themselves.
fn without_build_info(mut program: Program) -> Program {
    program.attributes.remove("buildInfo");
    program
}

#[test]
fn compiled_text_prints_back_identically() {
    let Some(models) = models() else { return };
    let files = find(&models, &|path| has_extension(path, "mil"));
    assert!(files.len() > 100);
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let (program, dialect) = text::parse(&text, &path.display().to_string()).unwrap();
        let printed = text::print(&program, dialect);
        if path.to_str().unwrap().contains("Espresso") {
            let again = text::parse(&printed, "printed").unwrap().0;
            assert!(sorted(again) == sorted(program), "{}", path.display());
        } else {
            for (line, (a, b)) in text.trim_end().lines().zip(printed.lines()).enumerate() {
                assert_eq!(a, b, "{}:{}", path.display(), line + 1);
            }
            assert_eq!(text.trim_end(), printed, "{}", path.display());
        }
    }
}

/// Protobuf models whose compiled text lies beside them.
fn pairs(models: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut pairs = Vec::new();
    let sources = find(models, &|path| {
        has_extension(path, "mlpackage") || path.ends_with("input.mlmodel")
    });
    let compiled = find(models, &|path| has_extension(path, "mlmodelc"));
    for source in sources {
        let folder = source.parent().unwrap();
        for text in &compiled {
            let same_stem = text.file_stem() == source.file_stem();
            let silero = models.join("mobius-silero-vad");
            let beside = match source.starts_with(&silero) {
                true => text.starts_with(&silero),
                false => text.parent() == Some(folder),
            };
            let golden = text.ends_with("expected-macos.mlmodelc");
            if beside && (same_stem || golden) {
                pairs.push((source.clone(), text.clone()));
            }
        }
    }
    pairs
}

#[test]
fn text_and_protobuf_are_the_same_program() {
    let Some(models) = models() else { return };
    let pairs = pairs(&models);
    for (source, compiled) in &pairs {
        let source_bundle = Bundle::open(source).unwrap();
        let compiled_bundle = Bundle::open(compiled).unwrap();
        let mut from_text = sorted(without_build_info(compiled_bundle.program));
        let mut from_proto = sorted(without_build_info(source_bundle.program));
        for function in from_text
            .functions
            .values_mut()
            .chain(from_proto.functions.values_mut())
        {
            function.attributes.remove("FlexibleShapeInformation");
        }
        let show = |program| text::print(program, text::Dialect::V1_3);
        let (a, b) = (show(&from_text), show(&from_proto));
        for (line, (a, b)) in a.lines().zip(b.lines()).enumerate() {
            assert_eq!(a, b, "{}:{}", compiled.display(), line + 1);
        }
        assert!(from_text == from_proto, "{}", compiled.display());
    }
    eprintln!("{} pairs", pairs.len());
    assert!(pairs.len() > 50);
}

#[test]
fn every_bundle_opens_and_its_weights_resolve() {
    let Some(models) = models() else { return };
    let bundles = find(&models, &|path| {
        ["mlmodelc", "mlpackage", "mlmodel"]
            .iter()
            .any(|e| has_extension(path, e))
    });
    let (mut opened, mut weights, mut absent) = (0, 0, 0);
    for path in bundles {
        let bundle = match Bundle::open(&path) {
            Ok(bundle) => bundle,
            Err(error) => {
                eprintln!("{error}");
                continue;
            }
        };
        opened += 1;
        for function in bundle.program.functions.values() {
            for value in function.operations().flat_map(|op| op.values()) {
                if value.ty.dtype().is_none() || value.as_text().is_some() {
                    continue;
                }
                match bundle.resolve(value) {
                    Ok(_) => weights += 1,
                    Err(error) if error.to_string().contains("No such file") => absent += 1,
                    Err(error) if error.to_string().contains("Git LFS") => absent += 1,
                    Err(error) => panic!("{}: {error}", path.display()),
                }
            }
        }
    }
    eprintln!("{opened} bundles, {weights} weights, {absent} in absent files");
}

#[test]
fn compressed_weights_decode_bit_for_bit() {
    let Some(models) = models() else { return };
    let references = find(&models, &|path| {
        path.to_str().unwrap().ends_with(".dequant.npz")
    });
    let mut compared = 0;
    for path in &references {
        let stem = path.to_str().unwrap().trim_end_matches(".dequant.npz");
        let bundle = Bundle::open(Path::new(&format!("{stem}.mlpackage"))).unwrap();
        for expected in npz::read(&std::fs::read(path).unwrap()) {
            let weight = bundle.weight("main", &expected.name).unwrap();
            assert_eq!(weight.shape(), expected.shape, "{stem} {}", expected.name);
            assert!(weight.bytes() == expected.bytes, "{stem} {}", expected.name);
            compared += 1;
        }
    }
    assert!(references.len() >= 20 && compared > 100);
}

//! What is compiled here, against what Apple's compiler made of the same model, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rlaif_repl::package::compile;

use super::save::contents;
use super::{find, models, pairs};

/// Files that differ in what is not known, by a part of their path.
const UNKNOWN: [(&str, &str); 4] = [
    // The keys of enumerated shapes.
    ("enumerated", "model.mil"),
    // The order of the author's own metadata.
    ("silero", "coremldata.bin"),
    // Made from another file than lies beside them: the hash is not that of the source.
    ("/cast/", "analytics/coremldata.bin"),
    ("/weighted/", "analytics/coremldata.bin"),
];

/// Goldens of another source file name than lies beside them.
const NAMES: [(&str, &str); 2] = [
    ("/cast/", "cast_pipeline"),
    ("/weighted/", "weighted_pipeline"),
];

/// The text without the line in which tools name themselves.
fn without_build_info(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let lines = text.split('\n');
    let lines = lines.filter(|line| !line.starts_with("[buildInfo"));
    lines.collect::<Vec<_>>().join("\n").into_bytes()
}

/// Names of files that are not as in the golden bundle.
fn differences(ours: &Path, golden: &Path) -> Vec<String> {
    let (mut ours, mut golden) = (contents(ours), contents(golden));
    for files in [&mut ours, &mut golden] {
        for (name, bytes) in files.iter_mut() {
            if name.ends_with("model.mil") {
                *bytes = without_build_info(bytes);
            }
        }
    }
    for (name, bytes) in &mut ours {
        if let Some(golden) = golden.get(name) {
            let sorted = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                bytes.sort_unstable();
                bytes
            };
            // Another order of the author's metadata leaves the bytes the same.
            let order = name == "coremldata.bin" && sorted(bytes) == sorted(golden);
            assert!(
                order || name != "coremldata.bin" || bytes == golden,
                "{name}"
            );
        }
    }
    let names: BTreeSet<&String> = ours.keys().chain(golden.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| ours.get(*name) != golden.get(*name));
    differ.cloned().collect()
}

/// The models below `folder` that Apple's compiler made a bundle of: golden and source.
fn goldens(folder: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let mut found: BTreeMap<PathBuf, PathBuf> = pairs(folder)
        .into_iter()
        .filter(|(_, golden)| golden.join("coremldata.bin").exists())
        .map(|(source, golden)| (golden, source))
        .collect();
    for source in find(folder, &|path| path.ends_with("input.mlmodel")) {
        let golden = source.with_file_name("expected.mlmodelc");
        if golden.exists() {
            found.insert(golden, source);
        }
    }
    // Files that were not downloaded tell nothing.
    let pointer = |path: &PathBuf| {
        fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"version https://git-lfs"))
    };
    found.retain(|golden, _| !find(golden, &|path| path.is_file()).iter().any(pointer));
    found
}

/// Compiles every model below `folder`; tells how many files were compared, how many were equal, and
/// which differ without a known reason.
fn compare(folder: &Path) -> (usize, usize, Vec<String>) {
    let work = tempfile::tempdir().unwrap();
    let (mut compared, mut equal) = (0, 0);
    let mut wrong = Vec::new();
    for (golden, source) in goldens(folder) {
        let shown = golden.strip_prefix(folder).unwrap().display().to_string();
        let source = named(source, &shown, work.path());
        let target = work.path().join("compiled.mlmodelc");
        if let Err(error) = compile(&source, &target, true) {
            wrong.push(format!("{shown}: {error}"));
            continue;
        }
        let differ = differences(&target, &golden);
        let files = find(&golden, &|path| path.is_file()).len();
        compared += files;
        equal += files - differ.len();
        let known = |name: &String| {
            let mut known = UNKNOWN.iter();
            known.any(|(part, file)| format!("/{shown}").contains(part) && name == file)
        };
        let unknown = differ.iter().filter(|name| !known(name));
        wrong.extend(unknown.map(|name| format!("{shown}: {name}")));
    }
    (compared, equal, wrong)
}

/// The source under the name by which Apple's compiler knew it.
fn named(source: PathBuf, shown: &str, work: &Path) -> PathBuf {
    let Some((_, name)) = NAMES.iter().find(|(part, _)| shown.contains(part)) else {
        return source;
    };
    let copy = work.join(format!("{name}.mlmodel"));
    fs::copy(&source, &copy).unwrap();
    let weights = source.with_file_name("weights.bin");
    if weights.exists() {
        fs::create_dir_all(work.join("weights")).unwrap();
        fs::copy(weights, work.join("weights/weights.bin")).unwrap();
    }
    copy
}

#[test]
fn the_fixtures_compile_as_by_apple() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/apple");
    let (compared, equal, wrong) = compare(&folder);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((compared, equal), (28, 27));
}

#[test]
fn the_reference_models_compile_as_by_apple() {
    let Some(models) = models() else { return };
    let (compared, equal, wrong) = compare(&models);
    eprintln!("{equal} of {compared} files are equal");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 100, "{compared}");
}

//! Replays the corpora of the fuzz targets, the seeds that they grew from, and every input that once was a
//! finding; see `README.md` here for the search itself.

mod bodies;
mod seeds;

use std::fs;
use std::path::{Path, PathBuf};

use bodies::BODIES;

fn corpus(target: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fuzz/corpus").join(target)
}

/// Runs the body of `target` on its seeds and its corpus.
fn check(target: &str) {
    let (_, body) = BODIES.iter().find(|(name, _)| *name == target).unwrap();
    let seeds = seeds::all()
        .into_iter()
        .filter(|seed| seed.target == target);
    let mut inputs: Vec<(String, Vec<u8>)> = seeds.map(|seed| (seed.name, seed.bytes)).collect();
    for entry in fs::read_dir(corpus(target)).unwrap() {
        let path = entry.unwrap().path();
        inputs.push((path.display().to_string(), fs::read(path).unwrap()));
    }
    assert!(inputs.len() > 5, "{target} has {} inputs", inputs.len());
    for (name, input) in inputs {
        let outcome = std::panic::catch_unwind(|| body(&input));
        assert!(outcome.is_ok(), "{target}: {name}");
    }
}

#[test]
fn text_reads_back_as_it_was_printed() {
    check("text");
}

#[test]
fn protobuf_reads_back_as_it_was_encoded() {
    check("proto");
}

#[test]
fn weight_files_and_codecs_end_in_arrays_or_errors() {
    check("blob");
}

#[test]
fn descriptions_end_in_bundles_or_errors() {
    check("metadata");
}

#[test]
fn bundles_end_in_results_or_errors() {
    check("bundle");
}

#[test]
fn operations_end_in_results_or_errors() {
    check("operations");
}

#[test]
#[ignore = "writes the first inputs of a search into the corpora"]
fn write_seeds() {
    for seed in seeds::all() {
        fs::create_dir_all(corpus(seed.target)).unwrap();
        fs::write(corpus(seed.target).join(seed.name), seed.bytes).unwrap();
    }
}

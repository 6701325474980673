//! First inputs: every operation's samples, the hostile fixtures, the embedded student's files.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use prost::Message;
use rlaif_repl::engine::portable::ops;
use rlaif_repl::mil::text;
use rlaif_repl::numeric::{Array, DType};
use rlaif_repl::weights::BlobWriter;

use super::bodies::formats::{MANIFEST, model_of};
use super::bodies::operations::sample_program;

/// An input for a target.
pub struct Seed {
    pub target: &'static str,
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Seed {
    fn new(target: &'static str, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            target,
            name: name.into(),
            bytes: bytes.into(),
        }
    }

    /// An input whose first byte says which file the rest is.
    fn metadata(which: u8, name: &str, bytes: &[u8]) -> Self {
        Self::new("metadata", name, [&[which], bytes].concat())
    }
}

pub fn all() -> Vec<Seed> {
    let mut seeds = samples();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(root.join("tests/fixtures/hostile")).unwrap() {
        seeds.extend(hostile(&entry.unwrap().path()));
    }
    let student = root.join("src/models/embedded/student.mlmodelc");
    for (which, file) in [
        (0, "coremldata.bin"),
        (1, "metadata.json"),
        (4, "tokenizer.json"),
    ] {
        seeds.push(Seed::metadata(
            which,
            file,
            &fs::read(student.join(file)).unwrap(),
        ));
    }
    seeds.push(Seed::metadata(2, "manifest", MANIFEST));
    seeds.push(Seed::new(
        "blob",
        "weights",
        [&[0; 32], &*weights()].concat(),
    ));
    for (target, file) in [("bundle", "gpt2.mil"), ("text", "llama.mil")] {
        let bytes = fs::read(root.join("tests/fixtures/grad").join(file)).unwrap();
        seeds.push(Seed::new(target, file, bytes));
    }
    seeds
}

/// Every sample of the table of operations, in all the forms that a target reads.
fn samples() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (number, op) in ops::all().enumerate() {
        for (at, sample) in op.samples.iter().enumerate() {
            let name = format!("{}-{at}", op.name);
            let program = sample_program(sample);
            let printed = text::print(&program, text::Dialect::V1_3);
            seeds.push(Seed::new("operations", &name, [number as u8, at as u8]));
            seeds.push(Seed::new("text", &name, printed.as_bytes()));
            seeds.push(Seed::new("bundle", &name, printed.as_bytes()));
            let encoded = model_of(&program, None).encode_to_vec();
            seeds.push(Seed::new("proto", &name, encoded));
        }
    }
    seeds
}

fn hostile(path: &Path) -> Vec<Seed> {
    let name = path.file_name().unwrap().to_str().unwrap();
    let bytes = fs::read(path).unwrap();
    match path.extension().and_then(|e| e.to_str()) {
        Some("mil") => vec![
            Seed::new("text", name, &*bytes),
            Seed::new("bundle", name, bytes),
        ],
        Some("mlmodel") => vec![Seed::new("proto", name, bytes)],
        Some("bin") => vec![Seed::new("blob", name, [&[0; 32], &*bytes].concat())],
        Some("coremldata") => vec![Seed::metadata(0, name, &bytes)],
        Some("json") => vec![
            Seed::metadata(1, name, &bytes),
            Seed::metadata(2, &format!("manifest-{name}"), &bytes),
        ],
        _ => Vec::new(),
    }
}

/// A weight file with an entry of each type.
fn weights() -> Vec<u8> {
    let mut writer = BlobWriter::new(Cursor::new(Vec::new())).unwrap();
    for dtype in DType::ALL {
        let array = Array::new(dtype, vec![4], vec![1; 4 * dtype.bytes()]);
        // Some types have no place in a weight file.
        let _ = array.and_then(|array| writer.append(&array));
    }
    writer.finish().unwrap().into_inner()
}

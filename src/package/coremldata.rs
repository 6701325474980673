//! `coremldata.bin` of compiled bundles, as far as it is known.
//!
//! Little-endian. What each part was seen to hold in 40 files of Apple's compiler (3402 to 3600):
//!
//! | offset | content |
//! |---|---|
//! | 0x00 | u32 model type: 502 ML Program, 202 pipeline |
//! | 0x04 | u32: 5 for specification versions 6 and 7, 9 for version 9 (8 was not seen); pipelines: 1 |
//! | 0x08 | 20 zero bytes (pipelines: the word at 0x14 is 1) |
//! | 0x1C | u64 length, text: `generic`; of a pipeline `generic.model0v9.0.0generic.model1v9.0.0generic` |
//! | then | u32 specification version, 28 zero bytes |
//! | then | u64 length, the protobuf message `ModelDescription` |
//! | programs | u64 502, u64 0 for each function |
//! | pipelines | u64 number of stages, u64 202 |
//! | classifiers | u32 403, u64 100 (labels are texts), u64 count, then u64 length and bytes per label |
//!
//! Written files equal Apple's, but for the order of the user's metadata, which is not known. Not known
//! either: what the word at 0x04 and the zeros mean (a stage's `v9` is taken to be that word, since all
//! pipelines seen were of version 9), the files of pipeline classifiers (200) and regressors (201), which
//! are written like a pipeline's, labels that are whole numbers (written as u64 101, u64 count, i64 each,
//! since 100 and 101 are what Core ML's format calls the two kinds), and whether Core ML checks any of it
//! against the model it came from.

use coreml_proto::proto::ModelDescription;
use prost::Message;

use super::describe::{Description, FunctionDescription};
use super::encode;
use super::pipeline::Pipeline;
use crate::diag::Result;
use crate::fail;

/// The type number of an ML Program.
pub(super) const PROGRAM: u32 = 502;
const LABELS: u32 = 403;
const TEXT_LABELS: u64 = 100;
const NUMBER_LABELS: u64 = 101;

/// What the reader needs of the file.
pub(super) struct Container<'a> {
    /// The number of the model's type in Core ML's format.
    pub model_type: u32,
    pub specification_version: i32,
    message: &'a [u8],
    pub class_labels: Vec<String>,
}

impl Container<'_> {
    pub(super) fn description(&self) -> Result<ModelDescription> {
        match ModelDescription::decode(self.message) {
            Ok(message) => Ok(message),
            Err(_) => fail!("its model description can't be read"),
        }
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Container<'_>> {
    let mut cursor = Cursor { bytes };
    let model_type = cursor.u32()?;
    cursor.take(24)?;
    let length = cursor.u64()?;
    cursor.take(length)?;
    let specification_version = cursor.u32()? as i32;
    cursor.take(28)?;
    let length = cursor.u64()?;
    let message = cursor.take(length)?;
    let class_labels = match model_type {
        PROGRAM => read_labels(cursor)?,
        _ => Vec::new(),
    };
    Ok(Container {
        model_type,
        specification_version,
        message,
        class_labels,
    })
}

/// The stages' names in `modelNames/coremldata.bin`: a u64 count, then u64 length and bytes of each.
pub(super) fn read_names(bytes: &[u8]) -> Result<Vec<String>> {
    let mut cursor = Cursor { bytes };
    let mut names = Vec::new();
    for _ in 0..cursor.u64()? {
        names.push(cursor.text()?);
    }
    Ok(names)
}

/// Labels of a classifier, behind the words of the functions.
fn read_labels(mut cursor: Cursor) -> Result<Vec<String>> {
    let mut labels = Vec::new();
    while cursor.bytes.len() >= 16 {
        let tag = cursor.u32()?;
        if tag != LABELS {
            cursor.take(12)?;
            continue;
        }
        let kind = cursor.u64()?;
        for _ in 0..cursor.u64()? {
            labels.push(match kind {
                TEXT_LABELS => cursor.text()?,
                NUMBER_LABELS => (cursor.u64()? as i64).to_string(),
                other => fail!("its class labels are of an unknown kind, {other}"),
            });
        }
        break;
    }
    Ok(labels)
}

/// Reads from the front.
struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: u64) -> Result<&'a [u8]> {
        let split = usize::try_from(length).ok();
        let Some((taken, rest)) = split.and_then(|length| self.bytes.split_at_checked(length))
        else {
            fail!("the file is cut short");
        };
        self.bytes = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().unwrap_or_default()))
    }

    fn u64(&mut self) -> Result<u64> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.u64()?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
}

/// The file of an ML Program; a stage of a pipeline need not have metadata.
pub(super) fn write(description: &Description, stage: bool) -> Result<Vec<u8>> {
    let version = description.specification_version;
    let mut out = Vec::new();
    let header = [PROGRAM, required(version), 0, 0, 0, 0, 0];
    out.extend(header.iter().flat_map(|word| word.to_le_bytes()));
    text(&mut out, b"generic");
    let message = match stage {
        true => encode::stage_description(description)?,
        false => encode::description(description)?,
    };
    described(&mut out, description, &message);
    for _ in &description.functions {
        out.extend(u128::from(PROGRAM).to_le_bytes());
    }
    if let Some(default) = description.functions.get(&description.default_function)
        && !default.class_labels.is_empty()
    {
        out.extend(LABELS.to_le_bytes());
        labels(&mut out, default)?;
    }
    Ok(out)
}

fn labels(out: &mut Vec<u8>, classifier: &FunctionDescription) -> Result<()> {
    let labels = &classifier.class_labels;
    if !classifier.labels_are_numbers() {
        out.extend(TEXT_LABELS.to_le_bytes());
        texts(out, labels);
        return Ok(());
    }
    out.extend(NUMBER_LABELS.to_le_bytes());
    out.extend((labels.len() as u64).to_le_bytes());
    for label in labels {
        match label.parse::<i64>() {
            Ok(number) => out.extend(number.to_le_bytes()),
            Err(_) => fail!("the class \"{label}\" is not a whole number"),
        }
    }
    Ok(())
}

/// The file of a pipeline itself; each stage has one of its own.
pub(super) fn write_pipeline(pipeline: &Pipeline) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let header = [pipeline.kind.tag(), 1, 0, 0, 0, 1, 0];
    out.extend(header.iter().flat_map(|word| word.to_le_bytes()));
    let mut types = String::from("generic");
    for (i, stage) in pipeline.stages.iter().enumerate() {
        let version = stage.bundle.description.specification_version;
        types += &format!(".model{i}v{}.0.0generic", required(version));
    }
    text(&mut out, types.as_bytes());
    let message = encode::description(&pipeline.description)?;
    described(&mut out, &pipeline.description, &message);
    out.extend((pipeline.stages.len() as u64).to_le_bytes());
    out.extend(u64::from(pipeline.kind.tag()).to_le_bytes());
    Ok(out)
}

/// The file `modelNames/coremldata.bin`.
pub(super) fn write_names(names: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    texts(&mut out, names);
    out
}

/// The word at 0x04 of a program's file.
fn required(specification_version: i32) -> u32 {
    if specification_version >= 9 { 9 } else { 5 }
}

fn described(out: &mut Vec<u8>, description: &Description, message: &[u8]) {
    out.extend(description.specification_version.to_le_bytes());
    out.extend([0; 28]);
    text(out, message);
}

fn texts(out: &mut Vec<u8>, texts: &[String]) {
    out.extend((texts.len() as u64).to_le_bytes());
    for each in texts {
        text(out, each.as_bytes());
    }
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

//! `coremldata.bin` of compiled bundles, as far as it is known.
//!
//! Little-endian. What each part was seen to hold in 40 files of Apple's compiler (3402 to 3600):
//!
//! | offset | content |
//! |---|---|
//! | 0x00 | u32 model type: 502 ML Program, 202 pipeline |
//! | 0x04 | u32: 5 for specification versions 6 and 7, 9 for version 9 (8 was not seen) |
//! | 0x08 | 20 zero bytes (pipelines: the last word is 1) |
//! | 0x1C | u64 length, text "generic" |
//! | 0x2B | u32 specification version, 28 zero bytes |
//! | 0x4B | u64 length, the protobuf message `ModelDescription` |
//! | then | 16 bytes per function: u32 502, zeros |
//! | classifiers | u32 403, u64 100 (string labels), u64 count, then u64 length and bytes per label |
//!
//! Written files equal Apple's, but for the order of the user's metadata. Unknown: the meaning of the word at 0x04 and of the zeros, integer labels, and whether Core ML
//! checks any of it against the package it came from.

use super::describe::Description;
use super::encode;
use crate::diag::Result;
use crate::fail;

const PROGRAM: u32 = 502;
const PIPELINE: u32 = 202;
const LABELS: u32 = 403;
const TEXT_LABELS: u64 = 100;

/// What the reader needs of the file.
pub(super) struct Container<'a> {
    pub specification_version: i32,
    /// The `ModelDescription` message.
    pub description: &'a [u8],
    pub class_labels: Vec<String>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Container<'_>> {
    let mut cursor = Cursor { bytes };
    match cursor.u32()? {
        PROGRAM => {}
        PIPELINE => fail!("this is a pipeline, not an ML Program"),
        other => fail!("this is a model of type {other}, not an ML Program (502)"),
    }
    cursor.take(24)?;
    let length = cursor.u64()?;
    cursor.take(length)?;
    let specification_version = cursor.u32()? as i32;
    cursor.take(28)?;
    let length = cursor.u64()?;
    let description = cursor.take(length)?;
    let class_labels = read_labels(cursor)?;
    Ok(Container {
        specification_version,
        description,
        class_labels,
    })
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
        if cursor.u64()? != TEXT_LABELS {
            break;
        }
        for _ in 0..cursor.u64()? {
            let length = cursor.u64()?;
            let label = cursor.take(length)?;
            labels.push(String::from_utf8_lossy(label).into_owned());
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
}

pub(super) fn write(description: &Description) -> Result<Vec<u8>> {
    let version = description.specification_version;
    let message = encode::description(description)?;
    let mut out = Vec::new();
    out.extend(PROGRAM.to_le_bytes());
    out.extend(if version >= 9 { 9u32 } else { 5 }.to_le_bytes());
    out.extend([0; 20]);
    text(&mut out, b"generic");
    out.extend(version.to_le_bytes());
    out.extend([0; 28]);
    text(&mut out, &message);
    for _ in &description.functions {
        out.extend(PROGRAM.to_le_bytes());
        out.extend([0; 12]);
    }
    let default = description.functions.get(&description.default_function);
    let labels = default.map_or(&[][..], |f| &f.class_labels);
    if !labels.is_empty() {
        out.extend(LABELS.to_le_bytes());
        out.extend(TEXT_LABELS.to_le_bytes());
        out.extend((labels.len() as u64).to_le_bytes());
        for label in labels {
            text(&mut out, label.as_bytes());
        }
    }
    Ok(out)
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

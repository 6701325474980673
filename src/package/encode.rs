//! Bytes of a model's protobuf, always the same for the same model.
//!
//! prost writes maps in no fixed order; the two messages above the program that hold one (metadata)
//! or contain it (model, description) are put together by hand.

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::describe::{Description, Metadata};
use super::interface;
use super::pipeline::{Pipeline, PipelineKind};
use crate::diag::Result;
use crate::mil::{Program, proto};

/// The message `Model` of an ML Program.
pub(super) fn model(program: &Program, interface: &Description) -> Result<Vec<u8>> {
    let described = description(interface)?;
    let version = interface.specification_version;
    Ok(of_type(version, &described, 502, &proto::encode(program)))
}

/// The message `Model` of an ML Program in a pipeline.
pub(super) fn stage(program: &Program, interface: &Description) -> Result<Vec<u8>> {
    let described = stage_description(interface)?;
    let version = interface.specification_version;
    Ok(of_type(version, &described, 502, &proto::encode(program)))
}

/// The message `Model` of a pipeline, whose stages are `Model` messages.
pub(super) fn pipeline(pipeline: &Pipeline, stages: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    for stage in stages {
        field(1, stage, &mut content);
    }
    for name in pipeline.given_names().unwrap_or_default() {
        field(2, name.as_bytes(), &mut content);
    }
    if pipeline.kind != PipelineKind::Plain {
        let mut wrapped = Vec::new();
        field(1, &content, &mut wrapped);
        content = wrapped;
    }
    let described = description(&pipeline.description)?;
    let version = pipeline.description.specification_version;
    Ok(of_type(version, &described, pipeline.kind.tag(), &content))
}

fn of_type(version: i32, described: &[u8], tag: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(1, WireType::Varint, &mut out);
    encode_varint(version as u64, &mut out);
    field(2, described, &mut out);
    field(tag, content, &mut out);
    out
}

/// The message `ModelDescription`, with metadata even if that is empty: Apple's compiler does the same.
pub(super) fn description(description: &Description) -> Result<Vec<u8>> {
    let mut out = interface::write(description)?.encode_to_vec();
    field(100, &metadata(&description.metadata), &mut out);
    Ok(out)
}

/// The message `ModelDescription` of a stage, without empty metadata.
pub(super) fn stage_description(stage: &Description) -> Result<Vec<u8>> {
    match stage.metadata == Metadata::default() {
        true => Ok(interface::write(stage)?.encode_to_vec()),
        false => description(stage),
    }
}

fn metadata(metadata: &Metadata) -> Vec<u8> {
    let mut out = Vec::new();
    let texts = [
        (1, &metadata.short_description),
        (2, &metadata.version),
        (3, &metadata.author),
        (4, &metadata.license),
    ];
    for (number, text) in texts {
        if !text.is_empty() {
            field(number, text.as_bytes(), &mut out);
        }
    }
    for (key, value) in &metadata.user {
        let mut entry = Vec::new();
        field(1, key.as_bytes(), &mut entry);
        field(2, value.as_bytes(), &mut entry);
        field(100, &entry, &mut out);
    }
    out
}

/// A length-delimited field.
fn field(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

//! Bytes of a model's protobuf, always the same for the same model.
//!
//! prost writes maps in no fixed order; the two messages above the program that hold one (metadata)
//! or contain it (model, description) are put together by hand.

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use super::describe::{Description, Metadata};
use super::interface;
use crate::diag::Result;
use crate::mil::{Program, proto};

/// The message `Model` of an ML Program.
pub(super) fn model(program: &Program, interface: &Description) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    encode_key(1, WireType::Varint, &mut out);
    encode_varint(interface.specification_version as u64, &mut out);
    field(2, &description(interface)?, &mut out);
    field(502, &proto::encode(program), &mut out);
    Ok(out)
}

/// The message `ModelDescription`.
pub(super) fn description(description: &Description) -> Result<Vec<u8>> {
    let mut out = interface::write(description)?.encode_to_vec();
    // Written when empty too: Apple's compiler does the same.
    field(100, &metadata(&description.metadata), &mut out);
    Ok(out)
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

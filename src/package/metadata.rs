//! `metadata.json` of compiled bundles: for people and tools; nothing needs it to run a model.

use serde_json::{Value, json};

use super::describe::{Description, Metadata};
use crate::diag::{Error, Result};

/// Takes free text and the specification version from a bundle's `metadata.json`.
pub(super) fn read(bytes: &[u8], description: &mut Description) -> Result<()> {
    let json: Value = serde_json::from_slice(bytes)
        .map_err(|error| Error::new(format!("this is not JSON: {error}")))?;
    let first = &json[0];
    let text = |key: &str| first[key].as_str().unwrap_or_default().to_owned();
    let user = first["userDefinedMetadata"].as_object();
    let user = user.into_iter().flatten();
    description.metadata = Metadata {
        short_description: text("shortDescription"),
        author: text("author"),
        license: text("license"),
        version: text("version"),
        user: user
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
    };
    if let Some(version) = first["specificationVersion"].as_i64() {
        description.specification_version = version as i32;
    }
    Ok(())
}

/// The `metadata.json` of a bundle.
pub(super) fn write(_description: &Description) -> String {
    format!("{:#}", json!([{}]))
}

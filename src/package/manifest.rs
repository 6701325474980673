//! `Manifest.json` of packages.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::diag::{Error, Result};

/// Where the root model lies, relative to the package.
pub(super) fn model_path(manifest: &[u8]) -> Result<String> {
    let wrong = |what: &str| Error::new(format!("Manifest.json {what}"));
    let manifest: Value =
        serde_json::from_slice(manifest).map_err(|e| wrong(&format!("is not JSON: {e}")))?;
    let root = manifest["rootModelIdentifier"]
        .as_str()
        .ok_or_else(|| wrong("has no rootModelIdentifier"))?;
    let path = manifest["itemInfoEntries"][root]["path"]
        .as_str()
        .ok_or_else(|| wrong(&format!("has no path for its root model {root}")))?;
    Ok(format!("Data/{path}"))
}

/// A manifest whose identifiers depend on the model's bytes only.
pub(super) fn write(model: &[u8], with_weights: bool) -> String {
    let identifier = |name: &str| {
        let digest = Sha256::new().chain_update(name).chain_update(model);
        uuid(&digest.finalize())
    };
    let entry = |name: &str, description: &str| {
        json!({
            "author": "com.apple.CoreML",
            "description": description,
            "name": name,
            "path": format!("com.apple.CoreML/{name}"),
        })
    };
    let root = identifier("model");
    let mut entries = vec![(
        root.clone(),
        entry("model.mlmodel", "CoreML Model Specification"),
    )];
    if with_weights {
        entries.push((
            identifier("weights"),
            entry("weights", "CoreML Model Weights"),
        ));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let manifest = json!({
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries.into_iter().collect::<serde_json::Map<_, _>>(),
        "rootModelIdentifier": root,
    });
    format!("{manifest:#}\n")
}

/// A name-based UUID (RFC 9562, version 8) of a digest.
fn uuid(digest: &[u8]) -> String {
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

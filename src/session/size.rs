//! How much memory a value takes.

use rhai::{Array, Blob, Dynamic, ImmutableString, Map};

use crate::host::Registry;

/// Bytes that the value and what it holds take, about; handles count what ends with them.
pub(super) fn bytes(value: &Dynamic, registry: &Registry) -> usize {
    size_of::<Dynamic>() + behind(value, registry)
}

fn behind(value: &Dynamic, registry: &Registry) -> usize {
    if let Some(items) = value.read_lock::<Array>() {
        return items.iter().map(|item| bytes(item, registry)).sum();
    }
    if let Some(map) = value.read_lock::<Map>() {
        let entry = |(key, item): (&rhai::Identifier, &Dynamic)| {
            size_of::<rhai::Identifier>() + key.len() + bytes(item, registry)
        };
        return map.iter().map(entry).sum();
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return text.len();
    }
    match value.read_lock::<Blob>() {
        Some(blob) => blob.len(),
        None => registry.bytes(value),
    }
}

//! A hash of a value's content, the same in every process.

use std::fmt::Write as _;

use rhai::{Array, Blob, Dynamic, ImmutableString, Map};

use crate::files::sha256;
use crate::host::Registry;

/// The hash; nothing for closures and for handles whose content can't be told.
pub(super) fn digest(value: &Dynamic, registry: &Registry) -> Option<String> {
    let mut text = String::new();
    write(value, registry, &mut text)?;
    Some(sha256(text.as_bytes()))
}

/// The value in a form that two different values never share: every part has its kind and its length.
fn write(value: &Dynamic, registry: &Registry, text: &mut String) -> Option<()> {
    if let Some(items) = value.read_lock::<Array>() {
        let _ = write!(text, "[{} ", items.len());
        return items
            .iter()
            .try_for_each(|item| write(item, registry, text));
    }
    if let Some(map) = value.read_lock::<Map>() {
        let _ = write!(text, "#{} ", map.len());
        return map.iter().try_for_each(|(key, item)| {
            let _ = write!(text, "{}:{key}", key.len());
            write(item, registry, text)
        });
    }
    if let Some(words) = value.read_lock::<ImmutableString>() {
        let _ = write!(text, "s{}:{}", words.len(), &**words);
        return Some(());
    }
    if let Some(bytes) = value.read_lock::<Blob>() {
        let _ = write!(text, "b{}", sha256(&bytes));
        return Some(());
    }
    let _ = match (
        value.as_int(),
        value.as_float(),
        value.as_bool(),
        value.as_char(),
    ) {
        (Ok(int), ..) => write!(text, "i{int} "),
        (_, Ok(float), ..) => write!(text, "f{:x} ", float.to_bits()),
        (_, _, Ok(truth), _) => write!(text, "t{truth} "),
        (_, _, _, Ok(letter)) => write!(text, "c{letter} "),
        _ if value.is_unit() => write!(text, "() "),
        _ => {
            let content = registry.digest(value)?;
            write!(text, "h{}:{content}", value.type_name().len())
        }
    };
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_alone_share_a_hash() {
        let engine = rhai::Engine::new();
        let registry = Registry::new();
        let of = |code: &str| digest(&engine.eval::<Dynamic>(code).unwrap(), &registry);
        let values = [
            "1",
            "1.0",
            "true",
            "'1'",
            "\"1\"",
            "()",
            "[1]",
            "[[1]]",
            "[1, 1]",
            "#{a: 1}",
            "#{b: 1}",
            "-0.0",
            "0.0",
            "[\"a\", \"b\"]",
            "[\"a\\\", \\\"b\"]",
        ];
        for (at, code) in values.iter().enumerate() {
            assert!(of(code).is_some(), "{code}");
            for other in &values[at + 1..] {
                assert_ne!(of(code), of(other), "{code} {other}");
            }
        }
        assert_eq!(
            of("#{a: 1, b: [2.5]}"),
            of("let m = #{}; m.b = [2.5]; m.a = 1; m")
        );
        assert_eq!(of("|x| x"), None);
    }
}

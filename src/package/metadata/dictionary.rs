//! JSON as Apple's compiler prints it: dictionaries in the order of Core Foundation's hash table.
//!
//! The table is open: a key goes to the slot `hash mod slots`, or the next free one, and keys are listed by
//! slot. When it is full the table grows, and its keys move in the order of their old slots.

use serde_json::{Map, Value};

/// Slots of the table, and how many keys it takes before it grows. Those up to 13 slots, and 19 or 20 for
/// 23, are the only ones that explain all orders that were seen.
const SIZES: [(usize, usize); 12] = [
    (3, 3),
    (7, 6),
    (13, 12),
    (23, 19),
    (41, 32),
    (71, 52),
    (127, 85),
    (191, 118),
    (251, 155),
    (383, 237),
    (631, 390),
    (1087, 672),
];

/// The dictionary in the order in which Core Foundation lists it, if its keys were inserted as `first`
/// has them, and then as they come.
pub(super) fn ordered(map: Map<String, Value>, first: &[&str]) -> Value {
    let mut keys: Vec<&String> = map.keys().collect();
    let place = |key: &String| first.iter().position(|known| known == key);
    keys.sort_by_key(|key| place(key).unwrap_or(first.len()));
    let listed = listed(&keys);
    let mut map = map.clone();
    let entries = listed.into_iter().filter_map(|key| map.remove_entry(&key));
    Value::Object(entries.collect())
}

fn listed(keys: &[&String]) -> Vec<String> {
    let mut sizes = SIZES.iter();
    let (mut slots, mut room) = (Vec::new(), 0);
    for (count, key) in keys.iter().enumerate() {
        if count == room {
            let Some((size, more)) = sizes.next() else {
                return keys.iter().map(|key| (*key).clone()).collect();
            };
            let old = std::mem::replace(&mut slots, vec![None; *size]);
            room = *more;
            old.into_iter()
                .flatten()
                .for_each(|key| insert(&mut slots, key));
        }
        insert(&mut slots, key);
    }
    slots.into_iter().flatten().cloned().collect()
}

fn insert<'k>(slots: &mut [Option<&'k String>], key: &'k String) {
    let start = (hash(key) % slots.len() as u64) as usize;
    let mut free = (start..slots.len()).chain(0..start);
    if let Some(slot) = free.find(|slot| slots[*slot].is_none()) {
        slots[slot] = Some(key);
    }
}

/// Core Foundation's hash of a string: of a long one, only of its beginning, middle and end.
fn hash(text: &str) -> u64 {
    let units: Vec<u64> = text.encode_utf16().map(u64::from).collect();
    let length = units.len();
    let parts = match length {
        ..=96 => vec![&units[..]],
        _ => {
            let middle = length / 2 - 16;
            let parts = [0, middle, length - 32];
            parts.map(|from| &units[from..from + 32]).to_vec()
        }
    };
    let mut hash = length as u64;
    for part in parts {
        let fours = part.chunks_exact(4);
        let rest = fours.remainder();
        for four in fours {
            let weighted = four[0] * 16_974_593 + four[1] * 66_049 + four[2] * 257 + four[3];
            hash = hash.wrapping_mul(67_503_105).wrapping_add(weighted);
        }
        for unit in rest {
            hash = hash.wrapping_mul(257).wrapping_add(*unit);
        }
    }
    hash.wrapping_add(hash << (length & 31))
}

/// The text of `value`, without a line end.
pub(super) fn print(value: &Value) -> String {
    let mut out = String::new();
    put(value, 0, &mut out);
    out
}

fn put(value: &Value, depth: usize, out: &mut String) {
    let line = |depth: usize| format!("\n{}", "  ".repeat(depth));
    let (open, close, count) = match value {
        Value::Array(items) => ('[', ']', items.len()),
        Value::Object(entries) => ('{', '}', entries.len()),
        Value::String(text) => return quote(text, out),
        other => return *out += &other.to_string(),
    };
    out.push(open);
    let mut item = |i: usize, key: Option<&str>, value: &Value| {
        *out += if i > 0 { "," } else { "" };
        *out += &line(depth + 1);
        if let Some(key) = key {
            quote(key, out);
            *out += " : ";
        }
        put(value, depth + 1, out);
    };
    match value {
        Value::Object(map) => {
            let entries = map.iter().enumerate();
            entries.for_each(|(i, (key, value))| item(i, Some(key), value));
        }
        other => {
            let items = other.as_array().into_iter().flatten().enumerate();
            items.for_each(|(i, value)| item(i, None, value));
        }
    }
    *out += if count == 0 { "\n" } else { "" };
    *out += &line(depth);
    out.push(close);
}

/// As JSON has it, with `/` escaped too.
fn quote(text: &str, out: &mut String) {
    *out += &Value::from(text).to_string().replace('/', "\\/");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Orders that Apple's compiler has written; the keys are given sorted.
    #[test]
    fn keys_come_in_the_order_of_their_hashes() {
        let check = |given: &[&str], expected: &[&str]| {
            let map = given.iter().map(|key| ((*key).to_owned(), json!(1)));
            let Value::Object(listed) = ordered(map.collect(), &[]) else {
                panic!("a dictionary stays one");
            };
            assert_eq!(listed.keys().collect::<Vec<_>>(), expected);
        };
        check(
            &["iOS", "macOS", "tvOS", "macCatalyst", "visionOS", "watchOS"],
            &["macOS", "tvOS", "visionOS", "watchOS", "iOS", "macCatalyst"],
        );
        check(
            &["Ios16.cast", "Ios16.mul", "Ios16.add"],
            &["Ios16.mul", "Ios16.cast", "Ios16.add"],
        );
    }

    #[test]
    fn printed_as_apple_prints() {
        let value = json!([{"a": [], "b": {}, "c": ["x/y\n", 1]}]);
        let expected = "[\n  {\n    \"a\" : [\n\n    ],\n    \"b\" : {\n\n    },\n    \"c\" : [\n      \"x\\/y\\n\",\n      1\n    ]\n  }\n]";
        assert_eq!(print(&value), expected);
    }
}

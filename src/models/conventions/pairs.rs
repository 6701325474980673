//! Which input goes with which output: caches, under the names that people give them.

use std::collections::BTreeMap;

use super::extents::bounds;
use crate::diag::{Error, Result};
use crate::package::{Feature, FeatureKind, FunctionDescription};

/// Inputs that carry the past with the outputs that give it on, in the order of the inputs. A cache is a
/// float input of three axes or more that is no mask; the output has the same part (keys or values) and
/// number in its name, or stands in the same place among the outputs that are no logits.
pub fn pairs(function: &FunctionDescription) -> Result<Vec<(String, String)>> {
    let inputs: Vec<&Feature> = function.inputs.iter().filter(|f| is_cache(f)).collect();
    if inputs.is_empty() {
        return Ok(Vec::new());
    }
    let outputs = function.outputs.iter().filter(|f| is_float(f));
    let outputs = outputs.filter(|f| !f.name.to_lowercase().contains("logits"));
    let outputs: Vec<&str> = outputs.map(|f| f.name.as_str()).collect();
    let mut roles: BTreeMap<Role, Vec<&str>> = BTreeMap::new();
    for output in &outputs {
        roles.entry(role(output)).or_default().push(output);
    }
    let named = inputs
        .iter()
        .map(|input| match roles.get(&role(&input.name))?.as_slice() {
            [one] => Some((input.name.clone(), (*one).to_owned())),
            _ => None,
        });
    let mut named: Option<Vec<(String, String)>> = named.collect();
    if let Some(pairs) = &named {
        let mut used: Vec<&str> = pairs.iter().map(|(_, output)| output.as_str()).collect();
        used.sort_unstable();
        used.dedup();
        named = (used.len() == pairs.len()).then(|| pairs.clone());
    }
    match named {
        Some(pairs) => Ok(pairs),
        None if inputs.len() == outputs.len() => {
            let names = inputs.iter().map(|input| input.name.clone());
            Ok(names.zip(outputs.into_iter().map(str::to_owned)).collect())
        }
        None => {
            let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
            Err(Error::new(format!(
                "the inputs {names:?} look like a cache, and the outputs {outputs:?} don't go with them"
            )))
        }
    }
}

fn is_float(feature: &Feature) -> bool {
    matches!(&feature.kind, FeatureKind::Array { dtype, .. } if dtype.is_float())
}

fn is_cache(feature: &Feature) -> bool {
    let rank = bounds(feature).map_or(0, |axes| axes.len());
    is_float(feature) && rank >= 3 && !feature.name.to_lowercase().contains("mask")
}

/// Keys or values, if the name says so, and the numbers in it.
type Role = (Option<char>, Vec<usize>);

/// `past_key_values.3.key`, `present_3_key` and `k_cache_3` are (k, [3]).
fn role(name: &str) -> Role {
    let mut words = words(name);
    // Both together are neither.
    let both =
        |pair: &[String]| matches!(pair, [a, b] if a == "key" && (b == "values" || b == "value"));
    while let Some(at) = words.windows(2).position(both) {
        words.drain(at..at + 2);
    }
    let part = words.iter().find_map(|word| match word.as_str() {
        "k" | "key" | "keys" => Some('k'),
        "v" | "value" | "values" => Some('v'),
        _ => None,
    });
    (
        part,
        words.iter().filter_map(|word| word.parse().ok()).collect(),
    )
}

/// The words of a name in lower case: `keyCache0` has `key`, `cache` and `0`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in name.chars() {
        let kind = |c: char| (c.is_ascii_digit(), c.is_alphabetic());
        let fresh = kind(c) != kind(before) || (c.is_uppercase() && before.is_lowercase());
        if c.is_alphanumeric() {
            match words.last_mut() {
                Some(word) if !fresh => word.extend(c.to_lowercase()),
                _ => words.push(c.to_lowercase().collect()),
            }
        }
        before = c;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::DType;

    #[test]
    fn caches_are_known_by_their_part_and_number() {
        for (input, output) in [
            ("past_key_values.3.key", "present.3.key"),
            ("past_key_values_3_value", "present_key_values_3_value"),
            ("keyCache", "presentKeys"),
            ("valueCache", "presentValues"),
            ("k_cache_0", "new_k_cache_0"),
            ("past_k0", "present_k0"),
            ("past_key_values", "present_key_values"),
            ("kv_cache", "kv_cache_out"),
        ] {
            assert_eq!(role(input), role(output), "{input}");
        }
        assert_ne!(role("keyCache"), role("valueCache"));
        assert_ne!(role("past_0_key"), role("past_1_key"));
    }

    fn function(inputs: &[&str], outputs: &[&str]) -> FunctionDescription {
        let array = |name: &&str| Feature::array(*name, DType::Fp16, &[1, 2, 8, 4]);
        FunctionDescription {
            inputs: inputs.iter().map(array).collect(),
            outputs: outputs.iter().map(array).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn names_decide_and_then_the_order() {
        let check = |inputs: &[&str], outputs: &[&str], expected: &[(&str, &str)]| {
            let found = pairs(&function(inputs, outputs)).unwrap();
            let found: Vec<(&str, &str)> = found.iter().map(|(i, o)| (&**i, &**o)).collect();
            assert_eq!(found, expected);
        };
        check(
            &["valueCache", "keyCache", "causalMask"],
            &["logits", "presentKeys", "presentValues"],
            &[("valueCache", "presentValues"), ("keyCache", "presentKeys")],
        );
        check(
            &["past_a", "past_b"],
            &["logits", "var_7", "var_9"],
            &[("past_a", "var_7"), ("past_b", "var_9")],
        );
        check(&["attention_mask"], &["logits"], &[]);
        let error = pairs(&function(&["hidden_states"], &["logits"])).unwrap_err();
        assert!(error.to_string().contains("look like a cache"), "{error}");
    }
}

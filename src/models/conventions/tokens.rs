//! The token input of a function and its logits output, under the names that people give them.

use super::extents::{Bounds, bounds};
use crate::diag::Result;
use crate::fail;
use crate::numeric::{Array, DType};
use crate::package::{Feature, FeatureKind, FunctionDescription};

/// Names of token inputs, the likeliest first.
const IDS: [&str; 7] = [
    "input_ids",
    "inputids",
    "input_tokens",
    "token_ids",
    "tokens",
    "ids",
    "input",
];

/// Parts of the names of integer inputs that are no tokens.
const BESIDE: [&str; 6] = ["pos", "mask", "type", "segment", "len", "past"];

/// Names of logits outputs, the likeliest first; a name that holds one will do.
const LOGITS: [&str; 4] = ["logits", "token_scores", "scores", "predictions"];

/// The input that takes token ids, `[batch, length]` or `[length]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    pub name: String,
    dtype: DType,
    rows: Option<Bounds>,
    length: Bounds,
}

impl Tokens {
    /// Finds the input by its name, else as the only one of integers that is nothing else.
    pub fn of(function: &FunctionDescription) -> Result<Self> {
        let whole =
            |f: &&Feature| matches!(&f.kind, FeatureKind::Array { dtype, .. } if dtype.is_int());
        let ints: Vec<&Feature> = function.inputs.iter().filter(whole).collect();
        let known = |known: &&str| {
            ints.iter()
                .copied()
                .find(|f| f.name.to_lowercase() == **known)
        };
        let other = |f: &Feature| {
            BESIDE
                .iter()
                .any(|part| f.name.to_lowercase().contains(part))
        };
        let rest: Vec<&Feature> = ints.iter().copied().filter(|f| !other(f)).collect();
        let named = IDS.iter().find_map(known);
        let found = match (named, rest.as_slice()) {
            (Some(feature), _) => feature,
            (None, [only]) => *only,
            _ => fail!("there is no input of token ids"),
        };
        let FeatureKind::Array { dtype, .. } = &found.kind else {
            fail!("input \"{}\" is not an array", found.name);
        };
        let (rows, length) = match bounds(found)?.as_slice() {
            [length] => (None, length.clone()),
            [rows, length] => (Some(rows.clone()), length.clone()),
            _ => fail!(
                "input \"{}\" has shape {}, expected [batch, length]",
                found.name,
                found.shapes()
            ),
        };
        Ok(Self {
            name: found.name.clone(),
            dtype: *dtype,
            rows,
            length,
        })
    }

    /// How many rows it takes.
    pub fn rows(&self) -> Bounds {
        self.rows.clone().unwrap_or(Bounds::range(1, 1))
    }

    /// How many tokens it takes of each row.
    pub fn length(&self) -> &Bounds {
        &self.length
    }

    /// `count` rows of `length` tokens; what is missing of them is 0.
    pub fn array(&self, rows: &[&[u32]], count: usize, length: usize) -> Result<Array> {
        let empty: &[u32] = &[];
        let rows = rows.iter().copied().chain(std::iter::repeat(empty));
        let padded = |row: &[u32]| {
            let ids = row.iter().map(|id| i64::from(*id));
            let ids = ids.chain(std::iter::repeat(0)).take(length);
            ids.collect::<Vec<_>>()
        };
        let ids: Vec<i64> = rows.take(count).flat_map(padded).collect();
        let shape = match self.rows {
            Some(_) => vec![count, length],
            None => vec![length],
        };
        Array::from_i64s(self.dtype, shape, &ids)
    }
}

/// The outputs that are logits, `others` (caches) aside: one, or parts of the vocabulary in their order
/// (`logits1`, `logits2`, …). None where the function gives none.
pub fn logits(function: &FunctionDescription, others: &[&str]) -> Vec<String> {
    let float =
        |f: &&Feature| matches!(&f.kind, FeatureKind::Array { dtype, .. } if dtype.is_float());
    let outputs = function.outputs.iter().filter(float);
    let outputs = outputs.map(|f| f.name.as_str());
    let outputs: Vec<&str> = outputs.filter(|name| !others.contains(name)).collect();
    let parts = parts(&outputs);
    if parts.len() > 1 {
        return parts;
    }
    let exact = |known: &&str| outputs.iter().find(|name| name.to_lowercase() == **known);
    let within = |known: &&str| {
        outputs
            .iter()
            .find(|name| name.to_lowercase().contains(*known))
    };
    let found = LOGITS.iter().find_map(exact);
    let found = found.or_else(|| LOGITS.iter().find_map(within));
    match (found, outputs.as_slice()) {
        (Some(name), _) | (None, [name]) => vec![(*name).to_owned()],
        _ => Vec::new(),
    }
}

/// `logits1`, `logits2`, … by their numbers.
fn parts(outputs: &[&str]) -> Vec<String> {
    let part = |name: &&str| {
        let number = name.to_lowercase();
        let number = number.strip_prefix("logits")?.trim_start_matches('_');
        Some((number.parse::<usize>().ok()?, (*name).to_owned()))
    };
    let mut parts: Vec<(usize, String)> = outputs.iter().filter_map(part).collect();
    parts.sort();
    parts.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(ints: &[&str], floats: &[&str]) -> FunctionDescription {
        let array = |dtype| move |name: &&str| Feature::array(*name, dtype, &[1, 8]);
        FunctionDescription {
            inputs: ints.iter().map(array(DType::Int32)).collect(),
            outputs: floats.iter().map(array(DType::Fp16)).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn token_inputs_are_known_by_name_or_as_the_only_ones() {
        let check = |inputs: &[&str], expected: Option<&str>| {
            let found = Tokens::of(&function(inputs, &[]));
            assert_eq!(found.ok().map(|ids| ids.name), expected.map(str::to_owned));
        };
        check(&["attentionMask", "inputIds"], Some("inputIds"));
        check(&["position_ids", "input_ids", "x"], Some("input_ids"));
        check(
            &["x", "position_ids", "token_type_ids", "past_length"],
            Some("x"),
        );
        check(&["x", "y"], None);
        check(&["position_ids"], None);
    }

    #[test]
    fn logits_are_known_by_name_by_number_or_as_the_only_ones() {
        let check = |outputs: &[&str], caches: &[&str], expected: &[&str]| {
            assert_eq!(logits(&function(&[], outputs), caches), expected);
        };
        check(&["present", "logits"], &[], &["logits"]);
        check(&["output_logits", "hidden"], &[], &["output_logits"]);
        check(&["token_scores", "hidden"], &[], &["token_scores"]);
        check(&["var_812"], &[], &["var_812"]);
        check(&["var_812", "k_out"], &["k_out"], &["var_812"]);
        check(&["hidden", "pooled"], &[], &[]);
        let parts = ["logits10", "logits2", "logits1"];
        check(&parts, &[], &["logits1", "logits2", "logits10"]);
    }
}

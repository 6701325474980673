//! `mlProgramOperationTypeHistogram`: how often each operation occurs.
//!
//! Apple's compiler writes the opset that last redefined an operation in front of its name, and its list
//! of redefinitions is not coremltools': in an iOS 16 program everything that computes has `Ios16.`, what
//! only moves elements has no prefix. The rules here give all 87 pairs of opset and operation that were
//! seen; for other operations they may be wrong.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::dictionary::ordered;
use crate::mil::Function;

/// Never redefined up to iOS 18, as far as seen.
const FIRST: &[&str] = &[
    "identity", "pad", "range_1d", "select", "shape", "split", "stack", "tile",
];

/// Redefined by iOS 17 at first; seen without prefix in iOS 16 programs.
const SINCE_17: &[&str] = &[
    "concat",
    "expand_dims",
    "slice_by_index",
    "squeeze",
    "transpose",
];

/// Redefined by iOS 16, and not by iOS 17.
const NOT_IN_17: &[&str] = &["relu", "sigmoid", "silu", "softmax"];

/// Counts of all operations but `const`.
pub(super) fn histogram(functions: &[&Function]) -> Value {
    let mut order = Vec::new();
    let mut counts = BTreeMap::new();
    for function in functions {
        for operation in function.operations().filter(|op| op.op != "const") {
            let name = name(&operation.op, &function.opset);
            let count = counts.entry(name.clone()).or_insert(0);
            if *count == 0 {
                order.push(name);
            }
            *count += 1;
        }
    }
    let entries = order.into_iter().map(|name| {
        let count = json!(counts[&name]);
        (name, count)
    });
    ordered(entries.collect::<Map<_, _>>(), &[])
}

/// `Ios16.reduceMean` of `reduce_mean`.
fn name(op: &str, opset: &str) -> String {
    let mut camel = String::new();
    for part in op.split('_') {
        let (first, rest) = part.split_at(usize::from(part.is_char_boundary(1)).min(part.len()));
        camel += &(first.to_uppercase() + rest);
    }
    match since(op, opset) {
        None => camel,
        Some(version) => {
            let (first, rest) =
                camel.split_at(usize::from(camel.is_char_boundary(1)).min(camel.len()));
            format!("Ios{version}.{}{rest}", first.to_lowercase())
        }
    }
}

/// The opset after iOS 15 that last redefined `op`, among those up to `opset`.
fn since(op: &str, opset: &str) -> Option<u32> {
    let version: u32 = opset.strip_prefix("ios")?.parse().ok()?;
    let later_16 = op.starts_with("reduce_") && !op.starts_with("reduce_arg");
    match version {
        _ if FIRST.contains(&op) => None,
        16 if SINCE_17.contains(&op) => None,
        17 if NOT_IN_17.contains(&op) || later_16 || op.starts_with("constexpr_") => Some(16),
        16..=18 => Some(version),
        19.. => Some(18),
        _ => None,
    }
}

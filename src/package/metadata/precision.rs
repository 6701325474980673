//! `computePrecision` and `storagePrecision`: the element types of a model, in prose.

use std::collections::{BTreeMap, BTreeSet};

use crate::mil::{Binding, Data, Function, Operation, Type};
use crate::numeric::DType;

/// The types of all results, and of the arguments of all operations but `cast`; booleans and texts are
/// not told.
pub(super) fn compute(functions: &[&Function]) -> Option<String> {
    let mut types = BTreeSet::new();
    for function in functions {
        let mut known: BTreeMap<&str, &Type> = BTreeMap::new();
        for input in &function.inputs {
            known.insert(&input.name, &input.ty);
        }
        for operation in function.operations() {
            let inputs = operation.blocks.iter().flat_map(|block| &block.inputs);
            for result in operation.outputs.iter().chain(inputs) {
                known.insert(&result.name, &result.ty);
                types.extend(result.ty.dtype());
            }
            if operation.op != "cast" {
                types.extend(arguments(operation).filter_map(|name| known.get(name)?.dtype()));
            }
        }
    }
    let told = types
        .into_iter()
        .filter(|dtype| !matches!(dtype, DType::Bool | DType::String));
    prose(told.map(name).collect())
}

fn arguments(operation: &Operation) -> impl Iterator<Item = &str> {
    let bindings = operation.inputs.values().flat_map(|a| a.bindings());
    bindings.filter_map(|binding| match binding {
        Binding::Name(name) => Some(name.as_str()),
        Binding::Value(_) => None,
    })
}

/// How the values in weight files are stored; none without weight files.
pub(super) fn storage(functions: &[&Function]) -> Option<String> {
    let mut forms = BTreeSet::new();
    for operation in functions.iter().flat_map(|function| function.operations()) {
        let values = operation.attributes.iter();
        let given = operation.inputs.iter().flat_map(|(parameter, argument)| {
            let bindings = argument.bindings().iter();
            bindings.filter_map(move |binding| match binding {
                Binding::Value(value) => Some((parameter, value)),
                Binding::Name(_) => None,
            })
        });
        for (parameter, value) in values.chain(given) {
            if let (Data::Blob { .. }, Some(dtype)) = (&value.data, value.ty.dtype()) {
                forms.insert(stored(operation, parameter, dtype));
            }
        }
    }
    prose(forms)
}

/// In words, the form of a parameter in a weight file.
fn stored(operation: &Operation, parameter: &str, dtype: DType) -> String {
    match parameter {
        "indices" | "indices_nonzero_data" => {
            format!("Palettized ({} bits)", index_bits(operation, dtype))
        }
        "mask" | "indices_mask" | "data_mask" => "Sparse".to_owned(),
        _ => name(dtype),
    }
}

/// Bits of an index: its own, or (in bytes, before iOS 18) as many as the table needs.
fn index_bits(operation: &Operation, dtype: DType) -> usize {
    let table = operation
        .attributes
        .get("lut")
        .and_then(|lut| lut.ty.shape());
    match table.as_deref() {
        Some([entries]) if *entries > 0 => entries.ilog2() as usize,
        _ => dtype.bits(),
    }
}

fn prose(mut names: BTreeSet<String>) -> Option<String> {
    match names.len() {
        0 | 1 => names.pop_first(),
        _ => {
            let names: Vec<String> = names.into_iter().collect();
            Some(format!("Mixed ({})", names.join(", ")))
        }
    }
}

/// `Float16`, `Int32`, `UInt8`, …
fn name(dtype: DType) -> String {
    let short = dtype.name();
    let long = [
        ("fp", "Float"),
        ("uint", "UInt"),
        ("int", "Int"),
        ("bf", "BFloat"),
    ];
    let mut long = long.into_iter();
    let found = long.find_map(|(short_, long)| Some(long.to_owned() + short.strip_prefix(short_)?));
    found.unwrap_or_else(|| short.to_owned())
}

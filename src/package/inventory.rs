//! The weights of a program by the way they are stored, told without touching a weight file.

use std::collections::{BTreeMap, BTreeSet};

use super::Bundle;
use super::constant::is_constant;
use crate::diag::Result;
use crate::mil::{Binding, Data, Function, Operation, Program, Type, Value};
use crate::numeric::DType;

/// Weights that are stored alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightForm {
    /// `dense`, or the operations that decompress, without `constexpr_` and the outermost first:
    /// `blockwise_shift_scale`, `sparse_to_dense of lut_to_sparse`.
    pub form: String,
    /// Element type of the part with the most elements; of the narrowest if several have as many.
    pub stored: DType,
    /// Element type of the dense values.
    pub dense: DType,
    pub tensors: usize,
    /// Of the dense values.
    pub elements: u64,
    /// As stored, scales and tables included.
    pub bytes: u64,
}

/// The constants of rank 1 and more in groups, the largest first; what several functions share counts
/// once.
pub fn weight_forms(program: &Program) -> Vec<WeightForm> {
    let mut groups = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for function in program.functions.values() {
        Walk::new(function).collect(&mut groups, &mut seen);
    }
    let mut forms: Vec<WeightForm> = groups.into_values().collect();
    forms.sort_by_key(|form| std::cmp::Reverse(form.bytes));
    forms
}

impl Bundle {
    /// The weight files that the program refers to, as it writes their paths, each with its size in
    /// bytes or the reason why it can't be used.
    pub fn weight_files(&self) -> BTreeMap<String, Result<u64>> {
        let functions = self.program.functions.values();
        let values = functions.flat_map(|f| f.operations().flat_map(Operation::values));
        let paths: BTreeSet<&str> = values.filter_map(|v| Some(blob(v)?.0)).collect();
        let size = |path: &str| Ok(self.weights.blob(path)?.bytes().len() as u64);
        paths
            .into_iter()
            .map(|path| (path.to_owned(), size(path)))
            .collect()
    }
}

type Groups = BTreeMap<(String, DType, DType), WeightForm>;

/// The constants of one function.
struct Walk<'a> {
    operations: Vec<&'a Operation>,
    definitions: BTreeMap<&'a str, &'a Operation>,
    /// Names that decompressing operations read.
    parts: BTreeSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn new(function: &'a Function) -> Self {
        let operations: Vec<_> = function.operations().filter(|op| is_constant(op)).collect();
        let outputs = operations.iter();
        let outputs = outputs.flat_map(|op| op.outputs.iter().map(|o| (o.name.as_str(), *op)));
        Self {
            definitions: outputs.collect(),
            parts: operations.iter().flat_map(|op| names(op)).collect(),
            operations,
        }
    }

    fn collect(&self, groups: &mut Groups, seen: &mut BTreeSet<(&'a str, u64)>) {
        for operation in &self.operations {
            let Some(output) = operation.outputs.last() else {
                continue;
            };
            let (Some(dense), Some(shape)) = (output.ty.dtype(), output.ty.shape()) else {
                continue;
            };
            if shape.is_empty() || self.parts.contains(output.name.as_str()) {
                continue;
            }
            let parts = self.stored(operation);
            let Some(main) = parts.iter().max_by_key(|part| size(&part.ty)) else {
                continue;
            };
            if blob(main).is_some_and(|place| !seen.insert(place)) {
                continue;
            }
            let stored = main.ty.dtype().unwrap_or(dense);
            let form = self.form(operation);
            let group = groups.entry((form.clone(), stored, dense));
            let group = group.or_insert_with(|| WeightForm {
                form,
                stored,
                dense,
                tensors: 0,
                elements: 0,
                bytes: 0,
            });
            group.tensors += 1;
            group.elements += shape.iter().map(|n| *n as u64).product::<u64>();
            group.bytes += parts.iter().map(|part| bytes(&part.ty)).sum::<u64>();
        }
    }

    /// The tensors that the constant is made from.
    fn stored(&self, operation: &'a Operation) -> Vec<&'a Value> {
        let own = operation.values();
        let mut parts: Vec<&Value> = own.filter(|v| is_tensor(v)).collect();
        let read = names(operation).filter_map(|name| self.definitions.get(name));
        parts.extend(read.flat_map(|operation| self.stored(operation)));
        parts
    }

    fn form(&self, operation: &Operation) -> String {
        let Some(form) = operation.op.strip_prefix("constexpr_") else {
            return "dense".into();
        };
        let read = names(operation).filter_map(|name| self.definitions.get(name));
        let inner = read.map(|operation| self.form(operation));
        let inner: BTreeSet<String> = inner.filter(|form| form != "dense").collect();
        inner.into_iter().fold(form.to_owned(), |form, inner| {
            form + " of " + inner.as_str()
        })
    }
}

fn names(operation: &Operation) -> impl Iterator<Item = &str> {
    let bindings = operation.inputs.values().flat_map(|a| a.bindings());
    bindings.filter_map(|binding| match binding {
        Binding::Name(name) => Some(name.as_str()),
        Binding::Value(_) => None,
    })
}

fn blob(value: &Value) -> Option<(&str, u64)> {
    match &value.data {
        Data::Blob { path, offset } => Some((path, *offset)),
        _ => None,
    }
}

fn is_tensor(value: &Value) -> bool {
    matches!(value.data, Data::Array(_) | Data::Blob { .. })
}

/// By which the main part is chosen: a scale for each element is no more than the elements.
fn size(ty: &Type) -> (usize, std::cmp::Reverse<usize>) {
    let elements = ty.shape().unwrap_or_default().iter().product();
    (
        elements,
        std::cmp::Reverse(ty.dtype().map_or(0, DType::bits)),
    )
}

/// Of a tensor as stored; elements below a byte are packed.
fn bytes(ty: &Type) -> u64 {
    let bits = ty.dtype().map_or(0, DType::bits) as u64;
    let extents = ty.shape().unwrap_or_default();
    let bits = extents
        .iter()
        .fold(bits, |n, extent| n.saturating_mul(*extent as u64));
    bits.div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mil::text;

    #[test]
    fn compressed_weights_count_with_their_parts() {
        let blob = |offset: u32| {
            format!("BLOBFILE(path = string(\"@model_path/w.bin\"), offset = uint64({offset}))")
        };
        let function = |name: &str| {
            format!(
                "func {name}<ios18>(fp16 x) {{
                tensor<fp16, [4, 8]> a = const()[val = tensor<fp16, [4, 8]>({})];
                tensor<uint4, [4, 8]> i = const()[val = tensor<uint4, [4, 8]>({})];
                tensor<fp16, [1, 1, 16, 1]> l = const()[val = tensor<fp16, [1, 1, 16, 1]>({})];
                tensor<fp16, [4, 8]> b = constexpr_lut_to_dense(indices = i, lut = l);
                fp16 s = const()[val = fp16(2)];
                fp16 y = mul(x = x, y = s); }} -> (y);",
                blob(64),
                blob(192),
                blob(320)
            )
        };
        let program = format!("program(1.3) {{ {} {} }}", function("f"), function("g"));
        let program = text::parse(&program, "test").unwrap().0;
        let forms = weight_forms(&program);
        let told = |f: &WeightForm| (f.form.clone(), f.stored, f.tensors, f.elements, f.bytes);
        let told: Vec<_> = forms.iter().map(told).collect();
        let expected = [
            ("dense".to_owned(), DType::Fp16, 1, 32, 64),
            ("lut_to_dense".to_owned(), DType::Uint4, 1, 32, 16 + 32),
        ];
        assert_eq!(told, expected);
        let description = crate::package::Description::from_program(&program).unwrap();
        let files = Bundle::new(program, description).weight_files();
        let (path, absent) = files.first_key_value().unwrap();
        assert_eq!(
            (path.as_str(), absent.is_err()),
            ("@model_path/w.bin", true)
        );
    }
}

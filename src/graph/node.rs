//! An operation as a box: what it is called, and the constants that it reads, in a line each.

use std::collections::BTreeMap;

use crate::mil::{Binding, Data, Dim, Operation, Type, Value};
use crate::numeric::DType;

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct OpNode {
    pub op: String,
    pub label: String,
    pub family: Family,
    /// Weights, then other constants.
    pub lines: Vec<String>,
    /// Everything there is to say, for a tooltip.
    pub details: String,
    /// Values that it reads, constants left out.
    pub reads: Vec<usize>,
    pub writes: Vec<usize>,
}

/// Kinds of operations that are drawn alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Weighted,
    Attention,
    Norm,
    Activation,
    Shape,
    State,
    Other,
}

impl Family {
    pub fn of(op: &str) -> Self {
        let any = |parts: &[&str]| parts.iter().any(|part| op.contains(part));
        if any(&["state", "coreml_update"]) {
            Family::State
        } else if any(&["linear", "conv", "lstm", "gru", "rnn", "gather"]) && op != "gather_nd" {
            Family::Weighted
        } else if any(&["attention", "matmul", "einsum", "softmax"]) {
            Family::Attention
        } else if any(&["norm", "rsqrt", "reduce_mean"]) {
            Family::Norm
        } else if any(&[
            "relu", "gelu", "silu", "sigmoid", "tanh", "elu", "softplus", "softsign", "clip",
        ]) {
            Family::Activation
        } else if any(&[
            "reshape",
            "transpose",
            "slice",
            "concat",
            "split",
            "squeeze",
            "expand_dims",
            "tile",
            "pad",
            "stack",
            "shape",
            "flatten",
            "cast",
            "reverse",
            "identity",
            "space",
            "pixel",
            "band_part",
        ]) {
            Family::Shape
        } else {
            Family::Other
        }
    }
}

/// Constants by name: `const` and `constexpr_*` operations.
pub(super) type Constants<'a> = BTreeMap<&'a str, &'a Operation>;

pub(super) fn is_constant(operation: &Operation) -> bool {
    operation.op == "const" || operation.op.starts_with("constexpr_")
}

/// The box's lines and tooltip; `reads` and `writes` are for the caller to fill in.
pub(super) fn node(operation: &Operation, constants: &Constants) -> OpNode {
    let mut weights = Vec::new();
    let mut settings = Vec::new();
    let mut details = vec![format!("{} \"{}\"", operation.op, operation.label())];
    for (parameter, argument) in &operation.inputs {
        for binding in argument.bindings() {
            let Some(text) = constant(binding, constants) else {
                let Binding::Name(name) = binding else {
                    continue;
                };
                details.push(format!("{parameter} = {name}"));
                continue;
            };
            details.push(format!("{parameter} = {}", text.long));
            match text.weight {
                true => weights.push(format!("{parameter} {}", text.short)),
                false => settings.push(format!("{parameter} {}", text.short)),
            }
            weights.extend(text.form.map(|form| format!("from {form}")));
        }
    }
    for output in &operation.outputs {
        details.push(format!("→ {}: {}", output.name, type_text(&output.ty)));
    }
    weights.extend(joined(settings));
    OpNode {
        op: operation.op.clone(),
        label: operation.label().to_owned(),
        family: Family::of(&operation.op),
        lines: weights.iter().map(|line| cut(line, LINE_MAX)).collect(),
        details: details.join("\n"),
        reads: Vec::new(),
        writes: Vec::new(),
    }
}

const LINE_MAX: usize = 34;

/// Short settings share a line.
fn joined(settings: Vec<String>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for setting in settings {
        match lines.last_mut() {
            Some(line) if line.chars().count() + setting.chars().count() + 2 <= LINE_MAX => {
                *line += ", ";
                *line += &setting;
            }
            _ => lines.push(setting),
        }
    }
    lines
}

pub(super) fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

struct ConstantText {
    short: String,
    long: String,
    /// How it is compressed.
    form: Option<String>,
    /// Whether it is a tensor of some size rather than a setting.
    weight: bool,
}

fn constant(binding: &Binding, constants: &Constants) -> Option<ConstantText> {
    let (name, operation) = match binding {
        Binding::Value(value) => return Some(literal(value, "")),
        Binding::Name(name) => (name.as_str(), *constants.get(name.as_str())?),
    };
    if let Some(value) = operation.constant() {
        return Some(literal(value, name));
    }
    let ty = operation
        .outputs
        .first()
        .map(|output| type_text(&output.ty));
    let short = ty.unwrap_or_default();
    let how = operation.op.trim_start_matches("constexpr_");
    let stored = stored(operation, constants).unwrap_or_default();
    let form = format!("{stored}{how}");
    Some(ConstantText {
        long: format!("{name}: {short}, {form}"),
        short,
        form: Some(form),
        weight: true,
    })
}

/// The element type of the largest part of a compressed constant, and a space.
fn stored(operation: &Operation, constants: &Constants) -> Option<String> {
    let bindings = operation.inputs.values().flat_map(|a| a.bindings());
    let named = bindings.filter_map(|binding| match binding {
        Binding::Value(value) => Some(&value.ty),
        Binding::Name(name) => constants.get(name.as_str())?.outputs.first().map(|o| &o.ty),
    });
    let types = named.chain(operation.attributes.values().map(|value| &value.ty));
    let elements = |ty: &&Type| {
        ty.shape()
            .map_or(0, |shape| shape.iter().product::<usize>())
    };
    let largest = types.max_by_key(elements)?;
    Some(format!("{} ", largest.dtype()?))
}

fn literal(value: &Value, name: &str) -> ConstantText {
    let ty = type_text(&value.ty);
    let named = |text: &str| match name {
        "" => text.to_owned(),
        _ => format!("{name}: {text}"),
    };
    let text = match &value.data {
        Data::Texts(texts) => texts.join(", "),
        Data::Array(array) if array.len() <= 8 => {
            let number = |value: &f64| match array.dtype() {
                DType::Bool => (*value != 0.0).to_string(),
                _ => short(*value),
            };
            let numbers: Vec<String> = array.to_f64s().iter().map(number).collect();
            match array.shape() {
                [] => numbers.concat(),
                _ => format!("[{}]", numbers.join(", ")),
            }
        }
        _ => {
            return ConstantText {
                long: named(&ty),
                short: ty,
                form: None,
                weight: true,
            };
        }
    };
    ConstantText {
        long: named(&format!("{ty} = {text}")),
        short: text,
        form: None,
        weight: false,
    }
}

/// Four significant digits, as an exponent if it is very small or large.
fn short(value: f64) -> String {
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    match value.fract() == 0.0 || !value.is_finite() {
        true if value.abs() < 1e7 || !value.is_finite() => value.to_string(),
        false if value.abs() >= 1e-3 => rounded.to_string(),
        _ => format!("{rounded:e}"),
    }
}

/// `fp16 1×?×576`.
pub(super) fn type_text(ty: &Type) -> String {
    match ty {
        Type::Tensor { dtype, dims } if dims.is_empty() => dtype.to_string(),
        Type::Tensor { dtype, dims } => format!("{dtype} {}", extents(dims)),
        Type::State(inner) => format!("state {}", type_text(inner)),
        Type::List { item, .. } => format!("list of {}", type_text(item)),
        Type::Tuple(_) => "tuple".to_owned(),
        Type::Dict { .. } => "dictionary".to_owned(),
    }
}

fn extents(dims: &[Dim]) -> String {
    let texts: Vec<String> = dims
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(n) => n.to_string(),
            Dim::Unknown => "?".to_owned(),
            Dim::Variadic => "…".to_owned(),
        })
        .collect();
    texts.join("×")
}

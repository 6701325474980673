//! The types of the intermediate representation.

use std::collections::BTreeMap;

use crate::numeric::{Array, DType};

/// Attributes of a program, function or operation, sorted by name as Apple writes them.
pub type Attributes = BTreeMap<String, Value>;

/// A whole program: one or more functions over shared weights.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Program {
    /// By name, sorted.
    pub functions: BTreeMap<String, Function>,
    /// Among them `buildInfo`, which tools write and nothing depends on.
    pub attributes: Attributes,
}

/// A function of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// `ios15` … `ios18`, `ios26`: the text form of the protobuf's `CoreML5` … `CoreML9`.
    pub opset: String,
    /// Bound by name; sorted by name in text, in the author's order in a package.
    pub inputs: Vec<NamedType>,
    /// Among them `FlexibleShapeInformation`.
    pub attributes: Attributes,
    pub block: Block,
}

/// A straight list of operations with named results.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Block {
    /// Values that the enclosing operation hands in (loop variables); empty for a function's block.
    pub inputs: Vec<NamedType>,
    pub operations: Vec<Operation>,
    /// Names of the block's results, in order.
    pub outputs: Vec<String>,
}

/// One operation. Constants are operations too: `const` with the attribute `val`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Operation {
    /// `linear`, `const`, `constexpr_lut_to_dense`, …
    pub op: String,
    pub inputs: BTreeMap<String, Argument>,
    pub outputs: Vec<NamedType>,
    /// Bodies of `cond` and `while_loop`.
    pub blocks: Vec<Block>,
    /// `name` (a debug label), `val` of a `const`, everything of an iOS 16 `constexpr_*`.
    pub attributes: Attributes,
}

/// What is given for one parameter: one binding, or several where the parameter is variadic.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    One(Binding),
    Many(Vec<Binding>),
}

/// A reference to a value of the block, or a literal in its place.
#[derive(Debug, Clone, PartialEq)]
pub enum Binding {
    Name(String),
    Value(Value),
}

/// A name with its type.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedType {
    pub name: String,
    pub ty: Type,
}

/// A type of MIL. A scalar is a tensor of rank 0.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    Tensor { dtype: DType, dims: Vec<Dim> },
    List { item: Box<Type>, length: Dim },
    Tuple(Vec<Type>),
    Dict { key: Box<Type>, value: Box<Type> },
    State(Box<Type>),
}

/// One extent of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dim {
    Fixed(usize),
    /// `?`: known only at run time.
    Unknown,
    /// `...`: any number of extents.
    Variadic,
}

/// A typed literal.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    pub ty: Type,
    pub data: Data,
}

/// The payload of a [`Value`].
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// A tensor of numbers or booleans.
    Array(Array),
    /// A tensor of strings, row-major; one string for a scalar.
    Texts(Vec<String>),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// A tensor kept in a weight file: `path` as written (`@model_path/weights/weight.bin`) and the
    /// byte offset of its metadata there.
    Blob {
        path: String,
        offset: u64,
    },
}

impl Type {
    pub fn tensor(dtype: DType, shape: &[usize]) -> Self {
        Type::Tensor {
            dtype,
            dims: shape.iter().map(|d| Dim::Fixed(*d)).collect(),
        }
    }

    pub fn scalar(dtype: DType) -> Self {
        Type::Tensor {
            dtype,
            dims: Vec::new(),
        }
    }

    /// Element type of a tensor, or of the tensor in a state.
    pub fn dtype(&self) -> Option<DType> {
        match self {
            Type::Tensor { dtype, .. } => Some(*dtype),
            Type::State(inner) => inner.dtype(),
            _ => None,
        }
    }

    /// Extents of a tensor, or of the tensor in a state.
    pub fn dims(&self) -> Option<&[Dim]> {
        match self {
            Type::Tensor { dims, .. } => Some(dims),
            Type::State(inner) => inner.dims(),
            _ => None,
        }
    }

    /// The shape, if this is a tensor (or state of one) without unknown extents.
    pub fn shape(&self) -> Option<Vec<usize>> {
        self.dims()?
            .iter()
            .map(|d| match d {
                Dim::Fixed(n) => Some(*n),
                _ => None,
            })
            .collect()
    }
}

impl Value {
    pub fn array(array: Array) -> Self {
        Value {
            ty: Type::tensor(array.dtype(), array.shape()),
            data: Data::Array(array),
        }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Value {
            ty: Type::scalar(DType::String),
            data: Data::Texts(vec![text.into()]),
        }
    }

    /// The string of a scalar string value.
    pub fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Texts(texts) if texts.len() == 1 => Some(&texts[0]),
            _ => None,
        }
    }
}

impl Operation {
    /// The debug label: attribute `name`, else the first output's name.
    pub fn label(&self) -> &str {
        self.attributes
            .get("name")
            .and_then(Value::as_text)
            .or_else(|| self.outputs.first().map(|o| o.name.as_str()))
            .unwrap_or(&self.op)
    }

    /// The value of a `const`.
    pub fn constant(&self) -> Option<&Value> {
        (self.op == "const").then(|| self.attributes.get("val"))?
    }
}

impl Argument {
    /// An argument of these bindings: a single one is never [`Argument::Many`].
    pub fn of(mut bindings: Vec<Binding>) -> Self {
        match bindings.len() {
            1 => Argument::One(bindings.remove(0)),
            _ => Argument::Many(bindings),
        }
    }

    /// The bindings, in order.
    pub fn bindings(&self) -> &[Binding] {
        match self {
            Argument::One(binding) => std::slice::from_ref(binding),
            Argument::Many(bindings) => bindings,
        }
    }
}

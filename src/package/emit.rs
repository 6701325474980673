//! The `constexpr_*` operations of a compressed weight.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Error, Result};
use crate::fail;
use crate::mil::{Argument, Attributes, Binding, Function, NamedType, Operation, Type, Value};
use crate::numeric::{Array, DType, pack};
use crate::weights::encode::Encoded;

/// How operations carry their pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As attributes, indices and masks packed in bytes: iOS 16.
    Attributes,
    /// As arguments, which may be results of other operations: iOS 18.
    Arguments,
}

impl Form {
    /// The form in which `operation` of `function` has its pieces.
    pub fn of(operation: &Operation, function: &Function) -> Self {
        match operation.inputs.is_empty() {
            true => Form::Attributes,
            false => Form::for_function(function),
        }
    }

    /// The form for new operations in `function`.
    pub fn for_function(function: &Function) -> Self {
        match function.specification().is_none_or(|version| version >= 9) {
            true => Form::Arguments,
            false => Form::Attributes,
        }
    }
}

/// Writes operations.
pub(super) struct Emitter<'a> {
    pub form: Form,
    /// Names that are taken.
    pub names: &'a mut BTreeSet<String>,
}

impl Emitter<'_> {
    /// The operations that give `output` from its pieces, in the order in which they must stand.
    pub fn emit(&mut self, encoded: &Encoded, output: NamedType) -> Result<Vec<Operation>> {
        match self.form {
            Form::Attributes => Ok(vec![attributes(encoded, output)?]),
            Form::Arguments => {
                let mut operations = Vec::new();
                self.arguments(encoded, output, &mut operations)?;
                Ok(operations)
            }
        }
    }

    fn arguments(
        &mut self,
        encoded: &Encoded,
        output: NamedType,
        before: &mut Vec<Operation>,
    ) -> Result<()> {
        let label = output.name.clone();
        let operation = match encoded {
            Encoded::Dense(array) => constant(array, output),
            Encoded::Linear { .. } => Operation {
                op: "constexpr_blockwise_shift_scale".into(),
                inputs: linear(encoded, "data")?,
                ..labelled(vec![output])
            },
            Encoded::Palette { lut, .. } => {
                let lut = self.part(lut, &format!("{label}_lut"), before)?;
                Operation {
                    op: "constexpr_lut_to_dense".into(),
                    inputs: palette(encoded, "indices", lut)?,
                    ..labelled(vec![output])
                }
            }
            Encoded::Sparse { mask, values } => {
                let (mask, nonzero) = self.nonzero(mask, values, &label, before)?;
                Operation {
                    op: "constexpr_sparse_to_dense".into(),
                    inputs: [("mask", mask), ("nonzero_data", nonzero)]
                        .map(argument)
                        .into(),
                    ..labelled(vec![output])
                }
            }
            Encoded::Cast { source, dtype } => {
                let source = self.part(source, &format!("{label}_stored"), before)?;
                let dtype = Binding::Value(Value::text(dtype.name()));
                Operation {
                    op: "constexpr_cast".into(),
                    inputs: [("output_dtype", dtype), ("source_val", source)]
                        .map(argument)
                        .into(),
                    ..labelled(vec![output])
                }
            }
        };
        before.push(operation);
        Ok(())
    }

    /// A part: in place if it is dense, else an operation of its own.
    fn part(
        &mut self,
        encoded: &Encoded,
        name: &str,
        before: &mut Vec<Operation>,
    ) -> Result<Binding> {
        if let Encoded::Dense(array) = encoded {
            return Ok(literal(array));
        }
        let name = self.fresh(name);
        let ty = Type::tensor(encoded.dtype(), &encoded.shape());
        let output = NamedType {
            name: name.clone(),
            ty,
        };
        self.arguments(encoded, output, before)?;
        Ok(Binding::Name(name))
    }

    /// Mask and values of a sparse weight: literals, or the two results of an operation.
    fn nonzero(
        &mut self,
        mask: &Array,
        values: &Encoded,
        label: &str,
        before: &mut Vec<Operation>,
    ) -> Result<(Binding, Binding)> {
        let (op, mut inputs, parameter) = match values {
            Encoded::Dense(array) => return Ok((literal(mask), literal(array))),
            Encoded::Linear { .. } => (
                "constexpr_sparse_blockwise_shift_scale",
                linear(values, "nonzero_data")?,
                "data_mask",
            ),
            Encoded::Palette { lut, .. } => {
                let lut = self.part(lut, &format!("{label}_lut"), before)?;
                (
                    "constexpr_lut_to_sparse",
                    palette(values, "indices_nonzero_data", lut)?,
                    "indices_mask",
                )
            }
            _ => fail!("the values of a sparse weight are dense, linear or a palette"),
        };
        inputs.insert(parameter.into(), Argument::One(literal(mask)));
        let sparse = Encoded::Sparse {
            mask: mask.clone(),
            values: Box::new(values.clone()),
        };
        let names = [
            self.fresh(&format!("{label}_mask")),
            self.fresh(&format!("{label}_nonzero")),
        ];
        let types = [
            Type::tensor(DType::Uint1, &sparse.shape()),
            Type::tensor(values.dtype(), &values.shape()),
        ];
        let outputs = names.iter().cloned().zip(types);
        let outputs = outputs.map(|(name, ty)| NamedType { name, ty }).collect();
        before.push(Operation {
            op: op.into(),
            inputs,
            ..labelled(outputs)
        });
        let [mask, nonzero] = names.map(Binding::Name);
        Ok((mask, nonzero))
    }

    /// `wish`, or that with a number that makes it new.
    fn fresh(&mut self, wish: &str) -> String {
        let numbered = (1..).map(|n| format!("{wish}_{n}"));
        let mut names = std::iter::once(wish.to_owned()).chain(numbered);
        let name = names.find(|name| !self.names.contains(name));
        let name = name.unwrap_or_else(|| wish.to_owned());
        self.names.insert(name.clone());
        name
    }
}

type Inputs = BTreeMap<String, Argument>;

/// An operation without inputs, labelled with its last result's name.
fn labelled(outputs: Vec<NamedType>) -> Operation {
    let label = outputs.last().map_or("", |output| &output.name);
    Operation {
        attributes: Attributes::from([("name".to_owned(), Value::text(label))]),
        outputs,
        ..Operation::default()
    }
}

/// A `const`.
pub(super) fn constant(array: &Array, output: NamedType) -> Operation {
    let mut operation = labelled(vec![output]);
    operation.op = "const".into();
    let value = Value::array(array.clone());
    operation.attributes.insert("val".into(), value);
    operation
}

fn literal(array: &Array) -> Binding {
    Binding::Value(Value::array(array.clone()))
}

fn argument((name, binding): (&str, Binding)) -> (String, Argument) {
    (name.to_owned(), Argument::One(binding))
}

fn linear(encoded: &Encoded, data_name: &str) -> Result<Inputs> {
    let Encoded::Linear {
        data,
        scale,
        offset,
    } = encoded
    else {
        fail!("the values are not linear");
    };
    let mut inputs =
        Inputs::from([(data_name, literal(data)), ("scale", literal(scale))].map(argument));
    if let Some(offset) = offset {
        inputs.insert("offset".into(), Argument::One(literal(offset)));
    }
    Ok(inputs)
}

fn palette(encoded: &Encoded, indices_name: &str, lut: Binding) -> Result<Inputs> {
    let Encoded::Palette {
        indices,
        vector_axis,
        ..
    } = encoded
    else {
        fail!("the values are not a palette");
    };
    let mut inputs = Inputs::from([(indices_name, literal(indices)), ("lut", lut)].map(argument));
    if let Some(axis) = vector_axis {
        let axis = Array::from_i64s(DType::Int32, Vec::new(), &[*axis])?;
        inputs.insert("vector_axis".into(), Argument::One(literal(&axis)));
    }
    Ok(inputs)
}

/// The one operation of iOS 16 that holds all pieces.
fn attributes(encoded: &Encoded, output: NamedType) -> Result<Operation> {
    let shape = encoded.shape();
    let (op, pieces) = match encoded {
        Encoded::Dense(array) => return Ok(constant(array, output)),
        Encoded::Linear {
            data,
            scale,
            offset,
        } => (
            "constexpr_affine_dequantize",
            affine(data, scale, offset.as_ref())?,
        ),
        Encoded::Palette { indices, lut, .. } => {
            let Encoded::Dense(lut) = &**lut else {
                return Err(needs_ios18("a compressed look-up table"));
            };
            if lut.len() != 1 << indices.dtype().bits() || indices.dtype() == DType::Uint3 {
                return Err(needs_ios18("several look-up tables, vectors or 3 bits"));
            }
            let lut = lut.clone().reshaped(vec![lut.len()])?;
            let pieces = [
                ("indices", packed(indices)?),
                ("lut", lut),
                ("shape", extents(&shape)?),
            ];
            ("constexpr_lut_to_dense", pieces.into())
        }
        Encoded::Sparse { mask, values } => {
            let Encoded::Dense(values) = &**values else {
                return Err(needs_ios18("compressed sparse values"));
            };
            let pieces = [
                ("mask", packed(mask)?),
                ("nonzero_data", values.clone()),
                ("shape", extents(&shape)?),
            ];
            ("constexpr_sparse_to_dense", pieces.into())
        }
        Encoded::Cast { source, .. } => {
            let Encoded::Dense(source) = &**source else {
                return Err(needs_ios18("a cast of a compressed weight"));
            };
            ("constexpr_cast", vec![("source_val", source.clone())])
        }
    };
    let mut operation = labelled(vec![output]);
    operation.op = op.into();
    let pieces = pieces.into_iter();
    let pieces = pieces.map(|(name, array)| (name.to_owned(), Value::array(array)));
    operation.attributes.extend(pieces);
    if let Encoded::Cast { dtype, .. } = encoded {
        let dtype = Value::text(dtype.name());
        operation.attributes.insert("output_dtype".into(), dtype);
    }
    Ok(operation)
}

type Pieces = Vec<(&'static str, Array)>;

fn affine(data: &Array, scale: &Array, offset: Option<&Array>) -> Result<Pieces> {
    let mut long = scale.shape().iter().enumerate().filter(|(_, n)| **n > 1);
    let axis = long.next().map_or(0, |(axis, _)| axis);
    if long.next().is_some() || !matches!(data.dtype(), DType::Int8 | DType::Uint8) {
        return Err(needs_ios18("blocks, or numbers of other than 8 bits"));
    }
    let shape = match scale.len() {
        1 => Vec::new(),
        n => vec![n],
    };
    let zero = match offset {
        Some(offset) => offset.cast(data.dtype())?.reshaped(shape.clone())?,
        None => Array::from_i64s(data.dtype(), shape.clone(), &vec![0; scale.len()])?,
    };
    Ok(vec![
        (
            "axis",
            Array::from_i64s(DType::Int32, Vec::new(), &[axis as i64])?,
        ),
        ("quantized_data", data.clone()),
        ("scale", scale.clone().reshaped(shape)?),
        ("zero_point", zero),
    ])
}

fn packed(array: &Array) -> Result<Array> {
    let bytes = match array.dtype().bits() {
        ..8 => pack(array),
        _ => array.bytes().to_vec(),
    };
    Array::new(DType::Uint8, vec![bytes.len()], bytes)
}

fn extents(shape: &[usize]) -> Result<Array> {
    let extents: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
    Array::from_i64s(DType::Uint32, vec![shape.len()], &extents)
}

fn needs_ios18(what: &str) -> Error {
    Error::new(format!("{what} can be written for iOS 18 and later only"))
        .hint("store the weight dense")
}

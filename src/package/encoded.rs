//! A compressed weight of a program as the pieces it is made from.

use super::Bundle;
use super::constant::{Definitions, Parameters, is_constant};
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::mil::{Binding, Operation};
use crate::numeric::{Array, DType, unpack};
use crate::weights::encode::{Encoded, palette_type};

/// Operations from a weight down to its pieces.
const DEPTH_MAX: usize = 4;

/// Reads pieces; those that are constants themselves are followed.
pub(super) struct Reader<'a> {
    pub bundle: &'a Bundle,
    pub definitions: &'a Definitions<'a>,
}

impl<'a> Reader<'a> {
    /// The operation whose result is called `name`.
    pub fn definition(&self, name: &str) -> Result<&'a Operation> {
        match self.definitions.get(name) {
            Some((operation, _)) => Ok(operation),
            None => fail!("the function has no value \"{name}\""),
        }
    }

    /// The dense value of a weight.
    pub fn dense(&self, operation: &Operation) -> Result<Array> {
        self.bundle
            .weight_among(self.definitions, &operation.outputs[0].name)
    }

    /// The pieces of the weight that `operation` gives.
    pub fn read(&self, operation: &Operation) -> Result<Encoded> {
        self.read_to(operation, DEPTH_MAX)
            .with_context(|| format!("{} \"{}\"", operation.op, operation.label()))
    }

    fn read_to(&self, operation: &Operation, depth: usize) -> Result<Encoded> {
        let mut known = |name: &str| self.array(name);
        let mut p = Parameters {
            bundle: self.bundle,
            operation,
            known: &mut known,
        };
        match operation.op.as_str() {
            "const" => Ok(Encoded::Dense(p.array("val")?)),
            "constexpr_affine_dequantize" => affine(&mut p),
            "constexpr_blockwise_shift_scale" => linear(&mut p, "data"),
            "constexpr_sparse_blockwise_shift_scale" => linear(&mut p, "nonzero_data"),
            "constexpr_lut_to_dense" => {
                let (indices, lut) = match p.shape()? {
                    Some(shape) => packed_palette(&mut p, &shape)?,
                    None => (p.array("indices")?, self.inner(operation, "lut", depth)?),
                };
                palette(&mut p, indices, lut)
            }
            "constexpr_lut_to_sparse" => {
                let lut = self.inner(operation, "lut", depth)?;
                let indices = p.array("indices_nonzero_data")?;
                palette(&mut p, indices, lut)
            }
            "constexpr_sparse_to_dense" => {
                let values = Box::new(self.inner(operation, "nonzero_data", depth)?);
                let mask = match (p.shape()?, self.source(operation, "nonzero_data")) {
                    (Some(shape), _) => packed_mask(&mut p, shape)?,
                    (None, Some(inner)) if inner.op == "constexpr_lut_to_sparse" => {
                        self.piece(inner, "indices_mask")?
                    }
                    _ => p.array("mask")?,
                };
                Ok(Encoded::Sparse { mask, values })
            }
            "constexpr_cast" => Ok(Encoded::Cast {
                source: Box::new(self.inner(operation, "source_val", depth)?),
                dtype: match operation.outputs.first().and_then(|o| o.ty.dtype()) {
                    Some(dtype) => dtype,
                    None => fail!("the result is not a tensor"),
                },
            }),
            other => fail!("{other} is not a compressed weight"),
        }
    }

    /// What the parameter is made from: a literal, or another constant operation.
    fn inner(&self, operation: &Operation, parameter: &str, depth: usize) -> Result<Encoded> {
        match (self.source(operation, parameter), depth.checked_sub(1)) {
            (Some(inner), Some(depth)) => self.read_to(inner, depth),
            (Some(_), None) => fail!("it is at the end of too long a chain of compressed weights"),
            (None, _) => Ok(Encoded::Dense(self.piece(operation, parameter)?)),
        }
    }

    /// The operation that gives the parameter, if it is a name.
    fn source(&self, operation: &Operation, parameter: &str) -> Option<&Operation> {
        match operation.inputs.get(parameter)?.bindings() {
            [Binding::Name(name)] => Some(self.definitions.get(name.as_str())?.0),
            _ => None,
        }
    }

    fn piece(&self, operation: &Operation, parameter: &str) -> Result<Array> {
        let mut known = |name: &str| self.array(name);
        let mut p = Parameters {
            bundle: self.bundle,
            operation,
            known: &mut known,
        };
        p.array(parameter)
    }

    /// A piece that is given by name: a `const`, or the mask that goes with sparse values.
    fn array(&self, name: &str) -> Result<Array> {
        match self.definitions.get(name) {
            Some((operation, _)) if operation.op == "const" => self.piece(operation, "val"),
            Some((operation, 0)) if operation.op == "constexpr_sparse_blockwise_shift_scale" => {
                self.piece(operation, "data_mask")
            }
            Some((operation, _)) if is_constant(operation) => Err(Error::new(format!(
                "\"{name}\", a result of {}, stands where only stored numbers can be written again",
                operation.op
            ))
            .hint("store the weight dense")),
            _ => fail!("\"{name}\" is not a constant"),
        }
    }
}

/// Scale and zero point along an axis, or one for all.
fn affine(p: &mut Parameters) -> Result<Encoded> {
    let data = p.array("quantized_data")?;
    let (scale, zero) = (p.array("scale")?, p.array("zero_point")?);
    let entries = scale.len().max(zero.len());
    let axis = p.integer("axis")?.unwrap_or(0);
    let rank = data.shape().len();
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    let mut grid = vec![1; rank];
    match usize::try_from(axis)
        .ok()
        .and_then(|axis| grid.get_mut(axis))
    {
        Some(extent) => *extent = entries,
        None if entries == 1 => {}
        None => fail!("axis {axis} is out of range for rank {rank}"),
    }
    let along = |array: Array| match array.len() {
        n if n == entries => array.reshaped(grid.clone()),
        1 => Array::new(array.dtype(), grid.clone(), array.bytes().repeat(entries)),
        n => fail!("{n} entries along the axis where {entries} are expected"),
    };
    Ok(Encoded::Linear {
        data,
        scale: along(scale)?,
        offset: Some(along(zero)?),
    })
}

fn linear(p: &mut Parameters, data: &str) -> Result<Encoded> {
    Ok(Encoded::Linear {
        data: p.array(data)?,
        scale: p.array("scale")?,
        offset: p.optional("offset")?,
    })
}

fn palette(p: &mut Parameters, indices: Array, lut: Encoded) -> Result<Encoded> {
    Ok(Encoded::Palette {
        indices,
        lut: Box::new(lut),
        vector_axis: p.integer("vector_axis")?,
    })
}

/// Indices and table of the form of iOS 16.
fn packed_palette(p: &mut Parameters, shape: &[usize]) -> Result<(Array, Encoded)> {
    let lut = p.array("lut")?;
    let bits = lut.len().max(1).ilog2() as usize;
    let indices = unpacked(&p.array("indices")?, palette_type(bits)?, shape.to_vec())?;
    let mut table = vec![1; shape.len()];
    table.extend([lut.len(), 1]);
    Ok((indices, Encoded::Dense(lut.reshaped(table)?)))
}

fn packed_mask(p: &mut Parameters, shape: Vec<usize>) -> Result<Array> {
    unpacked(&p.array("mask")?, DType::Uint1, shape)
}

fn unpacked(packed: &Array, dtype: DType, shape: Vec<usize>) -> Result<Array> {
    let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    match count {
        Some(count) if count.div_ceil(8) <= packed.len() => {
            Array::new(dtype, shape, unpack(packed.bytes(), dtype, count))
        }
        _ => fail!(
            "{} bytes do not hold {dtype} of shape {shape:?}",
            packed.len()
        ),
    }
}

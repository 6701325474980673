//! Weights of a checkpoint, in the form in which a program has them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Linear, Norm, NormKind, Part, Stored, Transformer};
use crate::convert::Checkpoint;
use crate::diag::{Error, Kind, Result};
use crate::numeric::{Array, DType};

/// Reads weights, and remembers which.
pub(in crate::convert) struct Weights<'a> {
    source: &'a Checkpoint,
    read: BTreeSet<String>,
    /// What was made of them, for functions that share them.
    made: BTreeMap<(String, DType), Array>,
}

impl<'a> Weights<'a> {
    pub fn of(source: &'a Checkpoint) -> Self {
        Self {
            source,
            read: BTreeSet::new(),
            made: BTreeMap::new(),
        }
    }

    /// `[outputs, inputs]`.
    pub fn matrix(&mut self, linear: &Linear, dtype: DType) -> Result<Array> {
        let (inputs, outputs) = (linear.inputs, linear.stored_outputs());
        let name = format!("{}.weight", linear.name);
        self.once(&format!("{}.weight", linear.label()), dtype, |own| {
            let rows = match linear.stored {
                Stored::Rows => own.read(&name, &[outputs, inputs])?,
                Stored::Columns => transposed(&own.read(&name, &[inputs, outputs])?)?,
            };
            part(rows, linear)
        })
    }

    /// `[outputs]`.
    pub fn bias(&mut self, linear: &Linear, dtype: DType) -> Result<Array> {
        let name = format!("{}.bias", linear.name);
        self.once(&format!("{}.bias", linear.label()), dtype, |own| {
            part(own.read(&name, &[linear.stored_outputs()])?, linear)
        })
    }

    /// What a normed value is multiplied by, `[width]`.
    pub fn norm(&mut self, norm: &Norm, width: usize, dtype: DType) -> Result<Array> {
        let name = format!("{}.weight", norm.name);
        self.once(&name, dtype, |own| {
            let weight = own.read(&name, &[width])?;
            if norm.kind != NormKind::RmsPlusOne {
                return Ok(weight);
            }
            let values: Vec<f64> = weight.to_f64s().into_iter().map(|w| w + 1.0).collect();
            Array::from_f64s(DType::Fp32, vec![width], &values)
        })
    }

    /// A weight as the checkpoint has it.
    pub fn stored(&mut self, name: &str, shape: &[usize], dtype: DType) -> Result<Array> {
        self.once(name, dtype, |own| own.read(name, shape))
    }

    /// The first `count` rows of a table with as many at least.
    pub fn table(&mut self, name: &str, [count, width]: [usize; 2], dtype: DType) -> Result<Array> {
        let stored = self.source.tensors.shapes().get(name);
        let all = stored.and_then(|shape| shape.first()).copied();
        self.once(name, dtype, |own| {
            let whole = own.read(name, &[all.unwrap_or(count).max(count), width])?;
            rows(&whole, std::iter::once((0, count)))
        })
    }

    fn once(
        &mut self,
        name: &str,
        dtype: DType,
        make: impl FnOnce(&mut Self) -> Result<Array>,
    ) -> Result<Array> {
        let key = (name.to_owned(), dtype);
        if let Some(made) = self.made.get(&key) {
            return Ok(made.clone());
        }
        let (array, named) = (make(self)?, name.to_owned());
        let round = move || rounded(array, &named, dtype);
        let array = self.source.interrupt.leave(round)??;
        self.made.insert(key, array.clone());
        Ok(array)
    }

    fn read(&mut self, name: &str, shape: &[usize]) -> Result<Array> {
        self.read.insert(name.to_owned());
        self.source.weight(name, shape)
    }

    /// Fails if the checkpoint has weights that no program read: then it is not the model that was described.
    pub fn check_all_read(&self, model: &Transformer) -> Result<()> {
        let names = self.source.tensors.shapes().keys();
        let unread = names.filter(|name| !self.read.contains(*name) && !model.ignores(name));
        let unread: Vec<&str> = unread.map(String::as_str).collect();
        let Some(first) = unread.first() else {
            return Ok(());
        };
        let message = format!(
            "the checkpoint has {} weights that its architecture does not use, such as \"{first}\"",
            unread.len()
        );
        Err(Error::new(message).hint("config.json is of another model, or a newer version of it"))
    }
}

/// `array` rounded to `dtype`; a value that does not fit is an error.
fn rounded(array: Array, name: &str, dtype: DType) -> Result<Array> {
    if array.dtype() == dtype {
        return Ok(array);
    }
    let rounded = array.cast(dtype)?;
    let finite = |array: &Array| array.to_f32s().iter().all(|v| v.is_finite());
    if !finite(&rounded) {
        let message = format!("weight \"{name}\" has values that do not fit {dtype}");
        let hint = match finite(&array) {
            true => "convert with precision fp32",
            false => "the checkpoint itself has values that are not finite",
        };
        return Err(Error::new(message).kind_of(Kind::NonFinite).hint(hint));
    }
    Ok(rounded)
}

/// The rows of `whole` that `linear` has.
fn part(whole: Array, linear: &Linear) -> Result<Array> {
    match linear.part {
        Part::All => Ok(whole),
        Part::Run { start, .. } => rows(&whole, std::iter::once((start, linear.outputs))),
        Part::PerHead {
            heads, which, of, ..
        } => {
            let each = linear.outputs / heads;
            rows(&whole, (0..heads).map(|h| ((h * of + which) * each, each)))
        }
    }
}

/// Runs of rows, by first and count.
fn rows(whole: &Array, runs: impl Iterator<Item = (usize, usize)>) -> Result<Array> {
    let mut shape = whole.shape().to_vec();
    let row: usize = shape[1..].iter().product::<usize>() * whole.dtype().bytes();
    let (mut bytes, mut count) = (Vec::new(), 0);
    for (first, n) in runs {
        bytes.extend_from_slice(&whole.bytes()[first * row..(first + n) * row]);
        count += n;
    }
    shape[0] = count;
    Array::new(whole.dtype(), shape, bytes)
}

fn transposed(matrix: &Array) -> Result<Array> {
    let &[rows, columns] = matrix.shape() else {
        return Err(Error::new("only a matrix can be transposed"));
    };
    let size = matrix.dtype().bytes();
    let mut bytes = Vec::with_capacity(matrix.bytes().len());
    for column in 0..columns {
        for row in 0..rows {
            let at = (row * columns + column) * size;
            bytes.extend_from_slice(&matrix.bytes()[at..at + size]);
        }
    }
    Array::new(matrix.dtype(), vec![columns, rows], bytes)
}

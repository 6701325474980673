//! How GGUF files lay weights out other than Hugging Face's do, and back.

use crate::diag::Result;
use crate::fail;
use crate::numeric::Array;

/// What was done to a weight when the file was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Layout {
    Same,
    /// The rows of each of so many heads have their halves interleaved, as rotary positions were first
    /// written.
    Heads(usize),
    /// Queries, keys and values stand one after the other; they belong together by head, of so many.
    Grouped(usize),
    /// `[in, out]` is kept as `[out, in]`.
    Transposed,
    /// 1 was added, so that a norm multiplies by the weight as it stands.
    PlusOne,
}

impl Layout {
    /// Of the weight in Hugging Face's layout, given its shape in the file.
    pub fn shape(self, shape: &[usize]) -> Vec<usize> {
        match self {
            Self::Transposed => shape.iter().rev().copied().collect(),
            _ => shape.to_vec(),
        }
    }

    /// The weight as it was before.
    pub fn undo(self, weight: Array) -> Result<Array> {
        let rows = weight.shape().first().copied().unwrap_or(0);
        match self {
            Self::Same => Ok(weight),
            Self::Heads(heads) => {
                let half = divided(rows, 2 * heads)?;
                // Row j·half + i of a head is row 2·i + j here.
                by_rows(weight, |row| {
                    let (head, within) = (row / (2 * half), row % (2 * half));
                    head * 2 * half + 2 * (within % half) + within / half
                })
            }
            Self::Grouped(heads) => {
                let width = divided(rows, 3 * heads)?;
                // Row (head, part, i) is row (part, head, i) here.
                by_rows(weight, |row| {
                    let (head, part, i) = (row / (3 * width), row / width % 3, row % width);
                    (part * heads + head) * width + i
                })
            }
            Self::Transposed => transposed(weight),
            Self::PlusOne => {
                let values: Vec<f32> = weight.to_f32s().into_iter().map(|v| v - 1.0).collect();
                Array::from_f32(weight.shape().to_vec(), &values)
            }
        }
    }
}

fn divided(rows: usize, parts: usize) -> Result<usize> {
    if parts == 0 || rows == 0 || !rows.is_multiple_of(parts) {
        fail!("{rows} rows do not divide into {parts} parts of heads");
    }
    Ok(rows / parts)
}

/// The array whose row `r` is row `source(r)` of this one.
fn by_rows(array: Array, source: impl Fn(usize) -> usize) -> Result<Array> {
    let rows = array.shape()[0];
    let width = array.bytes().len() / rows;
    let mut bytes = Vec::with_capacity(array.bytes().len());
    for row in 0..rows {
        let at = source(row) * width;
        bytes.extend_from_slice(&array.bytes()[at..at + width]);
    }
    Array::new(array.dtype(), array.shape().to_vec(), bytes)
}

fn transposed(array: Array) -> Result<Array> {
    let &[rows, columns] = array.shape() else {
        fail!(
            "a weight of shape {:?} was expected to be a matrix",
            array.shape()
        );
    };
    let width = array.dtype().bytes();
    let mut bytes = vec![0; array.bytes().len()];
    for (at, element) in array.bytes().chunks_exact(width).enumerate() {
        let (row, column) = (at / columns, at % columns);
        let to = (column * rows + row) * width;
        bytes[to..to + width].copy_from_slice(element);
    }
    Array::new(array.dtype(), vec![columns, rows], bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(shape: &[usize]) -> Array {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|i| i as f32).collect();
        Array::from_f32(shape.to_vec(), &values).unwrap()
    }

    /// Expected by NumPy: what `convert_hf_to_gguf.py` does to the weights, on the expected arrays.
    #[test]
    fn layouts_are_undone() {
        let check = |layout: Layout, shape: &[usize], expected: &[f32]| {
            let array = layout.undo(numbered(shape)).unwrap();
            assert_eq!(array.shape(), layout.shape(shape), "{layout:?}");
            assert_eq!(array.to_f32s(), expected, "{layout:?}");
        };
        check(Layout::Heads(2), &[8], &[0., 2., 1., 3., 4., 6., 5., 7.]);
        check(Layout::Heads(1), &[4, 2], &[0., 1., 4., 5., 2., 3., 6., 7.]);
        check(Layout::Grouped(2), &[6], &[0., 2., 4., 1., 3., 5.]);
        check(Layout::Transposed, &[2, 3], &[0., 3., 1., 4., 2., 5.]);
        check(Layout::PlusOne, &[2], &[-1., 0.]);
    }

    #[test]
    fn what_does_not_divide_is_an_error() {
        for layout in [Layout::Heads(0), Layout::Heads(3), Layout::Grouped(1)] {
            assert!(layout.undo(numbered(&[8])).is_err(), "{layout:?}");
        }
        assert!(Layout::Transposed.undo(numbered(&[2, 2, 2])).is_err());
    }
}

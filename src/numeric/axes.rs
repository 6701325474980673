//! Arrays along one axis: a part of one, several one after the other, one written into another.

use super::Array;
use crate::diag::Result;
use crate::fail;

impl Array {
    /// `length` entries of an axis, from `start` on.
    pub fn narrow(&self, axis: usize, start: usize, length: usize) -> Result<Self> {
        let (outer, extent, inner) = self.around(axis)?;
        if start + length > extent {
            fail!(
                "entries {start} to {} of an axis of {extent}",
                start + length
            );
        }
        let mut bytes = Vec::with_capacity(outer * length * inner);
        for block in 0..outer {
            let from = (block * extent + start) * inner;
            bytes.extend_from_slice(&self.bytes()[from..from + length * inner]);
        }
        let mut shape = self.shape().to_vec();
        shape[axis] = length;
        Self::new(self.dtype(), shape, bytes)
    }

    /// The entries of `other` behind one's own.
    pub fn joined(&self, other: &Self, axis: usize) -> Result<Self> {
        let (outer, extent, inner) = self.around(axis)?;
        let (_, more, _) = other.around(axis)?;
        let mut shape = self.shape().to_vec();
        shape[axis] = more;
        if shape != other.shape() || self.dtype() != other.dtype() {
            fail!(
                "{:?} can't follow {:?} along axis {axis}",
                other.shape(),
                self.shape()
            );
        }
        shape[axis] = extent + more;
        let mut bytes = Vec::with_capacity(self.bytes().len() + other.bytes().len());
        for block in 0..outer {
            for (array, extent) in [(self, extent), (other, more)] {
                let size = extent * inner;
                bytes.extend_from_slice(&array.bytes()[block * size..][..size]);
            }
        }
        Self::new(self.dtype(), shape, bytes)
    }

    /// The same with the entries of `other` in place of those from `start` on.
    pub fn overwritten(&self, other: &Self, axis: usize, start: usize) -> Result<Self> {
        let (_, extent, _) = self.around(axis)?;
        let (_, more, _) = other.around(axis)?;
        if start + more > extent {
            fail!("entries {start} to {} of an axis of {extent}", start + more);
        }
        let head = self.narrow(axis, 0, start)?.joined(other, axis)?;
        head.joined(
            &self.narrow(axis, start + more, extent - start - more)?,
            axis,
        )
    }

    /// Blocks before an axis, its extent, bytes of one entry.
    fn around(&self, axis: usize) -> Result<(usize, usize, usize)> {
        let Some(extent) = self.shape().get(axis) else {
            fail!("an array of shape {:?} has no axis {axis}", self.shape());
        };
        let outer = self.shape()[..axis].iter().product();
        let inner: usize = self.shape()[axis + 1..].iter().product();
        Ok((outer, *extent, inner * self.dtype().bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_axis() {
        let array = Array::from_i32(vec![2, 3, 1], &[1, 2, 3, 4, 5, 6]).unwrap();
        let values = |array: Result<Array>| array.unwrap().to_i64s();
        assert_eq!(values(array.narrow(1, 1, 2)), [2, 3, 5, 6]);
        let part = array.narrow(1, 0, 1).unwrap();
        assert_eq!(part.shape(), [2, 1, 1]);
        assert_eq!(values(array.joined(&part, 1)), [1, 2, 3, 1, 4, 5, 6, 4]);
        assert_eq!(values(array.overwritten(&part, 1, 2)), [1, 2, 1, 4, 5, 4]);
        let none = array.narrow(1, 0, 0).unwrap();
        assert_eq!(values(none.joined(&array, 1)), values(Ok(array.clone())));
        assert!(array.narrow(1, 2, 2).is_err() && array.narrow(3, 0, 1).is_err());
        assert!(array.joined(&part, 0).is_err() && array.overwritten(&part, 1, 3).is_err());
    }
}

//! Core ML's multi-arrays as numbers: type codes and strides. Free of Core ML itself, so that every
//! platform tests it.
//!
//! Strides count elements. The Neural Engine pads rows, so a buffer is often larger than its elements.

use crate::diag::Result;
use crate::fail;
use crate::numeric::DType;

/// `MLMultiArrayDataType`, from Core ML's headers.
const CODES: [(DType, isize); 5] = [
    (DType::Fp64, 0x10000 | 64),
    (DType::Fp32, 0x10000 | 32),
    (DType::Fp16, 0x10000 | 16),
    (DType::Int32, 0x20000 | 32),
    (DType::Int8, 0x20000 | 8),
];

pub(super) fn code_of(dtype: DType) -> Result<isize> {
    match CODES.iter().find(|(known, _)| *known == dtype) {
        Some((_, code)) => Ok(*code),
        None => fail!("Core ML has no multi-array of {dtype}"),
    }
}

pub(super) fn dtype_of(code: isize) -> Result<DType> {
    match CODES.iter().find(|(_, known)| *known == code) {
        Some((dtype, _)) => Ok(*dtype),
        None => fail!("Core ML returned a multi-array of unknown type {code:#x}"),
    }
}

/// How the elements of a multi-array lie in its buffer.
pub(super) struct Layout<'a> {
    /// Bytes of one element.
    pub size: usize,
    pub shape: &'a [usize],
    pub strides: &'a [usize],
}

impl Layout<'_> {
    /// The elements of `buffer`, dense and row-major.
    pub fn gather(&self, buffer: &[u8]) -> Result<Vec<u8>> {
        let run = self.run(buffer.len())?;
        let mut dense = Vec::with_capacity(self.elements() * self.size);
        for start in self.starts(run) {
            dense.extend_from_slice(&buffer[start..start + run * self.size]);
        }
        Ok(dense)
    }

    /// Writes `dense` elements to their places in `buffer`; what lies between them stays.
    pub fn scatter(&self, dense: &[u8], buffer: &mut [u8]) -> Result<()> {
        let run = self.run(buffer.len())?;
        if dense.len() != self.elements() * self.size {
            fail!("{} bytes for an array of {:?}", dense.len(), self.shape);
        }
        let bytes = run * self.size;
        for (start, chunk) in self.starts(run).zip(dense.chunks_exact(bytes.max(1))) {
            buffer[start..start + bytes].copy_from_slice(chunk);
        }
        Ok(())
    }

    fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of neighbouring elements that can be copied at once, once all are known to lie in a
    /// buffer of `available` bytes.
    fn run(&self, available: usize) -> Result<usize> {
        if self.strides.len() != self.shape.len() {
            fail!("strides {:?} for shape {:?}", self.strides, self.shape);
        }
        let axes = || self.shape.iter().zip(self.strides);
        if self.shape.contains(&0) {
            return Ok(0);
        }
        let last = axes().try_fold(0usize, |last, (extent, stride)| {
            last.checked_add((extent - 1).checked_mul(*stride)?)
        });
        let need = last.and_then(|last| last.checked_add(1)?.checked_mul(self.size));
        if need.is_none_or(|need| need > available) {
            fail!(
                "shape {:?} with strides {:?} does not fit {available} bytes",
                self.shape,
                self.strides
            );
        }
        let dense = axes()
            .rev()
            .try_fold(1, |run, (extent, stride)| match *extent {
                1 => Ok(run),
                extent if *stride == run => Ok(run * extent),
                _ => Err(run),
            });
        Ok(dense.unwrap_or_else(|run| run))
    }

    /// Byte offset of every run of `run` elements, in row-major order.
    fn starts(&self, run: usize) -> impl Iterator<Item = usize> {
        let runs = self.elements().checked_div(run).unwrap_or(0);
        (0..runs).map(move |index| {
            let mut left = index * run;
            let axes = self.shape.iter().zip(self.strides).rev();
            let offset: usize = axes
                .map(|(extent, stride)| {
                    let at = left % extent;
                    left /= extent;
                    at * stride
                })
                .sum();
            offset * self.size
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gathers from a buffer that counts its bytes, and scatters the result into zeros again.
    fn check(shape: &[usize], strides: &[usize], size: usize, expected: &[u8]) {
        let layout = Layout {
            size,
            shape,
            strides,
        };
        let buffer: Vec<u8> = (1..=24).collect();
        let dense = layout.gather(&buffer).unwrap();
        assert_eq!(dense, expected, "{shape:?} {strides:?}");
        let mut back = vec![0; buffer.len()];
        layout.scatter(&dense, &mut back).unwrap();
        for (got, byte) in back.iter().zip(&buffer) {
            let wanted = if expected.contains(byte) { *byte } else { 0 };
            assert_eq!(*got, wanted, "{shape:?} {strides:?}");
        }
    }

    #[test]
    fn strides_are_followed_both_ways() {
        check(&[2, 3], &[3, 1], 1, &[1, 2, 3, 4, 5, 6]);
        check(&[2, 3], &[8, 1], 1, &[1, 2, 3, 9, 10, 11]);
        check(&[2, 3], &[1, 2], 1, &[1, 3, 5, 2, 4, 6]);
        check(&[2, 2], &[4, 1], 2, &[1, 2, 3, 4, 9, 10, 11, 12]);
        check(&[2, 1, 2], &[4, 99, 2], 1, &[1, 3, 5, 7]);
        check(&[2, 2, 2], &[8, 2, 1], 1, &[1, 2, 3, 4, 9, 10, 11, 12]);
        check(&[], &[], 4, &[1, 2, 3, 4]);
        check(&[2, 0, 3], &[3, 3, 1], 4, &[]);
    }

    #[test]
    fn elements_outside_of_the_buffer_are_an_error() {
        let check = |shape: &[usize], strides: &[usize]| {
            let layout = Layout {
                size: 2,
                shape,
                strides,
            };
            assert!(layout.gather(&[0; 24]).is_err(), "{shape:?} {strides:?}");
            assert!(layout.scatter(&[], &mut [0; 24]).is_err());
        };
        check(&[2, 3], &[10, 1]);
        check(&[2, 3], &[3]);
        check(&[usize::MAX, 2], &[usize::MAX, 1]);
        check(&[3], &[usize::MAX]);
    }

    #[test]
    fn type_codes_go_both_ways() {
        for (dtype, _) in CODES {
            assert_eq!(dtype_of(code_of(dtype).unwrap()).unwrap(), dtype);
        }
        assert!(code_of(DType::Bool).is_err());
        assert!(dtype_of(7).is_err());
    }
}

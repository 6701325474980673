//! One product of two matrices, by the `gemm` crate, behind checks of what its pointers reach.

use gemm::Parallelism;

use super::real::Real;

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub struct Matrix<'a, R> {
    pub data: &'a [R],
    pub rows: usize,
    pub columns: usize,
    pub row_step: usize,
    pub column_step: usize,
}

impl<'a, R> Matrix<'a, R> {
    /// Row after row, nothing between.
    pub fn rows(data: &'a [R], rows: usize, columns: usize) -> Self {
        Self {
            data,
            rows,
            columns,
            row_step: columns,
            column_step: 1,
        }
    }

    /// The transpose.
    pub fn turned(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_step: self.column_step,
            column_step: self.row_step,
            ..self
        }
    }

    /// Elements from the first to the last one.
    fn span(&self) -> usize {
        (self.rows - 1) * self.row_step + (self.columns - 1) * self.column_step + 1
    }
}

/// `result` = `scale` · a · b, row by row with `row_step` elements from one to the next. Extents are at
/// least 1.
pub fn gemm<R: Real>(
    (result, row_step): (&mut [R], usize),
    a: Matrix<R>,
    b: Matrix<R>,
    scale: R,
    parallel: bool,
) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert!(a.span() <= a.data.len() && b.span() <= b.data.len() && b.rows == k);
    assert!(n <= row_step && (m - 1) * row_step + n <= result.len());
    let parallelism = match parallel {
        true => Parallelism::Rayon(rayon::current_num_threads()),
        false => Parallelism::None,
    };
    let step = |n: usize| n as isize;
    // SAFETY: the spans above say that every element that the steps reach lies inside the slices, and
    // the rows of the result do not overlap.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            result.as_mut_ptr(),
            1,
            step(row_step),
            false,
            a.data.as_ptr(),
            step(a.column_step),
            step(a.row_step),
            b.data.as_ptr(),
            step(b.column_step),
            step(b.row_step),
            R::of(0.0),
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

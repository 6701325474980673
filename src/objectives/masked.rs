//! Sums and means over the elements that a mask keeps.
//!
//! A mask has any type and the shape of what it masks; zero means "leave out". What is left out may be
//! anything, even infinite: it reaches neither value nor gradient.

use candle_core::{D, Tensor};

use crate::diag::Result;
use crate::fail;

/// `values` with 0 where the mask is 0.
pub fn keep(values: &Tensor, mask: &Tensor) -> Result<Tensor> {
    if values.dims() != mask.dims() {
        let (values, mask) = (values.dims(), mask.dims());
        fail!("mask of shape {mask:?} for values of shape {values:?}");
    }
    Ok(mask.ne(0f64)?.where_cond(values, &values.zeros_like()?)?)
}

/// How many elements each row keeps, in the type of `like`; `[B, T]` to `[B]`.
pub fn lengths(mask: &Tensor, like: &Tensor) -> Result<Tensor> {
    Ok(mask.ne(0f64)?.to_dtype(like.dtype())?.sum(D::Minus1)?)
}

/// The sum of each row, `[B, T]` to `[B]`.
pub fn row_sums(values: &Tensor, mask: &Tensor) -> Result<Tensor> {
    Ok(keep(values, mask)?.sum(D::Minus1)?)
}

/// The mean of each row, `[B, T]` to `[B]`; 0 for a row that keeps nothing.
pub fn row_means(values: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let lengths = lengths(mask, values)?.maximum(1f64)?;
    Ok((row_sums(values, mask)? / lengths)?)
}

/// The mean of everything kept; 0 if nothing is.
pub fn mean_all(values: &Tensor, mask: &Tensor) -> Result<Tensor> {
    let count = count(mask)?;
    Ok((keep(values, mask)?.sum_all()? / count.max(1.0))?)
}

/// How many elements are kept.
pub fn count(mask: &Tensor) -> Result<f64> {
    Ok(super::values(&mask.ne(0f64)?)?.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::{scalar, values};
    use candle_core::{Device, Var};

    #[test]
    fn what_is_left_out_reaches_nothing() {
        let nan = f64::NAN;
        let x = Var::new(&[[1.0, 2.0, nan], [nan, f64::INFINITY, nan]], &Device::Cpu).unwrap();
        let mask = Tensor::new(&[[1u8, 1, 0], [0, 0, 0]], &Device::Cpu).unwrap();
        assert_eq!(values(&row_means(&x, &mask).unwrap()).unwrap(), [1.5, 0.0]);
        assert_eq!(count(&mask).unwrap(), 2.0);
        let total = mean_all(&x, &mask).unwrap();
        assert_eq!(scalar(&total).unwrap(), 1.5);
        let grads = total.backward().unwrap();
        let gradient = values(grads.get(&x).unwrap()).unwrap();
        assert_eq!(gradient, [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn shapes_must_agree() {
        let x = Tensor::new(&[[1.0, 2.0]], &Device::Cpu).unwrap();
        let mask = Tensor::new(&[1.0, 1.0], &Device::Cpu).unwrap();
        assert!(row_sums(&x, &mask).is_err());
    }
}

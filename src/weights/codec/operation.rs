//! The `constexpr_*` operations by name, whoever holds their parameters.

use std::borrow::Cow;

use super::{
    affine_dequantize, blockwise_shift_scale, cast, lut_to_dense, lut_to_dense_packed,
    lut_to_sparse, sparse_blockwise_shift_scale, sparse_to_dense, sparse_to_dense_packed,
};
use crate::diag::{Error, Result};
use crate::fail;
use crate::numeric::{Array, DType};

/// Gives the array of a parameter, if the operation has it.
pub type Given<'g, 'a> = &'g mut dyn FnMut(&str) -> Result<Option<Cow<'a, Array>>>;

/// The results of the operation `op`, whose first result is declared with `dtype`.
///
/// The forms of iOS 16 have a parameter `shape`, those of iOS 18 have none.
pub fn decompress(op: &str, given: Given, dtype: Option<DType>) -> Result<Vec<Array>> {
    let one = |array| Ok(vec![array]);
    let two = |(mask, values)| Ok(vec![mask, values]);
    match op {
        "constexpr_affine_dequantize" => one(affine_dequantize(
            &*array(given, "quantized_data")?,
            &*array(given, "scale")?,
            &*array(given, "zero_point")?,
            integer(given, "axis")?.unwrap_or(0),
        )?),
        "constexpr_lut_to_dense" => {
            let (indices, lut) = (array(given, "indices")?, array(given, "lut")?);
            one(match shape(given)? {
                Some(shape) => lut_to_dense_packed(&indices, &lut, &shape)?,
                None => lut_to_dense(&indices, &lut, integer(given, "vector_axis")?)?,
            })
        }
        "constexpr_blockwise_shift_scale" => one(blockwise_shift_scale(
            &*array(given, "data")?,
            &*array(given, "scale")?,
            given("offset")?.as_deref(),
        )?),
        "constexpr_sparse_to_dense" => {
            let (values, mask) = (array(given, "nonzero_data")?, array(given, "mask")?);
            one(match shape(given)? {
                Some(shape) => sparse_to_dense_packed(&values, &mask, &shape)?,
                None => sparse_to_dense(&values, &mask)?,
            })
        }
        "constexpr_lut_to_sparse" => two(lut_to_sparse(
            &*array(given, "indices_mask")?,
            &*array(given, "indices_nonzero_data")?,
            &*array(given, "lut")?,
            integer(given, "vector_axis")?,
        )?),
        "constexpr_sparse_blockwise_shift_scale" => two(sparse_blockwise_shift_scale(
            &*array(given, "data_mask")?,
            &*array(given, "nonzero_data")?,
            &*array(given, "scale")?,
            given("offset")?.as_deref(),
        )?),
        "constexpr_cast" => one(cast(
            &*array(given, "source_val")?,
            dtype.unwrap_or(DType::Fp32),
        )?),
        other => fail!("{other} is not known to decompress"),
    }
}

fn array<'a>(given: Given<'_, 'a>, name: &str) -> Result<Cow<'a, Array>> {
    let missing = || Error::new(format!("the parameter \"{name}\" is missing"));
    given(name)?.ok_or_else(missing)
}

/// A parameter that is one whole number.
pub fn integer(given: Given, name: &str) -> Result<Option<i64>> {
    let array = given(name)?;
    Ok(array.and_then(|array| array.to_i64s().first().copied()))
}

/// The parameter `shape` of iOS 16's forms.
pub fn shape(given: Given) -> Result<Option<Vec<usize>>> {
    let Some(array) = given("shape")? else {
        return Ok(None);
    };
    let extent = |extent: i64| match usize::try_from(extent) {
        Ok(extent) => Ok(extent),
        Err(_) => fail!("the shape has a negative extent"),
    };
    let shape = array.to_i64s().into_iter().map(extent);
    shape.collect::<Result<_>>().map(Some)
}

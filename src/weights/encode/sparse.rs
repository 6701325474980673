//! Sparse weights: the elements that are kept, and how they are stored.

use super::{Encoded, Job, Keep, Scheme};
use crate::diag::Result;
use crate::fail;
use crate::numeric::{Array, DType};
use crate::weights::codec;

pub(super) fn encode(
    job: &Job,
    keep: &Keep,
    values: &Scheme,
    old: Option<&Encoded>,
) -> Result<Encoded> {
    if job.mask.is_some() {
        fail!("sparse values of sparse weights are not written");
    }
    let mask = match keep {
        Keep::Mask(mask) => mask.clone(),
        Keep::Largest(part) => largest(job, *part, values)?,
    };
    let inner = Job {
        values: job.values,
        shape: job.shape,
        dtype: job.dtype,
        mask: Some(mask.bytes()),
        interrupt: job.interrupt.clone(),
    };
    let old = match old {
        Some(Encoded::Sparse { values, .. }) => Some(&**values),
        _ => None,
    };
    let values = Box::new(values.encode(&inner, old)?);
    Ok(Encoded::Sparse { mask, values })
}

/// Marks `part` of the elements, those of the largest magnitude; of equal ones, the first.
fn largest(job: &Job, part: f64, values: &Scheme) -> Result<Array> {
    if !(0.0..=1.0).contains(&part) {
        fail!("the part of elements that is kept is {part}, expected 0 to 1");
    }
    if let Scheme::Palette {
        vectors: Some(_), ..
    } = values
    {
        fail!("vectors of a sparse weight are kept by a mask only");
    }
    let count = (part * job.values.len() as f64).round() as usize;
    let mut order: Vec<u32> = (0..job.values.len() as u32).collect();
    let size = |i: &u32| job.values[*i as usize].abs();
    order.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let mut mask = vec![0; job.values.len()];
    for i in &order[..count] {
        mask[*i as usize] = 1;
    }
    Array::new(DType::Uint1, job.shape.to_vec(), mask)
}

pub(super) fn decode(mask: &Array, values: &Encoded) -> Result<Array> {
    let (mask, nonzero) = match values {
        Encoded::Dense(array) => (mask.clone(), array.clone()),
        Encoded::Linear {
            data,
            scale,
            offset,
        } => codec::sparse_blockwise_shift_scale(mask, data, scale, offset.as_ref())?,
        Encoded::Palette {
            indices,
            lut,
            vector_axis,
        } => codec::lut_to_sparse(mask, indices, &lut.decode()?, *vector_axis)?,
        _ => fail!("the values of a sparse weight are dense, linear or a palette"),
    };
    codec::sparse_to_dense(&nonzero, &mask)
}

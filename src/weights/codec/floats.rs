//! Float arrays computed in parallel, and casts between float types.

use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use crate::diag::Result;
use crate::fail;
use crate::numeric::{Array, DType};

/// Elements that are computed at a time.
const CHUNK: usize = 4096;

/// An array of `dtype` (fp16 or fp32) whose elements `fill` computes in fp32: it gets the position of
/// the first one and a buffer.
pub(super) fn compute(
    dtype: DType,
    shape: &[usize],
    fill: impl Fn(usize, &mut [f32]) + Sync,
) -> Result<Array> {
    if !matches!(dtype, DType::Fp16 | DType::Fp32) {
        fail!("decompressed weights are fp16 or fp32, not {dtype}");
    }
    let size = dtype.bytes();
    let mut bytes = vec![0; shape.iter().product::<usize>() * size];
    let chunks = bytes.par_chunks_mut(CHUNK * size).enumerate();
    chunks.for_each(|(i, out)| {
        let mut values = [0.0; CHUNK];
        let values = &mut values[..out.len() / size];
        fill(i * CHUNK, values);
        store(values, out);
    });
    Array::new(dtype, shape.to_vec(), bytes)
}

/// Rounds to fp16 if `out` has two bytes for each value.
fn store(values: &[f32], out: &mut [u8]) {
    if out.len() == values.len() * 4 {
        for (out, value) in out.as_chunks_mut::<4>().0.iter_mut().zip(values) {
            *out = value.to_le_bytes();
        }
        return;
    }
    let mut halves = [f16::ZERO; CHUNK];
    let halves = &mut halves[..values.len()];
    halves.convert_from_f32_slice(values);
    for (out, half) in out.as_chunks_mut::<2>().0.iter_mut().zip(halves) {
        *out = half.to_le_bytes();
    }
}

/// The elements from `start` on, as `f32`.
pub(super) fn load(array: &Array, start: usize, out: &mut [f32]) {
    let size = array.dtype().bytes();
    let bytes = &array.bytes()[start * size..(start + out.len()) * size];
    match array.dtype() {
        DType::Int4 | DType::Int8 => {
            for (out, byte) in out.iter_mut().zip(bytes) {
                *out = f32::from(*byte as i8);
            }
        }
        DType::Fp16 => {
            for (out, half) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = f16::from_le_bytes(*half).to_f32();
            }
        }
        _ if size == 1 => {
            for (out, byte) in out.iter_mut().zip(bytes) {
                *out = f32::from(*byte);
            }
        }
        DType::Fp32 => {
            for (out, bytes) in out.iter_mut().zip(bytes.as_chunks().0) {
                *out = f32::from_le_bytes(*bytes);
            }
        }
        dtype => {
            let part = Array::new(dtype, vec![out.len()], bytes.to_vec());
            let values = part.map(|part| part.to_f32s()).unwrap_or_default();
            out.copy_from_slice(&values);
        }
    }
}

/// `constexpr_cast`: a float array in another float type (fp16 or fp32).
pub fn cast(source: &Array, dtype: DType) -> Result<Array> {
    compute(dtype, source.shape(), |start, out| load(source, start, out))
}

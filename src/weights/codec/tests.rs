//! Small cases by hand; real compressed models are compared in the integration tests.

use super::*;
use crate::numeric::{Array, DType};

fn ints(dtype: DType, shape: &[usize], values: &[i64]) -> Array {
    Array::from_i64s(dtype, shape.to_vec(), values).unwrap()
}

fn halves(shape: &[usize], values: &[f64]) -> Array {
    Array::from_f64s(DType::Fp16, shape.to_vec(), values).unwrap()
}

fn check(array: &Array, shape: &[usize], values: &[f64]) {
    assert_eq!(array.shape(), shape);
    assert_eq!(array.to_f64s(), values);
}

#[test]
fn affine_scales_along_its_axis() {
    let data = ints(DType::Int8, &[2, 3], &[1, 2, 3, -4, -5, -128]);
    let scale = halves(&[2], &[0.5, 2.0]);
    let zero = ints(DType::Int8, &[2], &[1, -1]);
    let dense = affine_dequantize(&data, &scale, &zero, 0).unwrap();
    check(&dense, &[2, 3], &[0.0, 0.5, 1.0, -6.0, -8.0, -254.0]);
    let one = ints(DType::Int8, &[], &[0]);
    let columns = halves(&[3], &[1.0, 2.0, 4.0]);
    let dense = affine_dequantize(&data, &columns, &one, -1).unwrap();
    check(&dense, &[2, 3], &[1.0, 4.0, 12.0, -4.0, -10.0, -512.0]);
    assert!(affine_dequantize(&data, &columns, &one, 0).is_err());
    assert!(affine_dequantize(&data, &columns, &one, 2).is_err());
    let none = halves(&[0], &[]);
    assert!(affine_dequantize(&data, &none, &none, 0).is_err());
}

#[test]
fn blocks_may_lie_along_any_axis() {
    let data = ints(DType::Int4, &[2, 4], &[1, 2, 3, 4, 5, 6, 7, -8]);
    let rows = Array::from_f32(vec![1, 4], &[1.0, 10.0, 100.0, 1000.0]).unwrap();
    let dense = blockwise_shift_scale(&data, &rows, None).unwrap();
    check(
        &dense,
        &[2, 4],
        &[1., 20., 300., 4000., 5., 60., 700., -8000.],
    );
    let scale = Array::from_f32(vec![2, 2], &[1.0, 10.0, 100.0, 1000.0]).unwrap();
    let offset = ints(DType::Int4, &[2, 2], &[0, 1, 2, 3]);
    let dense = blockwise_shift_scale(&data, &scale, Some(&offset)).unwrap();
    check(
        &dense,
        &[2, 4],
        &[1., 2., 20., 30., 300., 400., 4000., -11000.],
    );
    let odd = Array::from_f32(vec![2, 3], &[0.0; 6]).unwrap();
    assert!(blockwise_shift_scale(&data, &odd, None).is_err());
}

#[test]
fn both_axes_may_have_blocks() {
    let data = ints(DType::Uint8, &[4, 4], &[1; 16]);
    let scale = Array::from_f32(vec![2, 2], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    let dense = blockwise_shift_scale(&data, &scale, None).unwrap();
    let (top, low) = ([1., 1., 2., 2.], [3., 3., 4., 4.]);
    check(&dense, &[4, 4], &[top, top, low, low].concat());
}

#[test]
fn palettes_may_be_grouped_and_of_vectors() {
    let indices = ints(DType::Uint1, &[2, 3], &[0, 1, 1, 1, 0, 1]);
    let grouped = halves(&[2, 1, 2, 1], &[1.0, 2.0, 3.0, 4.0]);
    let dense = lut_to_dense(&indices, &grouped, None).unwrap();
    check(&dense, &[2, 3], &[1., 2., 2., 4., 3., 4.]);
    let vectors = halves(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let dense = lut_to_dense(&indices, &vectors, Some(0)).unwrap();
    check(
        &dense,
        &[4, 3],
        &[1., 3., 3., 2., 4., 4., 3., 1., 3., 4., 2., 4.],
    );
    let dense = lut_to_dense(&indices, &vectors, Some(-1)).unwrap();
    check(
        &dense,
        &[2, 6],
        &[1., 2., 3., 4., 3., 4., 3., 4., 1., 2., 3., 4.],
    );
    assert!(lut_to_dense(&indices, &vectors, None).is_err());
    let short = halves(&[1, 1, 1, 1], &[1.0]);
    assert!(lut_to_dense(&indices, &short, None).is_err());
    let empty = halves(&[1, 1, 2, 0], &[]);
    assert!(lut_to_dense(&indices, &empty, Some(0)).is_err());
    let wide = ints(DType::Int32, &[2, 3], &[0, 1, 1, 1, 0, 1]);
    assert!(lut_to_dense(&wide, &grouped, None).is_err());
}

#[test]
fn packed_forms_take_low_bits_first() {
    let lut = halves(&[4], &[10.0, 11.0, 12.0, 13.0]);
    let dense = lut_to_dense_packed(&ints(DType::Uint8, &[2], &[0b11_10_01_00, 2]), &lut, &[5]);
    check(&dense.unwrap(), &[5], &[10., 11., 12., 13., 12.]);
    let nonzero = halves(&[2], &[5.0, 6.0]);
    let mask = ints(DType::Uint8, &[1], &[0b0000_0101]);
    let dense = sparse_to_dense_packed(&nonzero, &mask, &[2, 2]).unwrap();
    check(&dense, &[2, 2], &[5., 0., 6., 0.]);
    assert!(sparse_to_dense_packed(&nonzero, &mask, &[9]).is_err());
    assert!(sparse_to_dense_packed(&nonzero, &mask, &[usize::MAX, 2]).is_err());
}

#[test]
fn sparse_chains_keep_their_mask() {
    let mask = ints(DType::Uint1, &[2, 2], &[1, 0, 0, 1]);
    let lut = halves(&[2, 1, 2, 1], &[1.0, 2.0, 3.0, 4.0]);
    let indices = ints(DType::Uint1, &[2], &[1, 0]);
    let (same, values) = lut_to_sparse(&mask, &indices, &lut, None).unwrap();
    assert_eq!(same, mask);
    check(&values, &[2], &[2.0, 3.0]);
    let vectors = halves(&[1, 1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let (wide, values) = lut_to_sparse(&mask, &indices, &vectors, Some(1)).unwrap();
    check(&wide, &[2, 4], &[1., 1., 0., 0., 0., 0., 1., 1.]);
    check(&values, &[4], &[3.0, 4.0, 1.0, 2.0]);
    let data = ints(DType::Int8, &[2], &[5, 7]);
    let scale = halves(&[2, 1], &[1.0, 2.0]);
    let (_, values) = sparse_blockwise_shift_scale(&mask, &data, &scale, None).unwrap();
    check(&values, &[2], &[5.0, 14.0]);
}

#[test]
fn casts_round_to_nearest() {
    let source = Array::from_f32(vec![3], &[1.0, 2049.0, 1e-8]).unwrap();
    let half = cast(&source, DType::Fp16).unwrap();
    check(&half, &[3], &[1.0, 2048.0, 0.0]);
    check(
        &cast(&half, DType::Fp32).unwrap(),
        &[3],
        &[1.0, 2048.0, 0.0],
    );
    assert!(cast(&source, DType::Int8).is_err());
}

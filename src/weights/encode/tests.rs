//! Errors against what theory says of each scheme; values that were stored before come out the same.

use half::f16;

use super::*;
use crate::numeric::Rng;

fn normals(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed);
    let values = (0..count).map(|_| rng.normal());
    values.map(|v| f16::from_f64(0.1 * v).to_f32()).collect()
}

fn linear(data: DType, grid: &[usize], offset: Offset) -> Scheme {
    Scheme::Linear {
        data,
        grid: grid.to_vec(),
        offset,
    }
}

fn palette(bits: usize, groups: &[usize], vectors: Option<(usize, usize)>) -> Scheme {
    Scheme::Palette {
        bits,
        groups: groups.to_vec(),
        vectors,
        table: Box::new(Scheme::Dense),
    }
}

fn with_table(scheme: Scheme, table: Scheme) -> Scheme {
    match scheme {
        Scheme::Palette {
            bits,
            groups,
            vectors,
            ..
        } => Scheme::Palette {
            bits,
            groups,
            vectors,
            table: Box::new(table),
        },
        other => other,
    }
}

fn sparse(part: f64, values: Scheme) -> Scheme {
    Scheme::Sparse {
        keep: Keep::Largest(part),
        values: Box::new(values),
    }
}

/// A scheme on a [16, 32] weight: its words, bytes, and the largest relative error (RMS) that it may have
/// on normally distributed values.
type Case = (Scheme, &'static str, u64, f64);

#[rustfmt::skip]
fn linear_cases() -> Vec<Case> {
    let (int8, uint8, int4, uint4) = (DType::Int8, DType::Uint8, DType::Int4, DType::Uint4);
    let int8_rows = || linear(int8, &[16, 1], Offset::None);
    vec![
        (Scheme::Dense, "fp16", 1024, 0.0),
        (linear(int8, &[1, 1], Offset::None), "int8 per tensor", 514, 0.008),
        (linear(int8, &[16, 1], Offset::Middle(int8)), "int8 per channel", 560, 0.006),
        (linear(uint8, &[1, 32], Offset::Fitted(uint8)), "uint8 per channel with offsets", 608, 0.006),
        (linear(int4, &[16, 2], Offset::None), "int4 in blocks of 1×16", 320, 0.09),
        (linear(uint4, &[16, 2], Offset::Fitted(uint4)), "uint4 in blocks of 1×16 with offsets", 336, 0.08),
        (linear(uint4, &[16, 2], Offset::Fitted(DType::Fp16)), "uint4 in blocks of 1×16 with offsets", 384, 0.08),
        (sparse(0.5, Scheme::Dense), "50% of fp16", 576, 0.3),
        (sparse(0.5, int8_rows()), "50% of int8 per channel", 352, 0.3),
    ]
}

/// Relative errors of 1, 2, 3, 4, 6 and 8 bits at best, without a limit on samples: Max 1960.
#[rustfmt::skip]
fn palette_cases() -> Vec<Case> {
    let int8_table = linear(DType::Int8, &[1, 1, 1, 1], Offset::None);
    let row_tables = linear(DType::Fp16, &[16, 1, 1, 1], Offset::None);
    let one = |bits| palette(bits, &[1, 1], None);
    vec![
        (one(1), "1-bit palette", 68, 0.61),
        (one(2), "2-bit palette", 136, 0.35),
        (one(3), "3-bit palette", 208, 0.19),
        (palette(4, &[2, 1], None), "4-bit palette in 2 groups", 320, 0.1),
        (one(6), "6-bit palette", 512, 0.025),
        (one(8), "8-bit palette", 1024, 0.005),
        (palette(4, &[1, 1], Some((0, 2))), "4-bit palette of 2-vectors", 192, 0.36),
        (with_table(one(4), int8_table), "4-bit palette, int8 table with scales", 274, 0.11),
        (
            with_table(palette(4, &[16, 1], None), row_tables),
            "4-bit palette in 16 groups, fp16 table with scales", 800, 0.04,
        ),
        (sparse(0.5, one(4)), "50% of 4-bit palette", 224, 0.31),
    ]
}

fn cases() -> Vec<Case> {
    linear_cases().into_iter().chain(palette_cases()).collect()
}

#[test]
fn every_scheme_is_as_near_as_it_can_be() {
    let values = normals(512, 3);
    for (scheme, words, bytes, error_max) in cases() {
        let encoded = encode(&values, &[16, 32], DType::Fp16, &scheme).unwrap();
        assert_eq!(encoded.describe(), words);
        assert_eq!(encoded.bytes(), bytes, "{words}");
        let dense = encoded.decode().unwrap();
        assert_eq!((dense.shape(), dense.dtype()), (&[16, 32][..], DType::Fp16));
        let fidelity = Fidelity::of(&values, &dense);
        let error = fidelity.relative_rms;
        assert!(error <= error_max, "{words}: {error}");
        assert!(
            error > 0.6 * error_max || error < 0.005,
            "{words}: {error} of {error_max}"
        );
    }
}

/// Decoded values, stored again in the same scheme, are decoded to the same; others of the same shape
/// are about as near as at first.
#[test]
fn storing_again_changes_nothing() {
    let (values, others) = (normals(512, 3), normals(512, 4));
    for (scheme, words, bytes, error_max) in cases() {
        let first = encode(&values, &[16, 32], DType::Fp16, &scheme).unwrap();
        let dense = first.decode().unwrap();
        let again = first.again(&dense.to_f32s()).unwrap();
        assert!(again.decode().unwrap() == dense, "{words}");
        let other = first.again(&others).unwrap();
        assert_eq!(other.bytes(), bytes, "{words}");
        assert_eq!(other.scheme().unwrap(), first.scheme().unwrap(), "{words}");
        let error = Fidelity::of(&others, &other.decode().unwrap()).relative_rms;
        let masked = matches!(scheme, Scheme::Sparse { .. });
        assert!(
            masked && error < 1.0 || error <= 1.2 * error_max,
            "{words}: {error}"
        );
    }
}

#[test]
fn least_squares_is_better_than_the_extremes() {
    let values = normals(512, 7);
    let scheme = linear(DType::Int4, &[16, 1], Offset::None);
    let encoded = encode(&values, &[16, 32], DType::Fp16, &scheme).unwrap();
    let fitted = Fidelity::of(&values, &encoded.decode().unwrap()).relative_rms;
    let rows = values.chunks(32).map(|row| {
        let scale = row.iter().fold(0.0f32, |m, v| m.max(v.abs())) / 7.0;
        let off = |v: &f32| f64::from((v / scale).round() * scale - v).powi(2);
        row.iter().map(off).sum::<f64>()
    });
    let norm: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
    let plain = (rows.sum::<f64>() / norm).sqrt();
    assert!(fitted < 0.97 * plain, "{fitted} {plain}");
}

#[test]
fn zeros_and_single_values_are_exact() {
    for values in [[0.0f32; 8], [0.25; 8], [-3.5; 8]] {
        for scheme in [
            linear(DType::Int8, &[2, 1], Offset::None),
            linear(DType::Uint4, &[2, 2], Offset::Fitted(DType::Uint4)),
            palette(1, &[1, 1], None),
            palette(2, &[1, 1], Some((1, 2))),
        ] {
            let encoded = encode(&values, &[2, 4], DType::Fp32, &scheme).unwrap();
            let off = Fidelity::of(&values, &encoded.decode().unwrap()).max_abs;
            assert!(off < 1e-6, "{values:?} {scheme:?}: {off}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |values: &[f32], shape: &[usize], scheme: &Scheme| {
        let error = encode(values, shape, DType::Fp16, scheme).unwrap_err();
        error.to_string()
    };
    for (error, message) in [
        (
            refused(&[1.0; 3], &[4], &Scheme::Dense),
            "3 values for a weight of shape [4]",
        ),
        (
            refused(&[f32::NAN], &[1], &Scheme::Dense),
            "NaN at element 0 does not fit fp16",
        ),
        (
            refused(&[1e6], &[1], &Scheme::Dense),
            "1000000 at element 0",
        ),
        (
            refused(&[1.0; 4], &[4], &linear(DType::Int4, &[3], Offset::None)),
            "do not divide the shape [4]",
        ),
        (
            refused(&[1.0; 4], &[4], &linear(DType::Uint4, &[2], Offset::None)),
            "uint4 without offsets holds no negative weights",
        ),
        (refused(&[1.0; 4], &[4], &palette(5, &[1], None)), "not 5"),
        (
            refused(&[1.0; 3], &[3], &palette(4, &[1], Some((0, 2)))),
            "vectors of 2 along axis 0",
        ),
        (
            refused(&[1.0; 4], &[4], &sparse(1.5, Scheme::Dense)),
            "expected 0 to 1",
        ),
    ] {
        assert!(error.contains(message), "{error}");
    }
}

/// GGUF's Q4_1 is `d · q + m`, d and m in fp16, for blocks of 32 of which both ends are used.
#[test]
fn weights_of_four_bits_come_through() {
    let mut rng = Rng::new(7);
    let mut values = Vec::new();
    for _ in 0..64 {
        let d = f16::from_f64(0.01 + 0.1 * rng.uniform()).to_f32();
        let m = f16::from_f64(0.4 - rng.uniform()).to_f32();
        values.extend((0..32).map(|i| match i {
            0 => m,
            1 => d * 15.0 + m,
            _ => d * (rng.uniform() * 15.0).round() as f32 + m,
        }));
    }
    let four = linear(DType::Uint4, &[16, 4], Offset::Fitted(DType::Fp16));
    let eight = linear(DType::Int8, &[16, 4], Offset::None);
    let lost = |scheme: &Scheme, values: &[f32]| {
        let encoded = encode(values, &[16, 128], DType::Fp16, scheme).unwrap();
        let fidelity = Fidelity::of(values, &encoded.decode().unwrap());
        (encoded.describe(), fidelity.relative_rms)
    };
    let (_, exact) = lost(&four, &values);
    assert!(exact < 1e-3, "{exact}");
    let mixed = Scheme::Within {
        relative_rms: 2e-3,
        coarse: Box::new(four),
        fine: Box::new(eight),
    };
    assert_eq!(
        lost(&mixed, &values),
        ("uint4 in blocks of 1×32 with offsets".into(), exact)
    );
    let finer: Vec<f32> = (0..2048).map(|i| (i as f32 * 0.37).sin()).collect();
    let (form, off) = lost(&mixed, &finer);
    assert_eq!(form, "int8 in blocks of 1×32");
    assert!(off < 5e-3, "{off}");
}

//! Packed products against plain sums in f64.

use super::*;

fn array(dtype: DType, rows: usize, columns: usize) -> Array {
    let values = (0..rows * columns).map(|i| (0.7 * i as f64).sin());
    Array::from_f64s(dtype, vec![rows, columns], &values.collect::<Vec<_>>()).unwrap()
}

/// x Wᵀ + b by every kernel that the processor has.
fn check(dtype: DType, [m, n, k]: [usize; 3], turned: bool) {
    let weight = match turned {
        true => array(dtype, k, n),
        false => array(dtype, n, k),
    };
    let w = weight.to_f64s();
    let x: Vec<f32> = (0..m * k).map(|i| (1.1 * i as f32).cos()).collect();
    let bias: Vec<f32> = (0..n).map(|i| i as f32 / 8.0).collect();
    for kernel in Kernel::all() {
        let packed = Packed {
            kernel,
            ..Packed::new(&weight, turned).unwrap()
        };
        let mut y = vec![f32::NAN; m * n];
        packed.multiply(&mut y, &x, Some(&bias));
        for (i, y) in y.iter().enumerate() {
            let (row, column) = (i / n, i % n);
            let place = |j| {
                if turned {
                    j * n + column
                } else {
                    column * k + j
                }
            };
            let terms = (0..k).map(|j| f64::from(x[row * k + j]) * w[place(j)]);
            let sum: f64 = terms.sum::<f64>() + f64::from(bias[column]);
            let off = (f64::from(*y) - sum).abs();
            assert!(off < 1e-4, "{kernel:?} {dtype} {m} {n} {k}: {off:e}");
        }
        let dense: Vec<f32> = packed
            .dense()
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let plain = (0..n * k).map(|i| w[if turned { i % k * n + i / k } else { i }] as f32);
        assert!(dense.into_iter().eq(plain));
    }
}

#[test]
fn products_of_all_sizes() {
    for dtype in [DType::Fp32, DType::Fp16] {
        for m in [1, 2, 3, 7, 12, 13, 31, CHUNK + 5] {
            check(dtype, [m, 33, 20], false);
        }
        check(dtype, [5, 64, 1], true);
        check(dtype, [3, 1, 40], true);
        check(dtype, [0, 4, 4], false);
        check(dtype, [2, 4, 0], false);
    }
}

#[test]
fn gradients_reach_the_input_and_the_bias() {
    let weight = array(DType::Fp32, 3, 4);
    let Some(packed) = Packed::new(&weight, false).map(Arc::new) else {
        return;
    };
    let var = |values: Vec<f32>, shape: &[usize]| {
        candle_core::Var::from_vec(values, shape, &Device::Cpu).unwrap()
    };
    let x = var((0..8).map(|i| i as f32).collect(), &[2, 4]);
    let bias = var(vec![0.5; 3], &[3]);
    let y = packed_product(&x, &packed, Some(&bias)).unwrap();
    let gradients = y.sum_all().unwrap().backward().unwrap();
    let sums: Vec<f32> = packed.dense().unwrap().sum(0).unwrap().to_vec1().unwrap();
    let of_x: Vec<Vec<f32>> = gradients.get(&x).unwrap().to_vec2().unwrap();
    assert_eq!(of_x, [sums.clone(), sums]);
    let of_bias: Vec<f32> = gradients.get(&bias).unwrap().to_vec1().unwrap();
    assert_eq!(of_bias, [2.0; 3]);
}

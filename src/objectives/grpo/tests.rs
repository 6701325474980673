//! The GRPO family against TRL's numbers, and its identities.

use super::*;
use crate::objectives::values;
use candle_core::{Device, Var};

type Rows = [[f64; 3]; 4];

const POLICY: Rows = [
    [-1.0, -2.0, -0.4],
    [-0.5, -0.25, -9.0],
    [-1.5, -7.0, -8.0],
    [-2.0; 3],
];
const OLD: Rows = [
    [-1.3, -2.05, -0.1],
    [-0.2, -0.3, -9.0],
    [-1.8, -7.0, -8.0],
    [-2.05; 3],
];
const REFERENCE: Rows = [
    [-0.9, -1.9, -0.3],
    [-0.4, -0.15, -8.9],
    [-1.4, -6.9, -7.9],
    [-1.9; 3],
];

fn rows(rows: &Rows) -> Tensor {
    Tensor::new(rows, &Device::Cpu).unwrap()
}

fn batch(logprobs: &Tensor) -> GrpoBatch {
    let mask: [[u8; 3]; 4] = [[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]];
    GrpoBatch {
        logprobs: logprobs.clone(),
        old: Some(rows(&OLD)),
        reference: Some(rows(&REFERENCE)),
        advantages: Tensor::new(&[0.8, -0.7, 0.5, -0.4], &Device::Cpu).unwrap(),
        mask: Tensor::new(&mask, &Device::Cpu).unwrap(),
        entropy: None,
        weights: None,
    }
}

fn value(grpo: Grpo, batch: &GrpoBatch) -> f64 {
    scalar(&grpo.loss(batch).unwrap().value).unwrap()
}

/// Produced by the loss code of TRL 1.5.1 in f64 (the batch is ferrl's fixture).
#[test]
fn golden_trl() {
    let batch = batch(&rows(&POLICY));
    let base = Grpo {
        max_completion_length: Some(3),
        kl_importance: false,
        ..Grpo::default()
    };
    let settings = [
        base,
        Grpo {
            clip_high: 0.28,
            ..base
        },
        Grpo {
            level: Level::Sequence,
            ..base
        },
        Grpo { beta: 0.04, ..base },
    ];
    let check = |reduction, expected: [f64; 4]| {
        for (setting, expected) in settings.into_iter().zip(expected) {
            let got = value(
                Grpo {
                    reduction,
                    ..setting
                },
                &batch,
            );
            assert!((got - expected).abs() < 1e-15, "{setting:?}: {got}");
        }
    };
    check(
        Reduction::Grpo,
        [
            -0.1874864002042807,
            -0.2028197335376141,
            -0.198924308124948,
            -0.1873312726620112,
        ],
    );
    check(
        Reduction::DrGrpo,
        [
            -0.1414818071819147,
            -0.1501484738485814,
            -0.1504032941090494,
            -0.1413783888204017,
        ],
    );
    let dapo = [
        -0.2829636143638294,
        -0.3002969476971629,
        -0.3008065882180989,
        -0.2827567776408035,
    ];
    check(Reduction::Dapo, dapo);
    check(Reduction::Bnpo, dapo);
}

/// (ratio, advantage, ε_low, ε_high) to the objective, −loss; by hand.
#[test]
fn clipped_surrogate() {
    let check = |ratio: f64, advantage: f64, clip_high, expected: f64| {
        let one = |x: f64| Tensor::new(&[[x]], &Device::Cpu).unwrap();
        let batch = GrpoBatch {
            logprobs: one(ratio.ln()),
            old: Some(one(0.0)),
            reference: None,
            advantages: Tensor::new(&[advantage], &Device::Cpu).unwrap(),
            mask: one(1.0),
            entropy: None,
            weights: None,
        };
        let grpo = Grpo {
            clip_high,
            ..Grpo::default()
        };
        assert!((value(grpo, &batch) + expected).abs() < 1e-15);
    };
    check(1.5, 0.5, 0.2, 0.6);
    check(1.5, -0.5, 0.2, -0.75);
    check(0.5, -0.5, 0.2, -0.4);
    check(1.25, 0.5, 0.28, 0.625);
    check(1.5, 0.5, 0.28, 0.64);
}

#[test]
fn masked_means_and_cispo() {
    let grpo = |reduction| Grpo {
        reduction,
        max_completion_length: Some(3),
        ..Grpo::default()
    };
    let tokens = Tensor::new(&[[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]], &Device::Cpu).unwrap();
    let mask = Tensor::new(&[[1u8, 1, 1], [1, 1, 0]], &Device::Cpu).unwrap();
    let check = |reduction, expected, weight| {
        let (got, by) = grpo(reduction).reduce(&tokens, &mask).unwrap();
        assert_eq!((scalar(&got).unwrap(), by), (expected, weight));
    };
    check(Reduction::Grpo, 3.25, 2.0);
    check(Reduction::DrGrpo, 2.5, 2.0);
    check(Reduction::Dapo, 3.0, 5.0);
    check(Reduction::Bnpo, 3.0, 1.0);
    let one = |x: f64| Tensor::new(&[[x]], &Device::Cpu).unwrap();
    let batch = GrpoBatch {
        logprobs: one(-1.0),
        old: Some(one(-1.3)),
        reference: None,
        advantages: Tensor::new(&[0.8], &Device::Cpu).unwrap(),
        mask: one(1.0),
        entropy: None,
        weights: None,
    };
    let cispo = Grpo {
        surrogate: Surrogate::Cispo,
        ..Grpo::default()
    };
    assert!((value(cispo, &batch) - 0.8 * 0.3f64.exp()).abs() < 1e-15);
}

#[test]
fn the_first_step_has_loss_zero_and_a_gradient() {
    let logprobs = Var::new(&POLICY, &Device::Cpu).unwrap();
    let mut batch = batch(&logprobs);
    batch.old = None;
    batch.advantages = Tensor::new(&[1.0, -1.0, 0.5, -0.5], &Device::Cpu).unwrap();
    batch.mask = Tensor::ones((4, 3), candle_core::DType::U8, &Device::Cpu).unwrap();
    let loss = Grpo::default().loss(&batch).unwrap();
    assert_eq!(scalar(&loss.value).unwrap(), 0.0);
    assert_eq!(loss.metric("clip_ratio/region_mean"), Some(0.0));
    let grads = loss.value.backward().unwrap();
    let gradient = values(grads.get(&logprobs).unwrap()).unwrap();
    let expected = [1.0, -1.0, 0.5, -0.5].map(|a: f64| -a / 12.0);
    for (row, expected) in gradient.chunks(3).zip(expected) {
        assert!(row.iter().all(|g| (g - expected).abs() < 1e-16), "{row:?}");
    }
}

#[test]
fn padding_changes_nothing() {
    let wide = |rows: &Rows, fill: f64| {
        let pad = Tensor::full(fill, (4, 2), &Device::Cpu).unwrap();
        Tensor::cat(&[&Tensor::new(rows, &Device::Cpu).unwrap(), &pad], 1).unwrap()
    };
    let plain = batch(&rows(&POLICY));
    let pad = Tensor::zeros((4, 2), candle_core::DType::U8, &Device::Cpu).unwrap();
    let padded = GrpoBatch {
        logprobs: wide(&POLICY, f64::NAN),
        old: Some(wide(&OLD, 1e300)),
        reference: Some(wide(&REFERENCE, f64::NEG_INFINITY)),
        mask: Tensor::cat(&[&plain.mask, &pad], 1).unwrap(),
        ..plain.clone()
    };
    for reduction in Reduction::ALL {
        let grpo = Grpo {
            reduction: *reduction,
            beta: 0.1,
            max_completion_length: Some(3),
            ..Grpo::default()
        };
        assert_eq!(value(grpo, &plain), value(grpo, &padded), "{reduction}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let mut batch = batch(&rows(&POLICY));
    batch.reference = None;
    let check = |grpo: Grpo, expected: &str| {
        assert_eq!(grpo.loss(&batch).unwrap_err().to_string(), expected);
    };
    let base = Grpo::default();
    check(
        Grpo { beta: 0.1, ..base },
        "a KL term (beta 0.1) needs the reference",
    );
    let bonus = Grpo {
        entropy_weight: 0.1,
        ..base
    };
    check(bonus, "an entropy bonus needs the entropies");
    let dr = Grpo {
        reduction: Reduction::DrGrpo,
        ..base
    };
    check(dr, "reduction dr_grpo needs max_completion_length");
}

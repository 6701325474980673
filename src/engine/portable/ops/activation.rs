//! Activations.

use super::{Gradient, Op, Sample};

pub(super) const OPS: &[Op] = &[Op {
    name: "relu",
    eval: |call, _| Ok(vec![call.tensor("x")?.relu()?.into()]),
    gradient: Gradient::Full,
    samples: &[Sample {
        call: "tensor<fp32, [3]> y = relu(x = tensor<fp32, [3]>([-1.0, 0.5, 2.0]));",
        gives: &[&[0.0, 0.5, 2.0]],
    }],
}];

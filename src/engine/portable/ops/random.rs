//! Random tensors. Core ML's generator is unknown: ours is seeded and repeats, its numbers are others.

use candle_core::{Device, Tensor};

use super::{Op, discrete, integers, one, sample};
use crate::diag::Result;
use crate::engine::portable::batch::{Batch, Group, Lane, apart};
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;
use crate::numeric::Rng;

pub(super) const OPS: &[Op] = &[
    discrete(
        "random_bernoulli",
        |call, ctx| {
            let p = call.float_or("prob", 0.5)?;
            drawn(call, ctx, |rng| f64::from(rng.uniform() < p))
        },
        &[sample(
            "tensor<fp32, [3]> y = random_bernoulli(shape = tensor<int32, [1]>([3]), prob = fp32(1.0), seed = int32(3));",
            &[&[1.0, 1.0, 1.0]],
        )],
    ).batch(Batch::Always(together)),
    discrete(
        "random_categorical",
        random_categorical,
        &[
            sample(
                "tensor<fp32, [1, 2]> y = random_categorical(x = tensor<fp32, [1, 3]>([[0.0, 200.0, 1.0]]), mode = string(\"logits\"), size = int32(2), seed = int32(3));",
                &[&[1.0, 1.0]],
            ),
            sample(
                "tensor<int32, [2, 1]> y = random_categorical(x = tensor<fp32, [2, 2]>([[0.0, 0.5], [2.0, 0.0]]), mode = string(\"probs\"));",
                &[&[1.0, 0.0]],
            ),
        ],
    ).batch(Batch::Always(together)),
    discrete(
        "random_normal",
        |call, ctx| {
            let (mean, deviation) = (call.float_or("mean", 0.0)?, call.float_or("stddev", 1.0)?);
            drawn(call, ctx, |rng| mean + deviation * rng.normal())
        },
        &[sample(
            "tensor<fp32, [2]> y = random_normal(shape = tensor<int32, [1]>([2]), mean = fp32(2.5), stddev = fp32(0.0));",
            &[&[2.5, 2.5]],
        )],
    ).batch(Batch::Always(together)),
    discrete(
        "random_uniform",
        |call, ctx| {
            let (low, high) = (call.float_or("low", 0.0)?, call.float_or("high", 1.0)?);
            drawn(call, ctx, |rng| low + (high - low) * rng.uniform())
        },
        &[sample(
            "tensor<fp32, [2]> y = random_uniform(shape = tensor<int32, [1]>([2]), low = fp32(2.5), high = fp32(2.5));",
            &[&[2.5, 2.5]],
        )],
    ).batch(Batch::Always(together)),
];

/// The stream of a call: by its seed, or with −1 a new one each time.
fn stream(call: &Call, ctx: &Ctx) -> Result<Rng> {
    match call.int_or("seed", -1)? {
        -1 => Ok(ctx.fresh_stream()),
        seed => Ok(Rng::new(seed as u64)),
    }
}

/// With a seed, every example draws what it would draw alone; the streams without one are handed out in
/// the order of the calls, which is another one for examples that run together.
fn together(group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    let seeded = match group.has_axis("seed") {
        true => false,
        false => !matches!(group.ints("seed")?.as_deref(), None | Some([-1])),
    };
    match (seeded, group.varies()) {
        (false, _) => Err(apart("it draws random numbers without a seed")),
        (true, true) => Ok(None),
        (true, false) => {
            let values = group.eval(ctx)?.into_iter();
            Ok(Some(values.map(Lane::shared).collect()))
        }
    }
}

/// `draw` for each element of the parameter `shape`.
fn drawn(call: &Call, ctx: &Ctx, draw: impl Fn(&mut Rng) -> f64) -> Result<Vec<Value>> {
    let shape = call.counts("shape")?;
    call.check_size(&shape)?;
    let mut rng = stream(call, ctx)?;
    let count = shape.iter().product::<usize>();
    let values: Vec<f64> = (0..count).map(|_| draw(&mut rng)).collect();
    one(floats(values, &shape, ctx)?)
}

fn floats(values: Vec<f64>, shape: &[usize], ctx: &Ctx) -> Result<Tensor> {
    let values = Tensor::from_vec(values, shape, &Device::Cpu)?;
    Ok(values
        .to_dtype(ctx.scope.float)?
        .to_device(ctx.scope.device)?)
}

/// `size` classes for each row of logits or probabilities.
fn random_categorical(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.floats("x")?;
    let logits = call.choice("mode", "logits", &["logits", "probs"])? == "logits";
    let size = usize::try_from(call.int_or("size", 1)?).unwrap_or(usize::MAX);
    let Some(width) = x.dims().last().copied().filter(|n| *n > 0) else {
        fail!("nothing to draw from in a tensor of shape {:?}", x.dims());
    };
    let mut shape = x.dims().to_vec();
    shape[x.rank() - 1] = size;
    call.check_size(&shape)?;
    let mut rng = stream(call, ctx)?;
    let values = call.value("x")?.floats()?;
    let mut drawn = Vec::with_capacity(shape.iter().product());
    for row in values.chunks(width) {
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weight = |v: f64| if logits { (v - max).exp() } else { v };
        let total: f64 = row.iter().map(|v| weight(*v)).sum();
        for _ in 0..size {
            let mut left = rng.uniform() * total;
            let chosen = row.iter().position(|v| {
                left -= weight(*v);
                left < 0.0
            });
            drawn.push(chosen.unwrap_or(width - 1));
        }
    }
    match call.output_dtype()?.is_float() {
        true => one(floats(
            drawn.into_iter().map(|i| i as f64).collect(),
            &shape,
            ctx,
        )?),
        false => one(integers::tensor(
            drawn.into_iter().map(|i| i as i64).collect(),
            &shape,
        )?),
    }
}

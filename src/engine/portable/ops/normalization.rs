//! Normalisations.

use candle_core::Tensor;

use super::elementwise_binary::{Add, Mul, Sub};
use super::elementwise_unary::Rsqrt;
use super::{Op, one, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::{Absent, Batch, Group, Lane, folded, leading};
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels::{Norm, map, norm, zip};
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[
    smooth(
        "batch_norm",
        batch_norm,
        &[sample(
            "tensor<fp32, [1, 2, 2]> y = batch_norm(x = tensor<fp32, [1, 2, 2]>([[[1.0, 2.0], [3.0, 5.0]]]), mean = tensor<fp32, [2]>([1.0, 2.0]), variance = tensor<fp32, [2]>([3.0, 8.0]), gamma = tensor<fp32, [2]>([4.0, 3.0]), beta = tensor<fp32, [2]>([0.5, -1.0]), epsilon = fp32(1.0));",
            &[&[0.5, 2.5, 0.0, 2.0]],
        )],
    ).batch(Batch::Fold(&[("x", 0)], &[0])),
    smooth(
        "instance_norm",
        instance_norm,
        &[sample(
            "tensor<fp32, [1, 2, 2]> y = instance_norm(x = tensor<fp32, [1, 2, 2]>([[[1.0, 3.0], [3.0, 8.0]]]), gamma = tensor<fp32, [2]>([4.0, 3.0]), beta = tensor<fp32, [2]>([0.5, -1.0]), epsilon = fp32(3.0));",
            &[&[-1.5, 2.5, -3.4659848, 1.4659848]],
        )],
    ).batch(Batch::Fold(&[("x", 0)], &[0])),
    smooth(
        "l2_norm",
        l2_norm,
        &[sample(
            "tensor<fp32, [1, 1, 2]> y = l2_norm(x = tensor<fp32, [1, 1, 2]>([[[2.0, 4.0]]]), epsilon = fp32(5.0));",
            &[&[0.4, 0.8]],
        )],
    ).batch(Batch::Leading(&["x"], 3)),
    smooth(
        "layer_norm",
        layer_norm,
        &[
            sample(
                "tensor<fp32, [2, 2]> y = layer_norm(x = tensor<fp32, [2, 2]>([[1.0, 3.0], [3.0, 8.0]]), axes = tensor<int32, [1]>([-1]), gamma = tensor<fp32, [2]>([4.0, 3.0]), beta = tensor<fp32, [2]>([0.5, -1.0]), epsilon = fp32(3.0));",
                &[&[-1.5, 0.5, -2.7879798, 1.4659848]],
            ),
            sample(
                "tensor<fp32, [2, 2]> y = layer_norm(x = tensor<fp32, [2, 2]>([[1.0, 3.0], [3.0, 8.0]]), axes = tensor<int32, [1]>([0]), gamma = tensor<fp32, [2]>([4.0, 3.0]), epsilon = fp32(3.0));",
                &[&[-2.0, -3.2879798, 1.5, 2.4659848]],
            ),
        ],
    ).batch(Batch::Axes(&["x"], "axes", Absent::All)),
    smooth(
        "local_response_norm",
        local_response_norm,
        &[sample(
            "tensor<fp32, [1, 3, 1, 1]> y = local_response_norm(x = tensor<fp32, [1, 3, 1, 1]>([[[[1.0]], [[2.0]], [[-3.0]]]]), size = int32(3), alpha = fp32(3.0), beta = fp32(0.5), k = fp32(4.0));",
            &[&[0.3333333, 0.4714045, -0.7276069]],
        )],
    )
    .batch(Batch::Own(local_response_norm_together)),
];

/// One value per channel (axis 1), as a tensor that broadcasts against `x`.
fn channels(call: &Call, name: &str, x: &Tensor) -> Result<Option<Tensor>> {
    let Some(values) = call.opt_floats(name)? else {
        return Ok(None);
    };
    if x.rank() < 2 || values.dims() != [x.dims()[1]] {
        fail!(
            "parameter \"{name}\" needs one value for each channel of {:?}, got {:?}",
            x.dims(),
            values.dims()
        );
    }
    let mut shape = vec![1; x.rank()];
    shape[1] = values.elem_count();
    Ok(Some(values.reshape(shape)?))
}

/// `x` · γ + β by channel, where given.
fn scaled(call: &Call, x: Tensor) -> Result<Tensor> {
    let (gamma, beta) = (channels(call, "gamma", &x)?, channels(call, "beta", &x)?);
    let shape = x.dims().to_vec();
    let x = match gamma {
        Some(gamma) => zip(&x, &gamma, &shape, Mul)?,
        None => x,
    };
    match beta {
        Some(beta) => Ok(zip(&x, &beta, &shape, Add)?),
        None => Ok(x),
    }
}

/// (x − mean) / √(variance + ε) · γ + β by channel.
fn batch_norm(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.floats("x")?;
    let (Some(mean), Some(variance)) = (channels(call, "mean", x)?, channels(call, "variance", x)?)
    else {
        fail!("batch_norm needs \"mean\" and \"variance\"");
    };
    let epsilon = call.float_or("epsilon", 1e-5)?;
    let centred = zip(x, &mean, x.dims(), Sub)?;
    let scale = map(&variance, Rsqrt { epsilon })?;
    one(scaled(call, zip(&centred, &scale, x.dims(), Mul)?)?)
}

/// Each channel of each example normalised over its places, then scaled and shifted.
fn instance_norm(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.floats("x")?;
    if x.rank() < 3 {
        fail!(
            "instance_norm needs a tensor of rank 3 or 4, got {:?}",
            x.dims()
        );
    }
    let places: usize = x.dims()[2..].iter().product();
    let rows = x.reshape((x.dims()[0] * x.dims()[1], places))?;
    let ones = Tensor::ones(places, x.dtype(), x.device())?;
    let kind = Norm {
        epsilon: call.float_or("epsilon", 1e-5)?,
        centre: true,
    };
    one(scaled(call, norm(&rows, &ones, kind)?.reshape(x.dims())?)?)
}

/// x / √(Σ x² + ε) over the last three axes.
fn l2_norm(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.floats("x")?;
    let axes: Vec<usize> = (x.rank().saturating_sub(3)..x.rank()).collect();
    let epsilon = call.float_or("epsilon", 1e-6)?;
    let sum = x.sqr()?.sum_keepdim(axes.as_slice())?;
    one(zip(x, &map(&sum, Rsqrt { epsilon })?, x.dims(), Mul)?)
}

fn layer_norm(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.floats("x")?;
    let axes = shapes::axes_of(call, x.rank())?;
    let kept = (0..x.rank()).filter(|i| !axes.contains(i));
    let order: Vec<usize> = kept.chain(axes.iter().copied()).collect();
    let inner: Vec<usize> = axes.iter().map(|i| x.dims()[*i]).collect();
    let width = inner.iter().product::<usize>();
    let moved = x.permute(order.as_slice())?;
    let setting = |name: &str| -> Result<Option<Tensor>> {
        match call.opt_floats(name)? {
            Some(values) if values.dims() != inner => fail!(
                "parameter \"{name}\" has shape {:?}, expected {inner:?}",
                values.dims()
            ),
            Some(values) => Ok(Some(values.reshape(width)?)),
            None => Ok(None),
        }
    };
    let gamma = match setting("gamma")? {
        Some(gamma) => gamma,
        None => Tensor::ones(width, x.dtype(), x.device())?,
    };
    let kind = Norm {
        epsilon: call.float_or("epsilon", 1e-5)?,
        centre: true,
    };
    let rows = moved.reshape((x.elem_count() / width.max(1), width))?;
    let mut y = norm(&rows, &gamma, kind)?;
    if let Some(beta) = setting("beta")? {
        y = zip(&y, &beta, rows.dims(), Add)?;
    }
    let mut back = vec![0; order.len()];
    for (to, from) in order.iter().enumerate() {
        back[*from] = to;
    }
    one(y.reshape(moved.dims())?.permute(back)?)
}

/// Beside the examples' axis, that of the channels is the second for rank 3, and else the third.
fn local_response_norm_together(group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    match group.rank("x") {
        Some(3) => leading(group, &["x"], 3, ctx),
        _ => folded(group, &[("x", 0)], &[0], ctx),
    }
}

/// x / (k + α/size · Σ x²)^β, the sum over `size` neighbouring channels.
fn local_response_norm(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.floats("x")?;
    let size = call.count("size")?;
    if x.rank() < 2 || size == 0 {
        fail!("local_response_norm of {:?} over {size} channels", x.dims());
    }
    let (alpha, beta) = (call.float_or("alpha", 1e-4)?, call.float_or("beta", 0.75)?);
    let k = call.float_or("k", 1.0)?;
    // Core ML reads rank 3 as [channels, height, width]: so say the numbers in coremltools' tests.
    let axis = if x.rank() == 3 { 0 } else { 1 };
    let channels = x.dims()[axis];
    let before = (size / 2).min(channels);
    let after = ((size - 1) / 2).min(channels);
    let padded = x.sqr()?.pad_with_zeros(axis, before, after)?;
    let mut sum = x.zeros_like()?;
    for offset in 0..=before + after {
        sum = (sum + shapes::part(&padded, axis, offset, channels)?)?;
    }
    let scale = (sum.affine(alpha / size as f64, k)?.log()? * -beta)?.exp()?;
    one((x * scale)?)
}

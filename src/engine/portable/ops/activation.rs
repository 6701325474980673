//! Activations.

use candle_core::Tensor;

use super::elementwise_unary::curve;
use super::{Op, one, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::{Absent, Batch};
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels::curves::curves;
use crate::engine::portable::kernels::{self, Real, map};
use crate::engine::portable::value::Value;
use crate::fail;

curves! {
    /// What [`Relu`] leaves out.
    Below {} |x, y| x.smaller(R::of(0.)), if x > R::of(0.) { R::of(0.) } else { R::of(1.) }, |t| None;
    /// min(β, x), with the negative half scaled by α.
    ClampedRelu { alpha, beta } |x, y| (if x < R::of(0.) { alpha * x } else { x }).smaller(beta),
        if y >= beta { R::of(0.) } else if x < R::of(0.) { alpha } else { R::of(1.) }, |t| None;
    /// α (eˣ − 1) below 0.
    Elu { alpha } |x, y| if x < R::of(0.) { alpha * (x.exp() - R::of(1.)) } else { x },
        if x > R::of(0.) { R::of(1.) } else { alpha * x.exp() }, |t| Some(t.elu(alpha));
    GeluExact {} |x, y| R::of(0.5) * x * (R::of(1.) + (x * R::of(std::f64::consts::FRAC_1_SQRT_2)).erf()),
        gelu_slope(x), |t| Some(t.gelu_erf());
    GeluTanh {} |x, y| R::of(0.5) * x * (R::of(1.) + tanh_inner(x).tanh()),
        gelu_tanh_slope(x), |t| Some(t.gelu());
    /// x σ(1.702 x).
    GeluSigmoid {} |x, y| x * sigmoid(R::of(1.702) * x),
        { let s = sigmoid(R::of(1.702) * x); s + R::of(1.702) * x * s * (R::of(1.) - s) }, |t| None;
    LeakyRelu { alpha } |x, y| if x < R::of(0.) { alpha * x } else { x },
        if x > R::of(0.) { R::of(1.) } else { alpha }, |t| None;
    Linear { alpha, beta } |x, y| alpha * x + beta, alpha, |t| Some(t.affine(alpha, beta));
    Relu {} |x, y| x.larger(R::of(0.)), if x > R::of(0.) { R::of(1.) } else { R::of(0.) }, |t| Some(t.relu());
    Relu6 {} |x, y| x.larger(R::of(0.)).smaller(R::of(6.)),
        if x > R::of(0.) && x < R::of(6.) { R::of(1.) } else { R::of(0.) }, |t| Some(t.clamp(0f32, 6f32));
    ScaledTanh { alpha, beta } |x, y| alpha * (beta * x).tanh(),
        alpha * beta - beta * y * y / alpha, |t| None;
    Sigmoid {} |x, y| sigmoid(x), y * (R::of(1.) - y), |t| Some(composed_sigmoid(t));
    SigmoidHard { alpha, beta } |x, y| (alpha * x + beta).larger(R::of(0.)).smaller(R::of(1.)),
        if y > R::of(0.) && y < R::of(1.) { alpha } else { R::of(0.) }, |t| None;
    /// x σ(x).
    Silu {} |x, y| x * sigmoid(x),
        { let s = sigmoid(x); s * (R::of(1.) + x * (R::of(1.) - s)) }, |t| Some(t.silu());
    Softplus {} |x, y| softplus(x), sigmoid(x), |t| None;
    Softsign {} |x, y| x / (R::of(1.) + x.abs()),
        { let d = R::of(1.) + x.abs(); R::of(1.) / (d * d) }, |t| None;
    /// x where it is at least α, else 0.
    ThresholdedRelu { alpha } |x, y| if x < alpha { R::of(0.) } else { x },
        if x < alpha { R::of(0.) } else { R::of(1.) }, |t| None;
}

pub(in crate::engine::portable) fn sigmoid<R: Real>(x: R) -> R {
    R::of(1.) / (R::of(1.) + (-x).quick_exp())
}

fn composed_sigmoid(x: &Tensor) -> candle_core::Result<Tensor> {
    (x.neg()?.exp()? + 1.0)?.recip()
}

fn softplus<R: Real>(x: R) -> R {
    x.larger(R::of(0.)) + (-x.abs()).exp().ln_1p()
}

fn gelu_slope<R: Real>(x: R) -> R {
    let density = R::of(0.398_942_280_401_432_7) * (R::of(-0.5) * x * x).quick_exp();
    R::of(0.5) * (R::of(1.) + (x * R::of(std::f64::consts::FRAC_1_SQRT_2)).erf()) + x * density
}

/// √(2/π) (x + 0.044715 x³).
fn tanh_inner<R: Real>(x: R) -> R {
    R::of(0.797_884_560_802_865_4) * x * (R::of(1.) + R::of(0.044715) * x * x)
}

fn gelu_tanh_slope<R: Real>(x: R) -> R {
    let t = tanh_inner(x).tanh();
    let inner = R::of(0.797_884_560_802_865_4) * (R::of(1.) + R::of(0.134145) * x * x);
    R::of(0.5) * (R::of(1.) + t) + R::of(0.5) * x * (R::of(1.) - t * t) * inner
}

const BY_ELEMENT: Batch = Batch::Leading(&["x"], 0);
const BY_CHANNEL: Batch = Batch::Fold(&[("x", 0)], &[0]);

pub(super) const OPS: &[Op] = &[
    smooth(
        "clamped_relu",
        |call, _| {
            curve(
                call,
                ClampedRelu {
                    alpha: call.float("alpha")?,
                    beta: call.float("beta")?,
                },
            )
        },
        &[sample(
            "tensor<fp32, [3]> y = clamped_relu(x = tensor<fp32, [3]>([-2.0, 0.5, 3.0]), alpha = fp32(0.25), beta = fp32(1.5));",
            &[&[-0.5, 0.5, 1.5]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "elu",
        |call, _| {
            curve(
                call,
                Elu {
                    alpha: call.float("alpha")?,
                },
            )
        },
        &[sample(
            "tensor<fp32, [2]> y = elu(x = tensor<fp32, [2]>([-1.0, 2.0]), alpha = fp32(0.5));",
            &[&[-0.3160603, 2.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "gelu",
        gelu,
        &[
            sample(
                "tensor<fp32, [3]> y = gelu(x = tensor<fp32, [3]>([-1.0, 0.5, 2.0]));",
                &[&[-0.1586553, 0.3457312, 1.9544997]],
            ),
            sample(
                "tensor<fp32, [3]> y = gelu(x = tensor<fp32, [3]>([-1.0, 0.5, 2.0]), mode = string(\"TANH_APPROXIMATION\"));",
                &[&[-0.1588080, 0.3457140, 1.9545977]],
            ),
            sample(
                "tensor<fp32, [3]> y = gelu(x = tensor<fp32, [3]>([-1.0, 0.5, 2.0]), mode = string(\"SIGMOID_APPROXIMATION\"));",
                &[&[-0.1542041, 0.3503876, 1.9356586]],
            ),
        ],
    ).batch(BY_ELEMENT),
    smooth(
        "leaky_relu",
        |call, _| {
            curve(
                call,
                LeakyRelu {
                    alpha: call.float("alpha")?,
                },
            )
        },
        &[sample(
            "tensor<fp32, [3]> y = leaky_relu(x = tensor<fp32, [3]>([-2.0, 0.5, 3.0]), alpha = fp32(0.25));",
            &[&[-0.5, 0.5, 3.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "linear_activation",
        |call, _| {
            curve(
                call,
                Linear {
                    alpha: call.float("alpha")?,
                    beta: call.float("beta")?,
                },
            )
        },
        &[sample(
            "tensor<fp32, [2]> y = linear_activation(x = tensor<fp32, [2]>([-2.0, 0.5]), alpha = fp32(3.0), beta = fp32(1.0));",
            &[&[-5.0, 2.5]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "prelu",
        prelu,
        &[sample(
            "tensor<fp32, [1, 2, 2]> y = prelu(x = tensor<fp32, [1, 2, 2]>([[[-2.0, 0.5], [-1.0, -3.0]]]), alpha = tensor<fp32, [2]>([0.25, 0.5]));",
            &[&[-0.5, 0.5, -0.5, -1.5]],
        )],
    ).batch(BY_CHANNEL),
    smooth(
        "relu",
        |call, _| curve(call, Relu {}),
        &[sample(
            "tensor<fp32, [3]> y = relu(x = tensor<fp32, [3]>([-1.0, 0.5, 2.0]));",
            &[&[0.0, 0.5, 2.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "relu6",
        |call, _| curve(call, Relu6 {}),
        &[sample(
            "tensor<fp32, [3]> y = relu6(x = tensor<fp32, [3]>([-1.0, 0.5, 8.0]));",
            &[&[0.0, 0.5, 6.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "scaled_tanh",
        |call, _| {
            curve(
                call,
                ScaledTanh {
                    alpha: call.float("alpha")?,
                    beta: call.float("beta")?,
                },
            )
        },
        &[sample(
            "tensor<fp32, [2]> y = scaled_tanh(x = tensor<fp32, [2]>([-1.0, 0.5]), alpha = fp32(2.0), beta = fp32(0.5));",
            &[&[-0.9242343, 0.4898373]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "sigmoid",
        |call, _| curve(call, Sigmoid {}),
        &[sample(
            "tensor<fp32, [2]> y = sigmoid(x = tensor<fp32, [2]>([-1.0, 2.0]));",
            &[&[0.2689414, 0.8807971]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "sigmoid_hard",
        |call, _| {
            curve(
                call,
                SigmoidHard {
                    alpha: call.float("alpha")?,
                    beta: call.float("beta")?,
                },
            )
        },
        &[sample(
            "tensor<fp32, [3]> y = sigmoid_hard(x = tensor<fp32, [3]>([-4.0, 0.5, 4.0]), alpha = fp32(0.25), beta = fp32(0.5));",
            &[&[0.0, 0.625, 1.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "silu",
        |call, _| curve(call, Silu {}),
        &[sample(
            "tensor<fp32, [2]> y = silu(x = tensor<fp32, [2]>([-1.0, 2.0]));",
            &[&[-0.2689414, 1.7615942]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "softmax",
        softmax,
        &[
            sample(
                "tensor<fp32, [3]> y = softmax(x = tensor<fp32, [3]>([1.0, 2.0, 4.0]));",
                &[&[0.0420101, 0.1141952, 0.8437947]],
            ),
            sample(
                "tensor<fp32, [2, 2]> y = softmax(x = tensor<fp32, [2, 2]>([[1.0, 2.0], [3.0, -1.0]]), axis = int32(0));",
                &[&[0.1192029, 0.9525741, 0.8807971, 0.0474259]],
            ),
        ],
    ).batch(Batch::Axes(&["x"], "axis", Absent::Axis(-1))),
    smooth(
        "softplus",
        |call, _| curve(call, Softplus {}),
        &[sample(
            "tensor<fp32, [3]> y = softplus(x = tensor<fp32, [3]>([-1.0, 2.0, 200.0]));",
            &[&[0.3132617, 2.1269280, 200.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "softplus_parametric",
        softplus_parametric,
        &[sample(
            "tensor<fp32, [1, 2, 1]> y = softplus_parametric(x = tensor<fp32, [1, 2, 1]>([[[-1.0], [2.0]]]), alpha = tensor<fp32, [2]>([2.0, 3.0]), beta = tensor<fp32, [2]>([1.0, 0.5]));",
            &[&[0.6265234, 3.9397851]],
        )],
    ).batch(BY_CHANNEL),
    smooth(
        "softsign",
        |call, _| curve(call, Softsign {}),
        &[sample(
            "tensor<fp32, [2]> y = softsign(x = tensor<fp32, [2]>([-1.0, 3.0]));",
            &[&[-0.5, 0.75]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "thresholded_relu",
        |call, _| {
            curve(
                call,
                ThresholdedRelu {
                    alpha: call.float("alpha")?,
                },
            )
        },
        &[sample(
            "tensor<fp32, [3]> y = thresholded_relu(x = tensor<fp32, [3]>([-1.0, 0.5, 2.0]), alpha = fp32(0.75));",
            &[&[0.0, 0.0, 2.0]],
        )],
    ).batch(BY_ELEMENT),
];

fn gelu(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let modes = ["EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"];
    match call.choice("mode", "EXACT", &modes)? {
        "EXACT" => curve(call, GeluExact {}),
        "TANH_APPROXIMATION" => curve(call, GeluTanh {}),
        _ => curve(call, GeluSigmoid {}),
    }
}

fn softmax(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.floats("x")?;
    if x.rank() == 0 {
        return one(x.ones_like()?);
    }
    let axis = shapes::axis_of(call, -1, x.rank())?;
    let y = kernels::softmax(&shapes::last(x, axis)?)?;
    one(shapes::moved(&y, x.rank() - 1, axis)?)
}

/// A value per channel (axis 1 of `x`), as a tensor that broadcasts against `x`.
fn per_channel(call: &Call, name: &str, x: &Tensor) -> Result<Tensor> {
    let values = call.floats(name)?;
    if x.rank() < 2 || values.dims() != [x.dims()[1]] {
        fail!(
            "parameter \"{name}\" needs one value for each channel of {:?}, got {:?}",
            x.dims(),
            values.dims()
        );
    }
    let mut shape = vec![1; x.rank()];
    shape[1] = x.dims()[1];
    Ok(values.reshape(shape)?)
}

/// max(x, 0) + α_c min(x, 0).
fn prelu(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.floats("x")?;
    let alpha = per_channel(call, "alpha", x)?;
    let below = map(x, Below {})?;
    one((map(x, Relu {})? + below.broadcast_mul(&alpha)?)?)
}

/// α_c ln(1 + exp(β_c x)).
fn softplus_parametric(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.floats("x")?;
    let (alpha, beta) = (
        per_channel(call, "alpha", x)?,
        per_channel(call, "beta", x)?,
    );
    let inner = map(&x.broadcast_mul(&beta)?, Softplus {})?;
    one(inner.broadcast_mul(&alpha)?)
}

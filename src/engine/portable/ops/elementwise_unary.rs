//! Functions of one element.

use candle_core::{DType as Candle, Device, Tensor};

use super::{Op, discrete, integers, one, sample, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels::curves::curves;
use crate::engine::portable::kernels::{Curve, map};
use crate::engine::portable::value::Value;
use crate::fail;
use crate::numeric::DType;

curves! {
    /// Flat at 0.
    Abs {} |x, y| x.abs(), if x == R::of(0.) { x } else { x / y }, |t| Some(t.abs());
    Acos {} |x, y| x.by(f64::acos), R::of(-1.) / (R::of(1.) - x * x).sqrt(), |t| None;
    Asin {} |x, y| x.by(f64::asin), R::of(1.) / (R::of(1.) - x * x).sqrt(), |t| None;
    Atan {} |x, y| x.by(f64::atan), R::of(1.) / (R::of(1.) + x * x), |t| None;
    Atanh {} |x, y| x.by(f64::atanh), R::of(1.) / (R::of(1.) - x * x), |t| None;
    Clip { low, high } |x, y| x.larger(low).smaller(high),
        if x < low || x > high { R::of(0.) } else { R::of(1.) }, |t| Some(t.clamp(low, high));
    Cos {} |x, y| x.by(f64::cos), -x.by(f64::sin), |t| Some(t.cos());
    Cosh {} |x, y| x.by(f64::cosh), x.by(f64::sinh), |t| None;
    Erf {} |x, y| x.erf(), R::of(std::f64::consts::FRAC_2_SQRT_PI) * (-x * x).exp(), |t| Some(t.erf());
    Exp {} |x, y| x.exp(), y, |t| Some(t.exp());
    Exp2 {} |x, y| x.by(f64::exp2), y * R::of(std::f64::consts::LN_2), |t| None;
    /// 1 / (x + ε).
    Inverse { epsilon } |x, y| R::of(1.) / (x + epsilon), -y * y,
        |t| Some((t + epsilon).and_then(|t| t.recip()));
    /// ln (x + ε).
    Log { epsilon } |x, y| (x + epsilon).ln(), R::of(1.) / (x + epsilon),
        |t| Some((t + epsilon).and_then(|t| t.log()));
    /// 1 / √(x + ε).
    Rsqrt { epsilon } |x, y| R::of(1.) / (x + epsilon).sqrt(), R::of(-0.5) * y / (x + epsilon),
        |t| Some((t + epsilon).and_then(|t| t.sqrt()?.recip()));
    Sin {} |x, y| x.by(f64::sin), x.by(f64::cos), |t| Some(t.sin());
    Sinh {} |x, y| x.by(f64::sinh), x.by(f64::cosh), |t| None;
    Sqrt {} |x, y| x.sqrt(), R::of(0.5) / y, |t| Some(t.sqrt());
    Square {} |x, y| x * x, x + x, |t| Some(t.sqr());
    Tan {} |x, y| x.by(f64::tan), R::of(1.) + y * y, |t| None;
    Tanh {} |x, y| x.tanh(), R::of(1.) - y * y, |t| Some(t.tanh());
    /// max(x, α).
    Threshold { alpha } |x, y| x.larger(alpha), if x < alpha { R::of(0.) } else { R::of(1.) },
        |t| Some(t.maximum(alpha));
    Ceil {} |x, y| x.by(f64::ceil), R::of(0.), |t| Some(t.ceil());
    Floor {} |x, y| x.by(f64::floor), R::of(0.), |t| Some(t.floor());
    Round {} |x, y| x.by(f64::round_ties_even), R::of(0.), |t| None;
    Sign {} |x, y| x.by(sign), R::of(0.), |t| Some(t.sign());
}

fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

const BY_ELEMENT: Batch = Batch::Leading(&["x"], 0);

pub(super) const OPS: &[Op] = &[
    smooth(
        "abs",
        |call, _| curve(call, Abs {}),
        &[
            sample(
                "tensor<fp32, [3]> y = abs(x = tensor<fp32, [3]>([-1.5, 0.5, 2.0]));",
                &[&[1.5, 0.5, 2.0]],
            ),
            sample(
                "tensor<int32, [2]> y = abs(x = tensor<int32, [2]>([-3, 4]));",
                &[&[3.0, 4.0]],
            ),
        ],
    ).batch(BY_ELEMENT),
    smooth(
        "acos",
        |call, _| curve(call, Acos {}),
        &[sample(
            "tensor<fp32, [2]> y = acos(x = tensor<fp32, [2]>([-0.5, 0.25]));",
            &[&[2.0943951, 1.3181161]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "asin",
        |call, _| curve(call, Asin {}),
        &[sample(
            "tensor<fp32, [2]> y = asin(x = tensor<fp32, [2]>([-0.75, 0.25]));",
            &[&[-0.8480621, 0.2526803]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "atan",
        |call, _| curve(call, Atan {}),
        &[sample(
            "tensor<fp32, [2]> y = atan(x = tensor<fp32, [2]>([-0.5, 2.0]));",
            &[&[-0.4636476, 1.1071487]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "atanh",
        |call, _| curve(call, Atanh {}),
        &[sample(
            "tensor<fp32, [2]> y = atanh(x = tensor<fp32, [2]>([-0.5, 0.25]));",
            &[&[-0.5493061, 0.2554128]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "cast",
        cast,
        &[
            sample(
                "tensor<int32, [3]> y = cast(x = tensor<fp32, [3]>([-1.75, 0.5, 2.25]), dtype = string(\"int32\"));",
                &[&[-1.0, 0.0, 2.0]],
            ),
            sample(
                "tensor<fp32, [2]> y = cast(x = tensor<int32, [2]>([-3, 4]), dtype = string(\"fp32\"));",
                &[&[-3.0, 4.0]],
            ),
            sample(
                "tensor<bool, [3]> y = cast(x = tensor<fp32, [3]>([0.5, 0.0, -2.0]), dtype = string(\"bool\"));",
                &[&[1.0, 0.0, 1.0]],
            ),
            sample(
                "tensor<fp16, [2]> y = cast(x = tensor<fp32, [2]>([0.5, -2.0]), dtype = string(\"fp16\"));",
                &[&[0.5, -2.0]],
            ),
            sample(
                "tensor<uint8, [3]> y = cast(x = tensor<fp32, [3]>([-7.0, 300.0, 9.9]), dtype = string(\"uint8\"));",
                &[&[0.0, 255.0, 9.0]],
            ),
        ],
    ).batch(BY_ELEMENT),
    discrete(
        "ceil",
        |call, _| steps(call, Ceil {}),
        &[sample(
            "tensor<fp32, [3]> y = ceil(x = tensor<fp32, [3]>([-1.5, 0.25, 2.0]));",
            &[&[-1.0, 1.0, 2.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "clip",
        clip,
        &[sample(
            "tensor<fp32, [4]> y = clip(x = tensor<fp32, [4]>([-2.0, 0.5, 1.5, 4.0]), alpha = fp32(-1.0), beta = fp32(2.0));",
            &[&[-1.0, 0.5, 1.5, 2.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "cos",
        |call, _| curve(call, Cos {}),
        &[sample(
            "tensor<fp32, [2]> y = cos(x = tensor<fp32, [2]>([-0.5, 2.0]));",
            &[&[0.8775826, -0.4161468]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "cosh",
        |call, _| curve(call, Cosh {}),
        &[sample(
            "tensor<fp32, [2]> y = cosh(x = tensor<fp32, [2]>([-0.5, 2.0]));",
            &[&[1.1276260, 3.7621957]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "erf",
        |call, _| curve(call, Erf {}),
        &[sample(
            "tensor<fp32, [2]> y = erf(x = tensor<fp32, [2]>([-0.5, 1.0]));",
            &[&[-0.5204999, 0.8427008]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "exp",
        |call, _| curve(call, Exp {}),
        &[sample(
            "tensor<fp32, [2]> y = exp(x = tensor<fp32, [2]>([-0.5, 2.0]));",
            &[&[0.6065307, 7.3890561]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "exp2",
        |call, _| curve(call, Exp2 {}),
        &[sample(
            "tensor<fp32, [2]> y = exp2(x = tensor<fp32, [2]>([-1.5, 3.0]));",
            &[&[0.3535534, 8.0]],
        )],
    ).batch(BY_ELEMENT),
    discrete(
        "floor",
        |call, _| steps(call, Floor {}),
        &[sample(
            "tensor<fp32, [3]> y = floor(x = tensor<fp32, [3]>([-1.5, 0.25, 2.0]));",
            &[&[-2.0, 0.0, 2.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "identity",
        |call, _| one(call.value("x")?.clone()),
        &[sample(
            "tensor<fp32, [2]> y = identity(x = tensor<fp32, [2]>([-0.5, 3.0]));",
            &[&[-0.5, 3.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "inverse",
        |call, _| {
            curve(
                call,
                Inverse {
                    epsilon: call.float_or("epsilon", 1e-4)?,
                },
            )
        },
        &[sample(
            "tensor<fp32, [2]> y = inverse(x = tensor<fp32, [2]>([-0.5, 3.0]), epsilon = fp32(1.0));",
            &[&[2.0, 0.25]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "log",
        |call, _| {
            curve(
                call,
                Log {
                    epsilon: call.float_or("epsilon", 1e-45)?,
                },
            )
        },
        &[
            sample(
                "tensor<fp32, [2]> y = log(x = tensor<fp32, [2]>([0.5, 3.0]), epsilon = fp32(1.0));",
                &[&[0.4054651, 1.3862944]],
            ),
            sample(
                "tensor<fp32, [1]> y = log(x = tensor<fp32, [1]>([3.0]));",
                &[&[1.0986123]],
            ),
        ],
    ).batch(BY_ELEMENT),
    discrete(
        "logical_not",
        logical_not,
        &[sample(
            "tensor<bool, [2]> y = logical_not(x = tensor<bool, [2]>([true, false]));",
            &[&[0.0, 1.0]],
        )],
    ).batch(BY_ELEMENT),
    discrete(
        "round",
        |call, _| steps(call, Round {}),
        &[sample(
            "tensor<fp32, [4]> y = round(x = tensor<fp32, [4]>([-1.6, 0.5, 2.25, 1.5]));",
            &[&[-2.0, 0.0, 2.0, 2.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "rsqrt",
        |call, _| {
            curve(
                call,
                Rsqrt {
                    epsilon: call.float_or("epsilon", 1e-12)?,
                },
            )
        },
        &[sample(
            "tensor<fp32, [2]> y = rsqrt(x = tensor<fp32, [2]>([3.0, 0.5]), epsilon = fp32(1.0));",
            &[&[0.5, 0.8164966]],
        )],
    ).batch(BY_ELEMENT),
    discrete(
        "sign",
        |call, _| steps(call, Sign {}),
        &[sample(
            "tensor<fp32, [3]> y = sign(x = tensor<fp32, [3]>([-1.6, 0.0, 2.25]));",
            &[&[-1.0, 0.0, 1.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "sin",
        |call, _| curve(call, Sin {}),
        &[sample(
            "tensor<fp32, [2]> y = sin(x = tensor<fp32, [2]>([-0.5, 2.0]));",
            &[&[-0.4794255, 0.9092974]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "sinh",
        |call, _| curve(call, Sinh {}),
        &[sample(
            "tensor<fp32, [2]> y = sinh(x = tensor<fp32, [2]>([-0.5, 2.0]));",
            &[&[-0.5210953, 3.6268604]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "sqrt",
        |call, _| curve(call, Sqrt {}),
        &[sample(
            "tensor<fp32, [2]> y = sqrt(x = tensor<fp32, [2]>([0.25, 5.0]));",
            &[&[0.5, 2.2360680]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "square",
        |call, _| curve(call, Square {}),
        &[
            sample(
                "tensor<fp32, [2]> y = square(x = tensor<fp32, [2]>([-0.5, 3.0]));",
                &[&[0.25, 9.0]],
            ),
            sample(
                "tensor<int32, [2]> y = square(x = tensor<int32, [2]>([-3, 4]));",
                &[&[9.0, 16.0]],
            ),
        ],
    ).batch(BY_ELEMENT),
    smooth(
        "tan",
        |call, _| curve(call, Tan {}),
        &[sample(
            "tensor<fp32, [2]> y = tan(x = tensor<fp32, [2]>([-0.5, 1.0]));",
            &[&[-0.5463025, 1.5574077]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "tanh",
        |call, _| curve(call, Tanh {}),
        &[sample(
            "tensor<fp32, [2]> y = tanh(x = tensor<fp32, [2]>([-0.5, 1.0]));",
            &[&[-0.4621172, 0.7615942]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "threshold",
        |call, _| {
            curve(
                call,
                Threshold {
                    alpha: call.float("alpha")?,
                },
            )
        },
        &[sample(
            "tensor<fp32, [3]> y = threshold(x = tensor<fp32, [3]>([-0.5, 1.0, 3.0]), alpha = fp32(0.75));",
            &[&[0.75, 1.0, 3.0]],
        )],
    ).batch(BY_ELEMENT),
];

/// `curve` of the parameter `x`; of integers, truncated.
pub(super) fn curve(call: &Call, curve: impl Curve) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    if x.dtype().is_float() {
        return one(map(x, curve)?);
    }
    let values = integers::read(x, x.dims())?;
    let values = values.into_iter().map(|v| curve.value(v as f64) as i64);
    one(integers::tensor(values.collect(), x.dims())?)
}

/// A piecewise constant curve: the result is cut off from what it was made of.
fn steps(call: &Call, steps: impl Curve) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    match x.dtype().is_float() {
        true => one(map(&x.detach(), steps)?),
        false => curve(call, steps),
    }
}

fn clip(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let (low, high) = (call.float("alpha")?, call.float("beta")?);
    curve(call, Clip { low, high })
}

fn logical_not(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let values = integers::read(x, x.dims())?;
    one(integers::booleans(
        values.iter().map(|v| *v == 0),
        x.dims(),
    )?)
}

fn cast(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let name = call.text("dtype")?;
    let dtype = match DType::from_name(name) {
        Some(dtype) if dtype != DType::String => dtype,
        _ => fail!("parameter \"dtype\" is \"{name}\", expected the name of a number type"),
    };
    one(Value::Tensor {
        tensor: convert(call.tensor("x")?, dtype, ctx)?,
        dtype,
    })
}

/// `x` as `dtype`: floats are truncated towards zero and held in the range of an integer type.
pub(super) fn convert(x: &Tensor, dtype: DType, ctx: &Ctx) -> Result<Tensor> {
    let float = x.dtype().is_float();
    if dtype.is_float() {
        return match float {
            true => Ok(x.clone()),
            false => Ok(x.to_device(ctx.scope.device)?.to_dtype(ctx.scope.float)?),
        };
    }
    if dtype == DType::Bool {
        let x = x.detach().to_device(&Device::Cpu)?;
        return Ok(x.ne(&x.zeros_like()?)?);
    }
    if !float {
        return Ok(x.to_dtype(Candle::I64)?);
    }
    let bits = dtype.bits().min(63) as u32;
    let signed = dtype.name().starts_with("int");
    let (low, high) = match signed {
        true => (
            -(2f64.powi(bits as i32 - 1)),
            2f64.powi(bits as i32 - 1) - 1.0,
        ),
        false => (0.0, 2f64.powi(bits as i32) - 1.0),
    };
    let values: Vec<f64> = x.flatten_all()?.to_dtype(Candle::F64)?.to_vec1()?;
    let values = values.into_iter().map(|v| v.clamp(low, high) as i64);
    integers::tensor(values.collect(), x.dims())
}

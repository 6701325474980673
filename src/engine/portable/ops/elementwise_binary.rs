//! Functions of two elements, with broadcasting: arithmetic, comparisons, logic.

use candle_core::{Device, Tensor};

use super::elementwise_unary::Square;
use super::{Op, discrete, integers, one, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels::{Pair, Real, map, zip};
use crate::engine::portable::value::Value;
use crate::fail;

/// `Name |a, b| value, (slope by a, slope by b), |s, t| composition;`, with `[signs]` before the value
/// where the slopes are 1 or −1 everywhere.
macro_rules! pairs {
    ($($(#[$doc:meta])* $name:ident $([$($sign:literal),*])? |$a:ident, $b:ident| $value:expr, $slopes:expr, |$s:ident, $t:ident| $composed:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(super) struct $name;

        impl Pair for $name {
            fn value<R: Real>(&self, $a: R, $b: R) -> R {
                $value
            }

            fn slopes<R: Real>(&self, $a: R, $b: R) -> (R, R) {
                let _ = ($a, $b);
                $slopes
            }

            $(fn signs(&self) -> Option<[bool; 2]> {
                Some([$($sign),*])
            })?

            fn composed(&self, $s: &Tensor, $t: &Tensor) -> Option<candle_core::Result<Tensor>> {
                let _ = ($s, $t);
                $composed
            }
        }
    )*};
}

pairs! {
    Add [true, true] |a, b| a + b, (R::of(1.), R::of(1.)), |s, t| Some(s.broadcast_add(t));
    Sub [true, false] |a, b| a - b, (R::of(1.), R::of(-1.)), |s, t| Some(s.broadcast_sub(t));
    Mul |a, b| a * b, (b, a), |s, t| Some(s.broadcast_mul(t));
    Div |a, b| a / b, (R::of(1.) / b, -a / (b * b)), |s, t| Some(s.broadcast_div(t));
    Maximum |a, b| a.larger(b), share(a, b, a >= b, b >= a), |s, t| Some(s.broadcast_maximum(t));
    Minimum |a, b| a.smaller(b), share(a, b, a <= b, b <= a), |s, t| Some(s.broadcast_minimum(t));
    /// ⌊a / b⌋; piecewise constant.
    FloorDiv |a, b| (a / b).by(f64::floor), (R::of(0.), R::of(0.)), |s, t| None;
    /// a − b ⌊a / b⌋: the sign of the divisor.
    Mod |a, b| a - b * (a / b).by(f64::floor), (R::of(1.), -(a / b).by(f64::floor)), |s, t| None;
    Pow |a, b| a.powf(b), power_slopes(a, b), |s, t| None;
}

/// The slopes of a maximum or minimum; a tie is shared.
fn share<R: Real>(a: R, b: R, first: bool, second: bool) -> (R, R) {
    if a == b {
        return (R::of(0.5), R::of(0.5));
    }
    (R::of(f64::from(first)), R::of(f64::from(second)))
}

fn power_slopes<R: Real>(a: R, b: R) -> (R, R) {
    let by_base = match b == R::of(0.) {
        true => R::of(0.),
        false => b * a.powf(b - R::of(1.)),
    };
    match a > R::of(0.) {
        true => (by_base, a.powf(b) * a.ln()),
        false => (by_base, R::of(0.)),
    }
}

const BY_ELEMENT: Batch = Batch::Leading(&["x", "y"], 0);

pub(super) const OPS: &[Op] = &[
    smooth(
        "add",
        |call, _| arithmetic(call, Add, i64::checked_add),
        &[
            sample(
                "tensor<fp32, [2, 2]> z = add(x = tensor<fp32, [2, 2]>([[1.0, 2.0], [3.0, 5.0]]), y = tensor<fp32, [2]>([10.0, 0.5]));",
                &[&[11.0, 2.5, 13.0, 5.5]],
            ),
            sample(
                "tensor<int32, [2]> z = add(x = tensor<int32, [2]>([1, -2]), y = int32(3));",
                &[&[4.0, 1.0]],
            ),
        ],
    ).batch(BY_ELEMENT),
    discrete(
        "equal",
        |call, _| compare(call, |a, b| a == b, |a, b| a == b),
        &[
            sample(
                "tensor<bool, [3]> z = equal(x = tensor<fp32, [3]>([1.0, 2.0, 3.0]), y = fp32(2.0));",
                &[&[0.0, 1.0, 0.0]],
            ),
            sample(
                "tensor<bool, [2]> z = equal(x = tensor<bool, [2]>([true, false]), y = tensor<bool, [2]>([true, true]));",
                &[&[1.0, 0.0]],
            ),
        ],
    ).batch(BY_ELEMENT),
    discrete(
        "floor_div",
        floor_div,
        &[
            sample(
                "tensor<fp32, [3]> z = floor_div(x = tensor<fp32, [3]>([7.0, -7.0, 7.5]), y = tensor<fp32, [3]>([2.0, 2.0, -2.0]));",
                &[&[3.0, -4.0, -4.0]],
            ),
            sample(
                "tensor<int32, [3]> z = floor_div(x = tensor<int32, [3]>([7, -7, 7]), y = tensor<int32, [3]>([2, 2, -2]));",
                &[&[3.0, -4.0, -4.0]],
            ),
        ],
    ).batch(BY_ELEMENT),
    discrete(
        "greater",
        |call, _| compare(call, |a, b| a > b, |a, b| a > b),
        &[sample(
            "tensor<bool, [3]> z = greater(x = tensor<fp32, [3]>([1.0, 2.0, 3.0]), y = fp32(2.0));",
            &[&[0.0, 0.0, 1.0]],
        )],
    ).batch(BY_ELEMENT),
    discrete(
        "greater_equal",
        |call, _| compare(call, |a, b| a >= b, |a, b| a >= b),
        &[sample(
            "tensor<bool, [3, 1]> z = greater_equal(x = tensor<int32, [3, 1]>([[1], [2], [3]]), y = tensor<int32, [1]>([2]));",
            &[&[0.0, 1.0, 1.0]],
        )],
    ).batch(BY_ELEMENT),
    discrete(
        "less",
        |call, _| compare(call, |a, b| a < b, |a, b| a < b),
        &[sample(
            "tensor<bool, [3]> z = less(x = tensor<fp32, [3]>([1.0, 2.0, 3.0]), y = fp32(2.0));",
            &[&[1.0, 0.0, 0.0]],
        )],
    ).batch(BY_ELEMENT),
    discrete(
        "less_equal",
        |call, _| compare(call, |a, b| a <= b, |a, b| a <= b),
        &[sample(
            "tensor<bool, [3]> z = less_equal(x = tensor<fp32, [3]>([1.0, 2.0, 3.0]), y = fp32(2.0));",
            &[&[1.0, 1.0, 0.0]],
        )],
    ).batch(BY_ELEMENT),
    discrete(
        "logical_and",
        |call, _| logic(call, |a, b| a && b),
        &[sample(
            "tensor<bool, [4]> z = logical_and(x = tensor<bool, [4]>([true, true, false, false]), y = tensor<bool, [4]>([true, false, true, false]));",
            &[&[1.0, 0.0, 0.0, 0.0]],
        )],
    ).batch(BY_ELEMENT),
    discrete(
        "logical_or",
        |call, _| logic(call, |a, b| a || b),
        &[sample(
            "tensor<bool, [4]> z = logical_or(x = tensor<bool, [4]>([true, true, false, false]), y = tensor<bool, [4]>([true, false, true, false]));",
            &[&[1.0, 1.0, 1.0, 0.0]],
        )],
    ).batch(BY_ELEMENT),
    discrete(
        "logical_xor",
        |call, _| logic(call, |a, b| a != b),
        &[sample(
            "tensor<bool, [4]> z = logical_xor(x = tensor<bool, [4]>([true, true, false, false]), y = tensor<bool, [4]>([true, false, true, false]));",
            &[&[0.0, 1.0, 1.0, 0.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "maximum",
        |call, _| arithmetic(call, Maximum, |a, b| Some(a.max(b))),
        &[sample(
            "tensor<fp32, [3]> z = maximum(x = tensor<fp32, [3]>([1.0, 2.5, 3.0]), y = tensor<fp32, [1]>([2.0]));",
            &[&[2.0, 2.5, 3.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "minimum",
        |call, _| arithmetic(call, Minimum, |a, b| Some(a.min(b))),
        &[sample(
            "tensor<fp32, [3]> z = minimum(x = tensor<fp32, [3]>([1.0, 2.5, 3.0]), y = tensor<fp32, [1]>([2.0]));",
            &[&[1.0, 2.0, 2.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "mod",
        |call, _| {
            arithmetic(call, Mod, |a, b| {
                a.checked_rem(b).map(|r| {
                    if r != 0 && (r < 0) != (b < 0) {
                        r + b
                    } else {
                        r
                    }
                })
            })
        },
        &[
            sample(
                "tensor<fp32, [3]> z = mod(x = tensor<fp32, [3]>([7.5, -7.25, 7.0]), y = tensor<fp32, [3]>([2.0, 2.0, -4.0]));",
                &[&[1.5, 0.75, -1.0]],
            ),
            sample(
                "tensor<int32, [3]> z = mod(x = tensor<int32, [3]>([7, -7, 7]), y = tensor<int32, [3]>([4, 4, -4]));",
                &[&[3.0, 1.0, -1.0]],
            ),
        ],
    ).batch(BY_ELEMENT),
    smooth(
        "mul",
        |call, _| arithmetic(call, Mul, i64::checked_mul),
        &[sample(
            "tensor<fp32, [2, 2]> z = mul(x = tensor<fp32, [2, 1]>([[1.0], [3.0]]), y = tensor<fp32, [2]>([10.0, 0.5]));",
            &[&[10.0, 0.5, 30.0, 1.5]],
        )],
    ).batch(BY_ELEMENT),
    discrete(
        "not_equal",
        |call, _| compare(call, |a, b| a != b, |a, b| a != b),
        &[sample(
            "tensor<bool, [3]> z = not_equal(x = tensor<fp32, [3]>([1.0, 2.0, 3.0]), y = fp32(2.0));",
            &[&[1.0, 0.0, 1.0]],
        )],
    ).batch(BY_ELEMENT),
    smooth(
        "pow",
        pow,
        &[
            sample(
                "tensor<fp32, [3]> z = pow(x = tensor<fp32, [3]>([2.0, 3.0, 0.25]), y = tensor<fp32, [3]>([3.0, -1.0, 0.5]));",
                &[&[8.0, 0.3333333, 0.5]],
            ),
            sample(
                "tensor<fp32, [2]> z = pow(x = tensor<fp32, [2]>([-2.0, 3.0]), y = fp32(2.0));",
                &[&[4.0, 9.0]],
            ),
            sample(
                "tensor<int32, [2]> z = pow(x = tensor<int32, [2]>([-2, 3]), y = int32(3));",
                &[&[-8.0, 27.0]],
            ),
        ],
    ).batch(BY_ELEMENT),
    smooth(
        "real_div",
        |call, _| arithmetic(call, Div, i64::checked_div),
        &[
            sample(
                "tensor<fp32, [3]> z = real_div(x = tensor<fp32, [3]>([1.0, 2.0, -3.0]), y = tensor<fp32, [3]>([2.0, 4.0, 0.5]));",
                &[&[0.5, 0.5, -6.0]],
            ),
            sample(
                "tensor<int32, [2]> z = real_div(x = tensor<int32, [2]>([7, -7]), y = int32(2));",
                &[&[3.0, -3.0]],
            ),
        ],
    ).batch(BY_ELEMENT),
    smooth(
        "sub",
        |call, _| arithmetic(call, Sub, i64::checked_sub),
        &[sample(
            "tensor<fp32, [2, 2]> z = sub(x = tensor<fp32, [2]>([10.0, 0.5]), y = tensor<fp32, [2, 2]>([[1.0, 2.0], [3.0, 5.0]]));",
            &[&[9.0, -1.5, 7.0, -4.5]],
        )],
    ).batch(BY_ELEMENT),
];

/// The operands `x` and `y`, and the shape they broadcast to.
fn operands<'c>(call: &'c Call) -> Result<(&'c Tensor, &'c Tensor, Vec<usize>)> {
    let (x, y) = (call.tensor("x")?, call.tensor("y")?);
    let shape = shapes::broadcast(call, x.dims(), y.dims())?;
    Ok((x, y, shape))
}

fn arithmetic(
    call: &Call,
    pair: impl Pair,
    integer: fn(i64, i64) -> Option<i64>,
) -> Result<Vec<Value>> {
    let (x, y, shape) = operands(call)?;
    match (x.dtype().is_float(), y.dtype().is_float()) {
        (true, true) => one(zip(x, y, &shape, pair)?),
        (true, false) => one(zip(x, &like(y, x)?, &shape, pair)?),
        (false, true) => one(zip(&like(x, y)?, y, &shape, pair)?),
        (false, false) => {
            let pairs = integers::read(x, &shape)?
                .into_iter()
                .zip(integers::read(y, &shape)?);
            let values: Option<Vec<i64>> = pairs.map(|(a, b)| integer(a, b)).collect();
            match values {
                Some(values) => one(integers::tensor(values, &shape)?),
                None => fail!("division by zero or overflow of integers"),
            }
        }
    }
}

/// Integers `x` as floats beside `y`.
fn like(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    Ok(x.to_dtype(y.dtype())?.to_device(y.device())?)
}

fn floor_div(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let (x, y, shape) = operands(call)?;
    if x.dtype().is_float() && y.dtype().is_float() {
        return one(zip(&x.detach(), &y.detach(), &shape, FloorDiv)?);
    }
    arithmetic(call, FloorDiv, |a, b| {
        let quotient = a.checked_div(b)?;
        Some(quotient - i64::from(a % b != 0 && (a < 0) != (b < 0)))
    })
}

fn pow(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let (x, y) = (call.tensor("x")?, call.tensor("y")?);
    let constant = x.dtype().is_float() && y.elem_count() == 1 && y.rank() <= x.rank();
    if constant && !y.track_op() && call.value("y")?.floats()? == [2.0] {
        return one(map(x, Square {})?);
    }
    arithmetic(call, Pow, |a, b| match u32::try_from(b) {
        Ok(power) => a.checked_pow(power),
        Err(_) => a
            .checked_pow(u32::try_from(b.checked_neg()?).ok()?)
            .and_then(|p| 1i64.checked_div(p)),
    })
}

fn compare(
    call: &Call,
    float: fn(f64, f64) -> bool,
    integer: fn(i64, i64) -> bool,
) -> Result<Vec<Value>> {
    let (x, y, shape) = operands(call)?;
    if !x.dtype().is_float() && !y.dtype().is_float() {
        let pairs = integers::read(x, &shape)?
            .into_iter()
            .zip(integers::read(y, &shape)?);
        return one(integers::booleans(
            pairs.map(|(a, b)| integer(a, b)),
            &shape,
        )?);
    }
    let read = |x: &Tensor| -> Result<Vec<f64>> {
        let x = x
            .detach()
            .to_device(&Device::Cpu)?
            .broadcast_as(shape.as_slice())?;
        Ok(x.flatten_all()?
            .to_dtype(candle_core::DType::F64)?
            .to_vec1()?)
    };
    let pairs = read(x)?.into_iter().zip(read(y)?);
    one(integers::booleans(pairs.map(|(a, b)| float(a, b)), &shape)?)
}

fn logic(call: &Call, f: fn(bool, bool) -> bool) -> Result<Vec<Value>> {
    let (x, y, shape) = operands(call)?;
    let pairs = integers::read(x, &shape)?
        .into_iter()
        .zip(integers::read(y, &shape)?);
    one(integers::booleans(
        pairs.map(|(a, b)| f(a != 0, b != 0)),
        &shape,
    )?)
}

//! Reductions over axes.

use candle_core::{D, DType as Candle, Tensor};

use super::elementwise_binary::{Add, Mul, Sub};
use super::elementwise_unary::Abs;
use super::{Op, discrete, integers, one, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::{Absent, Batch};
use crate::engine::portable::call::Call;
use crate::engine::portable::kernels::curves::curves;
use crate::engine::portable::kernels::{Extreme, extreme, map, zip};
use crate::engine::portable::value::Value;
use crate::fail;

const OVER_AXES: Batch = Batch::Axes(&["x"], "axes", Absent::All);

pub(super) const OPS: &[Op] = &[
    discrete(
        "reduce_argmax",
        |call, _| best(call, |a, b| a > b),
        &[
            sample(
                "tensor<int32, [2]> y = reduce_argmax(x = tensor<fp32, [2, 3]>([[1.0, 5.0, 2.0], [7.0, -1.0, 7.0]]));",
                &[&[1.0, 0.0]],
            ),
            sample(
                "tensor<int32, [1, 3]> y = reduce_argmax(x = tensor<fp32, [2, 3]>([[1.0, 5.0, 2.0], [7.0, -1.0, 3.0]]), axis = int32(0), keep_dims = bool(true));",
                &[&[1.0, 0.0, 1.0]],
            ),
        ],
    ).batch(Batch::Axes(&["x"], "axis", Absent::Axis(-1))),
    discrete(
        "reduce_argmin",
        |call, _| best(call, |a, b| a < b),
        &[sample(
            "tensor<int32, [2]> y = reduce_argmin(x = tensor<fp32, [2, 3]>([[1.0, 5.0, 2.0], [7.0, -1.0, 7.0]]));",
            &[&[0.0, 1.0]],
        )],
    ).batch(Batch::Axes(&["x"], "axis", Absent::Axis(-1))),
    smooth(
        "reduce_l1_norm",
        |call, _| reduce(call, |x| sum(&size(x)?)),
        &[sample(
            "tensor<fp32, [2]> y = reduce_l1_norm(x = tensor<fp32, [2, 2]>([[3.0, -4.0], [1.0, 2.0]]), axes = tensor<int32, [1]>([1]));",
            &[&[7.0, 3.0]],
        )],
    ).batch(OVER_AXES),
    smooth(
        "reduce_l2_norm",
        |call, _| reduce(call, |x| Ok(map(&sum(&square(real(x)?)?)?, Length {})?)),
        &[sample(
            "tensor<fp32, [2]> y = reduce_l2_norm(x = tensor<fp32, [2, 2]>([[3.0, -4.0], [1.0, 2.0]]), axes = tensor<int32, [1]>([1]));",
            &[&[5.0, 2.2360680]],
        )],
    ).batch(OVER_AXES),
    smooth(
        "reduce_log_sum",
        |call, _| reduce(call, |x| Ok(sum(real(x)?)?.log()?)),
        &[sample(
            "tensor<fp32, [2]> y = reduce_log_sum(x = tensor<fp32, [2, 2]>([[3.0, 4.0], [1.0, 2.0]]), axes = tensor<int32, [1]>([1]));",
            &[&[1.9459101, 1.0986123]],
        )],
    ).batch(OVER_AXES),
    smooth(
        "reduce_log_sum_exp",
        |call, _| reduce(call, log_sum_exp),
        &[sample(
            "tensor<fp32, [2]> y = reduce_log_sum_exp(x = tensor<fp32, [2, 2]>([[3.0, 4.0], [100.0, 102.0]]), axes = tensor<int32, [1]>([1]));",
            &[&[4.3132617, 102.1269280]],
        )],
    ).batch(OVER_AXES),
    smooth(
        "reduce_max",
        |call, _| reduce(call, |x| largest_or_smallest(x, Extreme::Largest)),
        &[
            sample(
                "tensor<fp32, [2]> y = reduce_max(x = tensor<fp32, [2, 3]>([[1.0, 5.0, 2.0], [7.0, -1.0, 3.0]]), axes = tensor<int32, [1]>([1]));",
                &[&[5.0, 7.0]],
            ),
            sample(
                "int32 y = reduce_max(x = tensor<int32, [3]>([1, 5, 2]));",
                &[&[5.0]],
            ),
        ],
    ).batch(OVER_AXES),
    smooth(
        "reduce_mean",
        |call, _| reduce(call, mean),
        &[sample(
            "tensor<fp32, [1, 2]> y = reduce_mean(x = tensor<fp32, [2, 2]>([[3.0, 4.0], [1.0, 8.0]]), axes = tensor<int32, [1]>([0]), keep_dims = bool(true));",
            &[&[2.0, 6.0]],
        )],
    ).batch(OVER_AXES),
    smooth(
        "reduce_min",
        |call, _| reduce(call, |x| largest_or_smallest(x, Extreme::Smallest)),
        &[sample(
            "tensor<fp32, [2]> y = reduce_min(x = tensor<fp32, [2, 3]>([[1.0, 5.0, 2.0], [7.0, -1.0, 3.0]]), axes = tensor<int32, [1]>([1]));",
            &[&[1.0, -1.0]],
        )],
    ).batch(OVER_AXES),
    smooth(
        "reduce_prod",
        |call, _| reduce(call, product),
        &[
            sample(
                "tensor<fp32, [2]> y = reduce_prod(x = tensor<fp32, [2, 3]>([[1.5, 5.0, 2.0], [7.0, -1.0, 3.0]]), axes = tensor<int32, [1]>([-1]));",
                &[&[15.0, -21.0]],
            ),
            sample(
                "int32 y = reduce_prod(x = tensor<int32, [3]>([4, 5, 2]));",
                &[&[40.0]],
            ),
        ],
    ).batch(OVER_AXES),
    smooth(
        "reduce_sum",
        |call, _| reduce(call, sum),
        &[
            sample(
                "tensor<fp32, [3]> y = reduce_sum(x = tensor<fp32, [2, 3, 2]>([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[7.0, 8.0], [9.0, 10.0], [11.0, 12.5]]]), axes = tensor<int32, [2]>([0, -1]));",
                &[&[18.0, 26.0, 34.5]],
            ),
            sample(
                "int32 y = reduce_sum(x = tensor<int32, [3]>([4, 5, 2]));",
                &[&[11.0]],
            ),
        ],
    ).batch(OVER_AXES),
    smooth(
        "reduce_sum_square",
        |call, _| reduce(call, |x| sum(&square(x)?)),
        &[sample(
            "tensor<fp32, [2]> y = reduce_sum_square(x = tensor<fp32, [2, 2]>([[3.0, -4.0], [1.0, 2.0]]), axes = tensor<int32, [1]>([1]));",
            &[&[25.0, 5.0]],
        )],
    ).batch(OVER_AXES),
];

/// `f` of the rows that the reduced axes make, gathered in one last axis; `f` leaves that axis with
/// extent 1.
fn reduce(call: &Call, f: fn(&Tensor) -> Result<Tensor>) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let axes = shapes::axes_of(call, x.rank())?;
    let keep = call.bool_or("keep_dims", false)?;
    let kept: Vec<usize> = (0..x.rank()).filter(|i| !axes.contains(i)).collect();
    let order: Vec<usize> = kept.iter().chain(&axes).copied().collect();
    let width: usize = axes.iter().map(|i| x.dims()[*i]).product();
    let rows: usize = kept.iter().map(|i| x.dims()[*i]).product();
    if width == 0 {
        fail!("nothing to reduce in a tensor of shape {:?}", x.dims());
    }
    let y = f(&x.permute(order)?.reshape((rows, width))?)?;
    one(y.reshape(reduced(x.dims(), &axes, keep))?)
}

fn reduced(dims: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    let extents = dims.iter().enumerate();
    match keep {
        true => extents
            .map(|(i, n)| if axes.contains(&i) { 1 } else { *n })
            .collect(),
        false => extents
            .filter(|(i, _)| !axes.contains(i))
            .map(|(_, n)| *n)
            .collect(),
    }
}

curves! {
    /// The length of a vector from its square: nothing flows where it is 0, as with PyTorch's norm.
    Length {} |x, y| x.sqrt(), if y == R::of(0.) { y } else { R::of(0.5) / y }, |t| Some(t.sqrt());
}

/// |x|.
fn size(x: &Tensor) -> Result<Tensor> {
    match x.dtype().is_float() {
        true => Ok(map(x, Abs {})?),
        false => {
            let values = integers::read(x, x.dims())?.into_iter();
            integers::tensor(values.map(i64::saturating_abs).collect(), x.dims())
        }
    }
}

fn largest_or_smallest(x: &Tensor, which: Extreme) -> Result<Tensor> {
    Ok(match (x.dtype().is_float(), which) {
        (true, _) => extreme(x, which)?,
        (false, Extreme::Largest) => x.max_keepdim(D::Minus1)?,
        (false, Extreme::Smallest) => x.min_keepdim(D::Minus1)?,
    })
}

fn sum(x: &Tensor) -> Result<Tensor> {
    match x.dtype().is_float() {
        true => Ok(x.sum_keepdim(D::Minus1)?),
        false => folded(x, 0, i64::checked_add),
    }
}

/// Integers of each row, put together one by one.
fn folded(x: &Tensor, start: i64, fold: fn(i64, i64) -> Option<i64>) -> Result<Tensor> {
    let values = integers::read(x, x.dims())?;
    let rows: Option<Vec<i64>> = values
        .chunks(x.dims()[1])
        .map(|row| row.iter().try_fold(start, |sum, v| fold(sum, *v)))
        .collect();
    match rows {
        Some(rows) => integers::tensor(rows, &[x.dims()[0], 1]),
        None => fail!("overflow of integers"),
    }
}

fn square(x: &Tensor) -> Result<Tensor> {
    if x.dtype().is_float() {
        return Ok(x.sqr()?);
    }
    let values = integers::read(x, x.dims())?;
    integers::tensor(
        values.iter().map(|v| v.saturating_mul(*v)).collect(),
        x.dims(),
    )
}

fn real(x: &Tensor) -> Result<&Tensor> {
    match x.dtype().is_float() {
        true => Ok(x),
        false => fail!("parameter \"x\" must be of a float type"),
    }
}

fn mean(x: &Tensor) -> Result<Tensor> {
    let width = x.dims()[1];
    if x.dtype().is_float() {
        return Ok((sum(x)? / width as f64)?);
    }
    let values = integers::read(&sum(x)?, &[x.dims()[0], 1])?;
    let values = values.into_iter().map(|v| v / width as i64).collect();
    integers::tensor(values, &[x.dims()[0], 1])
}

/// Halves are multiplied with each other until one column is left.
fn product(x: &Tensor) -> Result<Tensor> {
    if !x.dtype().is_float() {
        return folded(x, 1, i64::checked_mul);
    }
    let mut x = x.clone();
    while x.dims()[1] > 1 {
        let (rows, width) = x.dims2()?;
        let half = width / 2;
        let (a, b) = (
            shapes::part(&x, 1, 0, half)?,
            shapes::part(&x, 1, half, half)?,
        );
        let folded = zip(&a, &b, &[rows, half], Mul)?;
        x = match width % 2 {
            0 => folded,
            _ => Tensor::cat(&[folded, shapes::part(&x, 1, width - 1, 1)?], 1)?,
        };
    }
    Ok(x)
}

fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    let max = real(x)?.max_keepdim(D::Minus1)?.detach();
    // A row of −∞ has the logarithm of 0, not of NaN.
    let max = max.maximum(f64::from(f32::MIN))?;
    let log = sum(&zip(x, &max, x.dims(), Sub)?.exp()?)?.log()?;
    Ok(zip(&log, &max, log.dims(), Add)?)
}

/// Index of the best element along an axis; the first of equals.
fn best(call: &Call, better: fn(f64, f64) -> bool) -> Result<Vec<Value>> {
    call.ignore(&["output_dtype"]);
    let x = call.tensor("x")?;
    let axis = shapes::axis_of(call, -1, x.rank())?;
    let keep = call.bool_or("keep_dims", false)?;
    let width = x.dims()[axis];
    if width == 0 {
        fail!("nothing to choose from in a tensor of shape {:?}", x.dims());
    }
    let rows = shapes::last(&x.detach(), axis)?.flatten_all()?;
    let values: Vec<f64> = rows.to_dtype(Candle::F64)?.to_vec1()?;
    let indices = values
        .chunks(width)
        .map(|row| (1..width).fold(0, |at, i| if better(row[i], row[at]) { i } else { at }) as i64);
    let shape = reduced(x.dims(), &[axis], keep);
    one(integers::tensor(indices.collect(), &shape)?)
}

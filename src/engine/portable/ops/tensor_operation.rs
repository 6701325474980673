//! Making, joining, dividing and ordering tensors.

use candle_core::{DType as Candle, Device, Tensor};

use super::indexing::rearrange;
use super::{Op, discrete, integers, one, range, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::{Absent, Batch};
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[
    smooth(
        "band_part",
        band_part,
        &[sample(
            "tensor<fp32, [3, 3]> y = band_part(x = tensor<fp32, [3, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]), lower = int32(1), upper = int32(0));",
            &[&[1.0, 0.0, 0.0, 4.0, 5.0, 0.0, 0.0, 8.0, 9.0]],
        )],
    ).batch(Batch::Leading(&["x"], 2)),
    smooth(
        "concat",
        concat,
        &[
            sample(
                "tensor<int32, [2]> y = concat(values = (int32(3), int32(5)), axis = int32(0));",
                &[&[3.0, 5.0]],
            ),
            sample(
                "tensor<fp32, [2, 3]> y = concat(values = (tensor<fp32, [2, 1]>([[1.0], [2.0]]), tensor<fp32, [2, 2]>([[3.0, 4.0], [5.0, 6.0]])), axis = int32(1));",
                &[&[1.0, 3.0, 4.0, 2.0, 5.0, 6.0]],
            ),
            sample(
                "tensor<fp32, [4]> y = concat(values = (tensor<fp32, [2]>([1.0, 2.0]), tensor<fp32, [2]>([3.0, 4.5])), axis = int32(0), interleave = bool(true));",
                &[&[1.0, 3.0, 2.0, 4.5]],
            ),
        ],
    ).batch(Batch::Axes(&["values"], "axis", Absent::Nothing)),
    smooth(
        "cumsum",
        cumsum,
        &[
            sample(
                "tensor<fp32, [2, 3]> y = cumsum(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 4.0], [3.0, 5.0, 8.0]]), axis = int32(1));",
                &[&[1.0, 3.0, 7.0, 3.0, 8.0, 16.0]],
            ),
            sample(
                "tensor<fp32, [3]> y = cumsum(x = tensor<fp32, [3]>([1.0, 2.0, 4.0]), exclusive = bool(true), reverse = bool(true));",
                &[&[6.0, 4.0, 0.0]],
            ),
            sample(
                "tensor<int32, [3]> y = cumsum(x = tensor<int32, [3]>([1, 2, 4]), exclusive = bool(true));",
                &[&[0.0, 1.0, 3.0]],
            ),
        ],
    ).batch(Batch::Axes(&["x"], "axis", Absent::Axis(0))),
    discrete(
        "fill",
        fill,
        &[
            sample(
                "tensor<fp32, [2, 1]> y = fill(shape = tensor<int32, [2]>([2, 1]), value = fp32(2.5));",
                &[&[2.5, 2.5]],
            ),
            sample(
                "tensor<int32, [2]> y = fill(shape = tensor<int32, [1]>([2]), value = int32(-3));",
                &[&[-3.0, -3.0]],
            ),
        ],
    ),
    discrete(
        "fill_like",
        fill_like,
        &[sample(
            "tensor<fp32, [2]> y = fill_like(ref_tensor = tensor<int32, [2]>([7, 8]), value = fp32(2.5));",
            &[&[2.5, 2.5]],
        )],
    ).batch(Batch::Extents(&["ref_tensor"])),
    discrete(
        "non_zero",
        non_zero,
        &[sample(
            "tensor<int32, [2, 2]> y = non_zero(x = tensor<fp32, [2, 2]>([[0.0, 2.0], [3.0, 0.0]]));",
            &[&[0.0, 1.0, 1.0, 0.0]],
        )],
    ),
    discrete(
        "one_hot",
        one_hot,
        &[
            sample(
                "tensor<fp32, [2, 3]> y = one_hot(indices = tensor<int32, [2]>([2, 0]), one_hot_vector_size = int32(3), on_value = fp32(5.0), off_value = fp32(-1.0));",
                &[&[-1.0, -1.0, 5.0, 5.0, -1.0, -1.0]],
            ),
            sample(
                "tensor<int32, [3, 2]> y = one_hot(indices = tensor<int32, [2]>([2, 0]), one_hot_vector_size = int32(3), axis = int32(0));",
                &[&[0.0, 1.0, 0.0, 0.0, 1.0, 0.0]],
            ),
        ],
    ).batch(Batch::Axes(&["indices"], "axis", Absent::AddedLast)),
    smooth(
        "pad",
        pad,
        &[
            sample(
                "tensor<fp32, [2, 3]> y = pad(x = tensor<fp32, [1, 2]>([[1.0, 2.0]]), pad = tensor<int32, [4]>([0, 1, 1, 0]), constant_val = fp32(9.0));",
                &[&[9.0, 1.0, 2.0, 9.0, 9.0, 9.0]],
            ),
            sample(
                "tensor<fp32, [1, 6]> y = pad(x = tensor<fp32, [1, 3]>([[1.0, 2.0, 3.0]]), pad = tensor<int32, [2]>([2, 1]), mode = string(\"reflect\"));",
                &[&[3.0, 2.0, 1.0, 2.0, 3.0, 2.0]],
            ),
            sample(
                "tensor<fp32, [1, 6]> y = pad(x = tensor<fp32, [1, 3]>([[1.0, 2.0, 3.0]]), pad = tensor<int32, [2]>([2, 1]), mode = string(\"replicate\"));",
                &[&[1.0, 1.0, 1.0, 2.0, 3.0, 3.0]],
            ),
        ],
    ).batch(Batch::Leading(&["x"], 0)),
    smooth(
        "range_1d",
        range::range_1d,
        &[
            sample(
                "tensor<int32, [3]> y = range_1d(start = int32(2), end = int32(7), step = int32(2));",
                &[&[2.0, 4.0, 6.0]],
            ),
            sample(
                "tensor<fp32, [3]> y = range_1d(start = fp32(2.0), end = fp32(0.75), step = fp32(-0.5));",
                &[&[2.0, 1.5, 1.0]],
            ),
        ],
    ),
    discrete(
        "shape",
        |call, _| {
            let dims = call.tensor("x")?.dims();
            one(integers::tensor(
                dims.iter().map(|n| *n as i64).collect(),
                &[dims.len()],
            )?)
        },
        &[sample(
            "tensor<int32, [2]> y = shape(x = tensor<fp32, [1, 2]>([[1.0, 2.0]]));",
            &[&[1.0, 2.0]],
        )],
    ).batch(Batch::Extents(&["x"])),
    smooth(
        "split",
        split,
        &[
            sample(
                "tensor<fp32, [1]> a, tensor<fp32, [2]> b = split(x = tensor<fp32, [3]>([1.0, 2.0, 3.0]), split_sizes = tensor<int32, [2]>([1, 2]), axis = int32(0));",
                &[&[1.0], &[2.0, 3.0]],
            ),
            sample(
                "tensor<fp32, [2, 1]> a, tensor<fp32, [2, 1]> b = split(x = tensor<fp32, [2, 2]>([[1.0, 2.0], [3.0, 4.0]]), num_splits = int32(2), axis = int32(-1));",
                &[&[1.0, 3.0], &[2.0, 4.0]],
            ),
        ],
    ).batch(Batch::Axes(&["x"], "axis", Absent::Nothing)),
    smooth(
        "stack",
        stack,
        &[sample(
            "tensor<fp32, [2, 2]> y = stack(values = (tensor<fp32, [2]>([1.0, 2.0]), tensor<fp32, [2]>([3.0, 4.5])), axis = int32(-1));",
            &[&[1.0, 3.0, 2.0, 4.5]],
        )],
    ).batch(Batch::Axes(&["values"], "axis", Absent::Added)),
    smooth(
        "tile",
        tile,
        &[sample(
            "tensor<fp32, [2, 4]> y = tile(x = tensor<fp32, [1, 2]>([[1.0, 2.0]]), reps = tensor<int32, [2]>([2, 2]));",
            &[&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]],
        )],
    ).batch(Batch::Lists(&["x"], &[("reps", 1)])),
];

/// A tensor of `shape` filled with the single element of `value` (0.0 if there is none).
fn filled(call: &Call, value: &str, shape: &[usize], ctx: &Ctx) -> Result<Tensor> {
    call.check_size(shape)?;
    let value = match call.opt_tensor(value)? {
        Some(value) if value.elem_count() == 1 => value.detach(),
        Some(value) => fail!("a fill value of shape {:?}", value.dims()),
        None => Tensor::zeros((), ctx.scope.float, ctx.scope.device)?,
    };
    Ok(value.reshape(())?.broadcast_as(shape)?.contiguous()?)
}

fn fill(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    one(filled(call, "value", &call.counts("shape")?, ctx)?)
}

fn fill_like(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    one(filled(
        call,
        "value",
        call.tensor("ref_tensor")?.dims(),
        ctx,
    )?)
}

/// The tensors of a variadic parameter, all of one kind.
fn tensors(call: &Call, name: &str) -> Result<Vec<Tensor>> {
    let values = call.many(name)?;
    let tensors: Vec<Tensor> = values
        .iter()
        .map(|v| Ok(v.tensor()?.contiguous()?))
        .collect::<Result<_>>()?;
    match tensors.first() {
        Some(first) if tensors.iter().all(|t| t.rank() == first.rank()) => {
            let total: usize = tensors.iter().map(Tensor::elem_count).sum();
            call.check_size(&[total])?;
            Ok(tensors)
        }
        _ => fail!("\"{name}\" must be tensors of one rank"),
    }
}

/// Scalars are joined as if they had one axis.
fn concat(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let mut values = tensors(call, "values")?;
    if values[0].rank() == 0 {
        for value in &mut values {
            *value = value.unsqueeze(0)?;
        }
    }
    let axis = shapes::axis(call.int("axis")?, values[0].rank())?;
    if !call.bool_or("interleave", false)? {
        return one(Tensor::cat(&values, axis)?);
    }
    let mut shape = values[0].dims().to_vec();
    if values.iter().any(|v| v.dims() != shape) {
        fail!("only tensors of one shape can be interleaved");
    }
    shape[axis] *= values.len();
    one(Tensor::stack(&values, axis + 1)?.reshape(shape)?)
}

fn stack(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let values = tensors(call, "values")?;
    let axis = shapes::axis(call.int("axis")?, values[0].rank() + 1)?;
    one(Tensor::stack(&values, axis)?)
}

fn split(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let axis = shapes::axis(call.int("axis")?, x.rank())?;
    let extent = x.dims()[axis];
    let parts = call.opt_counts("num_splits")?;
    let sizes = match (call.opt_counts("split_sizes")?, parts.as_deref()) {
        (Some(sizes), _) => sizes,
        (None, Some([n])) if *n > 0 && extent % n == 0 => vec![extent / n; *n],
        (None, parts) => fail!("an extent of {extent} can't be split into {parts:?} parts"),
    };
    if sizes
        .iter()
        .try_fold(0usize, |n, size| n.checked_add(*size))
        != Some(extent)
    {
        fail!("split sizes {sizes:?} do not add up to {extent}");
    }
    let mut start = 0;
    let mut results = Vec::with_capacity(sizes.len());
    for size in sizes {
        results.push(shapes::part(x, axis, start, size)?.into());
        start += size;
    }
    Ok(results)
}

fn tile(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let reps = call.counts("reps")?;
    if reps.len() != x.rank() || reps.contains(&0) {
        fail!("{reps:?} repetitions of a tensor of shape {:?}", x.dims());
    }
    let pairs = x.dims().iter().zip(&reps);
    let shape: Vec<usize> = pairs.map(|(n, r)| n.saturating_mul(*r)).collect();
    call.check_size(&shape)?;
    // One axis at a time: candle's iterators take eight dimensions at most.
    let mut tiled = x.clone();
    for (axis, count) in reps.iter().enumerate().filter(|(_, count)| **count > 1) {
        let mut spread = tiled.dims().to_vec();
        spread.insert(axis, *count);
        tiled = tiled
            .unsqueeze(axis)?
            .broadcast_as(spread)?
            .flatten(axis, axis + 1)?;
    }
    one(tiled)
}

fn pad(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let margins = call.counts("pad")?;
    let skipped = x.rank().checked_sub(margins.len() / 2);
    let Some(skipped) = skipped.filter(|_| margins.len() % 2 == 0) else {
        fail!("\"pad\" {margins:?} for a tensor of rank {}", x.rank());
    };
    let margin = |axis: usize, side: usize| match axis.checked_sub(skipped) {
        Some(i) => margins[2 * i + side],
        None => 0,
    };
    let mut shape = x.dims().to_vec();
    for (axis, extent) in shape.iter_mut().enumerate() {
        *extent = extent
            .saturating_add(margin(axis, 0))
            .saturating_add(margin(axis, 1));
    }
    call.check_size(&shape)?;
    let mode = call.choice("mode", "constant", &["constant", "reflect", "replicate"])?;
    if mode == "constant" {
        return one(framed(call, x, margin, ctx)?);
    }
    call.ignore(&["constant_val"]);
    let (dims, strides) = (x.dims(), shapes::strides(x.dims()));
    let reflect = mode == "reflect";
    for (axis, extent) in dims.iter().enumerate() {
        let most = margin(axis, 0).max(margin(axis, 1));
        if (reflect && most >= (*extent).max(1)) || (most > 0 && *extent == 0) {
            fail!("{mode} padding by {most} of an extent of {extent}");
        }
    }
    let source = |at: &[usize]| {
        let places = at.iter().enumerate().map(|(axis, i)| {
            let (i, last) = (*i as i64 - margin(axis, 0) as i64, dims[axis] as i64 - 1);
            let i = match reflect {
                true => last - (last - i.abs()).abs(),
                false => i.clamp(0, last),
            };
            i as usize * strides[axis]
        });
        places.sum()
    };
    one(rearrange(call, x, &shape, source)?)
}

/// `x` inside a frame of the constant.
fn framed(
    call: &Call,
    x: &Tensor,
    margin: impl Fn(usize, usize) -> usize,
    ctx: &Ctx,
) -> Result<Tensor> {
    let constant = filled(call, "constant_val", &[], ctx)?.to_dtype(x.dtype())?;
    let mut y = x.clone();
    for axis in 0..x.rank() {
        let frame = |count: usize, y: &Tensor| {
            let mut shape = y.dims().to_vec();
            shape[axis] = count;
            constant
                .to_device(y.device())?
                .broadcast_as(shape)?
                .contiguous()
        };
        let (before, after) = (margin(axis, 0), margin(axis, 1));
        if before + after > 0 {
            let parts = [frame(before, &y)?, y.contiguous()?, frame(after, &y)?];
            let parts: Vec<Tensor> = parts.into_iter().filter(|p| p.dims()[axis] > 0).collect();
            y = Tensor::cat(&parts, axis)?;
        }
    }
    Ok(y)
}

/// Keeps a band about the diagonal of the last two axes.
fn band_part(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let (lower, upper) = (call.int_or("lower", -1)?, call.int_or("upper", -1)?);
    let [.., rows, columns] = x.dims() else {
        fail!("band_part needs rank 2 or more, got {:?}", x.dims());
    };
    let inside = |i: usize, j: usize| {
        let below = i as i64 - j as i64;
        (lower < 0 || below <= lower) && (upper < 0 || -below <= upper)
    };
    let mask = (0..*rows).flat_map(|i| (0..*columns).map(move |j| inside(i, j)));
    let mask = integers::booleans(mask, &[*rows, *columns])?.to_device(x.device())?;
    one(mask
        .broadcast_as(x.dims())?
        .where_cond(x, &x.zeros_like()?)?)
}

fn one_hot(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    let indices = call.tensor("indices")?;
    let size = call.count("one_hot_vector_size")?;
    let axis = shapes::axis_of(call, -1, indices.rank() + 1)?;
    let mut shape = indices.dims().to_vec();
    shape.push(size);
    call.check_size(&shape)?;
    let mut hot = vec![false; shape.iter().product()];
    for (i, index) in call.ints("indices")?.into_iter().enumerate() {
        if let Ok(index) = usize::try_from(index)
            && index < size
        {
            hot[i * size + index] = true;
        }
    }
    let whole = Tensor::new(1i64, &Device::Cpu)?;
    let on = call.opt_tensor("on_value")?.cloned().unwrap_or(whole);
    let off = match call.opt("off_value")? {
        Some(_) => filled(call, "off_value", &shape, ctx)?.to_dtype(on.dtype())?,
        None => Tensor::zeros(shape.as_slice(), on.dtype(), on.device())?,
    };
    let hot = integers::booleans(hot.into_iter(), &shape)?.to_device(off.device())?;
    let on = on.detach().reshape(())?.broadcast_as(shape.as_slice())?;
    one(shapes::moved(
        &hot.where_cond(&on, &off)?,
        shape.len() - 1,
        axis,
    )?)
}

/// Sums of ever longer runs by doubling: log n additions of whole tensors.
fn cumsum(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let axis = shapes::axis_of(call, 0, x.rank())?;
    let (exclusive, reverse) = (
        call.bool_or("exclusive", false)?,
        call.bool_or("reverse", false)?,
    );
    let extent = x.dims()[axis];
    let shifted = |y: &Tensor, by: usize| -> Result<Tensor> {
        let by = by.min(extent);
        let mut shape = y.dims().to_vec();
        shape[axis] = by;
        let zeros = Tensor::zeros(shape, y.dtype(), y.device())?;
        let (start, parts) = if reverse { (by, [1, 0]) } else { (0, [0, 1]) };
        let rest = shapes::part(y, axis, start, extent - by)?.contiguous()?;
        let both = [zeros, rest];
        Ok(Tensor::cat(&parts.map(|i| &both[i]), axis)?)
    };
    let mut y = x.clone();
    let mut by = 1;
    while by < extent {
        let before = shifted(&y, by)?;
        y = match y.dtype().is_float() {
            true => (&y + before)?,
            false => {
                let (a, b) = (
                    integers::read(&y, y.dims())?,
                    integers::read(&before, y.dims())?,
                );
                let sums = a.into_iter().zip(b).map(|(a, b)| a.wrapping_add(b));
                integers::tensor(sums.collect(), y.dims())?
            }
        };
        by *= 2;
    }
    one(if exclusive { shifted(&y, 1)? } else { y })
}

fn non_zero(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    one(non_zero_places(call.tensor("x")?)?)
}

/// Coordinates of the elements that are not 0, `[count, rank]`.
pub(super) fn non_zero_places(x: &Tensor) -> Result<Tensor> {
    let values: Vec<f64> = x.flatten_all()?.to_dtype(Candle::F64)?.to_vec1()?;
    let strides = shapes::strides(x.dims());
    let found = values.iter().enumerate().filter(|(_, v)| **v != 0.0);
    let places: Vec<i64> = found
        .flat_map(|(flat, _)| {
            let coordinates = x.dims().iter().zip(&strides);
            coordinates.map(move |(extent, stride)| (flat / stride % extent) as i64)
        })
        .collect();
    let count = places.len().checked_div(x.rank()).unwrap_or(0);
    integers::tensor(places, &[count, x.rank()])
}

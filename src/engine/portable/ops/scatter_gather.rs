//! Reading and writing at computed places.

use candle_core::{Device, Tensor};

use super::elementwise_binary::{Add, Div, Maximum, Minimum, Mul, Sub};
use super::indexing::{bounded, bounded_if_checked, pick};
use super::{Op, integers, one, sample, sample_of, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::{Absent, Batch, Group, Lane};
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels::{Pair, zip};
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[
    smooth(
        "gather",
        gather,
        &[
            sample(
                "tensor<fp32, [2, 2]> y = gather(x = tensor<fp32, [3, 2]>([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), indices = tensor<int32, [2]>([2, 0]));",
                &[&[5.0, 6.0, 1.0, 2.0]],
            ),
            sample(
                "tensor<fp32, [2]> y = gather(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), indices = int32(1), axis = int32(1));",
                &[&[2.0, 5.0]],
            ),
            sample(
                "tensor<fp32, [2, 2]> y = gather(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), indices = tensor<int32, [2, 2]>([[2, 0], [1, 1]]), axis = int32(1), batch_dims = int32(1));",
                &[&[3.0, 1.0, 5.0, 5.0]],
            ),
            sample_of(
                16,
                "tensor<fp32, [1]> y = gather(x = tensor<fp32, [3]>([1.0, 2.0, 3.0]), indices = tensor<int32, [1]>([-1]));",
                &[&[3.0]],
            ),
        ],
    ).batch(Batch::Own(gather_together)),
    smooth(
        "gather_along_axis",
        gather_along_axis,
        &[sample(
            "tensor<fp32, [2, 2]> y = gather_along_axis(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), indices = tensor<int32, [2, 2]>([[2, 0], [1, 1]]), axis = int32(1));",
            &[&[3.0, 1.0, 5.0, 5.0]],
        )],
    ).batch(Batch::Axes(&["x", "indices"], "axis", Absent::Axis(0))),
    smooth(
        "gather_nd",
        gather_nd,
        &[
            sample(
                "tensor<fp32, [2]> y = gather_nd(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), indices = tensor<int32, [2, 2]>([[1, 0], [0, 2]]));",
                &[&[4.0, 3.0]],
            ),
            sample(
                "tensor<fp32, [2, 1]> y = gather_nd(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), indices = tensor<int32, [2, 1, 1]>([[[1]], [[2]]]), batch_dims = int32(1));",
                &[&[2.0, 6.0]],
            ),
        ],
    ).batch(Batch::Own(gather_nd_together)),
    smooth(
        "scatter",
        scatter,
        &[
            sample(
                "tensor<fp32, [3, 2]> y = scatter(data = tensor<fp32, [3, 2]>([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), indices = tensor<int32, [2]>([2, 2]), updates = tensor<fp32, [2, 2]>([[10.0, 20.0], [30.0, 40.0]]), axis = int32(0), mode = string(\"add\"));",
                &[&[1.0, 2.0, 3.0, 4.0, 45.0, 66.0]],
            ),
            sample(
                "tensor<fp32, [2, 2]> y = scatter(data = tensor<fp32, [2, 2]>([[1.0, 2.0], [3.0, 4.0]]), indices = tensor<int32, [1]>([1]), updates = tensor<fp32, [2, 1]>([[10.0], [20.0]]), axis = int32(1), mode = string(\"update\"));",
                &[&[1.0, 10.0, 3.0, 20.0]],
            ),
            sample(
                "tensor<fp32, [2]> y = scatter(data = tensor<fp32, [2]>([1.0, 2.0]), indices = tensor<int32, [3]>([1, -1, 7]), updates = tensor<fp32, [3]>([10.0, 20.0, 30.0]), validate_indices = bool(false));",
                &[&[1.0, 12.0]],
            ),
        ],
    ).batch(Batch::Axes(&["data", "updates"], "axis", Absent::Axis(0))),
    smooth(
        "scatter_along_axis",
        scatter_along_axis,
        &[
            sample(
                "tensor<fp32, [2, 3]> y = scatter_along_axis(data = tensor<fp32, [2, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), indices = tensor<int32, [2, 2]>([[2, 0], [1, 1]]), updates = tensor<fp32, [2, 2]>([[10.0, 20.0], [2.0, 3.0]]), axis = int32(1), mode = string(\"mul\"));",
                &[&[20.0, 2.0, 30.0, 4.0, 30.0, 6.0]],
            ),
            sample(
                "tensor<fp32, [3]> y = scatter_along_axis(data = tensor<fp32, [3]>([1.0, 2.0, 3.0]), indices = tensor<int32, [2]>([1, 1]), updates = tensor<fp32, [2]>([0.5, 1.5]), mode = string(\"min\"));",
                &[&[1.0, 0.5, 3.0]],
            ),
        ],
    ).batch(Batch::Axes(&["data", "indices", "updates"], "axis", Absent::Axis(0))),
    smooth(
        "scatter_nd",
        scatter_nd,
        &[
            sample(
                "tensor<fp32, [2, 2]> y = scatter_nd(data = tensor<fp32, [2, 2]>([[1.0, 2.0], [3.0, 4.0]]), indices = tensor<int32, [2, 2]>([[1, 0], [0, 1]]), updates = tensor<fp32, [2]>([10.0, 20.0]), mode = string(\"sub\"));",
                &[&[1.0, -18.0, -7.0, 4.0]],
            ),
            sample(
                "tensor<int32, [2, 2]> y = scatter_nd(data = tensor<int32, [2, 2]>([[1, 2], [3, 4]]), indices = tensor<int32, [1, 1]>([[1]]), updates = tensor<int32, [1, 2]>([[10, 20]]), mode = string(\"update\"));",
                &[&[1.0, 2.0, 10.0, 20.0]],
            ),
        ],
    ).batch(Batch::Own(scatter_nd_together)),
];

fn product(dims: &[usize]) -> usize {
    dims.iter().product()
}

fn gather(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let (x, indices) = (call.tensor("x")?, call.tensor("indices")?);
    let axis = shapes::axis_of(call, 0, x.rank())?;
    let batch = usize::try_from(call.int_or("batch_dims", 0)?).unwrap_or(usize::MAX);
    if batch > axis || batch > indices.rank() || indices.dims()[..batch] != x.dims()[..batch] {
        fail!(
            "gather with {batch} batch axes of {:?} at {:?}",
            x.dims(),
            indices.dims()
        );
    }
    let extent = x.dims()[axis];
    let picked = bounded(call, call.ints("indices")?, extent)?;
    let mut shape = x.dims().to_vec();
    shape.splice(axis..=axis, indices.dims()[batch..].iter().copied());
    call.check_size(&shape)?;
    if batch == 0 {
        let count = picked.len();
        let picked = Tensor::from_vec(picked, count, &Device::Cpu)?.to_device(x.device())?;
        return one(x
            .contiguous()?
            .index_select(&picked, axis)?
            .reshape(shape)?);
    }
    let examples = product(&x.dims()[..batch]);
    let (middle, inner) = (
        product(&x.dims()[batch..axis]),
        product(&x.dims()[axis + 1..]),
    );
    let each = picked.len().checked_div(examples).unwrap_or(0);
    let mut places = Vec::with_capacity(product(&shape));
    for example in 0..examples {
        for row in 0..middle {
            let start = (example * middle + row) * extent;
            for index in &picked[example * each..][..each] {
                let place = (start + *index as usize) * inner;
                places.extend((place..place + inner).map(|p| p as i64));
            }
        }
    }
    one(pick(x, places, &shape)?)
}

/// `batch_dims` of a call, counting the examples' axis that both operands then have.
fn batched_further(group: &mut Group) -> Result<()> {
    let batch = group
        .ints("batch_dims")?
        .map_or(0, |ints| ints.iter().sum());
    group.spread("x")?;
    group.spread("indices")?;
    group.set_ints("batch_dims", &[batch + 1])
}

fn gather_together(mut group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    let Some(rank) = group.rank("x").filter(|_| group.only(&["x", "indices"])) else {
        return Ok(None);
    };
    let axis = group.ints("axis")?.map_or(0, |ints| ints.iter().sum());
    let Ok(axis) = shapes::axis(axis, rank) else {
        return Ok(None);
    };
    let plain = matches!(group.ints("batch_dims")?.as_deref(), None | Some([0]));
    if plain && !group.has_axis("x") {
        let moved = |value: Value| Ok(Lane::batched(shapes::moved(value.tensor()?, axis, 0)?));
        let values = group.eval(ctx)?.into_iter();
        return values.map(moved).collect::<Result<_>>().map(Some);
    }
    if !plain || group.has_axis("indices") {
        batched_further(&mut group)?;
    }
    group.set_ints("axis", &[axis as i64 + 1])?;
    group.whole(ctx)
}

/// How indices along an extent are checked; what is left out of bounds becomes −1.
type Check = fn(&Call, Vec<i64>, usize) -> Result<Vec<i64>>;

/// Flat places of `[…, axis, …]` indices, along `axis`, in a tensor of `dims`.
fn places_along(call: &Call, dims: &[usize], axis: usize, check: Check) -> Result<Vec<i64>> {
    let shape = call.tensor("indices")?.dims();
    let differs = |i: usize| i != axis && shape[i] > dims[i];
    if shape.len() != dims.len() || (0..dims.len()).any(differs) {
        fail!("indices of shape {shape:?} along axis {axis} of {dims:?}");
    }
    let indices = check(call, call.ints("indices")?, dims[axis])?;
    let (outer, steps) = (shapes::strides(shape), shapes::strides(dims));
    let place = |(flat, index): (usize, &i64)| {
        if *index < 0 {
            return -1;
        }
        let rest = (0..dims.len()).filter(|i| *i != axis);
        let base: usize = rest.map(|i| flat / outer[i] % shape[i] * steps[i]).sum();
        (base + *index as usize * steps[axis]) as i64
    };
    Ok(indices.iter().enumerate().map(place).collect())
}

fn gather_along_axis(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let axis = shapes::axis_of(call, 0, x.rank())?;
    let places = places_along(call, x.dims(), axis, bounded)?;
    one(pick(x, places, call.tensor("indices")?.dims())?)
}

/// The places that rows of coordinates name in a tensor of `dims`, expanded over the `inner` elements
/// that remain; `base` of a row's number is where its example starts.
fn places_nd(
    call: &Call,
    dims: &[usize],
    inner: usize,
    base: impl Fn(usize) -> usize,
    check: Check,
) -> Result<Vec<i64>> {
    let (depth, strides) = (dims.len(), shapes::strides(dims));
    let indices = call.ints("indices")?;
    let mut rows = vec![Some(0); indices.len().checked_div(depth).unwrap_or(0)];
    for (k, extent) in dims.iter().enumerate() {
        let column = indices.iter().skip(k).step_by(depth).copied().collect();
        for (row, index) in rows.iter_mut().zip(check(call, column, *extent)?) {
            let step = usize::try_from(index).ok().map(|index| index * strides[k]);
            *row = row.zip(step).map(|(at, step)| at + step);
        }
    }
    let mut places = Vec::with_capacity(rows.len() * inner);
    for (row, at) in rows.into_iter().enumerate() {
        match at.map(|at| base(row) + at * inner) {
            Some(start) => places.extend((start..start + inner).map(|p| p as i64)),
            None => places.extend(std::iter::repeat_n(-1, inner)),
        }
    }
    Ok(places)
}

fn gather_nd(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let (x, indices) = (call.tensor("x")?, call.tensor("indices")?);
    let batch = usize::try_from(call.int_or("batch_dims", 0)?).unwrap_or(usize::MAX);
    let (dims, shape) = (x.dims(), indices.dims());
    let depth = shape.last().copied().unwrap_or(0);
    let fits = batch < shape.len() && batch + depth <= dims.len() && depth > 0;
    if !fits || shape[..batch] != dims[..batch] {
        fail!("gather_nd with {batch} batch axes of {dims:?} at {shape:?}");
    }
    let mut result = shape[..shape.len() - 1].to_vec();
    result.extend(&dims[batch + depth..]);
    call.check_size(&result)?;
    let each = product(&shape[batch..shape.len() - 1]).max(1);
    let whole = product(&dims[batch..]);
    let inner = product(&dims[batch + depth..]);
    let base = |row| row / each * whole;
    let places = places_nd(call, &dims[batch..batch + depth], inner, base, bounded)?;
    one(pick(x, places, &result)?)
}

fn gather_nd_together(mut group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    let plain = matches!(group.ints("batch_dims")?.as_deref(), None | Some([0]));
    if !group.only(&["x", "indices"]) {
        return Ok(None);
    }
    if !plain || group.has_axis("x") {
        batched_further(&mut group)?;
    }
    group.whole(ctx)
}

fn scatter(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let (data, indices) = (call.tensor("data")?, call.tensor("indices")?);
    let axis = shapes::axis_of(call, 0, data.rank())?;
    let dims = data.dims();
    let picked = bounded_if_checked(call, call.ints("indices")?, dims[axis])?;
    let mut shape = dims.to_vec();
    shape.splice(axis..=axis, indices.dims().iter().copied());
    let inner = product(&dims[axis + 1..]);
    let mut places = Vec::new();
    for outer in 0..product(&dims[..axis]) {
        for index in &picked {
            let Ok(index) = usize::try_from(*index) else {
                places.extend(std::iter::repeat_n(-1, inner));
                continue;
            };
            let start = (outer * dims[axis] + index) * inner;
            places.extend((start..start + inner).map(|p| p as i64));
        }
    }
    combined(call, &shape, places)
}

fn scatter_along_axis(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let data = call.tensor("data")?;
    let axis = shapes::axis_of(call, 0, data.rank())?;
    let places = places_along(call, data.dims(), axis, bounded_if_checked)?;
    combined(call, call.tensor("indices")?.dims(), places)
}

fn scatter_nd(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let (dims, shape) = (call.tensor("data")?.dims(), call.tensor("indices")?.dims());
    let depth = shape.last().copied().unwrap_or(0);
    if depth == 0 || depth > dims.len() {
        fail!("scatter_nd into {dims:?} at {shape:?}");
    }
    let inner = product(&dims[depth..]);
    let places = places_nd(call, &dims[..depth], inner, |_| 0, bounded_if_checked)?;
    let mut expected = shape[..shape.len() - 1].to_vec();
    expected.extend(&dims[depth..]);
    combined(call, &expected, places)
}

/// The example is a coordinate more.
fn scatter_nd_together(mut group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    let operands = ["data", "indices", "updates"];
    if !group.only(&operands) || group.rank("indices").is_none_or(|rank| rank == 0) {
        return Ok(None);
    }
    for name in operands {
        group.spread(name)?;
    }
    let count = group.count;
    group.map("indices", |indices| {
        let mut shape = indices.dims().to_vec();
        shape[indices.rank() - 1] = 1;
        let each = shape[1..].iter().product();
        let examples = (0..count).flat_map(|i| std::iter::repeat_n(i as i64, each));
        let examples = integers::tensor(examples.collect(), &shape)?;
        let indices = indices.to_dtype(examples.dtype())?.contiguous()?;
        Ok(Tensor::cat(&[examples, indices], shape.len() - 1)?)
    })?;
    group.whole(ctx)
}

/// `data` with the elements at `places` combined with `updates`, which must have `shape`. Of several
/// updates of one place, `update` keeps the last; an update of place −1 is left out.
fn combined(call: &Call, shape: &[usize], mut places: Vec<i64>) -> Result<Vec<Value>> {
    let (data, updates) = (call.tensor("data")?, call.tensor("updates")?);
    if updates.dims() != shape || updates.dtype() != data.dtype() {
        fail!(
            "\"updates\" has shape {:?}, expected {shape:?}",
            updates.dims()
        );
    }
    let modes = ["update", "add", "sub", "mul", "div", "max", "min"];
    let mode = call.choice("mode", "add", &modes)?;
    let flat = data.contiguous()?.flatten_all()?;
    let mut updates = updates.contiguous()?.flatten_all()?;
    if places.contains(&-1) {
        let kept = (0..).zip(&places).filter(|(_, place)| **place >= 0);
        let kept: Vec<i64> = kept.map(|(i, _)| i).collect();
        let count = kept.len();
        updates = pick(&updates, kept, &[count])?;
        places.retain(|place| *place >= 0);
    }
    let float = data.dtype().is_float();
    let result = match mode {
        "update" => replaced(&flat, &updates, &places)?,
        "add" if float => added(&flat, &updates, &places)?,
        "sub" if float => added(&flat, &updates.neg()?, &places)?,
        "add" => in_turns(&flat, &updates, &places, (Add, i64::wrapping_add))?,
        "sub" => in_turns(&flat, &updates, &places, (Sub, i64::wrapping_sub))?,
        "mul" => in_turns(&flat, &updates, &places, (Mul, |a, b| a.wrapping_mul(b)))?,
        "div" => in_turns(
            &flat,
            &updates,
            &places,
            (Div, |a, b| a.checked_div(b).unwrap_or(0)),
        )?,
        "max" => in_turns(&flat, &updates, &places, (Maximum, i64::max))?,
        _ => in_turns(&flat, &updates, &places, (Minimum, i64::min))?,
    };
    one(result.reshape(data.dims())?)
}

fn added(data: &Tensor, updates: &Tensor, places: &[i64]) -> Result<Tensor> {
    let places = Tensor::from_slice(places, places.len(), &Device::Cpu)?;
    Ok(data.index_add(&places.to_device(data.device())?, updates, 0)?)
}

fn replaced(data: &Tensor, updates: &Tensor, places: &[i64]) -> Result<Tensor> {
    let count = data.elem_count();
    let mut source: Vec<i64> = (0..count as i64).collect();
    for (i, place) in places.iter().enumerate() {
        source[*place as usize] = (count + i) as i64;
    }
    pick(&Tensor::cat(&[data, updates], 0)?, source, &[count])
}

/// Combines updates in turns, each place at most once in a turn.
fn in_turns<P: Pair>(
    data: &Tensor,
    updates: &Tensor,
    places: &[i64],
    (pair, integer): (P, fn(i64, i64) -> i64),
) -> Result<Tensor> {
    let mut data = data.clone();
    let mut left: Vec<usize> = (0..places.len()).collect();
    while !left.is_empty() {
        let mut taken = std::collections::BTreeSet::new();
        let (turn, later): (Vec<usize>, Vec<usize>) =
            left.into_iter().partition(|i| taken.insert(places[*i]));
        let at: Vec<i64> = turn.iter().map(|i| places[*i]).collect();
        let count = at.len();
        let old = pick(&data, at.clone(), &[count])?;
        let new = pick(updates, turn.iter().map(|i| *i as i64).collect(), &[count])?;
        let combined = match data.dtype().is_float() {
            true => zip(&old, &new, &[count], pair)?,
            false => {
                let pairs = integers::read(&old, &[count])?
                    .into_iter()
                    .zip(integers::read(&new, &[count])?);
                integers::tensor(pairs.map(|(a, b)| integer(a, b)).collect(), &[count])?
            }
        };
        data = replaced(&data, &combined, &at)?;
        left = later;
    }
    Ok(data)
}

//! The same elements in another arrangement.

use candle_core::{Device, Tensor};

use super::indexing::rearrange;
use super::{Op, one, sample, sample_of, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::{Absent, Batch, Group, Lane, moved};
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[
    smooth(
        "batch_to_space",
        batch_to_space,
        &[sample(
            "tensor<fp32, [1, 1, 2, 3]> y = batch_to_space(x = tensor<fp32, [4, 1, 1, 2]>([[[[1.0, 2.0]]], [[[3.0, 4.0]]], [[[5.0, 6.0]]], [[[7.0, 8.0]]]]), block_shape = tensor<int32, [2]>([2, 2]), crops = tensor<int32, [2, 2]>([[0, 0], [1, 0]]));",
            &[&[3.0, 2.0, 4.0, 7.0, 6.0, 8.0]],
        )],
    ),
    smooth(
        "depth_to_space",
        |call, _| depth_to_space(call, "block_size", true),
        &[
            sample(
                "tensor<fp32, [1, 1, 2, 2]> y = depth_to_space(x = tensor<fp32, [1, 4, 1, 1]>([[[[1.0]], [[2.0]], [[3.0]], [[4.5]]]]), block_size = int32(2));",
                &[&[1.0, 2.0, 3.0, 4.5]],
            ),
            sample(
                "tensor<fp32, [1, 2, 2, 2]> y = depth_to_space(x = tensor<fp32, [1, 8, 1, 1]>([[[[1.0]], [[2.0]], [[3.0]], [[4.0]], [[5.0]], [[6.0]], [[7.0]], [[8.0]]]]), block_size = int32(2));",
                &[&[1.0, 3.0, 5.0, 7.0, 2.0, 4.0, 6.0, 8.0]],
            ),
        ],
    ).batch(Batch::Fold(&[("x", 0)], &[0])),
    smooth(
        "expand_dims",
        expand_dims,
        &[sample(
            "tensor<fp32, [1, 2, 1]> y = expand_dims(x = tensor<fp32, [2]>([1.0, 2.0]), axes = tensor<int32, [2]>([0, -1]));",
            &[&[1.0, 2.0]],
        )],
    ).batch(Batch::Reshape(&["x"])),
    smooth(
        "flatten2d",
        flatten2d,
        &[sample(
            "tensor<fp32, [1, 4]> y = flatten2d(x = tensor<fp32, [1, 2, 2]>([[[1.0, 2.0], [3.0, 4.5]]]), axis = int32(1));",
            &[&[1.0, 2.0, 3.0, 4.5]],
        )],
    ).batch(Batch::Reshape(&["x"])),
    smooth(
        "pixel_shuffle",
        |call, _| depth_to_space(call, "upscale_factor", false),
        &[sample(
            "tensor<fp32, [1, 2, 2, 2]> y = pixel_shuffle(x = tensor<fp32, [1, 8, 1, 1]>([[[[1.0]], [[2.0]], [[3.0]], [[4.0]], [[5.0]], [[6.0]], [[7.0]], [[8.0]]]]), upscale_factor = int32(2));",
            &[&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]],
        )],
    ).batch(Batch::Fold(&[("x", 0)], &[0])),
    smooth(
        "pixel_unshuffle",
        |call, _| space_to_depth(call, "downscale_factor", false),
        &[sample(
            "tensor<fp32, [1, 4, 1, 1]> y = pixel_unshuffle(x = tensor<fp32, [1, 1, 2, 2]>([[[[1.0, 2.0], [3.0, 4.5]]]]), downscale_factor = uint32(2));",
            &[&[1.0, 2.0, 3.0, 4.5]],
        )],
    ).batch(Batch::Fold(&[("x", 0)], &[0])),
    smooth(
        "reshape",
        reshape,
        &[
            sample(
                "tensor<fp32, [3, 2]> y = reshape(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), shape = tensor<int32, [2]>([-1, 2]));",
                &[&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]],
            ),
            sample_of(
                16,
                "tensor<fp32, [2, 1]> y = reshape(x = tensor<fp32, [2, 1]>([[1.0], [2.0]]), shape = tensor<int32, [2]>([0, -1]));",
                &[&[1.0, 2.0]],
            ),
            sample(
                "tensor<fp32, [1, 1, 2, 3]> y = reshape(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), shape = tensor<int32, [4]>([1, 0, -1, 0]));",
                &[&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]],
            ),
        ],
    ).batch(Batch::Reshape(&["x"])),
    smooth(
        "reshape_like",
        reshape_like,
        &[sample(
            "tensor<fp32, [2, 2, 1]> y = reshape_like(x = tensor<fp32, [4]>([1.0, 2.0, 3.0, 4.5]), ref_tensors = (tensor<fp32, [2, 5]>([[0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]), tensor<fp32, [3, 2, 1]>([[[0.0], [0.0]], [[0.0], [0.0]], [[0.0], [0.0]]])), begins = (int32(0), int32(1)), ends = (int32(1), int32(0)), end_masks = (bool(false), bool(true)));",
            &[&[1.0, 2.0, 3.0, 4.5]],
        )],
    ).batch(Batch::Reshape(&["x", "ref_tensors"])),
    smooth(
        "reverse",
        reverse,
        &[
            sample(
                "tensor<fp32, [2, 3]> y = reverse(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), axes = tensor<int32, [1]>([1]));",
                &[&[3.0, 2.0, 1.0, 6.0, 5.0, 4.0]],
            ),
            sample(
                "tensor<fp32, [2, 2]> y = reverse(x = tensor<fp32, [2, 2]>([[1.0, 2.0], [4.0, 5.0]]));",
                &[&[5.0, 4.0, 2.0, 1.0]],
            ),
        ],
    ).batch(Batch::Axes(&["x"], "axes", Absent::All)),
    smooth(
        "reverse_sequence",
        reverse_sequence,
        &[sample(
            "tensor<fp32, [2, 3]> y = reverse_sequence(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), lengths = tensor<int32, [2]>([2, 3]), seq_axis = int32(1), batch_axis = int32(0));",
            &[&[2.0, 1.0, 3.0, 6.0, 5.0, 4.0]],
        )],
    ),
    smooth(
        "sliding_windows",
        sliding_windows,
        &[sample(
            "tensor<fp32, [2, 3]> y = sliding_windows(x = tensor<fp32, [5]>([1.0, 2.0, 3.0, 4.0, 5.0]), axis = int32(0), size = int32(3), stride = int32(2));",
            &[&[1.0, 2.0, 3.0, 3.0, 4.0, 5.0]],
        )],
    ).batch(Batch::Axes(&["x"], "axis", Absent::Nothing)),
    smooth(
        "space_to_batch",
        space_to_batch,
        &[sample(
            "tensor<fp32, [4, 1, 1, 2]> y = space_to_batch(x = tensor<fp32, [1, 1, 2, 3]>([[[[3.0, 2.0, 4.0], [7.0, 6.0, 8.0]]]]), block_shape = tensor<int32, [2]>([2, 2]), paddings = tensor<int32, [2, 2]>([[0, 0], [1, 0]]));",
            &[&[0.0, 2.0, 3.0, 4.0, 0.0, 6.0, 7.0, 8.0]],
        )],
    ),
    smooth(
        "space_to_depth",
        |call, _| space_to_depth(call, "block_size", true),
        &[sample(
            "tensor<fp32, [1, 8, 1, 1]> y = space_to_depth(x = tensor<fp32, [1, 2, 2, 2]>([[[[1.0, 3.0], [5.0, 7.0]], [[2.0, 4.0], [6.0, 8.0]]]]), block_size = int32(2));",
            &[&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]],
        )],
    ).batch(Batch::Fold(&[("x", 0)], &[0])),
    smooth(
        "squeeze",
        squeeze,
        &[
            sample(
                "tensor<fp32, [2, 1]> y = squeeze(x = tensor<fp32, [1, 2, 1]>([[[1.0], [2.0]]]), axes = tensor<int32, [1]>([0]));",
                &[&[1.0, 2.0]],
            ),
            sample(
                "tensor<fp32, [2]> y = squeeze(x = tensor<fp32, [1, 2, 1]>([[[1.0], [2.0]]]));",
                &[&[1.0, 2.0]],
            ),
        ],
    ).batch(Batch::Reshape(&["x"])),
    smooth(
        "transpose",
        transpose,
        &[sample(
            "tensor<fp32, [3, 1, 2]> y = transpose(x = tensor<fp32, [1, 2, 3]>([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]), perm = tensor<int32, [3]>([-1, 0, 1]));",
            &[&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]],
        )],
    ).batch(Batch::Own(transpose_together)),
];

fn expand_dims(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let axes = call.ints("axes")?;
    let axes = shapes::axes(&axes, x.rank() + axes.len())?;
    let mut shape = x.dims().to_vec();
    for axis in axes {
        shape.insert(axis, 1);
    }
    one(x.reshape(shape)?)
}

fn squeeze(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let axes = match call.opt_ints("axes")? {
        Some(axes) => shapes::axes(&axes, x.rank())?,
        None => (0..x.rank()).filter(|i| x.dims()[*i] == 1).collect(),
    };
    if let Some(axis) = axes.iter().find(|i| x.dims()[**i] != 1) {
        fail!("axis {axis} of {:?} is not of extent 1", x.dims());
    }
    let kept = (0..x.rank()).filter(|i| !axes.contains(i));
    one(x.reshape(kept.map(|i| x.dims()[i]).collect::<Vec<_>>())?)
}

fn transpose(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let order = call.ints("perm")?;
    let order: Vec<usize> = order
        .iter()
        .map(|a| shapes::axis(*a, x.rank()))
        .collect::<Result<_>>()?;
    if (0..x.rank()).any(|i| !order.contains(&i)) || order.len() != x.rank() {
        fail!("{order:?} is not an order of the axes of {:?}", x.dims());
    }
    one(x.permute(order)?)
}

fn transpose_together(mut group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    let (rank, order) = match (group.only(&["x"]), group.rank("x")) {
        (true, Some(rank)) => (rank, group.ints("perm")?.unwrap_or_default()),
        _ => return Ok(None),
    };
    let Ok(order) = moved(&order, rank) else {
        return Ok(None);
    };
    group.set_ints("perm", &[&[0], order.as_slice()].concat())?;
    group.whole(ctx)
}

fn flatten2d(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let rank = x.rank() as i64;
    let axis = call.int_or("axis", 1)?;
    let axis = if axis < 0 { axis + rank } else { axis };
    if !(0..=rank).contains(&axis) {
        fail!("axis {axis} does not exist in a tensor of rank {rank}");
    }
    let (left, right) = x.dims().split_at(axis as usize);
    one(x.reshape((
        left.iter().product::<usize>(),
        right.iter().product::<usize>(),
    ))?)
}

fn reshape(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let wanted = call.ints("shape")?;
    let shape = reshaped(call.opset, x.dims(), &wanted)?;
    one(x.reshape(shape)?)
}

/// The shape meant by `wanted`: 0 stands for the extent of `dims` at the same place (before iOS 17
/// counted from the left and only at equal rank, since then from the right, 1 where there is none),
/// −1 for what remains.
pub(in crate::engine::portable) fn reshaped(
    opset: u32,
    dims: &[usize],
    wanted: &[i64],
) -> Result<Vec<usize>> {
    let mut shape = Vec::with_capacity(wanted.len());
    let mut open = None;
    let count: usize = dims.iter().product();
    for (i, extent) in wanted.iter().enumerate() {
        let same = (i + dims.len()).checked_sub(wanted.len());
        shape.push(match *extent {
            0 if count == 0 => 0,
            0 if opset >= 17 => same.map_or(1, |i| dims[i]),
            0 if dims.len() == wanted.len() => dims[i],
            0 => fail!("shape {wanted:?} has a 0 but not the rank of {dims:?}"),
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            n => match usize::try_from(n) {
                Ok(n) => n,
                Err(_) => fail!("shape {wanted:?} can't be made of {dims:?}"),
            },
        });
    }
    // Strides are counted of empty tensors as well, with their extents of 0 as 1.
    let mut strides = shape.iter().map(|d| (*d).max(1));
    let countable = strides.try_fold(1usize, usize::checked_mul).is_some();
    let known = countable.then(|| shape.iter().product());
    match (open, known) {
        (None, Some(n)) if n == count => Ok(shape),
        (Some(i), Some(n)) if n > 0 && count.is_multiple_of(n) => {
            shape[i] = count / n;
            Ok(shape)
        }
        _ => fail!("shape {wanted:?} can't be made of {dims:?}"),
    }
}

/// The shape is gathered from ranges of axes of other tensors.
fn reshape_like(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let references = call.many("ref_tensors")?;
    let each = |name: &str| -> Result<Vec<i64>> {
        let values = call.many(name)?.iter().map(Value::ints);
        Ok(values.collect::<Result<Vec<_>>>()?.concat())
    };
    let (begins, ends, to_end) = (each("begins")?, each("ends")?, each("end_masks")?);
    if [&begins, &ends, &to_end]
        .iter()
        .any(|list| list.len() != references.len())
    {
        fail!("\"begins\", \"ends\" and \"end_masks\" need an entry for each of \"ref_tensors\"");
    }
    let mut shape = Vec::new();
    for (i, reference) in references.iter().enumerate() {
        let dims = reference.tensor()?.dims();
        let place = |at: i64| if at < 0 { at + dims.len() as i64 } else { at };
        let (begin, end) = (place(begins[i]), place(ends[i]));
        let end = if to_end[i] != 0 {
            dims.len() as i64
        } else {
            end
        };
        match (usize::try_from(begin), usize::try_from(end)) {
            (Ok(begin), Ok(end)) if begin <= end && end <= dims.len() => {
                shape.extend(&dims[begin..end]);
            }
            _ => fail!("axes {begin} to {end} do not exist in {dims:?}"),
        }
    }
    one(x.reshape(shape)?)
}

fn reverse(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let mut x = call.tensor("x")?.clone();
    for axis in shapes::axes_of(call, x.rank())? {
        let extent = x.dims()[axis] as i64;
        let order: Vec<i64> = (0..extent).rev().collect();
        let order = Tensor::new(order, &Device::Cpu)?.to_device(x.device())?;
        x = x.contiguous()?.index_select(&order, axis)?;
    }
    one(x)
}

/// Reverses the first `lengths[b]` elements along the sequence axis of each example.
fn reverse_sequence(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let sequence = shapes::axis(call.int_or("seq_axis", 0)?, x.rank())?;
    let batch = shapes::axis(call.int_or("batch_axis", 0)?, x.rank())?;
    let lengths = call.counts("lengths")?;
    let dims = x.dims();
    if lengths.len() != dims[batch] || lengths.iter().any(|n| *n > dims[sequence]) {
        fail!("lengths {lengths:?} do not fit {dims:?}");
    }
    let strides = shapes::strides(dims);
    let source = |at: &[usize]| {
        let flat: usize = at.iter().zip(&strides).map(|(i, s)| i * s).sum();
        let (step, length) = (at[sequence], lengths[at[batch]]);
        match step < length {
            true => flat - step * strides[sequence] + (length - 1 - step) * strides[sequence],
            false => flat,
        }
    };
    one(rearrange(call, x, dims, source)?)
}

/// Windows of `size` elements along an axis, on a new axis behind it.
fn sliding_windows(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let axis = shapes::axis(call.int("axis")?, x.rank())?;
    let size = call.count("size")?;
    let stride = usize::try_from(call.int_or("stride", 1)?).unwrap_or(0);
    let extent = x.dims()[axis];
    if size == 0 || stride == 0 || size > extent {
        fail!("windows of {size} at steps of {stride} over {extent} elements");
    }
    let count = (extent - size) / stride + 1;
    let mut shape = x.dims().to_vec();
    shape.splice(axis..=axis, [count, size]);
    call.check_size(&shape)?;
    let places = (0..count).flat_map(|w| (0..size).map(move |i| (w * stride + i) as i64));
    let places = Tensor::from_iter(places, &Device::Cpu)?.to_device(x.device())?;
    one(x
        .contiguous()?
        .index_select(&places, axis)?
        .reshape(shape)?)
}

/// A factor that divides the extents it has to.
fn factor(call: &Call, name: &str, extents: &[usize], power: u32) -> Result<usize> {
    let factor = call.count(name)?;
    let unit = factor.checked_pow(power).unwrap_or(0);
    if unit == 0 || extents.iter().any(|n| !n.is_multiple_of(unit)) {
        fail!("\"{name}\" {factor} does not divide {extents:?}");
    }
    Ok(factor)
}

fn dims4(x: &Tensor) -> Result<[usize; 4]> {
    match x.dims() {
        [a, b, c, d] => Ok([*a, *b, *c, *d]),
        dims => fail!("expected a tensor of rank 4, got {dims:?}"),
    }
}

/// Channels become places; with `block_first` the block's index is the outer part of the channel.
fn depth_to_space(call: &Call, name: &str, block_first: bool) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let [n, c, h, w] = dims4(x)?;
    let b = factor(call, name, &[c], 2)?;
    let inner = c / (b * b);
    let (parts, order) = match block_first {
        true => ([n, b, b, inner, h, w], [0, 3, 4, 1, 5, 2]),
        false => ([n, inner, b, b, h, w], [0, 1, 4, 2, 5, 3]),
    };
    let x = x.reshape(parts.as_slice())?.permute(order)?;
    one(x.reshape((n, inner, h * b, w * b))?)
}

fn space_to_depth(call: &Call, name: &str, block_first: bool) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let [n, c, h, w] = dims4(x)?;
    let b = factor(call, name, &[h, w], 1)?;
    let parts = [n, c, h / b, b, w / b, b];
    let order = match block_first {
        true => [0, 3, 5, 1, 2, 4],
        false => [0, 1, 3, 5, 2, 4],
    };
    let x = x.reshape(parts.as_slice())?.permute(order)?;
    one(x.reshape((n, c * b * b, h / b, w / b))?)
}

/// (block height, block width) and ((top, bottom), (left, right)).
type Blocks = ([usize; 2], [[usize; 2]; 2]);

fn blocks(call: &Call, margins: &str) -> Result<Blocks> {
    match (
        call.counts("block_shape")?.as_slice(),
        call.counts(margins)?.as_slice(),
    ) {
        ([p, q], [t, b, l, r]) if *p > 0 && *q > 0 => Ok(([*p, *q], [[*t, *b], [*l, *r]])),
        (block, margins) => fail!("blocks of {block:?} with margins {margins:?}"),
    }
}

fn space_to_batch(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let [n, c, ..] = dims4(x)?;
    let ([p, q], pads) = blocks(call, "paddings")?;
    let mut x = x.clone();
    for (axis, [before, after]) in [(2, pads[0]), (3, pads[1])] {
        let mut shape = x.dims().to_vec();
        shape[axis] = shape[axis].saturating_add(before).saturating_add(after);
        call.check_size(&shape)?;
        x = x.pad_with_zeros(axis, before, after)?;
    }
    let [_, _, h, w] = dims4(&x)?;
    if h % p != 0 || w % q != 0 {
        fail!("blocks of {p} by {q} do not divide {h} by {w}");
    }
    let parts = [n, c, h / p, p, w / q, q];
    let x = x.reshape(parts.as_slice())?.permute([3, 5, 0, 1, 2, 4])?;
    one(x.reshape((n * p * q, c, h / p, w / q))?)
}

fn batch_to_space(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let [n, c, h, w] = dims4(x)?;
    let ([p, q], [[top, bottom], [left, right]]) = blocks(call, "crops")?;
    if !n.is_multiple_of(p * q) || top + bottom > h * p || left + right > w * q {
        fail!("blocks of {p} by {q} in {n} examples of {h} by {w}");
    }
    let parts = [p, q, n / (p * q), c, h, w];
    let x = x.reshape(parts.as_slice())?.permute([2, 3, 4, 0, 5, 1])?;
    let x = x.reshape((n / (p * q), c, h * p, w * q))?;
    let x = shapes::part(&x, 2, top, h * p - top - bottom)?;
    one(shapes::part(&x, 3, left, w * q - left - right)?)
}

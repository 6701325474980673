//! Parts of tensors, read and replaced.

use candle_core::{CpuStorage, Device, InplaceOp2, Layout, Tensor};

use super::indexing::{pick, positions};
use super::{Op, one, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;

/// All of the examples' axis, and of the others what is asked for.
const BY_RANGE: Batch = Batch::Lists(
    &["x", "update"],
    &[
        ("begin", 0),
        ("end", i32::MAX as i64),
        ("size", -1),
        ("stride", 1),
        ("begin_mask", 0),
        ("end_mask", 0),
        ("squeeze_mask", 0),
    ],
);

pub(super) const OPS: &[Op] = &[
    smooth(
        "crop",
        crop,
        &[sample(
            "tensor<fp32, [1, 1, 1, 2]> y = crop(x = tensor<fp32, [1, 1, 2, 3]>([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]), crop_height = tensor<int32, [2]>([1, 0]), crop_width = tensor<int32, [2]>([0, 1]));",
            &[&[4.0, 5.0]],
        )],
    ).batch(Batch::Leading(&["x"], 2)),
    smooth(
        "slice_by_index",
        slice_by_index,
        &[
            sample(
                "tensor<fp32, [1, 2]> y = slice_by_index(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), begin = tensor<int32, [2]>([1, -2]), end = tensor<int32, [2]>([2, 1]), end_mask = tensor<bool, [2]>([false, true]));",
                &[&[5.0, 6.0]],
            ),
            sample(
                "tensor<fp32, [2]> y = slice_by_index(x = tensor<fp32, [2, 4]>([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]), begin = tensor<int32, [2]>([0, 3]), end = tensor<int32, [2]>([1, 0]), stride = tensor<int32, [2]>([1, -2]), squeeze_mask = tensor<bool, [2]>([true, false]));",
                &[&[4.0, 2.0]],
            ),
            sample(
                "tensor<int32, [2]> y = slice_by_index(x = tensor<int32, [5]>([1, 2, 3, 4, 5]), begin = tensor<int32, [1]>([1]), end = tensor<int32, [1]>([-1]), stride = tensor<int32, [1]>([2]));",
                &[&[2.0, 4.0]],
            ),
        ],
    ).batch(BY_RANGE),
    smooth(
        "slice_by_size",
        slice_by_size,
        &[sample(
            "tensor<fp32, [1, 2]> y = slice_by_size(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), begin = tensor<int32, [2]>([1, 1]), size = tensor<int32, [2]>([1, -1]));",
            &[&[5.0, 6.0]],
        )],
    ).batch(BY_RANGE),
    smooth(
        "slice_update",
        slice_update,
        &[
            sample(
                "tensor<fp32, [2, 3]> y = slice_update(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), update = tensor<fp32, [2, 1]>([[10.0], [20.0]]), begin = tensor<int32, [2]>([0, 1]), end = tensor<int32, [2]>([2, 2]));",
                &[&[1.0, 10.0, 3.0, 4.0, 20.0, 6.0]],
            ),
            sample(
                "tensor<fp32, [4]> y = slice_update(x = tensor<fp32, [4]>([1.0, 2.0, 3.0, 4.0]), update = tensor<fp32, [2]>([10.0, 20.0]), begin = tensor<int32, [1]>([0]), end = tensor<int32, [1]>([4]), stride = tensor<int32, [1]>([2]));",
                &[&[10.0, 2.0, 20.0, 4.0]],
            ),
        ],
    ).batch(BY_RANGE),
];

/// The elements `start`, `start + step`, … along one axis.
#[derive(Debug, Clone, Copy)]
struct Range {
    start: usize,
    step: i64,
    count: usize,
    /// The axis is dropped.
    squeeze: bool,
}

impl Range {
    /// numpy's slice.
    fn new(extent: usize, begin: Option<i64>, end: Option<i64>, step: i64) -> Result<Self> {
        let n = extent as i64;
        // The ends that a slice may have: outside by one on the side it runs to.
        let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
        let place = |at: i64| (if at < 0 { at.saturating_add(n) } else { at }).clamp(low, high);
        let first = begin.map_or(if step > 0 { low } else { high }, place);
        let last = end.map_or(if step > 0 { high } else { low }, place);
        let count = match step {
            0 => fail!("a slice can't have a stride of 0"),
            s if s > 0 => (last - first + s - 1).max(0) / s,
            s => (first - last - s - 1).max(0) / -s,
        };
        Ok(Self {
            start: first.max(0) as usize,
            step,
            count: count as usize,
            squeeze: false,
        })
    }

    fn index(extent: usize, at: i64) -> Result<Self> {
        Ok(Self {
            start: shapes::axis(at, extent)
                .or_else(|_| fail!("index {at} is out of bounds: there are {extent}"))?,
            step: 1,
            count: 1,
            squeeze: true,
        })
    }

    fn indices(self) -> Vec<i64> {
        (0..self.count as i64)
            .map(|i| self.start as i64 + i * self.step)
            .collect()
    }

    fn is_whole(self, extent: usize) -> bool {
        self.step == 1 && self.count == extent
    }
}

/// Ranges of `dims` from the parameters `begin`, `end`, `stride` and the masks.
fn ranges(call: &Call, dims: &[usize]) -> Result<Vec<Range>> {
    let rank = dims.len();
    let (begin, end) = (call.ints("begin")?, call.ints("end")?);
    let stride = call.opt_ints("stride")?.unwrap_or_else(|| vec![1; rank]);
    if [&begin, &end, &stride]
        .iter()
        .any(|list| list.len() != rank)
    {
        fail!("\"begin\", \"end\" and \"stride\" need {rank} entries for a tensor of {dims:?}");
    }
    let (from_first, to_last) = (
        call.flags("begin_mask", rank)?,
        call.flags("end_mask", rank)?,
    );
    let squeeze = call.flags("squeeze_mask", rank)?;
    (0..rank)
        .map(|i| match squeeze[i] {
            true => Range::index(dims[i], if from_first[i] { 0 } else { begin[i] }),
            false => Range::new(
                dims[i],
                (!from_first[i]).then_some(begin[i]),
                (!to_last[i]).then_some(end[i]),
                stride[i],
            ),
        })
        .collect()
}

fn slice_by_index(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    one(sliced(x, &ranges(call, x.dims())?)?)
}

fn slice_by_size(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let (begin, size) = (call.ints("begin")?, call.ints("size")?);
    if begin.len() != x.rank() || size.len() != x.rank() {
        fail!("\"begin\" and \"size\" need {} entries", x.rank());
    }
    let mut ranges = Vec::with_capacity(x.rank());
    for (i, extent) in x.dims().iter().enumerate() {
        let from = begin[i] + if begin[i] < 0 { *extent as i64 } else { 0 };
        let count = if size[i] == -1 {
            *extent as i64 - from
        } else {
            size[i]
        };
        if from < 0 || count < 0 || from.saturating_add(count) > *extent as i64 {
            fail!(
                "{count} elements from {from} on do not fit axis {i} of {:?}",
                x.dims()
            );
        }
        ranges.push(Range::new(*extent, Some(from), Some(from + count), 1)?);
    }
    one(sliced(x, &ranges)?)
}

/// Cuts (before, after) off the height and the width.
fn crop(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let mut y = x.clone();
    if x.rank() < 2 {
        fail!("crop of a tensor of shape {:?}", x.dims());
    }
    for (name, axis) in [("crop_height", x.rank() - 2), ("crop_width", x.rank() - 1)] {
        let extent = x.dims()[axis];
        match call.counts(name)?.as_slice() {
            [before, after] if before.saturating_add(*after) <= extent => {
                y = shapes::part(&y, axis, *before, extent - before - after)?;
            }
            margins => fail!("\"{name}\" {margins:?} of an extent of {extent}"),
        }
    }
    one(y)
}

fn sliced(x: &Tensor, ranges: &[Range]) -> Result<Tensor> {
    let mut y = x.clone();
    for (axis, range) in ranges.iter().enumerate() {
        if range.is_whole(x.dims()[axis]) {
            continue;
        }
        y = match range.step {
            1 => shapes::part(&y, axis, range.start, range.count)?,
            _ => {
                let indices = Tensor::new(range.indices(), &Device::Cpu)?.to_device(y.device())?;
                y.contiguous()?.index_select(&indices, axis)?
            }
        };
    }
    match ranges.iter().any(|r| r.squeeze) {
        true => Ok(y.reshape(kept(ranges))?),
        false => Ok(y),
    }
}

/// Extents that a slice has.
fn kept(ranges: &[Range]) -> Vec<usize> {
    ranges
        .iter()
        .filter(|r| !r.squeeze)
        .map(|r| r.count)
        .collect()
}

fn slice_update(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    one(Update::of(call, x.dims())?.made(x)?)
}

/// What `slice_update` puts into a tensor, and where.
pub(in crate::engine::portable) struct Update {
    ranges: Vec<Range>,
    /// With all axes.
    values: Tensor,
}

impl Update {
    /// From the parameters `update`, `begin`, `end`, … for a tensor of `dims`.
    pub fn of(call: &Call, dims: &[usize]) -> Result<Self> {
        let update = call.tensor("update")?;
        let ranges = ranges(call, dims)?;
        if update.dims() != kept(&ranges) {
            fail!(
                "\"update\" has shape {:?}, the slice has {:?}",
                update.dims(),
                kept(&ranges)
            );
        }
        let full: Vec<usize> = ranges.iter().map(|r| r.count).collect();
        Ok(Self {
            values: update.reshape(full)?,
            ranges,
        })
    }

    /// `x` with the values in their places.
    pub fn made(&self, x: &Tensor) -> Result<Tensor> {
        let (ranges, update) = (&self.ranges, &self.values);
        if ranges.iter().all(|r| r.step == 1) {
            return replaced(x, update, ranges, 0);
        }
        // Strided: element by element out of the two laid end to end.
        let mut source: Vec<i64> = (0..x.elem_count() as i64).collect();
        let strides = shapes::strides(x.dims());
        let targets = positions(update.dims(), |at| {
            let places = at.iter().zip(ranges).zip(&strides);
            places
                .map(|((i, r), s)| (r.start as i64 + *i as i64 * r.step) as usize * s)
                .sum()
        });
        for (i, target) in targets.iter().enumerate() {
            source[*target as usize] = (x.elem_count() + i) as i64;
        }
        let both = [x.contiguous()?.flatten_all()?, update.flatten_all()?];
        pick(&Tensor::cat(&both, 0)?, source, x.dims())
    }

    /// Whether [`made`](Self::made) gives a tensor that nothing else can share.
    pub fn makes_anew(&self, dims: &[usize]) -> bool {
        !self
            .ranges
            .iter()
            .zip(dims)
            .all(|(range, extent)| range.is_whole(*extent))
    }

    /// Writes the values into `x` itself; `false` where that can't be done. Whoever shares `x` sees them.
    pub fn write(&self, x: &Tensor) -> Result<bool> {
        let steps = self.ranges.iter().all(|r| r.step == 1);
        let alike = x.dtype() == self.values.dtype() && x.dtype() == candle_core::DType::F32;
        if !steps || !alike || !x.device().is_cpu() || !x.is_contiguous() {
            return Ok(false);
        }
        let blocks = Blocks {
            strides: shapes::strides(x.dims()),
            dims: x.dims().to_vec(),
            ranges: self.ranges.clone(),
        };
        x.inplace_op2(&self.values.contiguous()?, &blocks)?;
        Ok(true)
    }
}

/// Copies a block into its place.
struct Blocks {
    ranges: Vec<Range>,
    dims: Vec<usize>,
    strides: Vec<usize>,
}

impl Blocks {
    /// Writes from `axis` on into `to`, and gives what is left of `from`.
    fn copy<'f>(&self, axis: usize, to: &mut [f32], from: &'f [f32]) -> &'f [f32] {
        let (range, stride) = (self.ranges[axis], self.strides[axis]);
        let inner = self.ranges.iter().zip(&self.dims).skip(axis + 1);
        if { inner }.all(|(range, extent)| range.is_whole(*extent)) {
            let (now, rest) = from.split_at(range.count * stride);
            to[range.start * stride..][..now.len()].copy_from_slice(now);
            return rest;
        }
        let entries = range.start..range.start + range.count;
        entries.fold(from, |from, i| {
            self.copy(axis + 1, &mut to[i * stride..][..stride], from)
        })
    }
}

impl InplaceOp2 for Blocks {
    fn name(&self) -> &'static str {
        "update_state"
    }

    fn cpu_fwd(
        &self,
        to: &mut CpuStorage,
        place: &Layout,
        from: &CpuStorage,
        source: &Layout,
    ) -> candle_core::Result<()> {
        let (CpuStorage::F32(to), CpuStorage::F32(from)) = (to, from) else {
            candle_core::bail!("a state of another type than its update");
        };
        if !self.ranges.is_empty() {
            let to = &mut to[place.start_offset()..];
            self.copy(0, to, &from[source.start_offset()..]);
        }
        Ok(())
    }
}

/// `x` with the block `ranges` replaced by `update`: what stands before, the inner part, what follows.
fn replaced(x: &Tensor, update: &Tensor, ranges: &[Range], axis: usize) -> Result<Tensor> {
    let Some(axis) = (axis..ranges.len()).find(|i| !ranges[*i].is_whole(x.dims()[*i])) else {
        return Ok(update.clone());
    };
    let (range, extent) = (ranges[axis], x.dims()[axis]);
    let inner = shapes::part(x, axis, range.start, range.count)?;
    let inner = replaced(&inner, update, ranges, axis + 1)?;
    let end = range.start + range.count;
    let before = (range.start > 0).then(|| shapes::part(x, axis, 0, range.start));
    let after = (end < extent).then(|| shapes::part(x, axis, end, extent - end));
    let parts = [before.transpose()?, Some(inner), after.transpose()?];
    let parts: Vec<Tensor> = parts
        .into_iter()
        .flatten()
        .map(|part| part.contiguous())
        .collect::<candle_core::Result<_>>()?;
    Ok(Tensor::cat(&parts, axis)?)
}

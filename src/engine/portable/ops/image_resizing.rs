//! Images at another size: separable resizing by a grid of points along each axis.
//!
//! Where the points of a grid lie is told by Apple's `resize_bilinear`; rounding of the nearest
//! neighbour by the expected numbers of coremltools' tests. Points of free form are in
//! [`image_sampling`](super::image_sampling).

use candle_core::{Device, Tensor};

use super::{Op, one, sample, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[
    smooth(
        "resize",
        resize,
        &[
            sample(
                "tensor<fp32, [1, 1, 5]> y = resize(x = tensor<fp32, [1, 1, 2]>([[[0.0, 1.0]]]), shape = tensor<int32, [3]>([7, 0, 5]), resized_dims = uint32(2), interpolation_mode = string(\"LINEAR\"), sampling_mode = string(\"DEFAULT\"));",
                &[&[0.0, 0.4, 0.8, 1.0, 1.0]],
            ),
            sample(
                "tensor<fp32, [1, 3, 1]> y = resize(x = tensor<fp32, [1, 2, 1]>([[[-6.0], [9.0]]]), shape = tensor<int32, [2]>([3, 1]), resized_dims = uint32(2), interpolation_mode = string(\"NEAREST_NEIGHBOR\"));",
                &[&[-6.0, 9.0, 9.0]],
            ),
        ],
    ).batch(Batch::Leading(&["x"], 2)),
    smooth(
        "resize_bilinear",
        resize_bilinear,
        &[
            sample(
                "tensor<fp32, [1, 1, 5]> y = resize_bilinear(x = tensor<fp32, [1, 1, 2]>([[[0.0, 1.0]]]), target_size_height = int32(1), target_size_width = int32(5), sampling_mode = string(\"OFFSET_CORNERS\"));",
                &[&[0.1, 0.3, 0.5, 0.7, 0.9]],
            ),
            sample(
                "tensor<fp32, [1, 3, 1]> y = resize_bilinear(x = tensor<fp32, [1, 2, 2]>([[[0.0, 1.0], [2.0, 5.0]]]), target_size_height = int32(3), target_size_width = int32(1), sampling_mode = string(\"ALIGN_CORNERS\"));",
                &[&[0.5, 2.0, 3.5]],
            ),
        ],
    ).batch(Batch::Leading(&["x"], 2)),
    smooth(
        "resize_nearest_neighbor",
        resize_nearest_neighbor,
        &[sample(
            "tensor<fp32, [1, 3, 1]> y = resize_nearest_neighbor(x = tensor<fp32, [1, 2, 2]>([[[1.0, 2.0], [3.0, 4.0]]]), target_size_height = int32(3), target_size_width = int32(1));",
            &[&[1.0, 1.0, 3.0]],
        )],
    ).batch(Batch::Leading(&["x"], 2)),
    smooth(
        "upsample_bilinear",
        upsample_bilinear,
        &[
            sample(
                "tensor<fp32, [1, 1, 5]> y = upsample_bilinear(x = tensor<fp32, [1, 1, 2]>([[[0.0, 1.0]]]), scale_factor_width = fp32(2.6), align_corners = bool(false));",
                &[&[0.0, 0.1, 0.5, 0.9, 1.0]],
            ),
            sample(
                "tensor<fp32, [1, 1, 6]> y = upsample_bilinear(x = tensor<fp32, [1, 1, 2]>([[[1.0, 2.0]]]), scale_factor_width = int32(3), align_corners = bool(false), half_pixel_centers = bool(false));",
                &[&[1.0, 1.3333333, 1.6666667, 2.0, 2.0, 2.0]],
            ),
        ],
    ).batch(Batch::Leading(&["x"], 2)),
    smooth(
        "upsample_nearest_neighbor",
        upsample_nearest_neighbor,
        &[sample(
            "tensor<fp32, [1, 2, 2]> y = upsample_nearest_neighbor(x = tensor<fp32, [1, 1, 3]>([[[1.5, -2.5, 3.5]]]), scale_factor_height = fp32(2.0), scale_factor_width = fp32(0.67));",
            &[&[1.5, -2.5, 1.5, -2.5]],
        )],
    ).batch(Batch::Leading(&["x"], 2)),
];

/// Point `i` of `count` lies at `a · span + b`, where `span` is the distance of the first and last pixel:
/// (a, b) of each.
pub(super) fn grid(mode: &str, count: usize) -> Result<Vec<(f64, f64)>> {
    let n = count as f64;
    let point = |i: f64| {
        Some(match mode {
            "STRICT_ALIGN_CORNERS" if count == 1 => (0.0, 0.0),
            "ALIGN_CORNERS" if count == 1 => (0.5, 0.0),
            "STRICT_ALIGN_CORNERS" | "ALIGN_CORNERS" => (i / (n - 1.0), 0.0),
            "DEFAULT" => (i / n, i / n),
            "OFFSET_CORNERS" => ((i + 0.5) / n, 0.0),
            "UNALIGN_CORNERS" => ((i + 0.5) / n, (i + 0.5) / n - 0.5),
            _ => return None,
        })
    };
    let points: Option<Vec<_>> = (0..count).map(|i| point(i as f64)).collect();
    match points {
        Some(points) => Ok(points),
        None => fail!("sampling mode \"{mode}\" is not known"),
    }
}

/// The points of a grid over a whole axis.
fn points(mode: &str, extent: usize, count: usize) -> Result<Vec<f64>> {
    let span = extent.saturating_sub(1) as f64;
    let place = |(a, b): (f64, f64)| (a * span + b).clamp(0.0, span);
    Ok(grid(mode, count)?.into_iter().map(place).collect())
}

/// `x` at pixels of one axis.
fn picked(x: &Tensor, axis: usize, pixels: Vec<i64>) -> Result<Tensor> {
    let count = pixels.len();
    let pixels = Tensor::from_vec(pixels, count, &Device::Cpu)?.to_device(x.device())?;
    Ok(x.contiguous()?.index_select(&pixels, axis)?)
}

/// `x` between pixels of one axis.
fn interpolated(x: &Tensor, axis: usize, points: &[f64]) -> Result<Tensor> {
    let last = x.dims()[axis] as i64 - 1;
    let low: Vec<i64> = points.iter().map(|p| p.floor() as i64).collect();
    let high = low.iter().map(|p| (p + 1).min(last)).collect();
    let weights = points.iter().map(|p| p - p.floor()).collect();
    let mut shape = vec![1; x.rank()];
    shape[axis] = points.len();
    let weights = Tensor::from_vec::<_, f64>(weights, shape, &Device::Cpu)?;
    let weights = weights.to_dtype(x.dtype())?.to_device(x.device())?;
    let (low, high) = (picked(x, axis, low)?, picked(x, axis, high)?);
    Ok((&low + (high - &low)?.broadcast_mul(&weights)?)?)
}

/// The last axes of `x` at the sizes `target`, each by `along(x, axis, extent, size)`.
fn resized(
    call: &Call,
    target: &[usize],
    along: impl Fn(&Tensor, usize, usize) -> Result<Tensor>,
) -> Result<Vec<Value>> {
    let mut x = call.tensor("x")?.clone();
    let Some(first) = x.rank().checked_sub(target.len()) else {
        fail!("{} sizes for {:?}", target.len(), x.dims());
    };
    if x.elem_count() == 0 {
        fail!("an image of shape {:?} has no pixels", x.dims());
    }
    let shape = [&x.dims()[..first], target].concat();
    call.check_size(&shape)?;
    for (i, size) in target.iter().enumerate() {
        let mut between = x.dims().to_vec();
        between[first + i] = *size;
        call.check_size(&between)?;
        x = along(&x, first + i, *size)?;
    }
    one(x)
}

fn linear(call: &Call, target: &[usize], mode: &str) -> Result<Vec<Value>> {
    call.floats("x")?;
    resized(call, target, |x, axis, size| {
        interpolated(x, axis, &points(mode, x.dims()[axis], size)?)
    })
}

/// The pixel at or before each point of a grid that starts at 0.
fn nearest(call: &Call, target: &[usize]) -> Result<Vec<Value>> {
    resized(call, target, |x, axis, size| {
        let extent = x.dims()[axis];
        let pixels = (0..size).map(|i| (i * extent / size) as i64);
        picked(x, axis, pixels.collect())
    })
}

fn target_size(call: &Call) -> Result<[usize; 2]> {
    let size = |name: &str| match call.opt_counts(name)?.as_deref() {
        None => Ok(1),
        Some([size]) => Ok(*size),
        Some(_) => fail!("parameter \"{name}\" must be a single value"),
    };
    Ok([size("target_size_height")?, size("target_size_width")?])
}

/// The last two extents times their scales, rounded down.
fn scaled_size(call: &Call) -> Result<[usize; 2]> {
    let [.., height, width] = call.tensor("x")?.dims() else {
        fail!("an image needs two axes");
    };
    let size = |name: &str, extent: usize| -> Result<usize> {
        let scale = match call.opt(name)? {
            Some(scale) => scale.floats()?.first().copied().unwrap_or(1.0),
            None => 1.0,
        };
        // A scale of fp32 may lie just below the one that was meant.
        Ok((extent as f64 * scale + 1e-6).floor() as usize)
    };
    Ok([
        size("scale_factor_height", *height)?,
        size("scale_factor_width", *width)?,
    ])
}

fn resize_bilinear(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let mode = call.text_or("sampling_mode", "DEFAULT")?;
    linear(call, &target_size(call)?, mode)
}

fn resize_nearest_neighbor(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    nearest(call, &target_size(call)?)
}

fn upsample_nearest_neighbor(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    nearest(call, &scaled_size(call)?)
}

fn upsample_bilinear(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let aligned = call.bool_or("align_corners", true)?;
    let mode = match (aligned, call.bool_or("half_pixel_centers", !aligned)?) {
        (true, false) => "STRICT_ALIGN_CORNERS",
        (false, true) => "UNALIGN_CORNERS",
        (false, false) => "DEFAULT",
        (true, true) => fail!("\"align_corners\" and \"half_pixel_centers\" exclude each other"),
    };
    linear(call, &scaled_size(call)?, mode)
}

/// The last `resized_dims` of `shape` become extents; 0 keeps one.
fn resize(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let (shape, resized_dims) = (call.counts("shape")?, call.count("resized_dims")?);
    let dims = call.tensor("x")?.dims();
    let (Some(given), Some(own)) = (
        shape.len().checked_sub(resized_dims),
        dims.len().checked_sub(resized_dims),
    ) else {
        fail!("{resized_dims} of the extents {shape:?} for {dims:?}");
    };
    let target = shape[given..].iter().zip(&dims[own..]);
    let target: Vec<usize> = target
        .map(|(size, old)| if *size == 0 { *old } else { *size })
        .collect();
    let mode = call.text_or("sampling_mode", "DEFAULT")?;
    match call.text_or("interpolation_mode", "LINEAR")? {
        "LINEAR" => linear(call, &target, mode),
        "NEAREST_NEIGHBOR" => resized(call, &target, |x, axis, size| {
            let points = points(mode, x.dims()[axis], size)?;
            picked(x, axis, points.iter().map(|p| p.round() as i64).collect())
        }),
        other => fail!("interpolation mode \"{other}\" is not known"),
    }
}

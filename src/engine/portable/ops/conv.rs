//! Convolutions: windows laid out as columns, then a matrix product per group.

use candle_core::{Device, Tensor};

use super::windows::{Slide, padded, places, slides, unfolded};
use super::{Op, one, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[
    smooth(
        "conv",
        conv,
        &[
            sample(
                "tensor<fp32, [1, 1, 3]> y = conv(x = tensor<fp32, [1, 2, 4]>([[[1.0, 2.0, 3.0, 5.0], [0.5, -1.0, 2.0, 4.0]]]), weight = tensor<fp32, [1, 2, 2]>([[[1.0, 0.5], [2.0, -1.0]]]), bias = tensor<fp32, [1]>([10.0]));",
                &[&[14.0, 9.5, 15.5]],
            ),
            sample(
                "tensor<fp32, [1, 2, 2]> y = conv(x = tensor<fp32, [1, 2, 3]>([[[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]]]), weight = tensor<fp32, [2, 1, 2]>([[[1.0, 0.5]], [[2.0, -1.0]]]), strides = tensor<int32, [1]>([2]), pad_type = string(\"same\"), groups = int32(2));",
                &[&[2.0, 3.0, 2.0, 4.0]],
            ),
            sample(
                "tensor<fp32, [1, 1, 2, 1]> y = conv(x = tensor<fp32, [1, 1, 2, 3]>([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]), weight = tensor<fp32, [1, 1, 2, 2]>([[[[1.0, 2.0], [3.0, -1.0]]]]), dilations = tensor<int32, [2]>([1, 2]), pad_type = string(\"custom\"), pad = tensor<int32, [4]>([1, 0, 0, 0]));",
                &[&[0.0, 13.0]],
            ),
        ],
    ).batch(Batch::Fold(&[("x", 0)], &[0])),
    smooth(
        "conv_quantized",
        conv_quantized,
        &[sample(
            "tensor<fp32, [1, 2, 2]> y = conv_quantized(x = tensor<fp32, [1, 1, 3]>([[[1.0, 2.0, -3.0]]]), weight = tensor<uint8, [2, 1, 2]>([[[3, 1]], [[0, 2]]]), quantization_type = string(\"linear\"), quant_scale = tensor<fp32, [2]>([0.5, 0.25]), quant_bias = tensor<fp32, [2]>([-1.0, 2.0]));",
            &[&[-0.5, 2.5, 7.0, -3.5]],
        )],
    ).batch(Batch::Fold(&[("x", 0)], &[0])),
    smooth(
        "conv_transpose",
        conv_transpose,
        &[
            sample(
                "tensor<fp32, [1, 1, 4]> y = conv_transpose(x = tensor<fp32, [1, 1, 2]>([[[1.0, 3.0]]]), weight = tensor<fp32, [1, 1, 2]>([[[1.0, 0.5]]]), bias = tensor<fp32, [1]>([10.0]), strides = tensor<int32, [1]>([2]));",
                &[&[11.0, 10.5, 13.0, 11.5]],
            ),
            sample(
                "tensor<fp32, [1, 2, 2]> y = conv_transpose(x = tensor<fp32, [1, 2, 2]>([[[1.0, 3.0], [2.0, -1.0]]]), weight = tensor<fp32, [2, 1, 2]>([[[1.0, 0.5]], [[4.0, 2.0]]]), pad_type = string(\"custom\"), pad = tensor<int32, [2]>([1, 0]), groups = int32(2));",
                &[&[3.5, 1.5, 0.0, -2.0]],
            ),
        ],
    ).batch(Batch::Fold(&[("x", 0)], &[0])),
];

/// What a convolution by `weight` `[a, b, …]` reads: `x` `[n, channels, …]` and groups.
fn operands<'c>(call: &'c Call, weight: &Tensor) -> Result<(&'c Tensor, usize)> {
    let x = call.floats("x")?;
    let groups = usize::try_from(call.int_or("groups", 1)?).unwrap_or(0);
    if !(3..=5).contains(&x.rank()) || weight.rank() != x.rank() || groups == 0 {
        fail!(
            "a convolution of {:?} by {:?} in {groups} groups",
            x.dims(),
            weight.dims()
        );
    }
    Ok((x, groups))
}

/// Adds the bias, one value per channel of `y` `[n, channels, places]`, and gives the places `extents`.
fn finished(call: &Call, y: Tensor, extents: &[usize]) -> Result<Vec<Value>> {
    let (n, channels) = (y.dims()[0], y.dims()[1]);
    let y = match call.opt_tensor("bias")? {
        Some(bias) if bias.dims() == [channels] => {
            let bias = bias.to_dtype(y.dtype())?.to_device(y.device())?;
            y.broadcast_add(&bias.reshape((channels, 1))?)?
        }
        Some(bias) => fail!(
            "\"bias\" has shape {:?}, expected [{channels}]",
            bias.dims()
        ),
        None => y,
    };
    let mut shape = vec![n, channels];
    shape.extend(extents);
    one(y.reshape(shape)?)
}

fn conv(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    convolved(call, call.floats("weight")?)
}

/// Weights are `scale · q + bias`, per tensor or per output channel.
fn conv_quantized(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    call.ignore(&["nbits"]);
    match call.text("quantization_type")? {
        "linear" => {}
        other => fail!("quantization type \"{other}\" has no table of values: expected \"linear\""),
    }
    let scale = call.floats("quant_scale")?;
    let q = call.tensor("weight")?.to_dtype(scale.dtype())?;
    let q = q.to_device(scale.device())?;
    operands(call, &q)?;
    let per_channel = |name: &str| -> Result<Tensor> {
        let given = call.floats(name)?;
        if given.elem_count() != 1 && Some(&given.elem_count()) != q.dims().first() {
            fail!("\"{name}\" {:?} of weights {:?}", given.dims(), q.dims());
        }
        let mut shape = vec![1; q.rank()];
        shape[0] = given.elem_count();
        Ok(given.reshape(shape)?)
    };
    let weight = q.broadcast_mul(&per_channel("quant_scale")?)?;
    convolved(call, &weight.broadcast_add(&per_channel("quant_bias")?)?)
}

fn convolved(call: &Call, weight: &Tensor) -> Result<Vec<Value>> {
    let (x, groups) = operands(call, weight)?;
    let (out, inner) = (weight.dims()[0], weight.dims()[1]);
    if x.dims()[1] != inner * groups || out % groups != 0 {
        fail!(
            "a convolution of {:?} by {:?} in {groups} groups",
            x.dims(),
            weight.dims()
        );
    }
    let slides = slides(call, &x.dims()[2..], &weight.dims()[2..])?;
    let columns = unfolded(call, &padded(call, x, &slides, 0.0)?, &slides)?;
    let (n, _, size, count) = columns.dims4()?;
    call.check_size(&[n, out, count])?;
    let columns = columns.reshape((n, groups, inner * size, count))?;
    let weight = weight.reshape((1, groups, out / groups, inner * size))?;
    let weight = weight.broadcast_as((n, groups, out / groups, inner * size))?;
    let y = kernels::matmul(&weight, &columns, false)?.reshape((n, out, count))?;
    let extents: Vec<usize> = slides.iter().map(|s| s.count).collect();
    finished(call, y, &extents)
}

/// The slides of the convolution that this one transposes: its output is our input.
fn transposed_slides(call: &Call, dims: &[usize], sizes: &[usize]) -> Result<Vec<Slide>> {
    let n = dims.len();
    let setting = |name: &str| -> Result<Vec<usize>> {
        let values = call.opt_counts(name)?.unwrap_or_else(|| vec![1; n]);
        if values.len() != n || values.contains(&0) {
            fail!("parameter \"{name}\" {values:?} for {n} spatial axes");
        }
        Ok(values)
    };
    let (strides, dilations) = (setting("strides")?, setting("dilations")?);
    if sizes.contains(&0) || dims.contains(&0) {
        fail!("a convolution of {dims:?} by {sizes:?}");
    }
    Ok((0..n)
        .map(|i| {
            let mut slide = Slide {
                extent: 0,
                size: sizes[i],
                dilation: dilations[i],
                stride: strides[i],
                count: dims[i],
                before: 0,
                after: 0,
            };
            let covered = (dims[i] - 1).saturating_mul(strides[i]);
            let reach = (sizes[i] - 1).saturating_mul(dilations[i]);
            slide.extent = covered.saturating_add(reach).saturating_add(1);
            slide
        })
        .collect())
}

/// Start and extent of the wanted part of each axis of the full result.
fn wanted(call: &Call, slides: &[Slide]) -> Result<Vec<(usize, usize)>> {
    let n = slides.len();
    let pads = call.opt_counts("pad")?.unwrap_or_else(|| vec![0; 2 * n]);
    let types = ["valid", "same", "same_lower", "custom"];
    let kind = call.choice("pad_type", "valid", &types)?;
    let given = call.opt_counts("output_shape")?;
    if pads.len() != 2 * n || given.as_ref().is_some_and(|shape| shape.len() != n + 2) {
        fail!("\"pad\" {pads:?} and \"output_shape\" {given:?} for {n} spatial axes");
    }
    (0..n)
        .map(|i| {
            let slide = slides[i];
            let (start, natural) = match kind {
                "valid" => (0, Some(slide.extent)),
                "custom" => (
                    pads[2 * i],
                    slide
                        .extent
                        .checked_sub(pads[2 * i].saturating_add(pads[2 * i + 1])),
                ),
                same => {
                    let extent = slide.count.saturating_mul(slide.stride);
                    let total = slide.extent.saturating_sub(extent);
                    let start = if same == "same_lower" {
                        total.div_ceil(2)
                    } else {
                        total / 2
                    };
                    (start, Some(extent))
                }
            };
            match (given.as_ref().map(|shape| shape[i + 2]).or(natural), start) {
                (Some(extent), start) if start <= slide.extent => Ok((start, extent)),
                _ => fail!("padding by {pads:?} leaves nothing of {}", slide.extent),
            }
        })
        .collect()
}

fn conv_transpose(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let weight = call.floats("weight")?;
    let (x, groups) = operands(call, weight)?;
    let (n, channels) = (x.dims()[0], x.dims()[1]);
    let outer = weight.dims()[1];
    if weight.dims()[0] != channels || channels % groups != 0 {
        fail!(
            "a convolution of {:?} by {:?} in {groups} groups",
            x.dims(),
            weight.dims()
        );
    }
    let slides = transposed_slides(call, &x.dims()[2..], &weight.dims()[2..])?;
    let size: usize = slides.iter().map(|s| s.size).product();
    let count: usize = slides.iter().map(|s| s.count).product();
    let extents: Vec<usize> = slides.iter().map(|s| s.extent).collect();
    let out = groups * outer;
    let shape = [[n, out].as_slice(), &extents].concat();
    call.check_size(&shape)?;
    call.check_size(&[n, out, size, count])?;
    let weight = weight.reshape((1, groups, channels / groups, outer * size))?;
    let weight = weight.broadcast_as((n, groups, channels / groups, outer * size))?;
    let x = x.reshape((n, groups, channels / groups, count))?;
    let columns = kernels::matmul(&weight.t()?, &x, false)?;
    let columns = columns.reshape((n, out, size * count))?;
    let places = places(&slides, &extents);
    let places = Tensor::from_vec(places, size * count, &Device::Cpu)?.to_device(x.device())?;
    let flat = (n, out, extents.iter().product::<usize>());
    let zeros = Tensor::zeros(flat, x.dtype(), x.device())?;
    let mut y = zeros.index_add(&places, &columns, 2)?.reshape(shape)?;
    let wanted = wanted(call, &slides)?;
    for (i, (start, extent)) in wanted.iter().enumerate() {
        let kept = (extents[i] - start).min(*extent);
        let mut larger = y.dims().to_vec();
        larger[i + 2] = *extent;
        call.check_size(&larger)?;
        y = shapes::part(&y, i + 2, *start, kept)?.pad_with_zeros(i + 2, 0, extent - kept)?;
    }
    let extents: Vec<usize> = wanted.iter().map(|(_, extent)| *extent).collect();
    let places: usize = extents.iter().product();
    finished(call, y.reshape((n, out, places))?, &extents)
}

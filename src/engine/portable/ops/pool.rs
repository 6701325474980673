//! Pools: one number for each window of each channel.

use candle_core::{D, Tensor};

use super::reduction::Length;
use super::windows::{padded, slides, unfolded};
use super::{Op, one, sample, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels::map;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[
    smooth(
        "avg_pool",
        avg_pool,
        &[
            sample(
                "tensor<fp32, [1, 1, 2]> y = avg_pool(x = tensor<fp32, [1, 1, 3]>([[[1.0, 2.0, 4.0]]]), kernel_sizes = tensor<int32, [1]>([2]), strides = tensor<int32, [1]>([2]), pad_type = string(\"custom\"), pad = tensor<int32, [2]>([1, 0]));",
                &[&[0.5, 3.0]],
            ),
            sample(
                "tensor<fp32, [1, 1, 2]> y = avg_pool(x = tensor<fp32, [1, 1, 3]>([[[1.0, 2.0, 4.0]]]), kernel_sizes = tensor<int32, [1]>([2]), strides = tensor<int32, [1]>([2]), pad_type = string(\"same\"), exclude_padding_from_average = bool(true));",
                &[&[1.5, 4.0]],
            ),
        ],
    ).batch(Batch::Fold(&[("x", 0)], &[0])),
    smooth(
        "l2_pool",
        |call, _| {
            let (columns, extents) = columns(call, 0.0)?;
            finished(map(&columns.sqr()?.sum(2)?, Length {})?, &extents)
        },
        &[sample(
            "tensor<fp32, [1, 1, 1, 2]> y = l2_pool(x = tensor<fp32, [1, 1, 1, 3]>([[[[3.0, 4.0, -1.0]]]]), kernel_sizes = tensor<int32, [2]>([1, 2]), strides = tensor<int32, [2]>([1, 1]), pad_type = string(\"valid\"));",
            &[&[5.0, 4.1231056]],
        )],
    ).batch(Batch::Fold(&[("x", 0)], &[0])),
    smooth(
        "max_pool",
        |call, _| {
            let (columns, extents) = columns(call, f64::NEG_INFINITY)?;
            // Of equal elements the first gets the gradient, as with PyTorch.
            let columns = columns.contiguous()?;
            let place = columns.argmax_keepdim(2)?;
            finished(columns.gather(&place, 2)?.squeeze(2)?, &extents)
        },
        &[sample(
            "tensor<fp32, [1, 1, 1, 2]> y = max_pool(x = tensor<fp32, [1, 1, 2, 3]>([[[[3.0, 4.0, -1.0], [0.0, 2.0, 1.0]]]]), kernel_sizes = tensor<int32, [2]>([2, 2]), strides = tensor<int32, [2]>([1, 2]), pad_type = string(\"custom\"), pad = tensor<int32, [4]>([0, 0, 0, 0]), ceil_mode = bool(true));",
            &[&[4.0, 1.0]],
        )],
    ).batch(Batch::Fold(&[("x", 0)], &[0])),
];

/// The windows of `x` padded with `padding`, and how many there are along each axis.
fn columns(call: &Call, padding: f64) -> Result<(Tensor, Vec<usize>)> {
    let x = call.floats("x")?;
    if !(3..=5).contains(&x.rank()) {
        fail!("a pool over a tensor of shape {:?}", x.dims());
    }
    let slides = slides(call, &x.dims()[2..], &call.counts("kernel_sizes")?)?;
    let columns = unfolded(call, &padded(call, x, &slides, padding)?, &slides)?;
    Ok((columns, slides.iter().map(|s| s.count).collect()))
}

fn finished(y: Tensor, extents: &[usize]) -> Result<Vec<Value>> {
    let shape = [&y.dims()[..2], extents].concat();
    one(y.reshape(shape)?)
}

fn avg_pool(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let (values, extents) = columns(call, 0.0)?;
    if !call.bool_or("exclude_padding_from_average", false)? {
        return finished(values.mean_keepdim(2)?.squeeze(2)?, &extents);
    }
    let x = call.floats("x")?;
    let slides = slides(call, &x.dims()[2..], &call.counts("kernel_sizes")?)?;
    let ones = padded(call, &x.detach().ones_like()?, &slides, 0.0)?;
    let count = unfolded(call, &ones, &slides)?.sum_keepdim(2)?;
    let sum = values.sum_keepdim(2)?;
    finished((sum / count)?.squeeze(D::Minus2)?, &extents)
}

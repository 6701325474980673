//! Attention.

use candle_core::{DType as Candle, Device, Tensor};

use super::linear::batched;
use super::{Op, one, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[smooth(
    "scaled_dot_product_attention",
    attention,
    &[
        sample(
            "tensor<fp32, [1, 1, 2, 1]> y = scaled_dot_product_attention(query = tensor<fp32, [1, 1, 2, 4]>([[[[1.0, 0.0, 2.0, -1.0], [0.5, 1.0, 0.0, 0.0]]]]), key = tensor<fp32, [1, 1, 2, 4]>([[[[1.0, 1.0, 0.0, 1.0], [0.0, 2.0, 1.0, 0.0]]]]), value = tensor<fp32, [1, 1, 2, 1]>([[[[3.0], [5.0]]]]));",
            &[&[4.4621172, 4.1243533]],
        ),
        sample(
            "tensor<fp32, [1, 2, 1]> y = scaled_dot_product_attention(query = tensor<fp32, [1, 2, 4]>([[[1.0, 0.0, 2.0, -1.0], [0.5, 1.0, 0.0, 0.0]]]), key = tensor<fp32, [1, 2, 4]>([[[1.0, 1.0, 0.0, 1.0], [0.0, 2.0, 1.0, 0.0]]]), value = tensor<fp32, [1, 2, 1]>([[[3.0], [5.0]]]), attn_mask = tensor<bool, [2, 2]>([[true, false], [true, true]]));",
            &[&[3.0, 4.1243533]],
        ),
        sample(
            "tensor<fp32, [1, 1, 1]> y = scaled_dot_product_attention(query = tensor<fp32, [1, 1, 4]>([[[1.0, 0.0, 2.0, -1.0]]]), key = tensor<fp32, [1, 2, 4]>([[[1.0, 1.0, 0.0, 1.0], [0.0, 2.0, 1.0, 0.0]]]), value = tensor<fp32, [1, 2, 1]>([[[3.0], [5.0]]]), attn_mask = tensor<fp32, [1, 2]>([[1.0, 0.0]]));",
            &[&[4.0]],
        ),
    ],
).batch(Batch::Leading(&["query", "key", "value", "attn_mask"], 2))];

/// softmax(Q Kᵀ / √E + mask) V. A boolean mask is true where to attend; a float mask is added.
fn attention(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let [query, key, value] = ["query", "key", "value"].map(|name| call.floats(name));
    let (query, key, value) = (query?, key?, value?);
    if [query, key, value].iter().any(|t| t.rank() < 2) {
        fail!("attention needs tensors of rank 3 or more");
    }
    let width = query.dims()[query.rank() - 1].max(1);
    let mask = call.opt_tensor("attn_mask")?;
    let scale = 1.0 / (width as f64).sqrt();
    one(attend(call, [query, key, value], mask, scale)?)
}

/// softmax(`scale` · Q Kᵀ + mask) V with numpy's broadcasting of the leading axes.
pub(in crate::engine::portable) fn attend(
    call: &Call,
    [query, key, value]: [&Tensor; 3],
    mask: Option<&Tensor>,
    scale: f64,
) -> Result<Tensor> {
    let mask = mask.map(|mask| added(mask, query)).transpose()?;
    let heads = |t: &Tensor| t.dims()[..t.rank() - 2].to_vec();
    let plain = heads(query) == heads(key) && heads(key) == heads(value);
    let rows = query.dims()[..query.rank() - 1].iter();
    let columns = value.dims().last().into_iter();
    call.check_size(&rows.chain(columns).copied().collect::<Vec<_>>())?;
    if plain && kernels::attention_fits([query, key, value], mask.as_ref()) {
        let y = kernels::attention(query, key, value, mask.as_ref(), scale)?;
        return Ok(y);
    }
    let mut scores = batched(call, &(query * scale)?, key, true)?;
    if let Some(mask) = &mask {
        shapes::broadcast(call, scores.dims(), mask.dims())?;
        scores = scores.broadcast_add(mask)?;
    }
    batched(call, &kernels::softmax(&scores)?, value, false)
}

/// The mask as a tensor to add to `scores`.
pub(in crate::engine::portable) fn added(mask: &Tensor, scores: &Tensor) -> Result<Tensor> {
    if mask.dtype().is_float() {
        return Ok(mask.clone());
    }
    let zeros = Tensor::zeros(mask.dims(), scores.dtype(), &Device::Cpu)?;
    let never = Tensor::full(f32::NEG_INFINITY, mask.dims(), &Device::Cpu)?;
    let mask = mask.to_dtype(Candle::U8)?;
    let mask = mask.where_cond(&zeros, &never.to_dtype(scores.dtype())?)?;
    Ok(mask.to_device(scores.device())?)
}

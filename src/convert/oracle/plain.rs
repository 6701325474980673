//! The forward pass of a described transformer, written out on candle's tensors: no cache, no fusion, one row.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{D, Device, Tensor};
use candle_nn::ops::softmax_last_dim;

use crate::convert::source::Checkpoint;
use crate::convert::transformer::{
    Activation, Attention, FeedForward, Head, Layer, Linear, Norm, NormKind, Pool, QkNorm,
    QkNormOver, Rope, Sight, Transformer, Weights,
};
use crate::diag::Result;
use crate::fail;
use crate::numeric::{Array, DType};

/// A transformer with its weights, which are read at the first pass.
pub(super) struct Plain {
    source: Arc<Checkpoint>,
    model: Transformer,
    context: usize,
    read: Mutex<BTreeMap<String, Tensor>>,
}

impl Plain {
    pub fn new(source: Arc<Checkpoint>, model: Transformer, context: usize) -> Self {
        Self {
            source,
            model,
            context,
            read: Mutex::default(),
        }
    }

    /// What the head gives of a row: `[length, vocab]`, `[1, classes]` or `[length, hidden]`.
    pub fn outputs(&self, ids: &[u32]) -> Result<Tensor> {
        let Transformer {
            embedding, head, ..
        } = &self.model;
        let shape = [self.model.vocab, self.model.hidden];
        let name = format!("{}.weight", embedding.name);
        let table = self.weight(&name, |w| w.stored(&name, &shape, DType::Fp32))?;
        let mut x = table.index_select(&Tensor::new(ids, &Device::Cpu)?, 0)?;
        if let Some(scale) = embedding.scale {
            x = (x * scale)?;
        }
        if let Some(positions) = &embedding.positions {
            let name = format!("{positions}.weight");
            let size = [self.context, self.model.hidden];
            let table = self.weight(&name, |w| w.table(&name, size, DType::Fp32))?;
            x = (x + table.narrow(0, 0, ids.len())?)?;
        }
        if let Some((types, kinds)) = &embedding.types {
            let name = format!("{types}.weight");
            let shape = [*kinds, self.model.hidden];
            let table = self.weight(&name, |w| w.stored(&name, &shape, DType::Fp32))?;
            // Of one kind all, as a text by itself is.
            x = x.broadcast_add(&table.get(0)?)?;
        }
        x = self.normed(&embedding.norm, &x)?;
        for layer in &self.model.layers {
            x = self.layer(layer, &x)?;
        }
        let x = self.normed(&self.model.norm, &x)?;
        match head {
            Head::Hidden => Ok(x),
            Head::Classes { .. } => self.classes(head, &x),
            Head::Tokens { linear, softcap } => {
                let logits = match linear {
                    Some(linear) => self.linear(linear, &x)?,
                    None => x.matmul(&table.t()?)?,
                };
                match softcap {
                    Some(cap) => capped(&logits, *cap),
                    None => Ok(logits),
                }
            }
        }
    }

    fn classes(&self, head: &Head, x: &Tensor) -> Result<Tensor> {
        let Head::Classes {
            pool,
            dense,
            norm,
            linear,
        } = head
        else {
            fail!("the model has no classes");
        };
        let mut one = match pool {
            Pool::First => x.narrow(0, 0, 1)?,
            Pool::Last => x.narrow(0, x.dim(0)? - 1, 1)?,
            Pool::Mean => x.mean_keepdim(0)?,
        };
        if let Some((dense, activation)) = dense {
            one = bent(*activation, &self.linear(dense, &one)?)?;
        }
        self.linear(linear, &self.normed(norm, &one)?)
    }

    fn layer(&self, layer: &Layer, x: &Tensor) -> Result<Tensor> {
        let [around, within] = [&layer.attention_norms, &layer.feed_forward_norms];
        let attended = self.attention(&layer.attention, &self.normed(&around.before, x)?)?;
        let sum = (x + self.normed(&around.after, &attended)?)?;
        let sum = self.normed(&around.sum, &sum)?;
        let entering = if layer.parallel { x } else { &sum };
        let entering = self.normed(&within.before, entering)?;
        let fed = self.feed_forward(&layer.feed_forward, &entering)?;
        let whole = (&sum + self.normed(&within.after, &fed)?)?;
        self.normed(&within.sum, &whole)
    }

    fn normed(&self, norm: &Option<Norm>, x: &Tensor) -> Result<Tensor> {
        match norm {
            Some(norm) => self.norm(norm, x),
            None => Ok(x.clone()),
        }
    }

    fn attention(&self, attention: &Attention, x: &Tensor) -> Result<Tensor> {
        let (length, d) = (x.dim(0)?, self.model.head_dim);
        let norms = attention.qk_norm.as_ref();
        let q = self.heads(&attention.q, x, norms.map(|n| (n, &n.q)))?;
        let k = self.heads(&attention.k, x, norms.map(|n| (n, &n.k)))?;
        let v = self.heads(&attention.v, x, None)?;
        let turned = |x: Tensor| match &attention.rope {
            Some(rope) => rotated(&x, rope, self.context),
            None => Ok(x),
        };
        let group = self.model.heads / self.model.kv_heads;
        let repeated = |x: Tensor| -> Result<Tensor> {
            let shape = (self.model.kv_heads, group, length, d);
            let many = x.unsqueeze(1)?.broadcast_as(shape)?;
            Ok(many.reshape((self.model.heads, length, d))?)
        };
        let (q, k, v) = (turned(q)?, repeated(turned(k)?)?, repeated(v)?);
        let mut scores = (q.matmul(&k.t()?)? * attention.scale)?;
        if let Some(cap) = attention.softcap {
            scores = capped(&scores, cap)?;
        }
        let scores = scores.broadcast_add(&self.mask(length, attention.window)?)?;
        let mixed = softmax_last_dim(&scores)?.matmul(&v)?;
        let merged = mixed.transpose(0, 1)?.reshape((length, ()))?;
        self.linear(&attention.o, &merged)
    }

    /// 0 where a position (a row) may look, −∞ elsewhere.
    fn mask(&self, length: usize, window: Option<usize>) -> Result<Tensor> {
        let window = window.unwrap_or(length);
        let sees = |row: usize, column: usize| match self.model.sight {
            Sight::Causal => column <= row && row < column + window,
            Sight::Both => row.abs_diff(column) <= window,
        };
        let entry = |n: usize| match sees(n / length, n % length) {
            true => 0.0,
            false => f32::NEG_INFINITY,
        };
        let entries: Vec<f32> = (0..length * length).map(entry).collect();
        Ok(Tensor::from_vec(entries, (length, length), &Device::Cpu)?)
    }

    /// `[heads, length, head_dim]`.
    fn heads(&self, linear: &Linear, x: &Tensor, norm: Option<(&QkNorm, &Norm)>) -> Result<Tensor> {
        let mut y = self.linear(linear, x)?;
        let over = norm.map(|(qk, norm)| (qk.over, norm));
        if let Some((QkNormOver::Width, norm)) = over {
            y = self.norm(norm, &y)?;
        }
        let mut parts = y.reshape((x.dim(0)?, (), self.model.head_dim))?;
        if let Some((QkNormOver::Head, norm)) = over {
            parts = self.norm(norm, &parts)?;
        }
        Ok(parts.transpose(0, 1)?.contiguous()?)
    }

    fn feed_forward(&self, part: &FeedForward, x: &Tensor) -> Result<Tensor> {
        let up = self.linear(&part.up, x)?;
        let inner = match &part.gate {
            Some(gate) => (bent(part.activation, &self.linear(gate, x)?)? * up)?,
            None => bent(part.activation, &up)?,
        };
        self.linear(&part.down, &inner)
    }

    fn linear(&self, linear: &Linear, x: &Tensor) -> Result<Tensor> {
        let label = linear.label();
        let weight = self.weight(&format!("{label}.weight"), |w| {
            w.matrix(linear, DType::Fp32)
        })?;
        let y = x.matmul(&weight.t()?)?;
        if !linear.bias {
            return Ok(y);
        }
        let bias = self.weight(&format!("{label}.bias"), |w| w.bias(linear, DType::Fp32))?;
        Ok(y.broadcast_add(&bias)?)
    }

    fn norm(&self, norm: &Norm, x: &Tensor) -> Result<Tensor> {
        let width = x.dim(D::Minus1)?;
        let name = format!("{}.weight", norm.name);
        let weight = self.weight(&name, |w| w.norm(norm, width, DType::Fp32))?;
        let centred = match norm.kind {
            NormKind::Layer | NormKind::LayerUnbiased => {
                x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?
            }
            NormKind::Rms | NormKind::RmsPlusOne => x.clone(),
        };
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let scaled = centred.broadcast_div(&(variance + norm.epsilon)?.sqrt()?)?;
        let scaled = scaled.broadcast_mul(&weight)?;
        if norm.kind != NormKind::Layer {
            return Ok(scaled);
        }
        let name = format!("{}.bias", norm.name);
        let bias = self.weight(&name, |w| w.stored(&name, &[width], DType::Fp32))?;
        Ok(scaled.broadcast_add(&bias)?)
    }

    fn weight(
        &self,
        name: &str,
        read: impl FnOnce(&mut Weights) -> Result<Array>,
    ) -> Result<Tensor> {
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tensor) = known.get(name) {
            return Ok(tensor.clone());
        }
        let array = read(&mut Weights::of(&self.source))?;
        let tensor = Tensor::from_vec(array.to_f32s(), array.shape(), &Device::Cpu)?;
        known.insert(name.to_owned(), tensor.clone());
        Ok(tensor)
    }
}

fn capped(x: &Tensor, cap: f64) -> Result<Tensor> {
    Ok(((x / cap)?.tanh()? * cap)?)
}

fn bent(activation: Activation, x: &Tensor) -> Result<Tensor> {
    Ok(match activation {
        Activation::Silu => x.silu(),
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
        Activation::Relu => x.relu(),
        Activation::Tanh => x.tanh(),
    }?)
}

/// `x` `[heads, length, head_dim]`, its first entries turned by their positions.
fn rotated(x: &Tensor, rope: &Rope, context: usize) -> Result<Tensor> {
    let (_, length, d) = x.dims3()?;
    let (frequencies, factor) = rope.frequencies(context);
    let half = frequencies.len();
    let table = |f: fn(f64) -> f64| {
        let angle = |n: usize| (n / half) as f64 * frequencies[n % half];
        let values = (0..length * half).map(|n| (f(angle(n)) * factor) as f32);
        Tensor::from_vec(values.collect(), (length, half), &Device::Cpu)
    };
    let (cos, sin) = (table(f64::cos)?, table(f64::sin)?);
    let part = |from, count| x.narrow(2, from, count);
    let (low, high) = (part(0, half)?, part(half, half)?);
    let low_turned = (low.broadcast_mul(&cos)? - high.broadcast_mul(&sin)?)?;
    let high_turned = (high.broadcast_mul(&cos)? + low.broadcast_mul(&sin)?)?;
    let rest = part(2 * half, d - 2 * half)?;
    Ok(Tensor::cat(&[low_turned, high_turned, rest], 2)?)
}

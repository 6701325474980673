//! Fused, multi-threaded reductions of logit rows on the CPU, with analytic gradients: no tensor of the
//! size of the logits is made but the gradient itself.

use std::sync::Arc;

use candle_core::{
    CpuStorage, CustomOp1, CustomOp3, DType, Layout, Result, Shape, Tensor, WithDType, bail,
};
use rayon::prelude::*;

/// What one row of logits `[N, V]` becomes, at a temperature.
#[derive(Debug, Clone)]
pub(super) struct RowOp {
    pub kind: Kind,
    pub temperature: f64,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// The log-probability of the token of each row.
    Selected(Arc<[u32]>),
    /// The entropy in nats.
    Entropy,
}

/// The gradient of [`RowOp`] from logits, result and the result's gradient.
struct RowGradient(RowOp);

impl RowOp {
    /// Applies to contiguous `[N, V]` logits (f32 or f64), giving `[N]`.
    pub fn apply(self, logits: &Tensor) -> Result<Tensor> {
        logits.contiguous()?.apply_op1(self)
    }

    fn forward<T: WithDType>(&self, rows: &[T], width: usize) -> Vec<T> {
        let one = |(index, row): (usize, &[T])| {
            let norm = Norm::of(row, self.temperature);
            T::from_f64(match &self.kind {
                Kind::Selected(ids) => norm.logprob(row[ids[index] as usize]),
                Kind::Entropy => norm.entropy(row),
            })
        };
        rows.par_chunks(width).enumerate().map(one).collect()
    }

    fn backward<T: WithDType>(&self, rows: &[T], width: usize, result: &[T], grad: &[T]) -> Vec<T> {
        let mut out = vec![T::zero(); rows.len()];
        let one = |(index, (out, row)): (usize, (&mut [T], &[T]))| {
            let result = result[index].to_f64();
            let scale = grad[index].to_f64() / self.temperature;
            match &self.kind {
                _ if scale == 0.0 => {}
                Kind::Selected(ids) => {
                    let id = ids[index] as usize;
                    // The normaliser follows from the result; a second sum is rarely needed.
                    let shift = if result.is_finite() {
                        row[id].to_f64() / self.temperature - result
                    } else {
                        Norm::of(row, self.temperature).shift()
                    };
                    for (out, x) in out.iter_mut().zip(row) {
                        let p = (x.to_f64() / self.temperature - shift).exp();
                        *out = T::from_f64(-scale * p);
                    }
                    out[id] = T::from_f64(scale * (1.0 - result.exp()));
                }
                Kind::Entropy => {
                    let norm = Norm::of(row, self.temperature);
                    let entropy = result;
                    for (out, x) in out.iter_mut().zip(row) {
                        let logprob = norm.logprob(*x);
                        *out = T::from_f64(-scale * weighted(logprob, logprob + entropy));
                    }
                }
            }
        };
        out.par_chunks_mut(width)
            .zip(rows.par_chunks(width))
            .enumerate()
            .for_each(one);
        out
    }
}

/// e^logprob · factor, 0 for an impossible token.
fn weighted(logprob: f64, factor: f64) -> f64 {
    if logprob == f64::NEG_INFINITY {
        0.0
    } else {
        logprob.exp() * factor
    }
}

/// The normaliser of a row: log-probability = (x − max)/T − log_sum.
struct Norm {
    max: f64,
    log_sum: f64,
    temperature: f64,
}

impl Norm {
    fn of<T: WithDType>(row: &[T], temperature: f64) -> Self {
        let max = row
            .iter()
            .fold(f64::NEG_INFINITY, |max, x| max.max(x.to_f64()));
        // `f64::max` skips NaN; the sum does not.
        let scaled = row.iter().map(|x| ((x.to_f64() - max) / temperature).exp());
        Self {
            max,
            log_sum: scaled.sum::<f64>().ln(),
            temperature,
        }
    }

    fn logprob<T: WithDType>(&self, logit: T) -> f64 {
        (logit.to_f64() - self.max) / self.temperature - self.log_sum
    }

    /// log-probability = x/T − shift.
    fn shift(&self) -> f64 {
        self.max / self.temperature + self.log_sum
    }

    fn entropy<T: WithDType>(&self, row: &[T]) -> f64 {
        let term = |x: &T| {
            let logprob = self.logprob(*x);
            -weighted(logprob, logprob)
        };
        row.iter().map(term).sum()
    }
}

impl CustomOp1 for RowOp {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Selected(_) => "selected-log-softmax",
            Kind::Entropy => "softmax-entropy",
        }
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        let out = match storage {
            CpuStorage::F32(data) => CpuStorage::F32(self.forward(elements(data, layout)?, width)),
            CpuStorage::F64(data) => CpuStorage::F64(self.forward(elements(data, layout)?, width)),
            _ => bail!("{} of logits that are neither f32 nor f64", self.name()),
        };
        Ok((out, rows.into()))
    }

    fn bwd(&self, logits: &Tensor, result: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let op = RowGradient(self.clone());
        let gradient = logits.apply_op3_no_bwd(result, &grad.contiguous()?, &op)?;
        Ok(Some(gradient))
    }
}

impl CustomOp3 for RowGradient {
    fn name(&self) -> &'static str {
        "row-gradient"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        layout: &Layout,
        result: &CpuStorage,
        result_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, width) = layout.shape().dims2()?;
        let out = match (logits, result, grad) {
            (CpuStorage::F32(x), CpuStorage::F32(y), CpuStorage::F32(g)) => {
                let (y, g) = (elements(y, result_layout)?, elements(g, grad_layout)?);
                CpuStorage::F32(self.0.backward(elements(x, layout)?, width, y, g))
            }
            (CpuStorage::F64(x), CpuStorage::F64(y), CpuStorage::F64(g)) => {
                let (y, g) = (elements(y, result_layout)?, elements(g, grad_layout)?);
                CpuStorage::F64(self.0.backward(elements(x, layout)?, width, y, g))
            }
            _ => bail!("row gradient of mixed types"),
        };
        Ok((out, layout.shape().clone()))
    }
}

fn elements<'a, T>(data: &'a [T], layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&data[from..to]),
        None => bail!("rows must be contiguous"),
    }
}

/// Whether the fused kernels take this tensor.
pub(super) fn fits(logits: &Tensor) -> bool {
    logits.device().is_cpu() && matches!(logits.dtype(), DType::F32 | DType::F64)
}

//! Norms over the last axis.

use super::writer::Writer;
use super::{Norm, NormKind};
use crate::convert::builder::{In, Var};
use crate::diag::Result;
use crate::mil::{Dim, Type};
use crate::numeric::DType;

impl Writer<'_, '_> {
    /// `x` normed, as `dtype`.
    pub(super) fn norm(&mut self, norm: &Norm, x: &Var, dtype: DType) -> Result<Var> {
        let label = norm.name.replace('.', "_");
        match norm.kind {
            NormKind::Layer | NormKind::LayerUnbiased => self.layer_norm(norm, &label, x, dtype),
            NormKind::Rms | NormKind::RmsPlusOne => self.rms_norm(norm, &label, x, dtype),
        }
    }

    /// The squares are summed in fp32, as fp16 holds none of a value beyond 255.
    fn rms_norm(&mut self, norm: &Norm, label: &str, x: &Var, dtype: DType) -> Result<Var> {
        let weight = self.norm_weight(norm, x, dtype)?;
        let x = self.b.cast(&format!("{label}_wide"), x, DType::Fp32)?;
        let square = self
            .b
            .binary("mul", &format!("{label}_square"), &x, In::Var(&x))?;
        let mut dims = x.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = Dim::Fixed(1);
        }
        let one = Type::Tensor {
            dtype: DType::Fp32,
            dims,
        };
        let mean = [
            ("x", In::Var(&square)),
            ("axes", In::Ints(&[-1])),
            ("keep_dims", In::Bool(true)),
        ];
        let mean = self
            .b
            .op("reduce_mean", &format!("{label}_mean"), one.clone(), &mean)?;
        let root = [("x", In::Var(&mean)), ("epsilon", In::Float(norm.epsilon))];
        let inverse = self.b.op("rsqrt", &format!("{label}_rsqrt"), one, &root)?;
        let scaled = self
            .b
            .binary("mul", &format!("{label}_scaled"), &x, In::Var(&inverse))?;
        let scaled = self.b.cast(&format!("{label}_narrow"), &scaled, dtype)?;
        self.b.binary("mul", label, &scaled, In::Var(&weight))
    }

    fn layer_norm(&mut self, norm: &Norm, label: &str, x: &Var, dtype: DType) -> Result<Var> {
        let x = self.b.cast(&format!("{label}_cast"), x, dtype)?;
        let gamma = self.norm_weight(norm, &x, dtype)?;
        let beta = match norm.kind {
            NormKind::Layer => {
                let name = format!("{}.bias", norm.name);
                let beta = self.weights.stored(&name, &[width(&x)], dtype)?;
                Some(self.b.weight(&name, beta))
            }
            _ => None,
        };
        let mut inputs = vec![
            ("x", In::Var(&x)),
            ("axes", In::Ints(&[-1])),
            ("gamma", In::Var(&gamma)),
        ];
        inputs.extend(beta.as_ref().map(|beta| ("beta", In::Var(beta))));
        inputs.push(("epsilon", In::Float(norm.epsilon)));
        self.b.op("layer_norm", label, x.ty.clone(), &inputs)
    }

    fn norm_weight(&mut self, norm: &Norm, x: &Var, dtype: DType) -> Result<Var> {
        let weight = self.weights.norm(norm, width(x), dtype)?;
        Ok(self.b.weight(&format!("{}.weight", norm.name), weight))
    }
}

fn width(x: &Var) -> usize {
    match x.dims().last() {
        Some(Dim::Fixed(width)) => *width,
        _ => 0,
    }
}

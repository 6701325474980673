//! Rotary positions (Su et al. 2021) in the half-split layout of Hugging Face's Llama.

use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor, WithDType};

use super::real::{Real, on_cpu, with_real};
use super::rows;

/// x · cos + turn(x) · sin, where turn(x) = (−x₂, x₁) for the halves x₁, x₂ of the last axis. `cos` and
/// `sin` broadcast against `x`.
pub fn rotary(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (cos, sin) = (cos.broadcast_as(x.shape())?, sin.broadcast_as(x.shape())?);
    if on_cpu(x) {
        return straight(x)?.apply_op3(&straight(&cos)?, &straight(&sin)?, Rotary { back: false });
    }
    (x * cos)? + (turned(x)? * sin)?
}

/// `x` with the elements of each row side by side.
fn straight(x: &Tensor) -> Result<Tensor> {
    match x.stride().last() {
        Some(1) => Ok(x.clone()),
        _ => x.contiguous(),
    }
}

fn turned(x: &Tensor) -> Result<Tensor> {
    let half = x.dim(D::Minus1)? / 2;
    let (low, high) = (
        x.narrow(D::Minus1, 0, half)?,
        x.narrow(D::Minus1, half, half)?,
    );
    Tensor::cat(&[high.neg()?, low], D::Minus1)
}

/// The rotation, or its transpose.
struct Rotary {
    back: bool,
}

impl CustomOp3 for Rotary {
    fn name(&self) -> &'static str {
        "rotary"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        cos: &CpuStorage,
        cos_layout: &Layout,
        sin: &CpuStorage,
        sin_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = x_layout.shape().clone();
        let width = x_layout.dims().last().copied().unwrap_or(1);
        let layouts = [x_layout, cos_layout, sin_layout];
        with_real!(x, self.name(), R => {
            let data = [
                R::cpu_storage_as_slice(x)?,
                R::cpu_storage_as_slice(cos)?,
                R::cpu_storage_as_slice(sin)?,
            ];
            let mut result = vec![R::of(0.0); shape.elem_count()];
            rows::each(&mut result, width, |i, row| {
                let [x, cos, sin] = std::array::from_fn(|k| &data[k][rows::start(layouts[k], i)..][..width]);
                self.turn(row, x, cos, sin);
            });
            Ok((R::to_cpu_storage_owned(result), shape))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        cos: &Tensor,
        sin: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = straight(grad)?;
        let wide = x
            .track_op()
            .then(|| grad.apply_op3_no_bwd(cos, sin, &Rotary { back: true }));
        let along = cos.track_op().then(|| &grad * x);
        let across = sin.track_op().then(|| &grad * turned(x)?);
        Ok((wide.transpose()?, along.transpose()?, across.transpose()?))
    }
}

impl Rotary {
    fn turn<R: Real>(&self, y: &mut [R], x: &[R], cos: &[R], sin: &[R]) {
        let half = y.len() / 2;
        let (y1, y2) = y.split_at_mut(half);
        let [(x1, x2), (c1, c2), (s1, s2)] = [x, cos, sin].map(|row| row.split_at(half));
        match self.back {
            false => {
                for i in 0..half {
                    y1[i] = x1[i] * c1[i] - x2[i] * s1[i];
                    y2[i] = x2[i] * c2[i] + x1[i] * s2[i];
                }
            }
            true => {
                for i in 0..half {
                    y1[i] = x1[i] * c1[i] + x2[i] * s2[i];
                    y2[i] = x2[i] * c2[i] - x1[i] * s1[i];
                }
            }
        }
    }
}

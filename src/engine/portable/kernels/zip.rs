//! A function of two floats, element by element with broadcasting, with its derivatives.

use candle_core::{
    CpuStorage, CustomOp2, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType,
};

use super::real::{Real, on_cpu, with_real};
use super::walk::Walk;

/// A differentiable function of two variables.
pub trait Pair: Copy + Send + Sync + 'static {
    fn value<R: Real>(&self, a: R, b: R) -> R;
    /// The partial derivatives at `a`, `b`.
    fn slopes<R: Real>(&self, a: R, b: R) -> (R, R);
    /// The partial derivatives, if they are 1 or −1 everywhere.
    fn signs(&self) -> Option<[bool; 2]> {
        None
    }
    /// The same made of candle's operations, for devices other than the CPU.
    fn composed(&self, _a: &Tensor, _b: &Tensor) -> Option<Result<Tensor>> {
        None
    }
}

/// `pair` of the elements of `a` and `b`, broadcast to `shape`.
pub fn zip<P: Pair>(a: &Tensor, b: &Tensor, shape: &[usize], pair: P) -> Result<Tensor> {
    if !on_cpu(a) {
        if let Some(result) = pair.composed(a, b) {
            return result;
        }
        let (a_cpu, b_cpu) = (a.to_device(&Device::Cpu)?, b.to_device(&Device::Cpu)?);
        return zip(&a_cpu, &b_cpu, shape, pair)?.to_device(a.device());
    }
    broadcast(a, shape)?.apply_op2(&broadcast(b, shape)?, Zip(pair))
}

fn broadcast(x: &Tensor, shape: &[usize]) -> Result<Tensor> {
    match x.dims() == shape {
        true => Ok(x.clone()),
        false => x.broadcast_as(shape),
    }
}

struct Zip<P>(P);

impl<P: Pair> CustomOp2 for Zip<P> {
    fn name(&self) -> &'static str {
        std::any::type_name::<P>()
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let walk = Walk::new([a_layout, b_layout])?;
        with_real!(a, self.name(), R => {
            let data = [R::cpu_storage_as_slice(a)?, R::cpu_storage_as_slice(b)?];
            let result = walk.apply(data, |[a, b]| self.0.value(a, b));
            Ok((R::to_cpu_storage_owned(result), walk.shape()))
        })
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let side = |second: bool| match self.0.signs() {
            Some(positive) if positive[usize::from(second)] => Ok(grad.clone()),
            Some(_) => grad.neg(),
            None => {
                let slope = ZipSlope {
                    pair: self.0,
                    second,
                };
                a.apply_op3_no_bwd(b, grad, &slope)
            }
        };
        Ok((
            a.track_op().then(|| side(false)).transpose()?,
            b.track_op().then(|| side(true)).transpose()?,
        ))
    }
}

/// One partial derivative times the gradient.
struct ZipSlope<P> {
    pair: P,
    second: bool,
}

impl<P: Pair> CustomOp3 for ZipSlope<P> {
    fn name(&self) -> &'static str {
        std::any::type_name::<P>()
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let walk = Walk::new([a_layout, b_layout, grad_layout])?;
        with_real!(a, self.name(), R => {
            let data = [
                R::cpu_storage_as_slice(a)?,
                R::cpu_storage_as_slice(b)?,
                R::cpu_storage_as_slice(grad)?,
            ];
            let result = match self.second {
                false => walk.apply(data, |[a, b, g]| self.pair.slopes(a, b).0 * g),
                true => walk.apply(data, |[a, b, g]| self.pair.slopes(a, b).1 * g),
            };
            Ok((R::to_cpu_storage_owned(result), walk.shape()))
        })
    }
}

//! A function of one float, element by element, with its derivative.

use candle_core::{
    CpuStorage, CustomOp1, CustomOp3, Device, Layout, Result, Shape, Tensor, WithDType,
};

use super::real::{Real, on_cpu, with_real};
use super::walk::Walk;

/// A differentiable function of one variable.
pub trait Curve: Clone + Send + Sync + 'static {
    fn value<R: Real>(&self, x: R) -> R;
    /// The derivative at `x`, where the value is `y`.
    fn slope<R: Real>(&self, x: R, y: R) -> R;
    /// The same made of candle's operations, for devices other than the CPU.
    fn composed(&self, _x: &Tensor) -> Option<Result<Tensor>> {
        None
    }
}

/// `curve` of every element of `x`.
pub fn map<C: Curve>(x: &Tensor, curve: C) -> Result<Tensor> {
    if on_cpu(x) {
        return x.apply_op1(Map(curve));
    }
    match curve.composed(x) {
        Some(result) => result,
        None => x
            .to_device(&Device::Cpu)?
            .apply_op1(Map(curve))?
            .to_device(x.device()),
    }
}

struct Map<C>(C);

impl<C: Curve> CustomOp1 for Map<C> {
    fn name(&self) -> &'static str {
        std::any::type_name::<C>()
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let walk = Walk::new([layout])?;
        with_real!(storage, self.name(), R => {
            let data = R::cpu_storage_as_slice(storage)?;
            let result = walk.apply([data], |[x]| self.0.value(x));
            Ok((R::to_cpu_storage_owned(result), walk.shape()))
        })
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(x.apply_op3_no_bwd(y, grad, &Slope(self.0.clone()))?))
    }
}

/// slope(x, y) · grad.
struct Slope<C>(C);

impl<C: Curve> CustomOp3 for Slope<C> {
    fn name(&self) -> &'static str {
        std::any::type_name::<C>()
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        y: &CpuStorage,
        y_layout: &Layout,
        grad: &CpuStorage,
        grad_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let walk = Walk::new([x_layout, y_layout, grad_layout])?;
        with_real!(x, self.name(), R => {
            let data = [
                R::cpu_storage_as_slice(x)?,
                R::cpu_storage_as_slice(y)?,
                R::cpu_storage_as_slice(grad)?,
            ];
            let result = walk.apply(data, |[x, y, g]| self.0.slope(x, y) * g);
            Ok((R::to_cpu_storage_owned(result), walk.shape()))
        })
    }
}

//! f32 and f64 under one name, so that a kernel is written once.

use std::ops::Neg;

use candle_core::cpu::erf;
use candle_core::{CpuStorage, Layout, Result, Tensor, WithDType};

/// A float that kernels compute in.
pub trait Real: WithDType + Neg<Output = Self> {
    fn of(value: f64) -> Self {
        Self::from_f64(value)
    }
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn ln_1p(self) -> Self;
    fn sqrt(self) -> Self;
    fn tanh(self) -> Self;
    fn erf(self) -> Self;
    fn powf(self, power: Self) -> Self;
    fn abs(self) -> Self;
    fn larger(self, other: Self) -> Self;
    fn smaller(self, other: Self) -> Self;
    /// A function that is not worth a method of its own, computed in f64.
    fn by(self, function: fn(f64) -> f64) -> Self {
        Self::of(function(self.to_f64()))
    }
}

macro_rules! real {
    ($type:ty, $erf:path) => {
        impl Real for $type {
            fn exp(self) -> Self {
                self.exp()
            }
            fn ln(self) -> Self {
                self.ln()
            }
            fn ln_1p(self) -> Self {
                self.ln_1p()
            }
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            fn tanh(self) -> Self {
                self.tanh()
            }
            fn erf(self) -> Self {
                $erf(self)
            }
            fn powf(self, power: Self) -> Self {
                self.powf(power)
            }
            fn abs(self) -> Self {
                self.abs()
            }
            fn larger(self, other: Self) -> Self {
                self.max(other)
            }
            fn smaller(self, other: Self) -> Self {
                self.min(other)
            }
        }
    };
}

real!(f32, erf::erf_f32);
real!(f64, erf::erf_f64);

/// The elements of a contiguous tensor inside its storage.
pub fn slice<'a, R: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [R]> {
    let data = R::cpu_storage_as_slice(storage)?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => candle_core::bail!("a kernel needs contiguous tensors"),
    }
}

/// Runs `$body` with `$real` standing for the float type of `$storage`.
macro_rules! with_real {
    ($storage:expr, $name:expr, $real:ident => $body:expr) => {
        match $storage {
            candle_core::CpuStorage::F32(_) => {
                type $real = f32;
                $body
            }
            candle_core::CpuStorage::F64(_) => {
                type $real = f64;
                $body
            }
            _ => candle_core::bail!("{} computes in f32 or f64 only", $name),
        }
    };
}
pub(super) use with_real;

/// Whether a kernel of ours can take the tensor.
pub fn on_cpu(tensor: &Tensor) -> bool {
    tensor.device().is_cpu()
}

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
    /// eˣ to a few units in the last place, as a loop that the compiler vectorises.
    fn quick_exp(self) -> Self;
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
    ($type:ty, $erf:path, $quick_exp:path) => {
        impl Real for $type {
            fn exp(self) -> Self {
                self.exp()
            }
            fn quick_exp(self) -> Self {
                $quick_exp(self)
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

real!(f32, erf::erf_f32, quick_exp);
real!(f64, erf::erf_f64, f64::exp);

/// eˣ = 2ⁿ eʳ with |r| ≤ ln 2 / 2 and the polynomial of Cephes' `expf` for eʳ. Below the smallest normal
/// number it is 0, from 88.37 on infinite.
#[inline(always)]
fn quick_exp(x: f32) -> f32 {
    // Adding this leaves the nearest integer in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, the first exact in products with n.
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let mut series = 1.987_569_1e-4;
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
        1.0,
        1.0,
    ] {
        series = series * r + coefficient;
    }
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let y = series * power;
    let y = if x < -87.33 { 0.0 } else { y };
    if x > 88.37 { f32::INFINITY } else { y }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_exp_is_near_exp() {
        let mut worst = 0f64;
        for i in -870..=880 {
            let x = i as f32 / 10.0 + 0.013;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(x.quick_exp()) / exact - 1.0).abs());
        }
        assert!(worst < 3e-7, "{worst:e}");
        assert_eq!(0f32.quick_exp(), 1.0);
        assert_eq!(f32::NEG_INFINITY.quick_exp(), 0.0);
        assert_eq!(f32::INFINITY.quick_exp(), f32::INFINITY);
        assert!(f32::NAN.quick_exp().is_nan());
    }
}

//! Integers and booleans: on the host, element by element.

use candle_core::{DType as Candle, Device, Tensor};

use crate::diag::Result;

/// The elements of `x`, broadcast to `shape`.
pub fn read(x: &Tensor, shape: &[usize]) -> Result<Vec<i64>> {
    let x = x.to_dtype(Candle::I64)?.to_device(&Device::Cpu)?;
    Ok(x.broadcast_as(shape)?.flatten_all()?.to_vec1()?)
}

pub fn tensor(values: Vec<i64>, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

pub fn booleans(values: impl Iterator<Item = bool>, shape: &[usize]) -> Result<Tensor> {
    let values: Vec<u8> = values.map(u8::from).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

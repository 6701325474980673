//! State buffers (KV caches) of a function: named, zero-filled at first, written by the program.

use std::any::Any;
use std::collections::BTreeMap;

use candle_core::{DType as Candle, Device, Tensor};

use super::value::{Value, floats};
use crate::diag::{Error, Result};
use crate::engine::State;
use crate::fail;
use crate::mil;
use crate::numeric::{Array, DType};

/// The buffers of one conversation.
#[derive(Debug, Clone)]
pub struct States {
    buffers: BTreeMap<String, (DType, Tensor)>,
}

impl States {
    /// Zeros for every state among `inputs`.
    pub fn new(inputs: &[mil::NamedType], float: Candle, device: &Device) -> Result<Self> {
        let mut buffers = BTreeMap::new();
        for input in inputs {
            let mil::Type::State(inner) = &input.ty else {
                continue;
            };
            let (Some(dtype), Some(shape)) = (inner.dtype(), inner.shape()) else {
                fail!("state \"{}\" must be a tensor of fixed shape", input.name);
            };
            let zeros = match dtype.is_float() {
                true => Tensor::zeros(shape, float, device)?,
                false => Tensor::zeros(shape, Candle::I64, &Device::Cpu)?,
            };
            buffers.insert(input.name.clone(), (dtype, zeros));
        }
        Ok(Self { buffers })
    }

    pub fn get(&self, name: &str) -> Result<Value> {
        let (dtype, tensor) = self.buffers.get(name).ok_or_else(|| self.unknown(name))?;
        Ok(Value::Tensor {
            tensor: tensor.clone(),
            dtype: *dtype,
        })
    }

    /// Replaces a buffer; the shape must stay.
    pub fn set(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        match self.buffers.get_mut(name) {
            Some((_, old)) if old.shape() == tensor.shape() => {
                *old = tensor;
                Ok(())
            }
            Some((_, old)) => {
                fail!(
                    "state \"{name}\" has shape {:?}, got {:?}",
                    old.dims(),
                    tensor.dims()
                )
            }
            None => Err(self.unknown(name)),
        }
    }

    fn unknown(&self, name: &str) -> Error {
        Error::unknown("state", name, self.buffers.keys().map(String::as_str))
    }
}

impl State for States {
    fn read(&self, name: &str) -> Result<Array> {
        let (dtype, _) = self.buffers.get(name).ok_or_else(|| self.unknown(name))?;
        self.get(name)?.to_array(*dtype)
    }

    fn write(&mut self, name: &str, value: &Array) -> Result<()> {
        let (dtype, old) = self.buffers.get(name).ok_or_else(|| self.unknown(name))?;
        let tensor = match dtype.is_float() {
            true => floats(value, old.dtype(), old.device())?,
            false => Value::host(value.clone()).tensor()?.clone(),
        };
        self.set(name, tensor)
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

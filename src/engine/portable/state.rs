//! State buffers (KV caches) of a function: named, zero-filled at first, written by the program.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{DType as Candle, Device, Tensor};

use super::value::{Value, floats};
use super::{Options, float};
use crate::diag::{Context, Error, Result};
use crate::engine::State;
use crate::fail;
use crate::mil;
use crate::numeric::{Array, DType};

/// The buffers of one conversation, or of several that run together: then each buffer has a leading axis
/// with an entry for each.
#[derive(Debug, Default)]
pub struct States {
    buffers: BTreeMap<String, (DType, Tensor)>,
    examples: Option<usize>,
    /// Buffers that no copy of these states shares, so that they may be written in place.
    own: Mutex<BTreeSet<String>>,
}

impl Clone for States {
    fn clone(&self) -> Self {
        self.owned().clear();
        Self {
            buffers: self.buffers.clone(),
            examples: self.examples,
            own: Mutex::default(),
        }
    }
}

impl States {
    /// Zeros for every state among `inputs`; fails if one is larger than the limits allow.
    pub fn new(inputs: &[mil::NamedType], options: &Options) -> Result<Self> {
        let float = float(options.precision);
        let mut held = 0;
        let mut buffers = BTreeMap::new();
        for input in inputs {
            let mil::Type::State(inner) = &input.ty else {
                continue;
            };
            let (Some(dtype), Some(shape)) = (inner.dtype(), inner.shape()) else {
                fail!("state \"{}\" must be a tensor of fixed shape", input.name);
            };
            let size = match dtype.is_float() {
                true => float.size_in_bytes(),
                false => Candle::I64.size_in_bytes(),
            };
            let bytes = options.limits.allow(&shape, size, held);
            held += bytes.with_context(|| format!("state \"{}\"", input.name))?;
            let zeros = match dtype.is_float() {
                true => Tensor::zeros(shape, float, &options.device)?,
                false => Tensor::zeros(shape, Candle::I64, &Device::Cpu)?,
            };
            buffers.insert(input.name.clone(), (dtype, zeros));
        }
        Ok(Self {
            buffers,
            ..Self::default()
        })
    }

    /// The buffers of several conversations, to run together.
    pub fn together(examples: &[Self]) -> Result<Self> {
        let Some(first) = examples.first() else {
            fail!("there are no states");
        };
        let mut buffers = BTreeMap::new();
        for (name, (dtype, _)) in &first.buffers {
            let tensors = examples
                .iter()
                .map(|states| match states.buffers.get(name) {
                    Some((_, tensor)) => Ok(tensor.contiguous()?),
                    None => Err(states.unknown(name)),
                });
            let tensors: Vec<Tensor> = tensors.collect::<Result<_>>()?;
            buffers.insert(name.clone(), (*dtype, Tensor::stack(&tensors, 0)?));
        }
        Ok(Self {
            buffers,
            examples: Some(examples.len()),
            ..Self::default()
        })
    }

    /// The buffers of one of several conversations.
    pub fn example(&self, i: usize) -> Result<Self> {
        if self.examples.is_none() {
            return Ok(self.clone());
        }
        let part = |(name, (dtype, tensor)): (&String, &(DType, Tensor))| {
            Ok((name.clone(), (*dtype, tensor.get(i)?)))
        };
        self.owned().clear();
        Ok(Self {
            buffers: self.buffers.iter().map(part).collect::<Result<_>>()?,
            ..Self::default()
        })
    }

    /// How many conversations these are, if they are to run together.
    pub fn examples(&self) -> Option<usize> {
        self.examples
    }

    pub fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    /// The same buffers, floats as `float`.
    pub fn computing_in(&self, float: Candle) -> Result<Self> {
        self.owned().clear();
        let buffers = self.buffers.iter().map(|(name, (dtype, tensor))| {
            let tensor = match dtype.is_float() {
                true => tensor.to_dtype(float)?,
                false => tensor.clone(),
            };
            Ok((name.clone(), (*dtype, tensor)))
        });
        Ok(Self {
            buffers: buffers.collect::<Result<_>>()?,
            examples: self.examples,
            ..Self::default()
        })
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
        self.owned().remove(name);
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

    /// Whether no copy of these states shares a buffer.
    pub(super) fn owns(&self, name: &str) -> bool {
        self.owned().contains(name)
    }

    /// Replaces a buffer by one that nobody else has.
    pub(super) fn set_own(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        self.set(name, tensor)?;
        self.owned().insert(name.to_owned());
        Ok(())
    }

    fn owned(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn fork(&self) -> Result<Option<Box<dyn State>>> {
        Ok(Some(Box::new(self.clone())))
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

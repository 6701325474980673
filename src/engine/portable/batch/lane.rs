//! A value as the examples of a batch see it, divided and put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::Tensor;

use super::apart;
use crate::diag::Result;
use crate::engine::Features;
use crate::engine::portable::Value;
use crate::fail;
use crate::numeric::Array;

/// A value that all examples share, or one that has a leading axis with an entry for each.
///
/// A list has the axis if its items have it; strings of several examples stand one after the other.
#[derive(Debug, Clone)]
pub struct Lane {
    pub value: Value,
    pub batched: bool,
}

impl Lane {
    pub fn shared(value: impl Into<Value>) -> Self {
        Self {
            value: value.into(),
            batched: false,
        }
    }

    pub fn batched(value: impl Into<Value>) -> Self {
        Self {
            value: value.into(),
            batched: true,
        }
    }

    /// Extents of one example.
    pub fn dims(&self) -> Result<&[usize]> {
        let dims = self.value.tensor()?.dims();
        match (self.batched, dims) {
            (false, dims) | (true, [_, dims @ ..]) => Ok(dims),
            (true, []) => fail!("internal: a scalar has no axis of examples"),
        }
    }

    /// What example `i` sees.
    pub fn example(&self, i: usize) -> Result<Value> {
        match self.batched {
            false => Ok(self.value.clone()),
            true => part(&self.value, i),
        }
    }

    /// The tensor with the axis, `count` times the same where it is shared.
    pub fn spread(&self, count: usize) -> Result<Tensor> {
        let tensor = self.value.tensor()?;
        if self.batched {
            return Ok(tensor.clone());
        }
        let mut shape = tensor.dims().to_vec();
        shape.insert(0, count);
        Ok(tensor.broadcast_as(shape)?)
    }

    /// `tensor`, made of this value and with the axis.
    pub fn remade(&self, tensor: Tensor) -> Self {
        Self::batched(retyped(tensor, &self.value))
    }

    /// The results of all examples as one.
    pub fn together(examples: Vec<Value>) -> Result<Self> {
        Ok(Self::batched(joined(examples)?))
    }

    /// The inputs of several examples, by name: one that is the same for all is shared. `value` reads an
    /// array.
    pub fn of_features(
        examples: &[Features],
        value: impl Fn(&str, &Array) -> Result<Value>,
    ) -> Result<BTreeMap<String, Self>> {
        let mut lanes = BTreeMap::new();
        for name in examples.iter().take(1).flat_map(BTreeMap::keys) {
            let arrays = examples.iter().map(|inputs| match inputs.get(name) {
                Some(array) => Ok(array),
                None => fail!("an example has no input \"{name}\""),
            });
            let arrays: Vec<&Array> = arrays.collect::<Result<_>>()?;
            let lane = match arrays.iter().all(|array| *array == arrays[0]) {
                true => Self::shared(value(name, arrays[0])?),
                false => {
                    let values = arrays.into_iter().map(|array| value(name, array));
                    Self::together(values.collect::<Result<_>>()?)?
                }
            };
            lanes.insert(name.clone(), lane);
        }
        Ok(lanes)
    }
}

fn part(value: &Value, i: usize) -> Result<Value> {
    Ok(match value {
        Value::List(items) => {
            let items = items
                .iter()
                .map(|item| item.as_ref().map(|v| part(v, i)).transpose());
            Value::List(Arc::new(items.collect::<Result<_>>()?))
        }
        Value::Texts(texts) => match texts.get(i) {
            Some(text) => Value::text(text),
            None => fail!("internal: example {i} has no text"),
        },
        _ => retyped(value.tensor()?.get(i)?, value),
    })
}

/// `tensor` of the declared type of `like`.
fn retyped(tensor: Tensor, like: &Value) -> Value {
    match like.dtype() {
        Some(dtype) => Value::Tensor { tensor, dtype },
        None => tensor.into(),
    }
}

fn joined(values: Vec<Value>) -> Result<Value> {
    match values.first() {
        Some(Value::List(_)) => joined_lists(&values),
        Some(Value::Texts(_)) => joined_texts(&values),
        Some(first) => {
            let tensors = values.iter().map(|v| Ok(v.tensor()?.contiguous()?));
            let tensors: Vec<Tensor> = tensors.collect::<Result<_>>()?;
            if let Some(other) = tensors.iter().find(|t| t.dims() != tensors[0].dims()) {
                let (a, b) = (tensors[0].dims(), other.dims());
                return Err(apart(format!("examples give the shapes {a:?} and {b:?}")));
            }
            Ok(retyped(Tensor::stack(&tensors, 0)?, first))
        }
        None => fail!("internal: there are no examples"),
    }
}

fn joined_lists(values: &[Value]) -> Result<Value> {
    let lists = values.iter().map(|value| match value {
        Value::List(items) => Ok(items.as_slice()),
        other => fail!("expected a list, got {}", other.kind()),
    });
    let lists: Vec<&[Option<Value>]> = lists.collect::<Result<_>>()?;
    if lists.iter().any(|list| list.len() != lists[0].len()) {
        return Err(apart("examples give lists of different lengths"));
    }
    let item = |i: usize| {
        let items: Vec<Value> = lists.iter().filter_map(|list| list[i].clone()).collect();
        match items.len() {
            0 => Ok(None),
            n if n == lists.len() => joined(items).map(Some),
            _ => Err(apart("examples write different items of a list")),
        }
    };
    let items = (0..lists[0].len()).map(item);
    Ok(Value::List(Arc::new(items.collect::<Result<_>>()?)))
}

fn joined_texts(values: &[Value]) -> Result<Value> {
    let single = values.iter().map(|value| match value {
        Value::Texts(texts) if texts.len() == 1 => Ok(texts[0].clone()),
        _ => Err(apart("examples give several strings each")),
    });
    Ok(Value::Texts(Arc::new(single.collect::<Result<_>>()?)))
}

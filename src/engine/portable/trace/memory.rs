//! Bytes that the values of a run hold: storage that several values share (views) counts once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use candle_core::{CpuStorage, Storage, Tensor};

use crate::engine::portable::value::Value;

/// What one operation changed. What it uses while it runs is not seen.
pub(super) struct Change {
    /// Bytes of the results that are no views of what was there.
    pub allocated: u64,
    /// Bytes held by all values, the operation's arguments included, constants not.
    pub live: u64,
}

/// Takes stock of a run.
pub(super) struct Memory {
    /// Slots that are full before the run. Others may share their storage, and outlive them.
    constants: BTreeSet<usize>,
    /// Their storage, once the first operation has run: none of them is given up before.
    storage: Option<BTreeSet<usize>>,
}

impl Memory {
    pub fn new(constants: BTreeSet<usize>) -> Self {
        Self {
            constants,
            storage: None,
        }
    }

    /// After an operation that wrote `outputs`.
    pub fn after(&mut self, slots: &[Option<Value>], outputs: &[usize]) -> Change {
        let constants = self.storage.get_or_insert_with(|| {
            let values = self
                .constants
                .iter()
                .filter_map(|slot| slots[*slot].as_ref());
            let mut held = Held::new();
            values.for_each(|value| add(value, Owner::Earlier, &mut held));
            held.into_keys().collect()
        });
        let mut held = Held::new();
        for (slot, value) in slots.iter().enumerate() {
            let owner = match outputs.contains(&slot) {
                true => Owner::Result,
                false => Owner::Earlier,
            };
            if let Some(value) = value {
                add(value, owner, &mut held);
            }
        }
        held.retain(|storage, _| !constants.contains(storage));
        let results = held.values().filter(|(owner, _)| *owner == Owner::Result);
        Change {
            allocated: results.map(|(_, bytes)| bytes).sum(),
            live: held.values().map(|(_, bytes)| bytes).sum(),
        }
    }
}

/// Whom storage belongs to: of those who share it, the one who was there first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Earlier,
    Result,
}

/// Storage → owner and bytes.
type Held = BTreeMap<usize, (Owner, u64)>;

fn add(value: &Value, owner: Owner, held: &mut Held) {
    let (storage, bytes) = match value {
        Value::Tensor { tensor, .. } => storage(tensor),
        Value::Host(host) => (Arc::as_ptr(host) as usize, host.array.bytes().len()),
        Value::Texts(texts) => {
            let bytes = texts.iter().map(String::len).sum();
            (Arc::as_ptr(texts) as usize, bytes)
        }
        Value::List(items) => {
            let items = items.iter().flatten();
            return items.for_each(|item| add(item, owner, held));
        }
        Value::Packed(_) | Value::State(_) => return,
    };
    let entry = held.entry(storage).or_insert((owner, bytes as u64));
    entry.0 = entry.0.min(owner);
}

/// A number that tensors have in common if they share their elements, and the bytes of all of them.
fn storage(tensor: &Tensor) -> (usize, usize) {
    let (storage, layout) = tensor.storage_and_layout();
    let elements = match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => values.len(),
        Storage::Cpu(CpuStorage::F64(values)) => values.len(),
        Storage::Cpu(CpuStorage::I64(values)) => values.len(),
        Storage::Cpu(CpuStorage::U8(values)) => values.len(),
        _ => layout.shape().elem_count(),
    };
    let id = std::ptr::from_ref(&*storage) as usize;
    (id, elements * tensor.dtype().size_in_bytes())
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    #[test]
    fn views_share_and_constants_do_not_count() {
        let tensor = |n: usize| Tensor::zeros(n, DType::F32, &Device::Cpu).unwrap();
        let some = |t: &Tensor| Some(Value::from(t.clone()));
        let (constant, whole) = (tensor(100), tensor(8));
        let mut memory = Memory::new(BTreeSet::from([0]));
        let mut slots = vec![some(&constant), None, None, None];
        let mut check = |slot: usize, value: Option<Value>, outputs: &[usize], expected| {
            slots[slot] = value;
            let change = memory.after(&slots, outputs);
            assert_eq!((change.allocated, change.live), expected);
        };
        check(1, some(&whole), &[1], (32, 32));
        check(2, some(&whole.narrow(0, 2, 3).unwrap()), &[2], (0, 32));
        check(3, some(&constant.reshape((10, 10)).unwrap()), &[3], (0, 32));
        check(0, None, &[], (0, 32));
        check(3, some(&tensor(2)), &[3], (8, 40));
        check(1, None, &[], (0, 40));
        check(2, None, &[], (0, 8));
    }
}

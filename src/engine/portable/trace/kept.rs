//! Values of a run that are kept: those of operations by their label, and how much each position attends
//! to the others.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use candle_core::Tensor;

use super::recorder::{Names, op};
use crate::diag::{Context as _, Error, Result};
use crate::engine::Features;
use crate::engine::portable::Portable;
use crate::engine::portable::kernels;
use crate::engine::portable::ops::transformers::added;
use crate::engine::portable::plan::{BlockPlan, Source, Step};
use crate::engine::portable::value::Value;
use crate::engine::portable::watch::Observer;
use crate::fail;
use crate::numeric::{Array, DType};

/// Label and value, in the order of the run.
pub type Values = Vec<(String, Array)>;

/// The attention of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Of the operation that computes it.
    pub label: String,
    /// `[…, heads, queries, keys]`: each row sums to 1.
    pub weights: Array,
}

impl Portable {
    /// Runs `function` once and keeps the results of the operations with these labels; one that runs
    /// several times is there as often.
    ///
    /// # Errors
    /// A label that no operation has, or one whose result has no numbers; as a prediction's.
    pub fn results(&self, function: &str, inputs: &Features, labels: &[String]) -> Result<Values> {
        let mut known = BTreeSet::new();
        collect(&self.function(function)?.plan.block, &mut known);
        if let Some(label) = labels.iter().find(|label| !known.contains(label.as_str())) {
            return Err(Error::unknown("operation", label, known.iter().copied()));
        }
        self.kept(function, inputs, &|step, slots| {
            if !labels.contains(&step.label) {
                return Ok(None);
            }
            let value = step.outputs.first().and_then(|slot| slots[*slot].as_ref());
            value.map(array).transpose()
        })
    }

    /// Runs `function` once and gives the attention of each layer: what every softmax of rank 4 gave, and
    /// the weights that attention operations of one piece compute inside.
    ///
    /// # Errors
    /// There is none; as a prediction's.
    pub fn attention(&self, function: &str, inputs: &Features) -> Result<Vec<Attention>> {
        let names = Names::of(&self.function(function)?.plan);
        let kept = self.kept(function, inputs, &|step, slots| {
            let weights = match op(step) {
                "softmax" => step.outputs.first().and_then(|slot| slots[*slot].clone()),
                "scaled_dot_product_attention" => {
                    let label = names.of_slot(step.outputs[0]);
                    let weights = weights(step, slots).with_context(|| label.to_owned())?;
                    return array(&Value::from(weights)).map(Some);
                }
                _ => None,
            };
            let is_weights = |v: &Value| v.tensor().is_ok_and(|tensor| tensor.rank() == 4);
            weights.filter(is_weights).as_ref().map(array).transpose()
        })?;
        if kept.is_empty() {
            fail!("the model has no attention that could be told: no softmax of rank 4");
        }
        let attention = |(label, weights)| Attention { label, weights };
        Ok(kept.into_iter().map(attention).collect())
    }

    fn kept(&self, function: &str, inputs: &Features, pick: &Pick) -> Result<Values> {
        let start = self.start(function, inputs, false)?;
        let keeper = Keeper {
            pick,
            kept: Mutex::default(),
        };
        let mut states = start.states.clone();
        self.observed(function, &start, &mut states, Some(&keeper))?;
        Ok(keeper
            .kept
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner))
    }
}

fn collect<'a>(block: &'a BlockPlan, labels: &mut BTreeSet<&'a str>) {
    for step in &block.steps {
        labels.insert(&step.label);
        step.blocks.iter().for_each(|block| collect(block, labels));
    }
}

fn array(value: &Value) -> Result<Array> {
    value.to_array(value.dtype().unwrap_or(DType::Fp32))
}

/// softmax(Q Kᵀ / √E + mask).
fn weights(step: &Step, slots: &[Option<Value>]) -> Result<Tensor> {
    let given = |name: &str| -> Result<Option<Tensor>> {
        let Some((_, sources)) = step.args.iter().find(|(known, _)| known == name) else {
            return Ok(None);
        };
        let value = match sources.iter().next() {
            Some(Source::Slot(slot)) => slots[*slot].as_ref(),
            Some(Source::Literal { loaded, .. }) => loaded.get(),
            None => None,
        };
        value.map(|value| value.tensor().cloned()).transpose()
    };
    let (Some(query), Some(key)) = (given("query")?, given("key")?) else {
        fail!("the query or the key is gone");
    };
    let width = query.dims().last().copied().unwrap_or(1).max(1);
    let query = (query * (1.0 / (width as f64).sqrt()))?;
    let mut scores = query.broadcast_matmul(&key.t()?.contiguous()?)?;
    if let Some(mask) = given("attn_mask")? {
        scores = scores.broadcast_add(&added(&mask, &scores)?)?;
    }
    Ok(kernels::softmax(&scores.contiguous()?)?)
}

type Pick<'a> = dyn Fn(&Step, &[Option<Value>]) -> Result<Option<Array>> + Sync + 'a;

/// Keeps what `pick` takes of each operation.
struct Keeper<'a> {
    pick: &'a Pick<'a>,
    kept: Mutex<Values>,
}

impl Observer for Keeper<'_> {
    fn starts(&self, _: &Step) {}

    fn enters(&self, _: usize) {}

    fn leaves(&self) {}

    fn ends(&self, step: &Step, slots: &[Option<Value>]) -> Result<()> {
        if let Some(array) = (self.pick)(step, slots)? {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push((step.label.clone(), array));
        }
        Ok(())
    }
}

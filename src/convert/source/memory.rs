//! Weights that are in memory.

use std::collections::BTreeMap;

use super::Tensors;
use crate::diag::{Error, Result};
use crate::numeric::Array;

/// Weights that are in memory.
pub struct InMemory {
    shapes: BTreeMap<String, Vec<usize>>,
    arrays: BTreeMap<String, Array>,
}

impl InMemory {
    pub fn new(arrays: BTreeMap<String, Array>) -> Self {
        let shapes = arrays.iter();
        let shapes = shapes.map(|(name, array)| (name.clone(), array.shape().to_vec()));
        Self {
            shapes: shapes.collect(),
            arrays,
        }
    }
}

impl Tensors for InMemory {
    fn shapes(&self) -> &BTreeMap<String, Vec<usize>> {
        &self.shapes
    }

    fn read(&self, name: &str) -> Result<Array> {
        let known = self.arrays.keys().map(String::as_str);
        let array = self.arrays.get(name).cloned();
        array.ok_or_else(|| Error::unknown("weight", name, known))
    }
}

//! Values of constants, compressed ones decompressed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Bundle;
use crate::diag::{Context, Error, Result};
use crate::fail;
use crate::mil::{Binding, Block, Operation, Value};
use crate::numeric::Array;
use crate::weights::codec;

/// Compressed weights made of compressed weights: real ones go three deep.
const CHAIN_MAX: usize = 6;

impl Bundle {
    /// The array that `name` stands for in `function`: a `const`, or a compressed weight
    /// (`constexpr_*`), decompressed together with what it is made from.
    pub fn weight(&self, function: &str, name: &str) -> Result<Array> {
        let Some(function) = self.program.functions.get(function) else {
            let known = self.program.functions.keys().map(String::as_str);
            return Err(Error::unknown("function", function, known));
        };
        self.weight_among(&definitions(&function.block), name)
    }

    /// The same, by definitions that were looked up before.
    pub(super) fn weight_among(&self, definitions: &Definitions, name: &str) -> Result<Array> {
        self.weight_to(definitions, name, CHAIN_MAX)
    }

    fn weight_to(&self, definitions: &Definitions, name: &str, depth: usize) -> Result<Array> {
        let Some((operation, output)) = definitions.get(name) else {
            let weights = definitions.iter().filter(|(_, (op, _))| is_constant(op));
            return Err(Error::unknown(
                "weight",
                name,
                weights.map(|(name, _)| *name),
            ));
        };
        let Some(depth) = depth.checked_sub(1) else {
            fail!("\"{name}\" is at the end of too long a chain of compressed weights");
        };
        let mut known = |name: &str| self.weight_to(definitions, name, depth);
        let mut arrays = self.evaluate(operation, &mut known)?;
        Ok(arrays.swap_remove(*output))
    }

    /// The results of a constant operation, an array for each of its outputs; `known` gives the arrays
    /// of the names that it refers to.
    pub fn evaluate(
        &self,
        operation: &Operation,
        known: &mut dyn FnMut(&str) -> Result<Array>,
    ) -> Result<Vec<Array>> {
        let mut parameters = Parameters {
            bundle: self,
            operation,
            known,
        };
        let place = || format!("{} \"{}\"", operation.op, operation.label());
        let arrays = evaluate(operation, &mut parameters).with_context(place)?;
        let expected = operation.outputs.iter().map(|output| &output.ty);
        for (array, ty) in arrays.iter().zip(expected) {
            if ty.dtype() != Some(array.dtype()) || ty.shape().as_deref() != Some(array.shape()) {
                return Err(Error::new(format!(
                    "its value is {} of shape {:?}, which is not the declared type",
                    array.dtype(),
                    array.shape()
                ))
                .context(place()));
            }
        }
        Ok(arrays)
    }
}

/// Whether the operation's results are known without any input: `const` and `constexpr_*`.
pub fn is_constant(operation: &Operation) -> bool {
    operation.op == "const" || operation.op.starts_with("constexpr_")
}

/// Value name → its operation and which output of it.
pub(super) type Definitions<'a> = BTreeMap<&'a str, (&'a Operation, usize)>;

pub(super) fn definitions(block: &Block) -> Definitions<'_> {
    let mut definitions = BTreeMap::new();
    for operation in block.operations() {
        for (i, output) in operation.outputs.iter().enumerate() {
            definitions.insert(output.name.as_str(), (operation, i));
        }
    }
    definitions
}

fn evaluate(operation: &Operation, p: &mut Parameters) -> Result<Vec<Array>> {
    if operation.op == "const" {
        return Ok(vec![p.array("val")?]);
    }
    let declared = operation.outputs.first();
    let dtype = declared.and_then(|output| output.ty.dtype());
    codec::decompress(&operation.op, &mut p.given(), dtype)
}

/// What an operation is given, as attribute (iOS 16) or argument (iOS 18).
pub(super) struct Parameters<'a> {
    pub bundle: &'a Bundle,
    pub operation: &'a Operation,
    /// The array of a value that is given by name.
    pub known: &'a mut dyn FnMut(&str) -> Result<Array>,
}

impl Parameters<'_> {
    pub fn array(&mut self, name: &str) -> Result<Array> {
        let missing = || Error::new(format!("the parameter \"{name}\" is missing"));
        self.optional(name)?.ok_or_else(missing)
    }

    pub fn optional(&mut self, name: &str) -> Result<Option<Array>> {
        let array = |value: &Value| self.bundle.resolve(value);
        let argument = self.operation.inputs.get(name).map(|a| a.bindings());
        match (argument, self.operation.attributes.get(name)) {
            (Some([Binding::Value(value)]), _) | (None, Some(value)) => array(value).map(Some),
            (Some([Binding::Name(value)]), _) => (self.known)(value).map(Some),
            (None, None) => Ok(None),
            _ => fail!("the parameter \"{name}\" has several values"),
        }
    }

    pub fn integer(&mut self, name: &str) -> Result<Option<i64>> {
        codec::integer(&mut self.given(), name)
    }

    /// The parameter `shape` of iOS 16's forms; those of iOS 18 have none.
    pub fn shape(&mut self) -> Result<Option<Vec<usize>>> {
        codec::shape(&mut self.given())
    }

    fn given(&mut self) -> impl FnMut(&str) -> Result<Option<Cow<'static, Array>>> {
        |name| Ok(self.optional(name)?.map(Cow::Owned))
    }
}

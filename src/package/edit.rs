//! New values for the weights of a bundle, in a copy of it.

use std::collections::{BTreeMap, BTreeSet};

use super::Bundle;
use super::constant::{definitions, is_constant};
use super::emit::{Emitter, Form};
use super::encoded::Reader;
use crate::diag::{Context, Error, Interrupt, Kind, Result};
use crate::fail;
use crate::mil::{Binding, Block, Function, NamedType, Operation, Value};
use crate::numeric::Array;
use crate::weights::encode::{Encoded, Fidelity, Scheme, encode_until};

/// How a weight that is given new values is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// As before: a compressed weight is compressed again in the same scheme.
    #[default]
    Same,
    /// Dense.
    Dense,
}

/// A weight that was given new values.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredWeight {
    pub name: String,
    /// How it is stored, in words.
    pub form: String,
    /// How near what is stored is to what was given.
    pub fidelity: Fidelity,
    /// Of the dense values.
    pub dense_bytes: u64,
    /// As stored, scales and tables included.
    pub bytes: u64,
}

impl StoredWeight {
    /// The weight `name`, stored as `encoded`, which stands for `wanted`; beside it what is stored.
    fn of(name: String, encoded: Encoded, wanted: &Array) -> Result<(Self, Encoded)> {
        let decoded = encoded.decode()?;
        let told = Self {
            name,
            form: encoded.describe(),
            fidelity: Fidelity::of(&wanted.to_f32s(), &decoded),
            dense_bytes: (decoded.len() * decoded.dtype().bytes()) as u64,
            bytes: encoded.bytes(),
        };
        Ok((told, encoded))
    }
}

/// See [`Bundle::with_weights`].
pub(super) fn with_weights(
    bundle: &Bundle,
    function: &str,
    new: &BTreeMap<String, Array>,
    storage: Storage,
) -> Result<(Bundle, Vec<StoredWeight>)> {
    let original = known_function(bundle, function)?;
    let definitions = definitions(&original.block);
    let reader = Reader {
        bundle,
        definitions: &definitions,
    };
    let mut edit = Edit::default();
    for (name, array) in new {
        let operation = reader.definition(name)?;
        let stored = stored(&reader, operation, array, storage);
        if let Some(encoded) = stored.with_context(|| format!("weight \"{name}\""))? {
            let stored = StoredWeight::of(name.clone(), encoded, array)?;
            edit.push(operation, Form::of(operation, original), stored)?;
        }
    }
    edit.finish(bundle, function)
}

/// See [`Bundle::encoded`].
pub(super) fn encoded(bundle: &Bundle, function: &str, name: &str) -> Result<Encoded> {
    let function = known_function(bundle, function)?;
    let reader = Reader {
        bundle,
        definitions: &definitions(&function.block),
    };
    reader.read(reader.definition(name)?)
}

/// See [`Bundle::compressed`].
pub(super) fn compressed(
    bundle: &Bundle,
    function: &str,
    schemes: &BTreeMap<String, Scheme>,
    interrupt: &Interrupt,
) -> Result<(Bundle, Vec<StoredWeight>)> {
    let original = known_function(bundle, function)?;
    let definitions = definitions(&original.block);
    let reader = Reader {
        bundle,
        definitions: &definitions,
    };
    let mut edit = Edit::default();
    for (name, scheme) in schemes {
        interrupt.check()?;
        let operation = reader.definition(name)?;
        let stored = || -> Result<_> {
            weight_type(operation)?;
            let (dense, scheme) = (reader.dense(operation)?, scheme.clone());
            let (stop, name) = (interrupt.clone(), name.clone());
            interrupt.leave(move || {
                let (values, shape) = (dense.to_f32s(), dense.shape());
                let encoded = encode_until(&values, shape, dense.dtype(), &scheme, &stop)?;
                StoredWeight::of(name, encoded, &dense)
            })?
        };
        let stored = stored().with_context(|| format!("weight \"{name}\""))?;
        edit.push(operation, Form::for_function(original), stored)?;
    }
    edit.finish(bundle, function)
}

fn known_function<'a>(bundle: &'a Bundle, name: &str) -> Result<&'a Function> {
    let known = bundle.program.functions.keys().map(String::as_str);
    let function = bundle.program.functions.get(name);
    function.ok_or_else(|| Error::unknown("function", name, known))
}

/// What is stored for a weight's new value; none if the weight is just that already.
fn stored(
    reader: &Reader,
    operation: &Operation,
    array: &Array,
    storage: Storage,
) -> Result<Option<Encoded>> {
    let rounded = rounded(array, weight_type(operation)?)?;
    let dense = operation.op == "const" || storage == Storage::Dense;
    let is_new = |old: Array| old.bytes() != rounded.bytes();
    if (operation.op == "const") == dense && !is_new(reader.dense(operation)?) {
        return Ok(None);
    }
    match dense {
        true => Ok(Some(Encoded::Dense(rounded))),
        false => reader.read(operation)?.again(&array.to_f32s()).map(Some),
    }
}

/// Name and type of the weight that `operation` gives.
fn weight_type(operation: &Operation) -> Result<&NamedType> {
    match &operation.outputs[..] {
        [output] if is_constant(operation) => Ok(output),
        _ => fail!("it is a result of {}, not a weight", operation.op),
    }
}

/// Weights with new definitions.
#[derive(Default)]
struct Edit {
    changes: Vec<Change>,
    report: Vec<StoredWeight>,
}

/// A weight's definition and what takes its place.
struct Change {
    output: NamedType,
    label: String,
    form: Form,
    encoded: Encoded,
}

impl Edit {
    /// The weight of `operation` is to be stored so.
    fn push(
        &mut self,
        operation: &Operation,
        form: Form,
        (told, encoded): (StoredWeight, Encoded),
    ) -> Result<()> {
        self.report.push(told);
        self.changes.push(Change {
            output: weight_type(operation)?.clone(),
            label: operation.label().to_owned(),
            form,
            encoded,
        });
        Ok(())
    }

    fn finish(mut self, bundle: &Bundle, function: &str) -> Result<(Bundle, Vec<StoredWeight>)> {
        let mut edited = bundle.clone();
        if let Some(target) = edited.program.functions.get_mut(function) {
            apply(self.changes, target)?;
        }
        let error = |weight: &StoredWeight| weight.fidelity.relative_rms;
        self.report.sort_by(|a, b| error(b).total_cmp(&error(a)));
        Ok((edited, self.report))
    }
}

fn apply(changes: Vec<Change>, function: &mut Function) -> Result<()> {
    // First without their parts, so that the new parts may have the names of the old.
    for change in &changes {
        if let Some((block, at)) = find(&mut function.block, &change.output.name) {
            block.operations[at] = Operation {
                op: "const".into(),
                outputs: vec![change.output.clone()],
                ..Operation::default()
            };
        }
    }
    remove_unused(&mut function.block);
    let outputs = function.operations().flat_map(|op| &op.outputs);
    let mut names: BTreeSet<String> = outputs.map(|output| output.name.clone()).collect();
    for change in changes {
        let mut emitter = Emitter {
            form: change.form,
            names: &mut names,
        };
        let name = change.output.name.clone();
        let mut operations = emitter
            .emit(&change.encoded, change.output)
            .with_context(|| format!("weight \"{name}\""))?;
        if let Some(last) = operations.last_mut() {
            last.attributes
                .insert("name".into(), Value::text(change.label));
        }
        if let Some((block, at)) = find(&mut function.block, &name) {
            block.operations.splice(at..=at, operations);
        }
    }
    Ok(())
}

/// The operation whose result `name` is: its block, or one in it, and its place there.
fn find<'a>(block: &'a mut Block, name: &str) -> Option<(&'a mut Block, usize)> {
    let own = |op: &Operation| op.outputs.iter().any(|output| output.name == name);
    if let Some(at) = block.operations.iter().position(own) {
        return Some((block, at));
    }
    let nested = block.operations.iter_mut().flat_map(|op| &mut op.blocks);
    nested.into_iter().find_map(|block| find(block, name))
}

/// `array` in the declared type of the weight; a value that is not finite there is an error.
pub(super) fn rounded(array: &Array, declared: &NamedType) -> Result<Array> {
    let (Some(dtype), Some(shape)) = (declared.ty.dtype(), declared.ty.shape()) else {
        fail!("it is not a tensor of fixed shape");
    };
    if array.shape() != shape {
        fail!(
            "the new value has shape {:?}, expected {shape:?}",
            array.shape()
        );
    }
    let rounded = array.cast(dtype)?;
    if dtype.is_float() && array.dtype() != dtype {
        let pairs = array.to_f64s().into_iter().zip(rounded.to_f64s());
        for (i, (value, rounded)) in pairs.enumerate() {
            if value.is_nan() || value.is_finite() != rounded.is_finite() {
                let message = format!("{value} at element {i} does not fit {dtype}");
                return Err(Error::new(message).kind_of(Kind::NonFinite));
            }
        }
    }
    Ok(rounded)
}

/// Drops compressed weights that nothing refers to any more.
fn remove_unused(block: &mut Block) {
    loop {
        let mut used: BTreeSet<String> = block.outputs.iter().cloned().collect();
        for operation in block.operations() {
            used.extend(operation.blocks.iter().flat_map(|b| b.outputs.clone()));
            let arguments = operation.inputs.values().flat_map(|a| a.bindings());
            used.extend(arguments.filter_map(|binding| match binding {
                Binding::Name(name) => Some(name.clone()),
                Binding::Value(_) => None,
            }));
        }
        let before = block.operations.len();
        block.operations.retain(|op| {
            !op.op.starts_with("constexpr_") || op.outputs.iter().any(|o| used.contains(&o.name))
        });
        if block.operations.len() == before {
            return;
        }
    }
}

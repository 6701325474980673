//! One call of an operation: its arguments, asked for by name and kind.
//!
//! A call remembers which parameters were read. One that was given but never read is an error, so that
//! an operation can't silently mean something else than the program says.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use candle_core::Tensor;

use super::kernels::Packed;
use super::limits::Limits;
use super::value::Value;
use crate::diag::{Context, Result};
use crate::fail;
use crate::mil::Type;
use crate::numeric::DType;

/// The values given for one parameter.
#[derive(Debug, Clone)]
pub enum Arg {
    One(Value),
    Many(Vec<Value>),
}

/// The arguments and declared results of an operation that is being evaluated.
pub struct Call<'a> {
    pub op: &'a str,
    /// 15 … 18, 26: the opset of the function.
    pub opset: u32,
    /// Declared types of the results.
    pub outputs: &'a [Type],
    args: Vec<(&'a str, Arg)>,
    limits: Limits,
    /// Bytes that are in use already.
    held: usize,
    read: RefCell<BTreeSet<usize>>,
}

impl<'a> Call<'a> {
    pub fn new(op: &'a str, opset: u32, outputs: &'a [Type], args: Vec<(&'a str, Arg)>) -> Self {
        Self {
            op,
            opset,
            outputs,
            args,
            limits: Limits::default(),
            held: 0,
            read: RefCell::default(),
        }
    }

    /// Refuses results that go beyond `limits` while `held` bytes are in use.
    pub fn limited(self, limits: Limits, held: usize) -> Self {
        Self {
            limits,
            held,
            ..self
        }
    }

    /// Fails if a tensor of `shape` is larger than allowed; to be asked before making one that
    /// is larger than what it is made of.
    pub fn check_size(&self, shape: &[usize]) -> Result<()> {
        let size = size_of::<f32>();
        self.limits.allow(shape, size, self.held).map(|_| ())
    }

    /// The value of an optional parameter.
    pub fn opt(&self, name: &str) -> Result<Option<&Value>> {
        match self.arg(name) {
            None => Ok(None),
            Some(Arg::One(value)) => Ok(Some(value)),
            Some(Arg::Many(values)) if values.len() == 1 => Ok(Some(&values[0])),
            Some(Arg::Many(_)) => fail!("parameter \"{name}\" takes one value, got several"),
        }
    }

    pub fn value(&self, name: &str) -> Result<&Value> {
        match self.opt(name)? {
            Some(value) => Ok(value),
            None => fail!("parameter \"{name}\" is missing"),
        }
    }

    pub fn tensor(&self, name: &str) -> Result<&Tensor> {
        self.value(name)?
            .tensor()
            .with_context(|| format!("parameter \"{name}\""))
    }

    pub fn opt_tensor(&self, name: &str) -> Result<Option<&Tensor>> {
        self.opt(name)?.map(Value::tensor).transpose()
    }

    /// A tensor of floats.
    pub fn floats(&self, name: &str) -> Result<&Tensor> {
        let tensor = self.tensor(name)?;
        match tensor.dtype().is_float() {
            true => Ok(tensor),
            false => fail!("parameter \"{name}\" must be of a float type"),
        }
    }

    pub fn opt_floats(&self, name: &str) -> Result<Option<&Tensor>> {
        self.opt(name)?.map(|_| self.floats(name)).transpose()
    }

    /// A constant matrix as the kernels want it.
    pub fn packed(&self, name: &str) -> Result<&Arc<Packed>> {
        match self.value(name)? {
            Value::Packed(matrix) => Ok(matrix),
            other => fail!("internal: parameter \"{name}\" is {}", other.kind()),
        }
    }

    /// All values of a variadic parameter.
    pub fn many(&self, name: &str) -> Result<&[Value]> {
        match self.arg(name) {
            None => fail!("parameter \"{name}\" is missing"),
            Some(Arg::One(value)) => Ok(std::slice::from_ref(value)),
            Some(Arg::Many(values)) => Ok(values),
        }
    }

    /// Integers, given as one tensor or one by one. They have 32 bits, as Core ML's have: sums and products
    /// of two can't overflow.
    pub fn opt_ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        if self.arg(name).is_none() {
            return Ok(None);
        }
        let mut ints = Vec::new();
        for value in self.many(name)? {
            let more = value.ints();
            ints.extend(more.with_context(|| format!("parameter \"{name}\""))?);
        }
        let known = i64::from(i32::MIN)..=i64::from(u32::MAX);
        if let Some(far) = ints.iter().find(|n| !known.contains(*n)) {
            fail!("parameter \"{name}\" holds {far}, which has more than 32 bits");
        }
        Ok(Some(ints))
    }

    pub fn ints(&self, name: &str) -> Result<Vec<i64>> {
        match self.opt_ints(name)? {
            Some(ints) => Ok(ints),
            None => fail!("parameter \"{name}\" is missing"),
        }
    }

    pub fn int(&self, name: &str) -> Result<i64> {
        one(name, self.ints(name)?)
    }

    /// An integer that counts something.
    pub fn count(&self, name: &str) -> Result<usize> {
        counts(name, self.ints(name)?).and_then(|values| one(name, values))
    }

    /// Integers that count something.
    pub fn opt_counts(&self, name: &str) -> Result<Option<Vec<usize>>> {
        self.opt_ints(name)?
            .map(|values| counts(name, values))
            .transpose()
    }

    pub fn counts(&self, name: &str) -> Result<Vec<usize>> {
        counts(name, self.ints(name)?)
    }

    pub fn int_or(&self, name: &str, default: i64) -> Result<i64> {
        self.opt_ints(name)?
            .map_or(Ok(default), |values| one(name, values))
    }

    pub fn bool_or(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.int_or(name, i64::from(default))? != 0)
    }

    /// Booleans of a mask; absent means all false.
    pub fn flags(&self, name: &str, len: usize) -> Result<Vec<bool>> {
        let flags = self
            .opt_ints(name)?
            .map(|v| v.into_iter().map(|b| b != 0).collect());
        let flags: Vec<bool> = flags.unwrap_or_else(|| vec![false; len]);
        if flags.len() != len {
            fail!(
                "parameter \"{name}\" needs {len} entries, got {}",
                flags.len()
            );
        }
        Ok(flags)
    }

    pub fn float(&self, name: &str) -> Result<f64> {
        self.value(name)?;
        self.float_or(name, 0.0)
    }

    pub fn float_or(&self, name: &str, default: f64) -> Result<f64> {
        match self.opt(name)? {
            None => Ok(default),
            Some(value) => one(name, value.floats()?),
        }
    }

    pub fn text_or(&self, name: &str, default: &'a str) -> Result<&str> {
        match self.opt(name)? {
            None => Ok(default),
            Some(Value::Texts(texts)) if texts.len() == 1 => Ok(&texts[0]),
            Some(other) => fail!(
                "parameter \"{name}\" must be a string, got {}",
                other.kind()
            ),
        }
    }

    pub fn text(&self, name: &str) -> Result<&str> {
        self.value(name)?;
        self.text_or(name, "")
    }

    /// One of `choices`, in any letter case as given.
    pub fn choice<'c>(&self, name: &str, default: &'c str, choices: &[&'c str]) -> Result<&'c str> {
        let given = match self.opt(name)? {
            None => return Ok(default),
            Some(_) => self.text(name)?,
        };
        match choices.iter().find(|c| c.eq_ignore_ascii_case(given)) {
            Some(choice) => Ok(choice),
            None => fail!("parameter \"{name}\" is \"{given}\", expected one of {choices:?}"),
        }
    }

    /// Declares parameters that have no influence here (a hint, or overruled by another).
    pub fn ignore(&self, names: &[&str]) {
        for name in names {
            self.arg(name);
        }
    }

    /// Declared element type of the first result.
    pub fn output_dtype(&self) -> Result<DType> {
        match self.outputs.first().and_then(Type::dtype) {
            Some(dtype) => Ok(dtype),
            None => fail!("the result is not declared as a tensor"),
        }
    }

    /// Fails if a parameter was given that the operation did not read.
    pub fn check_all_read(&self) -> Result<()> {
        let unread = (0..self.args.len()).find(|i| !self.read.borrow().contains(i));
        match unread {
            None => Ok(()),
            Some(i) => fail!(
                "parameter \"{}\" is not known to the portable engine",
                self.args[i].0
            ),
        }
    }

    fn arg(&self, name: &str) -> Option<&Arg> {
        let i = self.args.iter().position(|(n, _)| *n == name)?;
        self.read.borrow_mut().insert(i);
        Some(&self.args[i].1)
    }
}

fn one<T>(name: &str, mut values: Vec<T>) -> Result<T> {
    match values.len() {
        1 => Ok(values.remove(0)),
        n => fail!("parameter \"{name}\" must be a single value, got {n}"),
    }
}

fn counts(name: &str, values: Vec<i64>) -> Result<Vec<usize>> {
    let counts = values.into_iter().map(usize::try_from);
    match counts.collect() {
        Ok(counts) => Ok(counts),
        Err(_) => fail!("parameter \"{name}\" must not be negative"),
    }
}

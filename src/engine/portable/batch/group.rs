//! One operation with the arguments of all examples, as its rule sees and rewrites it.

use candle_core::Tensor;

use super::lane::Lane;
use crate::diag::{Context, Result};
use crate::engine::portable::Value;
use crate::engine::portable::call::Arg;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::ops::Op;
use crate::fail;
use crate::mil::Type;
use crate::numeric::{Array, DType};

/// What is given for one parameter.
#[derive(Debug, Clone)]
pub struct Param<'s> {
    pub name: &'s str,
    pub lanes: Vec<Lane>,
    /// Whether the parameter takes several values.
    pub many: bool,
}

impl<'s> Param<'s> {
    /// An argument, of whose values those have the axis that `batched` says.
    pub fn new(name: &'s str, arg: Arg, batched: Vec<bool>) -> Self {
        let (values, many) = match arg {
            Arg::One(value) => (vec![value], false),
            Arg::Many(values) => (values, true),
        };
        let lanes = values.into_iter().zip(batched);
        Self {
            name,
            lanes: lanes
                .map(|(value, batched)| Lane { value, batched })
                .collect(),
            many,
        }
    }

    fn arg(&self, value: impl Fn(&Lane) -> Result<Value>) -> Result<Arg> {
        let mut values: Vec<Value> = self.lanes.iter().map(value).collect::<Result<_>>()?;
        Ok(match self.many {
            false if values.len() == 1 => Arg::One(values.remove(0)),
            _ => Arg::Many(values),
        })
    }
}

/// An operation that is to be evaluated for `count` examples.
#[derive(Clone)]
pub struct Group<'s> {
    pub op: &'static Op,
    pub types: &'s [Type],
    pub count: usize,
    params: Vec<Param<'s>>,
}

impl<'s> Group<'s> {
    pub fn new(op: &'static Op, types: &'s [Type], count: usize, params: Vec<Param<'s>>) -> Self {
        Self {
            op,
            types,
            count,
            params,
        }
    }

    /// Whether any argument has the axis.
    pub fn varies(&self) -> bool {
        !self.only(&[])
    }

    /// Whether no parameter but `names` has the axis.
    pub fn only(&self, names: &[&str]) -> bool {
        let shared = |param: &Param| !param.lanes.iter().any(|lane| lane.batched);
        self.params
            .iter()
            .all(|param| names.contains(&param.name) || shared(param))
    }

    /// The values of a parameter; none if it is absent.
    pub fn lanes(&self, name: &str) -> &[Lane] {
        let param = self.params.iter().find(|param| param.name == name);
        param.map_or(&[], |param| &param.lanes)
    }

    /// The value of a parameter that takes one.
    pub fn lane(&self, name: &str) -> Option<&Lane> {
        self.lanes(name).first()
    }

    /// Whether a parameter has the axis.
    pub fn has_axis(&self, name: &str) -> bool {
        self.lanes(name).iter().any(|lane| lane.batched)
    }

    /// Extents of one example of a parameter; `None` if it is absent or no tensor.
    pub fn dims(&self, name: &str) -> Option<&[usize]> {
        self.lane(name).and_then(|lane| lane.dims().ok())
    }

    /// Axes of one example of a parameter.
    pub fn rank(&self, name: &str) -> Option<usize> {
        self.dims(name).map(<[usize]>::len)
    }

    /// Integers of a parameter that all examples share.
    pub fn ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        let lanes = self.lanes(name);
        let ints = lanes.iter().map(|lane| lane.value.ints());
        let ints: Vec<Vec<i64>> = ints
            .collect::<Result<_>>()
            .with_context(|| format!("parameter \"{name}\""))?;
        Ok((!lanes.is_empty()).then(|| ints.concat()))
    }

    /// Gives a parameter, or another value for it, to all examples.
    pub fn set(&mut self, name: &'static str, lane: Lane) {
        self.params.retain(|param| param.name != name);
        self.params.push(Param {
            name,
            lanes: vec![lane],
            many: false,
        });
    }

    /// Takes parameters away.
    pub fn unset(&mut self, names: &[&str]) {
        self.params.retain(|param| !names.contains(&param.name));
    }

    pub fn set_ints(&mut self, name: &'static str, ints: &[i64]) -> Result<()> {
        let array = Array::from_i64s(DType::Int32, vec![ints.len()], ints)?;
        self.set(name, Lane::shared(Value::host(array)));
        Ok(())
    }

    /// Puts `first` before the integers of a parameter, if it is given.
    pub fn prefix(&mut self, name: &'static str, first: i64) -> Result<()> {
        match self.ints(name)? {
            Some(ints) => self.set_ints(name, &[&[first], ints.as_slice()].concat()),
            None => Ok(()),
        }
    }

    /// Replaces each tensor of a parameter that has the axis.
    pub fn map(&mut self, name: &str, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<()> {
        let params = self.params.iter_mut().filter(|param| param.name == name);
        let lanes = params.flat_map(|param| &mut param.lanes);
        for lane in lanes.filter(|lane| lane.batched) {
            *lane = lane.remade(f(lane.value.tensor()?)?);
        }
        Ok(())
    }

    /// Gives every value of a parameter the axis.
    pub fn spread(&mut self, name: &str) -> Result<()> {
        let params = self.params.iter_mut().filter(|param| param.name == name);
        for lane in params.flat_map(|param| &mut param.lanes) {
            *lane = lane.remade(lane.spread(self.count)?);
        }
        Ok(())
    }

    /// The arguments of example `i`.
    pub fn example(&self, i: usize) -> Result<Vec<(&'s str, Arg)>> {
        let args = self.params.iter().map(|param| {
            let arg = param.arg(|lane| lane.example(i))?;
            Ok((param.name, arg))
        });
        args.collect()
    }

    /// The operation once, on the arguments as they are now.
    pub fn eval(&self, ctx: &mut Ctx) -> Result<Vec<Value>> {
        let args = self.params.iter().map(|param| {
            let arg = param.arg(|lane| Ok(lane.value.clone()))?;
            Ok((param.name, arg))
        });
        let args: Vec<(&str, Arg)> = args.collect::<Result<_>>()?;
        ctx.call(self.op, self.types, args)
    }

    /// The operation once; every result has the axis.
    pub fn whole(&self, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
        let values = self.eval(ctx)?;
        for value in &values {
            let dims = value.tensor()?.dims();
            if dims.first() != Some(&self.count) {
                fail!("internal: {} examples became {dims:?}", self.count);
            }
        }
        Ok(Some(values.into_iter().map(Lane::batched).collect()))
    }

    /// `eval` of each example's arguments, and the results together.
    pub fn one_by_one(
        &self,
        mut eval: impl FnMut(usize, Vec<(&'s str, Arg)>) -> Result<Vec<Value>>,
    ) -> Result<Vec<Lane>> {
        let mut results: Vec<Vec<Value>> = Vec::new();
        for i in 0..self.count {
            for (k, value) in eval(i, self.example(i)?)?.into_iter().enumerate() {
                match results.get_mut(k) {
                    Some(result) => result.push(value),
                    None => results.push(vec![value]),
                }
            }
        }
        results.into_iter().map(Lane::together).collect()
    }
}

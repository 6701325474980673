//! Writes MIL statement by statement, with just the shape inference that language models need.

use std::collections::BTreeMap;

use crate::diag::Result;
use crate::fail;
use crate::mil::{
    Argument, Attributes, Binding, Block, Dim, Function, NamedType, Operation, Type, Value,
};
use crate::numeric::{Array, DType};

/// A value of the program under construction.
#[derive(Debug, Clone, PartialEq)]
pub struct Var {
    pub name: String,
    pub ty: Type,
}

impl Var {
    /// Extents; empty for a scalar.
    pub fn dims(&self) -> &[Dim] {
        self.ty.dims().unwrap_or(&[])
    }

    pub fn dtype(&self) -> DType {
        self.ty.dtype().unwrap_or(DType::Fp32)
    }
}

/// A function under construction.
#[derive(Debug, Default)]
pub struct Builder {
    inputs: Vec<NamedType>,
    operations: Vec<Operation>,
    /// Results under a name so far, for making names unique.
    taken: BTreeMap<String, usize>,
}

/// An argument: a value, several values, or a literal.
pub enum In<'a> {
    Var(&'a Var),
    Vars(&'a [&'a Var]),
    Int(i64),
    Ints(&'a [i64]),
    Float(f64),
    Bool(bool),
    Bools(&'a [bool]),
    Text(&'a str),
}

impl Builder {
    pub fn input(&mut self, name: &str, ty: Type) -> Var {
        self.taken.insert(name.to_owned(), 1);
        self.inputs.push(NamedType {
            name: name.to_owned(),
            ty: ty.clone(),
        });
        Var {
            name: name.to_owned(),
            ty,
        }
    }

    /// A weight; `name` becomes the value's name as it stands (dots are made underscores).
    pub fn weight(&mut self, name: &str, array: Array) -> Var {
        let name = self.unique(&name.replace('.', "_"));
        self.push_const(name, Value::array(array))
    }

    /// One operation with one result. Literals become constants of their own, named after the result.
    pub fn op(&mut self, op: &str, name: &str, ty: Type, inputs: &[(&str, In)]) -> Result<Var> {
        Ok(self.op_many(op, name, vec![ty], inputs)?.remove(0))
    }

    /// One operation with several results, named `name_0`, `name_1`, … where there are more than one.
    pub fn op_many(
        &mut self,
        op: &str,
        name: &str,
        types: Vec<Type>,
        inputs: &[(&str, In)],
    ) -> Result<Vec<Var>> {
        let name = self.unique(name);
        let float = types.iter().find_map(Type::dtype).filter(|d| d.is_float());
        let mut arguments = BTreeMap::new();
        for (parameter, input) in inputs {
            let argument = self.argument(&name, parameter, input, float)?;
            arguments.insert((*parameter).to_owned(), argument);
        }
        let several = types.len() > 1;
        let outputs: Vec<NamedType> = types
            .into_iter()
            .enumerate()
            .map(|(i, ty)| {
                let name = if several {
                    format!("{name}_{i}")
                } else {
                    name.clone()
                };
                NamedType { name, ty }
            })
            .collect();
        let vars = outputs
            .iter()
            .map(|o| Var {
                name: o.name.clone(),
                ty: o.ty.clone(),
            })
            .collect();
        let attributes = Attributes::from([("name".to_owned(), Value::text(name))]);
        let op = op.to_owned();
        let blocks = Vec::new();
        self.operations.push(Operation {
            op,
            inputs: arguments,
            outputs,
            blocks,
            attributes,
        });
        Ok(vars)
    }

    /// The finished function.
    pub fn finish(self, opset: &str, outputs: &[&Var]) -> Function {
        Function {
            opset: opset.to_owned(),
            inputs: self.inputs,
            attributes: Attributes::new(),
            block: Block {
                inputs: Vec::new(),
                operations: self.operations,
                outputs: outputs.iter().map(|o| o.name.clone()).collect(),
            },
        }
    }

    /// `x + y`, `x · y` and the like; `y` broadcasts to `x`.
    pub fn binary(&mut self, op: &str, name: &str, x: &Var, y: In) -> Result<Var> {
        self.op(op, name, x.ty.clone(), &[("x", In::Var(x)), ("y", y)])
    }

    /// `x` under another name.
    pub fn identity(&mut self, name: &str, x: &Var) -> Result<Var> {
        self.op("identity", name, x.ty.clone(), &[("x", In::Var(x))])
    }

    /// `x` as `dtype`; `x` itself if it is that.
    pub fn cast(&mut self, name: &str, x: &Var, dtype: DType) -> Result<Var> {
        if x.dtype() == dtype {
            return Ok(x.clone());
        }
        let ty = Type::Tensor {
            dtype,
            dims: x.dims().to_vec(),
        };
        let inputs = [("x", In::Var(x)), ("dtype", In::Text(dtype.name()))];
        self.op("cast", name, ty, &inputs)
    }

    /// `x · weightᵀ + bias`, `weight` being `[out, in]`.
    pub fn linear(&mut self, name: &str, x: &Var, weight: &Var, bias: Option<&Var>) -> Result<Var> {
        let (Some(last), Some(out)) = (x.dims().last(), weight.dims().first()) else {
            fail!("linear \"{name}\" needs tensors");
        };
        if Some(last) != weight.dims().get(1) {
            fail!(
                "linear \"{name}\": input ends in {last:?}, weight is {:?}",
                weight.dims()
            );
        }
        let mut dims = x.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = *out;
        }
        let ty = Type::Tensor {
            dtype: x.dtype(),
            dims,
        };
        let mut inputs = vec![("x", In::Var(x)), ("weight", In::Var(weight))];
        inputs.extend(bias.map(|bias| ("bias", In::Var(bias))));
        self.op("linear", name, ty, &inputs)
    }

    /// Swaps extents: result `i` is extent `perm[i]` of `x`.
    pub fn transpose(&mut self, name: &str, x: &Var, perm: &[usize]) -> Result<Var> {
        let dims = perm.iter().map(|p| x.dims()[*p]).collect();
        let perm: Vec<i64> = perm.iter().map(|p| *p as i64).collect();
        let ty = Type::Tensor {
            dtype: x.dtype(),
            dims,
        };
        self.op(
            "transpose",
            name,
            ty,
            &[("x", In::Var(x)), ("perm", In::Ints(&perm))],
        )
    }

    /// `x` in the shape that `shape` computes at run time; `dims` is what is known of it here.
    pub fn reshape(&mut self, name: &str, x: &Var, shape: &Var, dims: &[Dim]) -> Result<Var> {
        let ty = Type::Tensor {
            dtype: x.dtype(),
            dims: dims.to_vec(),
        };
        self.op(
            "reshape",
            name,
            ty,
            &[("x", In::Var(x)), ("shape", In::Var(shape))],
        )
    }

    /// A vector of integers: known extents and computed ones (`int32 [1]` each) side by side.
    pub fn shape(&mut self, name: &str, parts: &[In]) -> Result<Var> {
        let known = parts.iter().map(|part| match part {
            In::Int(n) => Some(*n as i32),
            _ => None,
        });
        if let Some(known) = known.collect::<Option<Vec<i32>>>() {
            let name = self.unique(name);
            let array = Array::from_i32(vec![known.len()], &known)?;
            return Ok(self.push_const(name, Value::array(array)));
        }
        let mut vars = Vec::with_capacity(parts.len());
        for part in parts {
            vars.push(match part {
                In::Var(var) => (*var).clone(),
                In::Int(n) => {
                    let name = self.unique(&format!("{name}_{n}"));
                    self.push_const(name, Value::array(Array::from_i32(vec![1], &[*n as i32])?))
                }
                _ => fail!("a shape is made of integers"),
            });
        }
        let refs: Vec<&Var> = vars.iter().collect();
        let ty = Type::tensor(DType::Int32, &[parts.len()]);
        let inputs = [
            ("values", In::Vars(&refs)),
            ("axis", In::Int(0)),
            ("interleave", In::Bool(false)),
        ];
        self.op("concat", name, ty, &inputs)
    }

    fn argument(
        &mut self,
        result: &str,
        parameter: &str,
        input: &In,
        float: Option<DType>,
    ) -> Result<Argument> {
        let value = match input {
            In::Var(var) => return Ok(Argument::One(Binding::Name(var.name.clone()))),
            In::Vars(vars) => {
                let names = vars.iter().map(|v| Binding::Name(v.name.clone()));
                return Ok(Argument::Many(names.collect()));
            }
            In::Int(n) => Value::array(Array::from_i32(vec![], &[*n as i32])?),
            In::Ints(ns) => {
                let ns: Vec<i32> = ns.iter().map(|n| *n as i32).collect();
                Value::array(Array::from_i32(vec![ns.len()], &ns)?)
            }
            In::Float(v) => Value::array(Array::from_f64s(
                float.unwrap_or(DType::Fp32),
                vec![],
                &[*v],
            )?),
            In::Bool(b) => Value::array(Array::from_i64s(DType::Bool, vec![], &[i64::from(*b)])?),
            In::Bools(flags) => {
                let flags: Vec<i64> = flags.iter().map(|flag| i64::from(*flag)).collect();
                Value::array(Array::from_i64s(DType::Bool, vec![flags.len()], &flags)?)
            }
            In::Text(text) => Value::text(*text),
        };
        let name = self.unique(&format!("{result}_{parameter}_0"));
        Ok(Argument::One(Binding::Name(
            self.push_const(name, value).name,
        )))
    }

    fn push_const(&mut self, name: String, value: Value) -> Var {
        let ty = value.ty.clone();
        let attributes = [
            ("name".to_owned(), Value::text(name.clone())),
            ("val".to_owned(), value),
        ];
        self.operations.push(Operation {
            op: "const".to_owned(),
            outputs: vec![NamedType {
                name: name.clone(),
                ty: ty.clone(),
            }],
            attributes: attributes.into(),
            ..Operation::default()
        });
        Var { name, ty }
    }

    fn unique(&mut self, name: &str) -> String {
        let count = self.taken.entry(name.to_owned()).or_insert(0);
        *count += 1;
        if *count == 1 {
            name.to_owned()
        } else {
            format!("{name}_{}", *count - 1)
        }
    }
}

//! What is trained: candle variables by name, in a fixed order.

use candle_core::{DType as Candle, Device, Tensor, Var};

use crate::diag::Result;
use crate::fail;
use crate::numeric::{Array, DType};

/// Arrays by name, as checkpoints hold them.
pub type NamedArrays = Vec<(String, Array)>;

/// Named variables in the order in which they were added. A clone shares the variables.
#[derive(Debug, Clone, Default)]
pub struct Parameters(Vec<(String, Var)>);

impl Parameters {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a variable of f32 or f64; a name can be given once.
    pub fn insert(&mut self, name: impl Into<String>, var: Var) -> Result<()> {
        let name = name.into();
        if self.get(&name).is_some() {
            fail!("there are two parameters \"{name}\"");
        }
        if !matches!(var.dtype(), Candle::F32 | Candle::F64) {
            let dtype = var.dtype().as_str();
            fail!("parameter \"{name}\" is {dtype}; only f32 and f64 can be trained");
        }
        self.0.push((name, var));
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&Var> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, var)| var)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.0.iter().map(|(name, var)| (name.as_str(), var))
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of scalars.
    pub fn elements(&self) -> usize {
        self.0.iter().map(|(_, var)| var.elem_count()).sum()
    }

    /// The values by name, exact.
    pub fn export(&self) -> Result<NamedArrays> {
        let one = |(name, var): (&str, &Var)| Ok((name.to_owned(), to_array(var)?));
        self.iter().map(one).collect()
    }

    /// Sets every parameter from `arrays`, which must hold exactly these names and shapes; otherwise
    /// nothing changes.
    pub fn import(&self, arrays: &[(String, Array)]) -> Result<()> {
        let known = |name: &str| self.get(name).is_some();
        if let Some((name, _)) = arrays.iter().find(|(name, _)| !known(name)) {
            fail!("\"{name}\" is no parameter of this model");
        }
        let values: Vec<Tensor> = self
            .iter()
            .map(|(name, var)| to_tensor(find(arrays, name)?, name, var))
            .collect::<Result<_>>()?;
        for ((_, var), value) in self.iter().zip(&values) {
            var.set(value)?;
        }
        Ok(())
    }
}

pub(super) fn find<'a>(arrays: &'a [(String, Array)], name: &str) -> Result<&'a Array> {
    match arrays.iter().find(|(key, _)| key == name) {
        Some((_, array)) => Ok(array),
        None => fail!("there is no array \"{name}\""),
    }
}

pub(super) fn to_array(tensor: &Tensor) -> Result<Array> {
    let (shape, flat) = (tensor.dims().to_vec(), tensor.flatten_all()?);
    match tensor.dtype() {
        Candle::F64 => Array::from_f64s(DType::Fp64, shape, &flat.to_vec1()?),
        _ => Array::from_f32(shape, &flat.to_vec1()?),
    }
}

/// `array` with type and device of `like`, whose shape it must have.
pub(super) fn to_tensor(array: &Array, name: &str, like: &Tensor) -> Result<Tensor> {
    if array.shape() != like.dims() {
        let (got, want) = (array.shape(), like.dims());
        fail!("\"{name}\" has shape {got:?}, expected {want:?}");
    }
    let host = match like.dtype() {
        Candle::F64 => Tensor::from_vec(array.to_f64s(), array.shape(), &Device::Cpu)?,
        _ => Tensor::from_vec(array.to_f32s(), array.shape(), &Device::Cpu)?,
    };
    Ok(host.to_device(like.device())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(value: f32) -> Parameters {
        let mut parameters = Parameters::new();
        let var = |shape: &[usize]| {
            let tensor = Tensor::full(value, shape, &Device::Cpu).unwrap();
            Var::from_tensor(&tensor).unwrap()
        };
        parameters.insert("b", var(&[2])).unwrap();
        parameters.insert("a", var(&[2, 3])).unwrap();
        parameters
    }

    #[test]
    fn export_keeps_the_order_and_imports_back() {
        let (one, two) = (parameters(1.0), parameters(2.0));
        let arrays = one.export().unwrap();
        let names: Vec<&str> = arrays.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        two.import(&arrays).unwrap();
        assert_eq!(two.export().unwrap(), arrays);
        assert_eq!((one.len(), one.elements()), (2, 8));
    }

    #[test]
    fn a_wrong_import_changes_nothing() {
        let target = parameters(1.0);
        let before = target.export().unwrap();
        let good = parameters(5.0).export().unwrap();
        let check = |change: &dyn Fn(&mut NamedArrays), expected: &str| {
            let mut arrays = good.clone();
            change(&mut arrays);
            let error = target.import(&arrays).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(target.export().unwrap(), before);
        };
        check(&|a| drop(a.pop()), "there is no array \"a\"");
        let extra = ("c".to_owned(), good[0].1.clone());
        check(
            &|a| a.push(extra.clone()),
            "\"c\" is no parameter of this model",
        );
        check(
            &|a| a[1].1 = good[0].1.clone(),
            "\"a\" has shape [2], expected [2, 3]",
        );
    }

    #[test]
    fn names_and_types_are_checked() {
        let mut parameters = parameters(0.0);
        let half = Tensor::zeros(1, Candle::F16, &Device::Cpu).unwrap();
        let half = Var::from_tensor(&half).unwrap();
        let error = parameters.insert("c", half.clone()).unwrap_err();
        assert!(error.to_string().contains("only f32 and f64"));
        assert!(parameters.insert("a", half).is_err());
    }
}

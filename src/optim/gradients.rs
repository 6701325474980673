//! One gradient per parameter, complete and finite.

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};

use super::Parameters;
use crate::diag::{Error, Kind, Result};

/// The gradients of [`Parameters`], in their order.
#[derive(Debug, Clone)]
pub struct Gradients(Vec<Tensor>);

impl Gradients {
    /// Picks the gradients of `parameters` out of candle's store.
    ///
    /// candle leaves a variable out when no differentiable path leads to it, and its own optimisers skip
    /// it silently: here that is an error naming all such parameters. So is a gradient with NaN or an
    /// infinity.
    pub fn collect(parameters: &Parameters, store: &GradStore) -> Result<Self> {
        let found: Vec<Option<&Tensor>> = parameters.iter().map(|(_, v)| store.get(v)).collect();
        let missing: Vec<&str> = parameters
            .iter()
            .zip(&found)
            .filter(|(_, gradient)| gradient.is_none())
            .map(|((name, _), _)| name)
            .collect();
        if !missing.is_empty() {
            return Err(Error::new(format!(
                "no gradient reaches {}",
                listed(&missing, parameters.len())
            ))
            .hint("freeze them, or find the operation without a gradient on their path"));
        }
        let gradients = Self(found.into_iter().flatten().map(Tensor::detach).collect());
        gradients.check_finite(parameters)?;
        Ok(gradients)
    }

    pub(super) fn from_tensors(tensors: Vec<Tensor>) -> Self {
        Self(tensors)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Tensor> {
        self.0.iter()
    }

    /// The Euclidean norm over all parameters.
    pub fn norm(&self) -> Result<f64> {
        Ok(self.squares()?.iter().sum::<f64>().sqrt())
    }

    /// Scales all gradients by one factor so that their norm is at most `max_norm`; the norm before.
    ///
    /// As PyTorch's `clip_grad_norm_`, without its 1e-6 in the divisor.
    pub fn clip(&mut self, max_norm: f64) -> Result<f64> {
        let norm = self.norm()?;
        if norm > max_norm {
            self.scale(max_norm / norm)?;
        }
        Ok(norm)
    }

    pub(super) fn scale(&mut self, factor: f64) -> Result<()> {
        for gradient in &mut self.0 {
            *gradient = (&*gradient * factor)?;
        }
        Ok(())
    }

    fn check_finite(&self, parameters: &Parameters) -> Result<()> {
        let squares = self.squares()?;
        let broken: Vec<&str> = parameters
            .iter()
            .zip(&squares)
            .filter(|(_, square)| !square.is_finite())
            .map(|((name, _), _)| name)
            .collect();
        if broken.is_empty() {
            return Ok(());
        }
        let names = listed(&broken, parameters.len());
        let error = Error::new(format!("the gradient is not finite for {names}"));
        Err(error
            .kind_of(Kind::NonFinite)
            .hint("lower the learning rate or look at the batch; no parameter was changed"))
    }

    /// The sum of squares of each gradient; all read from the device at once.
    fn squares(&self) -> Result<Vec<f64>> {
        let squares: Vec<Tensor> = self
            .0
            .iter()
            .map(|g| Ok(g.sqr()?.sum_all()?))
            .collect::<Result<_>>()?;
        if squares.is_empty() {
            return Ok(Vec::new());
        }
        let host = Tensor::stack(&squares, 0)?.to_device(&Device::Cpu)?;
        Ok(host.to_dtype(DType::F64)?.to_vec1()?)
    }
}

/// At most eight names, and how many there are.
fn listed(names: &[&str], of: usize) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|n| format!("\"{n}\"")).collect();
    let more = if names.len() > shown.len() {
        ", …"
    } else {
        ""
    };
    let count = names.len();
    format!("{count} of {of} parameters: {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    fn parameters() -> Parameters {
        let mut parameters = Parameters::new();
        for name in ["a", "b"] {
            let var = Var::new(&[3.0, 4.0], &Device::Cpu).unwrap();
            parameters.insert(name, var).unwrap();
        }
        parameters
    }

    fn collect(loss: impl Fn(&Tensor, &Tensor) -> Tensor) -> Result<Gradients> {
        let parameters = parameters();
        let var = |name| parameters.get(name).unwrap().as_tensor();
        let store = loss(var("a"), var("b")).sum_all()?.backward()?;
        Gradients::collect(&parameters, &store)
    }

    #[test]
    fn missing_gradients_are_named() {
        let error = collect(|a, _| a.sqr().unwrap()).unwrap_err().to_string();
        assert!(
            error.starts_with("no gradient reaches 1 of 2 parameters: \"b\""),
            "{error}"
        );
    }

    #[test]
    fn broken_gradients_are_named() {
        let error = collect(|a, b| (a + ((b - b).unwrap().log()).unwrap()).unwrap()).unwrap_err();
        assert_eq!(error.kind(), &Kind::NonFinite);
        assert!(
            error.to_string().contains("1 of 2 parameters: \"b\""),
            "{error}"
        );
    }

    #[test]
    fn clipping_scales_the_common_norm() {
        let half = |a: &Tensor, b: &Tensor| {
            ((a.sqr().unwrap() + b.sqr().unwrap()).unwrap() * 0.5).unwrap()
        };
        let mut gradients = collect(half).unwrap();
        let norm = 50f64.sqrt();
        assert_eq!(gradients.clip(100.0).unwrap(), norm);
        assert_eq!(gradients.norm().unwrap(), norm);
        assert_eq!(gradients.clip(1.0).unwrap(), norm);
        assert!((gradients.norm().unwrap() - 1.0).abs() < 1e-15);
    }
}

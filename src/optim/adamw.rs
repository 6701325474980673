//! AdamW (Loshchilov & Hutter 2017, 1711.05101), as in PyTorch.

use candle_core::Tensor;
use candle_core::backprop::GradStore;

use super::parameters::{find, to_array, to_tensor};
use super::{Gradients, NamedArrays, Parameters};
use crate::diag::{Context, Result};
use crate::fail;
use crate::numeric::{Array, DType};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWOptions {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    /// Decoupled: each step multiplies the weights by 1 − lr·decay.
    pub weight_decay: f64,
    /// Global norm above which gradients are scaled down.
    pub max_grad_norm: Option<f64>,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            max_grad_norm: Some(1.0),
        }
    }
}

/// w ← w(1 − lr·λ) − lr·m̂/(√v̂ + ε), with bias-corrected moments m̂ and v̂.
#[derive(Debug)]
pub struct AdamW {
    options: AdamWOptions,
    parameters: Parameters,
    moments: Vec<Moments>,
    steps: usize,
}

/// Where an optimiser stands; cheap, since its tensors are shared.
#[derive(Debug, Clone)]
pub struct AdamWState {
    moments: Vec<Moments>,
    steps: usize,
}

#[derive(Debug, Clone)]
struct Moments {
    first: Tensor,
    second: Tensor,
}

impl AdamW {
    /// Trains all of `parameters`.
    pub fn new(parameters: Parameters, options: AdamWOptions) -> Result<Self> {
        if parameters.is_empty() {
            fail!("there is nothing to train");
        }
        let moments = |var: &candle_core::Var| -> Result<Moments> {
            Ok(Moments {
                first: var.zeros_like()?,
                second: var.zeros_like()?,
            })
        };
        Ok(Self {
            moments: parameters
                .iter()
                .map(|(_, var)| moments(var))
                .collect::<Result<_>>()?,
            options,
            parameters,
            steps: 0,
        })
    }

    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub fn options(&self) -> &AdamWOptions {
        &self.options
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// One step with the gradients that `backward` left; the gradient norm before clipping.
    ///
    /// Fails, changing nothing, when a parameter has no gradient or one that is not finite.
    pub fn step(&mut self, store: &GradStore, learning_rate: f64) -> Result<f64> {
        let gradients = Gradients::collect(&self.parameters, store)?;
        self.apply(gradients, learning_rate)
    }

    /// As [`step`](Self::step), with accumulated gradients.
    pub fn apply(&mut self, mut gradients: Gradients, learning_rate: f64) -> Result<f64> {
        if !(learning_rate >= 0.0 && learning_rate.is_finite()) {
            fail!("learning rate must be a number that is not negative, not {learning_rate}");
        }
        let norm = match self.options.max_grad_norm {
            Some(max) => gradients.clip(max)?,
            None => gradients.norm()?,
        };
        self.steps += 1;
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let AdamWOptions { beta1, beta2, .. } = self.options;
        let rate = learning_rate / (1.0 - beta1.powi(steps));
        let root = (1.0 - beta2.powi(steps)).sqrt();
        let all = self.parameters.iter().zip(&mut self.moments);
        for (((_, var), moments), gradient) in all.zip(gradients.iter()) {
            moments.update(gradient, beta1, beta2)?;
            let scale = ((moments.second.sqrt()? / root)? + self.options.epsilon)?;
            let move_by = ((&moments.first / scale)? * rate)?;
            let kept = (var.as_tensor() * (1.0 - learning_rate * self.options.weight_decay))?;
            var.set(&(kept - move_by)?.detach())?;
        }
        Ok(norm)
    }

    /// Where it stands, for going back.
    pub fn state(&self) -> AdamWState {
        AdamWState {
            moments: self.moments.clone(),
            steps: self.steps,
        }
    }

    /// Goes back to a state of this very optimiser.
    pub fn set_state(&mut self, state: &AdamWState) {
        self.moments.clone_from(&state.moments);
        self.steps = state.steps;
    }

    /// The state by name: `<parameter>.m`, `<parameter>.v` and `steps`.
    pub fn export(&self) -> Result<NamedArrays> {
        let steps = Array::from_i64s(DType::Int64, vec![1], &[self.steps as i64])?;
        let mut arrays = vec![("steps".to_owned(), steps)];
        for ((name, _), moments) in self.parameters.iter().zip(&self.moments) {
            arrays.push((format!("{name}.m"), to_array(&moments.first)?));
            arrays.push((format!("{name}.v"), to_array(&moments.second)?));
        }
        Ok(arrays)
    }

    /// Takes up the state of an optimiser of the same parameters; on an error nothing changes.
    pub fn import(&mut self, arrays: &[(String, Array)]) -> Result<()> {
        let read = |key: String, like: &Tensor| to_tensor(find(arrays, &key)?, &key, like);
        let moments = |(name, var): (&str, &candle_core::Var)| -> Result<Moments> {
            Ok(Moments {
                first: read(format!("{name}.m"), var)?,
                second: read(format!("{name}.v"), var)?,
            })
        };
        let steps = find(arrays, "steps").context("optimiser state")?.to_i64s();
        let steps = match steps.as_slice() {
            [steps] => usize::try_from(*steps).ok(),
            _ => None,
        };
        let Some(steps) = steps else {
            fail!("optimiser state: \"steps\" is not a count");
        };
        let all: Result<Vec<Moments>> = self.parameters.iter().map(moments).collect();
        self.moments = all.context("optimiser state")?;
        self.steps = steps;
        Ok(())
    }
}

impl Moments {
    fn update(&mut self, gradient: &Tensor, beta1: f64, beta2: f64) -> Result<()> {
        self.first = ((&self.first * beta1)? + (gradient * (1.0 - beta1))?)?.detach();
        self.second = ((&self.second * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?.detach();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::Rng;
    use candle_core::{Device, Var};

    fn one(value: f64) -> Parameters {
        let mut parameters = Parameters::new();
        let var = Var::new(&[value], &Device::Cpu).unwrap();
        parameters.insert("w", var).unwrap();
        parameters
    }

    fn step(optimiser: &mut AdamW, gradient: f64, rate: f64) -> Result<f64> {
        let w = optimiser.parameters().get("w").unwrap();
        let store = (w.as_tensor() * gradient)?.sum_all()?.backward()?;
        optimiser.step(&store, rate)
    }

    fn value(parameters: &Parameters) -> f64 {
        parameters.export().unwrap()[0].1.to_f64s()[0]
    }

    /// PyTorch's AdamW in f64: w = 1, lr 0.01, decay 0.01, gradients 0.5 and −0.3.
    #[test]
    fn golden_two_steps() {
        let options = AdamWOptions {
            weight_decay: 0.01,
            max_grad_norm: None,
            ..AdamWOptions::default()
        };
        let mut optimiser = AdamW::new(one(1.0), options).unwrap();
        assert_eq!(step(&mut optimiser, 0.5, 0.01).unwrap(), 0.5);
        assert!((value(optimiser.parameters()) - 0.9899000002).abs() < 1e-15);
        step(&mut optimiser, -0.3, 0.01).unwrap();
        let got = value(optimiser.parameters());
        assert!((got - 0.9878860298941575).abs() < 1e-15, "{got}");
    }

    #[test]
    fn a_broken_gradient_changes_nothing() {
        let mut optimiser = AdamW::new(one(1.0), AdamWOptions::default()).unwrap();
        step(&mut optimiser, 0.5, 0.01).unwrap();
        let before = (
            optimiser.parameters().export().unwrap(),
            optimiser.export().unwrap(),
        );
        let error = step(&mut optimiser, f64::NAN, 0.01).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("not finite for 1 of 1 parameters: \"w\"")
        );
        assert!(step(&mut optimiser, 0.5, f64::NAN).is_err());
        let after = (
            optimiser.parameters().export().unwrap(),
            optimiser.export().unwrap(),
        );
        assert_eq!(before, after);
    }

    /// Stops, saves, loads into fresh objects and goes on: the same bits as without the stop.
    #[test]
    fn resumed_equals_uninterrupted() {
        let fresh = || {
            let mut parameters = Parameters::new();
            for (name, size) in [("a", 7), ("b", 5)] {
                let values: Vec<f32> = (0..size).map(|i| i as f32 * 0.3 - 1.0).collect();
                let var = Var::from_vec(values, size, &Device::Cpu).unwrap();
                parameters.insert(name, var).unwrap();
            }
            AdamW::new(parameters, AdamWOptions::default()).unwrap()
        };
        let train = |optimiser: &mut AdamW, from: u64, to: u64| {
            for step in from..to {
                let noise = Rng::named(1, &step.to_string()).normal();
                let term = |var: &Var| (var.as_tensor() - noise)?.sqr()?.sum_all();
                let p = optimiser.parameters();
                let (a, b) = (term(p.get("a").unwrap()), term(p.get("b").unwrap()));
                let store = (a.unwrap() + b.unwrap()).unwrap().backward().unwrap();
                optimiser.step(&store, 0.05).unwrap();
            }
        };
        let mut whole = fresh();
        train(&mut whole, 0, 20);
        let mut first = fresh();
        train(&mut first, 0, 9);
        let mut second = fresh();
        second
            .parameters()
            .import(&first.parameters().export().unwrap())
            .unwrap();
        second.import(&first.export().unwrap()).unwrap();
        train(&mut second, 9, 20);
        assert_eq!(second.steps(), 20);
        assert_eq!(
            whole.parameters().export().unwrap(),
            second.parameters().export().unwrap()
        );
        assert_eq!(whole.export().unwrap(), second.export().unwrap());
    }

    #[test]
    fn foreign_state_is_refused() {
        let mut optimiser = AdamW::new(one(1.0), AdamWOptions::default()).unwrap();
        let error = optimiser.import(&[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "optimiser state: there is no array \"steps\""
        );
        assert!(AdamW::new(Parameters::new(), AdamWOptions::default()).is_err());
    }
}

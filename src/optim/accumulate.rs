//! Gradients of a batch that is computed in parts.

use candle_core::Tensor;

use super::Gradients;
use crate::diag::Result;
use crate::fail;

/// The weighted mean of the gradients of micro-batches.
///
/// With each loss a mean over its own `weight` units (rows or tokens), the result is the gradient of the
/// mean over all units: however the batch was cut.
#[derive(Debug, Default)]
pub struct Accumulator {
    sums: Vec<Tensor>,
    weight: f64,
}

impl Accumulator {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the gradients of a loss that is the mean over `weight` units; nothing for weight 0.
    pub fn add(&mut self, mut gradients: Gradients, weight: f64) -> Result<()> {
        if !(weight >= 0.0 && weight.is_finite()) {
            fail!("a micro-batch can't weigh {weight}");
        }
        if weight == 0.0 {
            return Ok(());
        }
        gradients.scale(weight)?;
        if self.sums.is_empty() {
            self.sums = gradients.iter().cloned().collect();
        } else {
            for (sum, gradient) in self.sums.iter_mut().zip(gradients.iter()) {
                *sum = (&*sum + gradient)?;
            }
        }
        self.weight += weight;
        Ok(())
    }

    /// How many units were added.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// The mean, leaving the accumulator empty; `None` if nothing was added.
    pub fn take(&mut self) -> Result<Option<Gradients>> {
        if self.weight == 0.0 {
            return Ok(None);
        }
        let mut gradients = Gradients::from_tensors(std::mem::take(&mut self.sums));
        gradients.scale(1.0 / std::mem::take(&mut self.weight))?;
        Ok(Some(gradients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn parts_weigh_by_their_size() {
        let gradient = |x: f64| {
            let tensor = Tensor::new(&[x], &Device::Cpu).unwrap();
            Gradients::from_tensors(vec![tensor])
        };
        let mut sum = Accumulator::new();
        assert!(sum.take().unwrap().is_none());
        sum.add(gradient(1.0), 1.0).unwrap();
        sum.add(gradient(f64::NAN), 0.0).unwrap();
        sum.add(gradient(3.0), 3.0).unwrap();
        assert!(sum.add(gradient(1.0), f64::NAN).is_err());
        let mean = sum.take().unwrap().unwrap();
        let mean: Vec<f64> = mean.iter().next().unwrap().to_vec1().unwrap();
        assert_eq!(mean, [2.5]);
        assert_eq!(sum.weight(), 0.0);
    }
}

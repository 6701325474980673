//! Gradients against finite differences.

use candle_core::{DType, Tensor, Var};

use super::{Gradients, Parameters};
use crate::diag::Result;
use crate::fail;

/// At most so many elements of one parameter are checked, evenly spread.
const SAMPLES: usize = 24;

/// Compares the gradients of `loss` with five-point differences in f64; the largest error, relative
/// where gradients exceed 1. Fails beyond `tolerance` (1e-7 suits smooth losses), naming the element.
///
/// `loss` reads the variables of `parameters`, which must be f64 and are left as they were.
pub fn check_gradients(
    parameters: &Parameters,
    tolerance: f64,
    loss: impl Fn() -> Result<Tensor>,
) -> Result<f64> {
    let store = loss()?.backward()?;
    let gradients = Gradients::collect(parameters, &store)?;
    let mut worst = 0.0f64;
    for ((name, var), gradient) in parameters.iter().zip(gradients.iter()) {
        if var.dtype() != DType::F64 {
            fail!("parameter \"{name}\" must be f64 to check its gradient");
        }
        let gradient: Vec<f64> = gradient.flatten_all()?.to_vec1()?;
        let stride = gradient.len().div_ceil(SAMPLES).max(1);
        for index in (0..gradient.len()).step_by(stride) {
            let (got, want) = (gradient[index], difference(var, index, &loss)?);
            let error = (got - want).abs() / got.abs().max(want.abs()).max(1.0);
            if error.is_nan() || error > tolerance {
                fail!("gradient of \"{name}\"[{index}] is {got}, by differences {want}");
            }
            worst = worst.max(error);
        }
    }
    Ok(worst)
}

/// d loss / d var\[index\] from four evaluations.
fn difference(var: &Var, index: usize, loss: &impl Fn() -> Result<Tensor>) -> Result<f64> {
    const STEP: f64 = 1e-3;
    let original = var.as_detached_tensor().copy()?;
    let values: Vec<f64> = original.flatten_all()?.to_vec1()?;
    let at = |offset: f64| -> Result<f64> {
        let mut moved = values.clone();
        moved[index] += offset;
        var.set(&Tensor::from_vec(moved, var.shape(), var.device())?)?;
        Ok(loss()?.to_scalar()?)
    };
    let slope = || -> Result<f64> {
        let near = at(STEP)? - at(-STEP)?;
        let far = at(2.0 * STEP)? - at(-2.0 * STEP)?;
        Ok((8.0 * near - far) / (12.0 * STEP))
    };
    let slope = slope();
    var.set(&original)?;
    slope
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn right_and_wrong_gradients_are_told_apart() {
        let var = Var::new(&[[0.3, -1.2], [2.0, 0.7]], &Device::Cpu).unwrap();
        let mut parameters = Parameters::new();
        parameters.insert("w", var.clone()).unwrap();
        let cubes = || Ok(var.powf(3.0)?.sum_all()?);
        assert!(check_gradients(&parameters, 1e-9, cubes).unwrap() < 1e-9);
        let half_detached = || Ok((var.as_tensor() * var.detach())?.sum_all()?);
        let error = check_gradients(&parameters, 1e-6, half_detached).unwrap_err();
        assert!(
            error.to_string().starts_with("gradient of \"w\"[0] is 0.3"),
            "{error}"
        );
        let values: Vec<f64> = var.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(values, [0.3, -1.2, 2.0, 0.7]);
    }
}

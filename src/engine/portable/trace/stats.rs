//! Statistics of the elements of a value.

use candle_core::{DType as Candle, Tensor};

use crate::diag::Result;
use crate::engine::portable::value::Value;
use crate::numeric::Stats;

/// Of a tensor of numbers or booleans; `None` for strings, lists and states.
pub(super) fn stats(value: &Value) -> Result<Option<Stats>> {
    Ok(match value {
        Value::Tensor { tensor, .. } => Some(of_tensor(tensor)?),
        Value::Host(host) => Some(Stats::of_values(host.array.to_f64s().into_iter())),
        _ => None,
    })
}

fn of_tensor(tensor: &Tensor) -> Result<Stats> {
    let flat = tensor.flatten_all()?;
    Ok(match flat.dtype() {
        Candle::F32 => {
            let values: Vec<f32> = flat.to_vec1()?;
            Stats::of_values(values.iter().map(|value| f64::from(*value)))
        }
        _ => {
            let values: Vec<f64> = flat.to_dtype(Candle::F64)?.to_vec1()?;
            Stats::of_values(values.iter().copied())
        }
    })
}

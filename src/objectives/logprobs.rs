//! From logits to log-probabilities of tokens and entropies. Gradients reach the logits everywhere.
//!
//! The logits are divided by the temperature *before* the log-softmax, as sampling does; scoring samples
//! without it makes every importance ratio wrong.

use candle_core::{D, DType, Tensor};

use super::rows::{Kind, RowOp, fits};
use crate::diag::Result;
use crate::fail;

/// log softmax(logits / temperature) over the last dimension.
pub fn log_softmax(logits: &Tensor, temperature: f64) -> Result<Tensor> {
    check_temperature(temperature)?;
    let scaled = (logits / temperature)?;
    let shifted = scaled.broadcast_sub(&scaled.max_keepdim(D::Minus1)?.detach())?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    Ok(shifted.broadcast_sub(&log_sum)?)
}

/// The log-probability of each id: logits `[…, V]`, ids `[…]` (u32 or i64) to `[…]`.
///
/// On the CPU a fused kernel, elsewhere log-softmax and gather. Half-precision logits are widened to
/// f32. An id outside of the vocabulary is an error.
pub fn token_logprobs(logits: &Tensor, ids: &Tensor, temperature: f64) -> Result<Tensor> {
    check_temperature(temperature)?;
    let (logits, vocab) = as_rows(logits)?;
    let host = checked_ids(ids, logits.dim(0)?, vocab)?;
    let picked = if fits(&logits) {
        let kind = Kind::Selected(host.into());
        RowOp { kind, temperature }.apply(&logits)?
    } else {
        let index = Tensor::new(host, logits.device())?.unsqueeze(1)?;
        let rows = log_softmax(&logits, temperature)?;
        rows.gather(&index, 1)?.squeeze(1)?
    };
    Ok(picked.reshape(ids.shape())?)
}

/// The entropy in nats of softmax(logits / temperature): `[…, V]` to `[…]`.
pub fn entropy(logits: &Tensor, temperature: f64) -> Result<Tensor> {
    check_temperature(temperature)?;
    let shape = &logits.dims()[..logits.rank().saturating_sub(1)];
    let (rows, _) = as_rows(logits)?;
    let entropies = if fits(&rows) {
        let kind = Kind::Entropy;
        RowOp { kind, temperature }.apply(&rows)?
    } else {
        let logprobs = log_softmax(&rows, temperature)?;
        (logprobs.exp()? * logprobs)?.sum(D::Minus1)?.neg()?
    };
    Ok(entropies.reshape(shape)?)
}

fn check_temperature(temperature: f64) -> Result<()> {
    if !(temperature > 0.0 && temperature.is_finite()) {
        fail!("temperature must be a positive number, not {temperature}");
    }
    Ok(())
}

/// `[…, V]` as `[N, V]` in f32 or f64.
fn as_rows(logits: &Tensor) -> Result<(Tensor, usize)> {
    let vocab = match logits.dims().last() {
        Some(vocab) if *vocab > 0 => *vocab,
        _ => fail!("logits of shape {:?} have no vocabulary", logits.dims()),
    };
    let logits = match logits.dtype() {
        DType::F32 | DType::F64 => logits.clone(),
        _ => logits.to_dtype(DType::F32)?,
    };
    let rows = logits.elem_count() / vocab;
    Ok((logits.reshape((rows, vocab))?, vocab))
}

fn checked_ids(ids: &Tensor, rows: usize, vocab: usize) -> Result<Vec<u32>> {
    let host: Vec<i64> = ids.flatten_all()?.to_dtype(DType::I64)?.to_vec1()?;
    if host.len() != rows {
        fail!("{} token ids for {rows} rows of logits", host.len());
    }
    let checked = host.into_iter().enumerate().map(|(row, id)| {
        match u32::try_from(id).ok().filter(|id| (*id as usize) < vocab) {
            Some(id) => Ok(id),
            None => fail!("token id {id} in row {row} is outside of the vocabulary of {vocab}"),
        }
    });
    checked.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objectives::values;
    use candle_core::{Device, Var};

    const ROWS: [[f64; 4]; 5] = [
        [1.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
        [2.0, 0.0, 0.0, 0.0],
    ];

    fn close(got: &[f64], want: &[f64], tolerance: f64) {
        assert_eq!(got.len(), want.len());
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() <= tolerance, "{got:?} {want:?}");
        }
    }

    /// Computed in NumPy.
    #[test]
    fn golden_logprobs_and_entropies() {
        let logits = Tensor::new(&ROWS, &Device::Cpu).unwrap();
        let ids = Tensor::new(&[0u32, 1, 2, 0, 0], &Device::Cpu).unwrap();
        let check = |temperature, expected: [f64; 5]| {
            let got = token_logprobs(&logits, &ids, temperature).unwrap();
            close(&values(&got).unwrap(), &expected, 5e-7);
        };
        check(1.0, [-0.743668, -0.743668, -0.743668, -1.743668, -0.340753]);
        check(0.5, [-0.340753, -0.340753, -0.340753, -2.340753, -0.053490]);
        let entropies = values(&entropy(&logits, 1.0).unwrap()).unwrap();
        assert!((entropies[4] - 0.918284).abs() < 5e-7);
        let uniform = Tensor::zeros((1, 4), DType::F64, &Device::Cpu).unwrap();
        close(
            &values(&entropy(&uniform, 1.0).unwrap()).unwrap(),
            &[4f64.ln()],
            1e-15,
        );
    }

    /// The fused kernels against the same in plain candle operations, values and gradients.
    #[test]
    fn fused_equals_composed() {
        let logits: Vec<f64> = (0..24).map(|i| f64::from(i * 7 % 13) - 4.0).collect();
        let logits = Var::from_vec(logits, (2, 3, 4), &Device::Cpu).unwrap();
        let ids = Tensor::new(&[[3u32, 0, 1], [2, 2, 0]], &Device::Cpu).unwrap();
        let weights = Tensor::new(&[[1.0, -2.0, 0.5], [3.0, 1.0, 0.0]], &Device::Cpu).unwrap();
        let run = |picked: Tensor| {
            let grads = (&picked * &weights).unwrap().sum_all().unwrap();
            let grads = grads.backward().unwrap();
            let gradient = values(grads.get(&logits).unwrap()).unwrap();
            (values(&picked).unwrap(), gradient)
        };
        let rows = log_softmax(&logits, 0.7).unwrap();
        let gathered = rows.gather(&ids.unsqueeze(2).unwrap(), 2).unwrap();
        let composed = run(gathered.squeeze(2).unwrap());
        let fused = run(token_logprobs(&logits, &ids, 0.7).unwrap());
        close(&fused.0, &composed.0, 1e-13);
        close(&fused.1, &composed.1, 1e-13);
        let plain = (rows.exp().unwrap() * &rows).unwrap();
        let composed = run(plain.sum(D::Minus1).unwrap().neg().unwrap());
        let fused = run(entropy(&logits, 0.7).unwrap());
        close(&fused.0, &composed.0, 1e-13);
        close(&fused.1, &composed.1, 1e-13);
    }

    #[test]
    fn impossible_tokens_are_harmless() {
        let logits = Var::new(&[[0.0, f64::NEG_INFINITY, 0.0]], &Device::Cpu).unwrap();
        let entropies = entropy(&logits, 1.0).unwrap();
        close(&values(&entropies).unwrap(), &[2f64.ln()], 1e-15);
        let grads = entropies.sum_all().unwrap().backward().unwrap();
        close(
            &values(grads.get(&logits).unwrap()).unwrap(),
            &[0.0; 3],
            1e-15,
        );
    }

    /// A token of probability 0: the log-probability is −∞, its gradient still that of the softmax.
    #[test]
    fn a_token_of_probability_zero_has_the_softmax_gradient() {
        let logits = Var::new(&[[0.0, f64::NEG_INFINITY, 0.0]], &Device::Cpu).unwrap();
        let ids = Tensor::new(&[1u32], &Device::Cpu).unwrap();
        let picked = token_logprobs(&logits, &ids, 1.0).unwrap();
        assert_eq!(values(&picked).unwrap(), [f64::NEG_INFINITY]);
        let grads = picked.sum_all().unwrap().backward().unwrap();
        let gradient = values(grads.get(&logits).unwrap()).unwrap();
        close(&gradient, &[-0.5, 1.0, -0.5], 1e-15);
    }

    #[test]
    fn bad_arguments_are_named() {
        let logits = Tensor::new(&ROWS, &Device::Cpu).unwrap();
        let check = |ids: &[i64], temperature: f64, expected: &str| {
            let ids = Tensor::new(ids, &Device::Cpu).unwrap();
            let error = token_logprobs(&logits, &ids, temperature).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(
            &[0, 1, 4, 0, 0],
            1.0,
            "token id 4 in row 2 is outside of the vocabulary of 4",
        );
        check(
            &[0, -100, 0, 0, 0],
            1.0,
            "token id -100 in row 1 is outside of the vocabulary of 4",
        );
        check(&[0], 1.0, "1 token ids for 5 rows of logits");
        check(&[0; 5], 0.0, "temperature must be a positive number, not 0");
    }

    #[test]
    fn half_precision_is_widened() {
        let logits = Tensor::new(&ROWS, &Device::Cpu).unwrap();
        let logits = logits.to_dtype(DType::F16).unwrap();
        let ids = Tensor::zeros(5, DType::U32, &Device::Cpu).unwrap();
        let got = token_logprobs(&logits, &ids, 1.0).unwrap();
        assert_eq!(got.dtype(), DType::F32);
        assert!((values(&got).unwrap()[0] + 0.743668).abs() < 1e-6);
    }
}

//! How rotary positions are stretched: GGUF keeps the outcome, `config.json` the recipe.

use std::f64::consts::TAU;
use std::fs::File;
use std::path::Path;

use serde_json::{Value, json};

use super::config::Keys;
use super::metadata::missing;
use super::tensors;
use crate::diag::{Context, Error, Result};
use crate::fail;

/// `rope_scaling`, if positions are stretched.
pub(super) fn scaling(keys: &Keys, path: &Path) -> Result<Option<Value>> {
    if let Some(divisors) = factors(keys, path, "rope_freqs.weight")? {
        return llama3(keys, &divisors);
    }
    let long = factors(keys, path, "rope_factors_long.weight")?;
    let short = factors(keys, path, "rope_factors_short.weight")?;
    match (long, short) {
        (Some(long), Some(short)) => {
            let longrope = json!({ "type": "longrope", "rope_type": "longrope", "long_factor": long, "short_factor": short });
            return Ok(Some(longrope));
        }
        (None, None) => {}
        _ => {
            fail!("of the tensors \"rope_factors_long\" and \"rope_factors_short\" one is missing")
        }
    }
    let kind = keys.header.metadata.text(&keys.key("rope.scaling.type"))?;
    let factor = || {
        let factor = keys.real_if("rope.scaling.factor")?;
        factor.ok_or_else(|| missing(&keys.key("rope.scaling.factor")))
    };
    Ok(match kind.as_deref() {
        None | Some("none") => None,
        Some("linear") => Some(json!({ "rope_type": "linear", "factor": factor()? })),
        Some("yarn") => Some(json!({
            "rope_type": "yarn",
            "factor": factor()?,
            "original_max_position_embeddings": keys.count("rope.scaling.original_context_length")?,
        })),
        Some(other) => {
            let known = ["none", "linear", "yarn"];
            return Err(Error::unknown("scaling of positions", other, known));
        }
    })
}

/// The values of a small tensor, if it is there.
fn factors(keys: &Keys, path: &Path, name: &str) -> Result<Option<Vec<f32>>> {
    let Some(stored) = keys.header.tensors.get(name) else {
        return Ok(None);
    };
    let array = File::open(path)
        .map_err(Error::from)
        .and_then(|file| tensors::read(file, stored));
    Ok(Some(
        array
            .with_context(|| format!("tensor \"{name}\""))?
            .to_f32s(),
    ))
}

/// Llama 3.1's recipe whose divisors of the frequencies these are. All models that follow it have the
/// same bounds; the factor is the largest divisor.
fn llama3(keys: &Keys, divisors: &[f32]) -> Result<Option<Value>> {
    const LENGTH: f64 = 8192.0;
    const BOUNDS: [f64; 2] = [1.0, 4.0];
    let factor = divisors.iter().copied().fold(1f32, f32::max);
    if factor == 1.0 {
        return Ok(None);
    }
    let theta = keys.real_if("rope.freq_base")?.unwrap_or(10000.0);
    let divisor = |i: usize| {
        let wave = TAU * theta.powf(i as f64 / divisors.len() as f64);
        let smooth = (LENGTH / wave - BOUNDS[0]) / (BOUNDS[1] - BOUNDS[0]);
        1.0 / ((1.0 - smooth.clamp(0.0, 1.0)) / f64::from(factor) + smooth.clamp(0.0, 1.0))
    };
    let near = |(i, got): (usize, &f32)| (f64::from(*got) / divisor(i) - 1.0).abs() < 1e-4;
    if !divisors.iter().enumerate().all(near) {
        fail!(
            "the tensor \"rope_freqs.weight\" does not follow Llama 3's way of stretching positions"
        );
    }
    Ok(Some(json!({
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": BOUNDS[0],
        "high_freq_factor": BOUNDS[1],
        "original_max_position_embeddings": LENGTH as usize,
    })))
}

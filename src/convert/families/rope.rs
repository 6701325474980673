//! Rotary positions as configurations state them: `rope_theta` and `rope_scaling`, or `rope_parameters`.

use super::keys::Keys;
use crate::convert::transformer::{Rope, Scaling};
use crate::diag::{Error, Result};
use crate::fail;

/// The rotary positions of heads of `head_dim` entries; `theta` if the configuration names none.
pub(super) fn rope(config: Keys, head_dim: usize, theta: f64) -> Result<Rope> {
    let section = match config.section("rope_scaling")? {
        Some(section) => Some(section),
        None => config.section("rope_parameters")?,
    };
    stated(config, section, head_dim, theta)
}

/// The same, as `section` has them.
pub(super) fn stated(
    config: Keys,
    section: Option<Keys>,
    head_dim: usize,
    theta: f64,
) -> Result<Rope> {
    let stated = |key: &str| -> Result<Option<f64>> {
        match (config.opt_number(key)?, section) {
            (None, Some(section)) => section.opt_number(key),
            (stated, _) => Ok(stated),
        }
    };
    let theta = stated("rope_theta")?.unwrap_or(theta);
    let share = stated("partial_rotary_factor")?.unwrap_or(1.0);
    let dim = (head_dim as f64 * share) as usize;
    let mut rope = Rope::new(dim, theta);
    if let Some(section) = section {
        rope.scaling = scaling(config, section, dim)?;
    }
    Ok(rope)
}

fn scaling(config: Keys, section: Keys, dim: usize) -> Result<Scaling> {
    let kind = match section.opt_text("rope_type")? {
        Some(kind) => Some(kind),
        None => section.opt_text("type")?,
    };
    let longest = config.size("max_position_embeddings")?;
    let original = match section.opt_size("original_max_position_embeddings")? {
        Some(original) => Some(original),
        None => config.opt_size("original_max_position_embeddings")?,
    };
    Ok(match kind.unwrap_or("default") {
        // Within max_position_embeddings, which bounds a context here, "dynamic" changes nothing.
        "default" | "dynamic" => Scaling::None,
        "linear" => Scaling::Linear(section.number("factor")?),
        "llama3" => Scaling::Llama3 {
            factor: section.number("factor")?,
            low: section.number("low_freq_factor")?,
            high: section.number("high_freq_factor")?,
            original: original.unwrap_or(longest),
        },
        "yarn" => yarn(section, original, longest)?,
        "longrope" | "su" => long(section, original, longest, dim)?,
        other => {
            let known = ["default", "linear", "dynamic", "llama3", "yarn", "longrope"];
            return Err(Error::unknown("rope_type", other, known));
        }
    })
}

fn yarn(section: Keys, original: Option<usize>, longest: usize) -> Result<Scaling> {
    let original = original.unwrap_or(longest);
    let ratio = longest as f64 / original as f64;
    let factor = section.opt_number("factor")?.unwrap_or(ratio);
    let gain = |weight: f64| match factor > 1.0 {
        true => 0.1 * weight * factor.ln() + 1.0,
        false => 1.0,
    };
    let weights = [
        section.opt_number("mscale")?,
        section.opt_number("mscale_all_dim")?,
    ];
    let attention = match (section.opt_number("attention_factor")?, weights) {
        (Some(attention), _) => attention,
        (None, [Some(one), Some(all)]) if one != 0.0 && all != 0.0 => gain(one) / gain(all),
        _ => gain(1.0),
    };
    Ok(Scaling::Yarn {
        factor,
        beta_fast: section.opt_number("beta_fast")?.unwrap_or(32.0),
        beta_slow: section.opt_number("beta_slow")?.unwrap_or(1.0),
        original,
        attention,
        truncate: section.flag_or("truncate", true)?,
    })
}

fn long(section: Keys, original: Option<usize>, longest: usize, dim: usize) -> Result<Scaling> {
    let original = original.unwrap_or(longest);
    let [short, long] = ["short_factor", "long_factor"].map(|key| section.numbers(key));
    let (short, long) = (short?, long?);
    if short.len() != dim / 2 || long.len() != dim / 2 {
        fail!(
            "config.json: {} and {} long rope factors, expected {}",
            short.len(),
            long.len(),
            dim / 2
        );
    }
    // As the reference has it, the stated factor counts only where the contexts do not tell it.
    let ratio = longest as f64 / original as f64;
    let factor = match original == longest {
        true => section.opt_number("factor")?.unwrap_or(ratio),
        false => ratio,
    };
    let attention = match section.opt_number("attention_factor")? {
        Some(attention) => attention,
        None if factor <= 1.0 => 1.0,
        None => (1.0 + factor.ln() / (original as f64).ln()).sqrt(),
    };
    Ok(Scaling::Long {
        short,
        long,
        original,
        attention,
    })
}

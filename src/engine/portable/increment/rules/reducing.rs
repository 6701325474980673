//! Operations over some axes: harmless where the positions are not among them.

use super::Rule;
use crate::diag::Result;
use crate::engine::portable::increment::sight::Sight;
use crate::engine::portable::increment::way::{Proof, Tag, Way};
use crate::engine::portable::ops::shapes;
use crate::fail;

pub fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "softmax" => softmax,
        "argsort" | "topk" | "rms_norm" => last_axis,
        "cumsum" => first_axis,
        "layer_norm" => over_axes,
        "l2_norm" => over_last_three,
        "batch_norm" | "prelu" | "softplus_parametric" => by_channel,
        "reduce_argmax" | "reduce_argmin" => reduced_axis,
        name if name.starts_with("reduce_") => reduced_axes,
        _ => return None,
    })
}

fn softmax(sight: &Sight) -> Result<Way> {
    let x = sight.operand("x")?;
    let axis = sight.axis_or(-1, x.shape.len())?;
    match x.tag {
        Tag::Scores { row, key } if axis == key && row != key => {
            let mut way = sight.way(x.tag);
            (way.split, way.proof) = (true, Proof::Normalises);
            Ok(way)
        }
        Tag::Scores { .. } => {
            fail!("normalises attention scores over something else than the keys")
        }
        _ => kept(sight, &[axis]),
    }
}

fn last_axis(sight: &Sight) -> Result<Way> {
    let axis = sight.axis_or(-1, sight.operand("x")?.shape.len())?;
    kept(sight, &[axis])
}

fn first_axis(sight: &Sight) -> Result<Way> {
    let axis = sight.axis_or(0, sight.operand("x")?.shape.len())?;
    kept(sight, &[axis])
}

fn over_axes(sight: &Sight) -> Result<Way> {
    kept(sight, &axes(sight)?)
}

fn over_last_three(sight: &Sight) -> Result<Way> {
    let rank = sight.operand("x")?.shape.len();
    let axes: Vec<usize> = (rank.saturating_sub(3)..rank).collect();
    kept(sight, &axes)
}

fn by_channel(sight: &Sight) -> Result<Way> {
    kept(sight, &[1])
}

fn reduced_axis(sight: &Sight) -> Result<Way> {
    let axis = sight.axis_or(-1, sight.operand("x")?.shape.len())?;
    reduced(sight, &[axis])
}

fn reduced_axes(sight: &Sight) -> Result<Way> {
    reduced(sight, &axes(sight)?)
}

fn axes(sight: &Sight) -> Result<Vec<usize>> {
    let rank = sight.operand("x")?.shape.len();
    match sight.opt_ints("axes")? {
        Some(given) => shapes::axes(&given, rank),
        None => Ok((0..rank).collect()),
    }
}

/// The shape stays.
fn kept(sight: &Sight, axes: &[usize]) -> Result<Way> {
    let axis = apart(sight, axes)?;
    Ok(sight.way(Tag::Rows { axis }))
}

/// The axes go, unless they are kept at an extent of 1.
fn reduced(sight: &Sight, axes: &[usize]) -> Result<Way> {
    let axis = apart(sight, axes)?;
    let gone = match sight.flag("keep_dims")? {
        true => 0,
        false => axes.iter().filter(|a| **a < axis).count(),
    };
    Ok(sight.way(Tag::Rows { axis: axis - gone }))
}

/// The positions axis, if it is none of `axes`. All else must be settings.
fn apart(sight: &Sight, axes: &[usize]) -> Result<usize> {
    let x = sight.operand("x")?;
    let axis = x.axis()?;
    let reached = sight.operands().filter(|o| !o.is_fixed()).count();
    if axes.contains(&axis) || reached != 1 {
        fail!("mixes the positions of a sequence");
    }
    Ok(axis)
}

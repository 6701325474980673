//! Operations that go entry by entry, with numpy's broadcasting.

use super::Rule;
use crate::diag::Result;
use crate::engine::portable::increment::sight::{Operand, Sight};
use crate::engine::portable::increment::way::{Feed, Proof, Tag, Way};
use crate::fail;

const POINTWISE: &[&str] = &[
    "abs",
    "acos",
    "add",
    "asin",
    "atan",
    "atanh",
    "cast",
    "ceil",
    "clamped_relu",
    "clip",
    "cos",
    "cosh",
    "elu",
    "equal",
    "erf",
    "exp",
    "exp2",
    "floor",
    "floor_div",
    "gelu",
    "greater",
    "greater_equal",
    "identity",
    "inverse",
    "leaky_relu",
    "less",
    "less_equal",
    "linear_activation",
    "log",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "mul",
    "not_equal",
    "pow",
    "real_div",
    "relu",
    "relu6",
    "round",
    "rsqrt",
    "scaled_tanh",
    "select",
    "sigmoid",
    "sigmoid_hard",
    "silu_mul",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softplus",
    "softsign",
    "sqrt",
    "square",
    "sub",
    "tan",
    "tanh",
    "threshold",
    "thresholded_relu",
];

pub fn rule(op: &str) -> Option<Rule> {
    match op {
        "rotary" => Some(rotary),
        op => POINTWISE.contains(&op).then_some(pointwise as Rule),
    }
}

/// Halves of the last axis are turned; the tables are taken entry by entry.
fn rotary(sight: &Sight) -> Result<Way> {
    let x = sight.operand("x")?;
    if x.axis()? + 1 == x.shape.len() {
        fail!("mixes the positions of a sequence");
    }
    pointwise(sight)
}

fn pointwise(sight: &Sight) -> Result<Way> {
    let rank = sight.operands().map(|o| o.shape.len()).max().unwrap_or(0);
    let mut tag = Tag::Fixed;
    for operand in sight.operands() {
        tag = joined(tag, aligned(operand, rank))?;
    }
    match tag {
        Tag::Scores { row, key } => {
            let mut way = sight.way_of(tag, |operand| square(sight, operand, rank, (row, key)))?;
            (way.split, way.proof) = (true, Proof::Carries);
            Ok(way)
        }
        Tag::Rows { axis } => sight.way_of(tag, |operand| match operand.tag {
            Tag::Fixed => Ok(along(sight, operand, rank, axis)),
            _ => Ok(operand.feed()),
        }),
        Tag::Fixed => fail!("has no positions to follow"),
    }
}

/// The tag with the axes that it has in a result of `rank` axes.
fn aligned(operand: &Operand, rank: usize) -> Tag {
    let shift = rank - operand.shape.len();
    match operand.tag {
        Tag::Fixed => Tag::Fixed,
        Tag::Rows { axis } => Tag::Rows { axis: axis + shift },
        Tag::Scores { row, key } => Tag::Scores {
            row: row + shift,
            key: key + shift,
        },
    }
}

fn joined(a: Tag, b: Tag) -> Result<Tag> {
    match (a, b) {
        (Tag::Fixed, other) | (other, Tag::Fixed) => Ok(other),
        (a, b) if a == b => Ok(a),
        (scores @ Tag::Scores { row, key }, Tag::Rows { axis })
        | (Tag::Rows { axis }, scores @ Tag::Scores { row, key })
            if axis == row || axis == key =>
        {
            Ok(scores)
        }
        _ => fail!("combines values whose positions lie on different axes"),
    }
}

/// The own axis of an operand that stands at `axis` of the result, if it has one of the full length.
fn own(sight: &Sight, operand: &Operand, rank: usize, axis: usize) -> Option<usize> {
    let own = axis.checked_sub(rank - operand.shape.len())?;
    (operand.shape[own] == sight.capacity).then_some(own)
}

fn along(sight: &Sight, operand: &Operand, rank: usize, axis: usize) -> Feed {
    let origin = operand.origin.clone();
    match own(sight, operand, rank, axis) {
        Some(axis) => Feed::At { origin, axis },
        None => Feed::Whole(origin),
    }
}

/// An operand beside scores: their rows, their keys, or fixed entries at both.
fn square(
    sight: &Sight,
    operand: &Operand,
    rank: usize,
    (row, key): (usize, usize),
) -> Result<Feed> {
    let [own_row, own_key] = [row, key].map(|axis| own(sight, operand, rank, axis));
    match aligned(operand, rank) {
        Tag::Scores { .. } => Ok(operand.feed()),
        Tag::Rows { axis } if axis == row && own_key.is_none() => Ok(operand.feed()),
        Tag::Rows { axis } if axis == key && own_row.is_none() => operand.keys(),
        Tag::Rows { .. } => fail!("adds to attention scores what depends on tokens in two ways"),
        Tag::Fixed if own_row.is_none() && own_key.is_none() => Ok(operand.feed()),
        Tag::Fixed => Ok(Feed::Square {
            origin: operand.origin.clone(),
            row: own_row,
            key: own_key,
        }),
    }
}

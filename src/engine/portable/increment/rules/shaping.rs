//! Operations that move entries: harmless where the positions keep an axis of their own.

use super::Rule;
use crate::diag::Result;
use crate::engine::portable::increment::sight::{Operand, Sight};
use crate::engine::portable::increment::way::{Feed, Proof, Tag, Way};
use crate::engine::portable::ops::{self, shapes};
use crate::fail;

pub fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "reshape" => reshape,
        "transpose" => transpose,
        "expand_dims" => expand_dims,
        "squeeze" => squeeze,
        "concat" => concat,
        "stack" => stack,
        "split" => split,
        "slice_by_index" => slice_by_index,
        "slice_by_size" => slice_by_size,
        "tile" => tile,
        "pad" => pad,
        "reverse" => reverse,
        "gather" => gather,
        "packed_rows" => packed_rows,
        "gather_along_axis" => gather_along_axis,
        "one_hot" => one_hot,
        _ => return None,
    })
}

/// The tag with its axes moved by `to`; a reason to stop where they can't be followed.
fn moved(tag: Tag, to: impl Fn(usize) -> Option<usize>) -> Result<Tag> {
    let follow = |axis| match to(axis) {
        Some(axis) => Ok(axis),
        None => fail!("mixes the positions of a sequence with other axes"),
    };
    Ok(match tag {
        Tag::Fixed => Tag::Fixed,
        Tag::Rows { axis } => Tag::Rows {
            axis: follow(axis)?,
        },
        Tag::Scores { row, key } => Tag::Scores {
            row: follow(row)?,
            key: follow(key)?,
        },
    })
}

/// The way of an operation on `x` alone whose result is `tag`.
fn way(sight: &Sight, x: &Operand, tag: Tag) -> Result<Way> {
    if sight.operands().filter(|o| !o.is_fixed()).count() != 1 || x.is_fixed() {
        fail!("takes its settings from the tokens");
    }
    let mut way = sight.way(tag);
    if matches!(tag, Tag::Scores { .. }) {
        (way.split, way.proof) = (true, Proof::Carries);
    }
    Ok(way)
}

/// `ints` with the number of rows, and of keys, where `tag` has them.
fn counted(ints: Vec<i64>, tag: Tag) -> Feed {
    let (rows, keys) = match tag {
        Tag::Fixed => (None, None),
        Tag::Rows { axis } => (Some(axis), None),
        Tag::Scores { row, key } => (Some(row), Some(key)),
    };
    Feed::Ints { ints, rows, keys }
}

fn reshape(sight: &Sight) -> Result<Way> {
    let x = sight.operand("x")?;
    let shape = ops::reshaped(sight.opset, &x.shape, &sight.ints("shape")?)?;
    // Row-major order keeps an axis whole if as much stands before it as did before.
    let to = |axis: usize| {
        let before: usize = x.shape[..axis].iter().product();
        let fits = |i: &usize| {
            shape[*i] == x.shape[axis] && shape[..*i].iter().product::<usize>() == before
        };
        (0..shape.len()).find(fits)
    };
    let tag = moved(x.tag, to)?;
    let mut way = way(sight, x, tag)?;
    let ints = shape.iter().map(|n| *n as i64).collect();
    way.set("shape", counted(ints, tag));
    Ok(way)
}

fn transpose(sight: &Sight) -> Result<Way> {
    let x = sight.operand("x")?;
    let rank = x.shape.len();
    let order = sight.ints("perm")?.into_iter();
    let order: Vec<usize> = order
        .map(|a| shapes::axis(a, rank))
        .collect::<Result<_>>()?;
    let tag = moved(x.tag, |axis| order.iter().position(|a| *a == axis))?;
    way(sight, x, tag)
}

fn expand_dims(sight: &Sight) -> Result<Way> {
    let x = sight.operand("x")?;
    let given = sight.ints("axes")?;
    let rank = x.shape.len() + given.len();
    let added = shapes::axes(&given, rank)?;
    let kept: Vec<usize> = (0..rank).filter(|a| !added.contains(a)).collect();
    let tag = moved(x.tag, |axis| kept.get(axis).copied())?;
    way(sight, x, tag)
}

fn squeeze(sight: &Sight) -> Result<Way> {
    let x = sight.operand("x")?;
    let rank = x.shape.len();
    let gone: Vec<usize> = match sight.opt_ints("axes")? {
        Some(given) => shapes::axes(&given, rank)?,
        None => (0..rank).filter(|a| x.shape[*a] == 1).collect(),
    };
    let kept: Vec<usize> = (0..rank).filter(|a| !gone.contains(a)).collect();
    let tag = moved(x.tag, |axis| kept.iter().position(|a| *a == axis))?;
    let mut way = way(sight, x, tag)?;
    let ints = gone.into_iter().map(|a| a as i64).collect();
    // Named, as a window of one row has more axes of extent 1.
    way.set("axes", counted(ints, Tag::Fixed));
    Ok(way)
}

/// The one positions axis of several values side by side.
fn together(values: &[Operand]) -> Result<usize> {
    let mut axes = values.iter().filter(|o| !o.is_fixed()).map(Operand::axis);
    let Some(first) = axes.next().transpose()? else {
        fail!("has no positions to follow");
    };
    for axis in axes {
        if axis? != first {
            fail!("combines values whose positions lie on different axes");
        }
    }
    Ok(first)
}

/// Values that do not broadcast: fixed ones among them have all positions.
fn side_by_side(sight: &Sight, axis: usize, tag: Tag) -> Result<Way> {
    sight.way_of(tag, |operand| {
        let long = operand.shape.get(axis) == Some(&sight.capacity);
        match operand.is_fixed() && long {
            true => Ok(Feed::At {
                origin: operand.origin.clone(),
                axis,
            }),
            false => Ok(operand.feed()),
        }
    })
}

fn concat(sight: &Sight) -> Result<Way> {
    let values = sight.many("values")?;
    let rows = together(values)?;
    let joined = sight.axis_or(0, values[0].shape.len())?;
    if joined == rows {
        fail!("joins something to the positions of a sequence");
    }
    side_by_side(sight, rows, Tag::Rows { axis: rows })
}

fn stack(sight: &Sight) -> Result<Way> {
    let values = sight.many("values")?;
    let rows = together(values)?;
    let added = sight.axis_or(0, values[0].shape.len() + 1)?;
    let axis = rows + usize::from(added <= rows);
    side_by_side(sight, rows, Tag::Rows { axis })
}

fn split(sight: &Sight) -> Result<Way> {
    let x = sight.operand("x")?;
    let axis = sight.axis_or(0, x.shape.len())?;
    untouched(sight, x, &[axis])
}

/// The operation changes `axes` alone, and they stay where they are.
fn untouched(sight: &Sight, x: &Operand, axes: &[usize]) -> Result<Way> {
    if axes.contains(&x.axis()?) {
        fail!("takes the positions of a sequence apart");
    }
    way(sight, x, x.tag)
}

fn slice_by_index(sight: &Sight) -> Result<Way> {
    let x = sight.operand("x")?;
    let axis = x.axis()?;
    let flags = |name: &str| -> Result<Vec<bool>> {
        let given = sight.opt_ints(name)?.unwrap_or_default();
        Ok((0..x.shape.len())
            .map(|i| given.get(i).is_some_and(|f| *f != 0))
            .collect())
    };
    let (from_first, to_last) = (flags("begin_mask")?, flags("end_mask")?);
    let squeezed = flags("squeeze_mask")?;
    let (mut begin, mut end) = (sight.ints("begin")?, sight.ints("end")?);
    let stride = sight.opt_ints("stride")?.and_then(|s| s.get(axis).copied());
    let (Some(first), Some(last)) = (begin.get_mut(axis), end.get_mut(axis)) else {
        fail!("slices fewer axes than there are");
    };
    let n = sight.capacity as i64;
    let starts = from_first[axis] || *first == 0 || *first <= -n;
    let whole = starts && (to_last[axis] || *last >= n) && stride.unwrap_or(1) == 1;
    if squeezed[axis] || !whole {
        fail!("takes some positions of a sequence and leaves others");
    }
    *first = 0;
    let tag = moved(x.tag, |axis| {
        Some(axis - squeezed[..axis].iter().filter(|s| **s).count())
    })?;
    let mut way = way(sight, x, tag)?;
    way.set("begin", counted(begin, Tag::Fixed));
    way.set("end", counted(end, x.tag));
    Ok(way)
}

fn slice_by_size(sight: &Sight) -> Result<Way> {
    let x = sight.operand("x")?;
    let axis = x.axis()?;
    let (begin, size) = (sight.ints("begin")?, sight.ints("size")?);
    let n = sight.capacity as i64;
    let from = begin.get(axis).copied().unwrap_or(0);
    let count = size.get(axis).copied().unwrap_or(-1);
    if (from != 0 && from != -n) || (count != -1 && count != n) {
        fail!("takes some positions of a sequence and leaves others");
    }
    let mut way = way(sight, x, x.tag)?;
    let mut begin = begin;
    begin[axis] = 0;
    way.set("begin", counted(begin, Tag::Fixed));
    way.set("size", counted(size, x.tag));
    Ok(way)
}

fn tile(sight: &Sight) -> Result<Way> {
    let x = sight.operand("x")?;
    let reps = sight.ints("reps")?;
    if reps.get(x.axis()?) != Some(&1) {
        fail!("repeats the positions of a sequence");
    }
    way(sight, x, x.tag)
}

fn pad(sight: &Sight) -> Result<Way> {
    let x = sight.operand("x")?;
    let margins = sight.ints("pad")?;
    let skipped = x.shape.len().saturating_sub(margins.len() / 2);
    let padded: Vec<usize> = (0..margins.len() / 2)
        .filter(|i| margins[2 * i] != 0 || margins[2 * i + 1] != 0)
        .map(|i| skipped + i)
        .collect();
    untouched(sight, x, &padded)
}

fn reverse(sight: &Sight) -> Result<Way> {
    let x = sight.operand("x")?;
    let axes = match sight.opt_ints("axes")? {
        Some(given) => shapes::axes(&given, x.shape.len())?,
        None => (0..x.shape.len()).collect(),
    };
    untouched(sight, x, &axes)
}

fn gather(sight: &Sight) -> Result<Way> {
    let (x, indices) = (sight.operand("x")?, sight.operand("indices")?);
    let axis = sight.axis_or(0, x.shape.len())?;
    let batch = sight.int_or("batch_dims", 0)?;
    if batch != 0 {
        fail!("looks up each example in a table of its own");
    }
    let tag = match (x.tag, indices.tag) {
        // A look-up in a table, as of embeddings.
        (Tag::Fixed, Tag::Rows { axis: rows }) => Tag::Rows { axis: axis + rows },
        (Tag::Rows { axis: rows }, Tag::Fixed) if rows < axis => Tag::Rows { axis: rows },
        (Tag::Rows { axis: rows }, Tag::Fixed) if rows > axis => Tag::Rows {
            axis: rows + indices.shape.len() - 1,
        },
        _ => fail!("picks positions of a sequence"),
    };
    Ok(sight.way(tag))
}

/// Rows of a table that is packed.
fn packed_rows(sight: &Sight) -> Result<Way> {
    let indices = sight.operand("indices")?;
    way(sight, indices, indices.tag)
}

fn gather_along_axis(sight: &Sight) -> Result<Way> {
    let (x, indices) = (sight.operand("x")?, sight.operand("indices")?);
    let axis = sight.axis_or(0, x.shape.len())?;
    let rows = match (x.tag, indices.tag) {
        (Tag::Rows { axis }, Tag::Fixed) | (Tag::Fixed, Tag::Rows { axis }) => axis,
        (Tag::Rows { axis }, other) if other == x.tag => axis,
        _ => fail!("combines values whose positions lie on different axes"),
    };
    if rows == axis {
        fail!("picks positions of a sequence");
    }
    side_by_side(sight, rows, Tag::Rows { axis: rows })
}

fn one_hot(sight: &Sight) -> Result<Way> {
    let indices = sight.operand("indices")?;
    let rows = indices.axis()?;
    let added = sight.axis_or(-1, indices.shape.len() + 1)?;
    let axis = rows + usize::from(added <= rows);
    way(sight, indices, Tag::Rows { axis })
}

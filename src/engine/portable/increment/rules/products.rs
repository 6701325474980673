//! Products: positions pass through, meet other positions (attention scores), or are summed over (the
//! weighted values of attention).

use super::Rule;
use crate::diag::Result;
use crate::engine::portable::increment::sight::{Operand, Sight};
use crate::engine::portable::increment::way::{Feed, Feeds, Proof, Tag, Way};
use crate::fail;

pub fn rule(op: &str) -> Option<Rule> {
    Some(match op {
        "linear" | "packed_linear" => linear,
        "matmul" => matmul,
        "einsum" => einsum,
        "conv" => conv,
        "scaled_dot_product_attention" => attention,
        _ => return None,
    })
}

fn linear(sight: &Sight) -> Result<Way> {
    let (x, weight) = (sight.operand("x")?, sight.operand("weight")?);
    let bias = sight.opt("bias");
    let axis = x.axis()?;
    if !weight.is_fixed() || !bias.is_none_or(Operand::is_fixed) {
        fail!("makes its weight of the tokens");
    }
    if axis + 1 == x.shape.len() {
        fail!("mixes the positions of a sequence");
    }
    Ok(sight.way(x.tag))
}

/// A convolution with a kernel of 1 along the positions, as some programs write a linear layer.
fn conv(sight: &Sight) -> Result<Way> {
    let (x, weight) = (sight.operand("x")?, sight.operand("weight")?);
    let axis = x.axis()?;
    let reached = sight.operands().filter(|o| !o.is_fixed()).count();
    let Some(spatial) = axis.checked_sub(2).filter(|_| reached == 1) else {
        fail!("mixes the positions of a sequence");
    };
    let at = |ints: Option<Vec<i64>>, i: usize, default| {
        ints.and_then(|v| v.get(i).copied()).unwrap_or(default)
    };
    let stride = at(sight.opt_ints("strides")?, spatial, 1);
    let pad = sight.opt_ints("pad")?;
    let pads = [at(pad.clone(), 2 * spatial, 0), at(pad, 2 * spatial + 1, 0)];
    if weight.shape.get(axis) != Some(&1) || stride != 1 || pads != [0, 0] {
        fail!("mixes the positions of a sequence");
    }
    Ok(sight.way(x.tag))
}

/// The axes of two factors and their product, by label: equal labels are one axis.
struct Labels {
    x: Vec<u32>,
    y: Vec<u32>,
    out: Vec<u32>,
}

fn matmul(sight: &Sight) -> Result<Way> {
    let (x, y) = (sight.operand("x")?, sight.operand("y")?);
    if x.shape.len() < 2 || y.shape.len() < 2 {
        fail!("multiplies by a vector");
    }
    let rank = x.shape.len().max(y.shape.len()) as u32;
    let (m, inner, n) = (rank, rank + 1, rank + 2);
    let axes = |operand: &Operand, last: [u32; 2], turned: bool| {
        let own = operand.shape.len() as u32;
        let mut axes: Vec<u32> = (rank - own..rank - 2).collect();
        axes.extend(if turned { [last[1], last[0]] } else { last });
        axes
    };
    let labels = Labels {
        x: axes(x, [m, inner], sight.flag("transpose_x")?),
        y: axes(y, [inner, n], sight.flag("transpose_y")?),
        out: (0..rank - 2).chain([m, n]).collect(),
    };
    product(sight, [x, y], &labels)
}

fn einsum(sight: &Sight) -> Result<Way> {
    let [x, y] = sight.many("values")? else {
        fail!("does not take two values");
    };
    let equation = sight.text("equation").unwrap_or_default();
    let letters = |text: &str| -> Vec<u32> {
        let letters = text.chars().filter(|c| !c.is_whitespace());
        letters.map(u32::from).collect()
    };
    let parts = equation.split_once("->").and_then(|(from, out)| {
        let (x, y) = from.split_once(',')?;
        Some(Labels {
            x: letters(x),
            y: letters(y),
            out: letters(out),
        })
    });
    match parts {
        Some(labels) if labels.x.len() == x.shape.len() && labels.y.len() == y.shape.len() => {
            product(sight, [x, y], &labels)
        }
        _ => fail!("has an equation that can't be followed"),
    }
}

fn product(sight: &Sight, [x, y]: [&Operand; 2], labels: &Labels) -> Result<Way> {
    let place = |label: u32| labels.out.iter().position(|l| *l == label);
    let (in_x, in_y) = (&labels.x, &labels.y);
    match (x.tag, y.tag) {
        (Tag::Rows { axis }, Tag::Fixed) => passed(sight, in_x[axis], y, (in_y, place(in_x[axis]))),
        (Tag::Fixed, Tag::Rows { axis }) => passed(sight, in_y[axis], x, (in_x, place(in_y[axis]))),
        (Tag::Rows { axis: a }, Tag::Rows { axis: b }) => {
            met(sight, [x, y], [in_x[a], in_y[b]], labels)
        }
        (Tag::Scores { row, key }, Tag::Rows { axis }) => {
            weighed(sight, y, [in_x[row], in_x[key], in_y[axis]], &labels.out)
        }
        (Tag::Rows { axis }, Tag::Scores { row, key }) => {
            weighed(sight, x, [in_y[row], in_y[key], in_x[axis]], &labels.out)
        }
        _ => fail!("is not known to keep attention scores apart"),
    }
}

/// Rows times what no token reaches.
fn passed(
    sight: &Sight,
    label: u32,
    fixed: &Operand,
    (labels, place): (&[u32], Option<usize>),
) -> Result<Way> {
    let Some(axis) = place else {
        fail!("mixes the positions of a sequence");
    };
    let long = labels.iter().position(|l| *l == label);
    let long = long.filter(|i| fixed.shape[*i] == sight.capacity);
    sight.way_of(Tag::Rows { axis }, |operand| {
        match (operand.is_fixed(), long) {
            (true, Some(axis)) if std::ptr::eq(operand, fixed) => Ok(Feed::At {
                origin: operand.origin.clone(),
                axis,
            }),
            _ => Ok(operand.feed()),
        }
    })
}

/// Rows times rows: at the same positions, or each with each.
fn met(sight: &Sight, [x, y]: [&Operand; 2], [a, b]: [u32; 2], labels: &Labels) -> Result<Way> {
    let place = |label: u32| labels.out.iter().position(|l| *l == label);
    let (Some(of_x), Some(of_y)) = (place(a), place(b)) else {
        fail!("sums over the positions of a sequence, without weights that hide the later ones");
    };
    if a == b {
        return Ok(sight.way(Tag::Rows { axis: of_x }));
    }
    if labels.x.contains(&b) || labels.y.contains(&a) {
        fail!("combines values whose positions lie on different axes");
    }
    // The keys are what a softmax goes over; the later axis, where none follows at once.
    let rank = labels.out.len() as i64;
    let over = sight
        .softmax
        .map(|axis| if axis < 0 { axis + rank } else { axis });
    let keys_in_x = match over {
        Some(axis) if axis == of_x as i64 => true,
        Some(axis) if axis == of_y as i64 => false,
        _ => of_x > of_y,
    };
    let (row, key, keys) = match keys_in_x {
        true => (of_y, of_x, x),
        false => (of_x, of_y, y),
    };
    attended(sight, Tag::Scores { row, key }, &[keys], Proof::Starts)
}

/// The weights of attention times the values.
fn weighed(
    sight: &Sight,
    values: &Operand,
    [row, key, rows]: [u32; 3],
    out: &[u32],
) -> Result<Way> {
    let place = out.iter().position(|l| *l == row);
    let (Some(axis), true, false) = (place, rows == key, out.contains(&key)) else {
        fail!("is not known to keep attention scores apart");
    };
    attended(sight, Tag::Rows { axis }, &[values], Proof::Weighs)
}

/// A step of attention: it runs for each sequence, with the whole history of `keys`.
fn attended(sight: &Sight, tag: Tag, keys: &[&Operand], proof: Proof) -> Result<Way> {
    let mut way = sight.way(tag);
    for (feeds, (_, _, operands)) in way.feeds.iter_mut().map(|f| &mut f.1).zip(&sight.args) {
        let own: &mut [Feed] = match feeds {
            Feeds::One(feed) => std::slice::from_mut(feed),
            Feeds::Many(feeds) => feeds,
        };
        for (feed, operand) in own.iter_mut().zip(operands) {
            if keys.iter().any(|key| std::ptr::eq(*key, operand)) {
                *feed = operand.keys()?;
            }
        }
    }
    (way.split, way.proof) = (true, proof);
    Ok(way)
}

fn attention(sight: &Sight) -> Result<Way> {
    let [query, key, value] = ["query", "key", "value"].map(|name| sight.operand(name));
    let (query, key, value) = (query?, key?, value?);
    for operand in [query, key, value] {
        if operand.axis()? + 2 != operand.shape.len() {
            fail!("attends over another axis than the positions");
        }
    }
    let Some(mask) = sight.opt("attn_mask") else {
        fail!("attends without a mask: positions see later ones");
    };
    let square = |i: usize| {
        let own = mask.shape.len().checked_sub(i)?;
        (mask.shape[own] == sight.capacity).then_some(own)
    };
    let feed = Feed::Square {
        origin: mask.origin.clone(),
        row: square(2),
        key: square(1),
    };
    if !mask.is_fixed() {
        fail!("makes its mask of the tokens");
    }
    let mut way = attended(sight, query.tag, &[key, value], Proof::Masks)?;
    way.set("attn_mask", feed);
    Ok(way)
}

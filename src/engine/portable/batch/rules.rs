//! How operations take the hidden axis of the examples: the rules that several share.

use candle_core::Tensor;

use super::group::Group;
use super::lane::Lane;
use crate::diag::Result;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::ops::shapes;
use crate::engine::portable::value::Value;
use crate::fail;

/// A rule of an operation's own. `None` if it does not fit the call: the examples are then evaluated
/// one after the other.
pub type Rule = fn(Group, &mut Ctx) -> Result<Option<Vec<Lane>>>;

/// How an operation is evaluated for several examples at once. The parameters that a rule names may have
/// the axis of the examples; if another one has it, the examples are evaluated one after the other.
#[derive(Debug, Clone, Copy)]
pub enum Batch {
    /// One after the other.
    Each,
    /// Leading axes are free, or broadcast between the operands, which have at least so many axes: the
    /// examples' axis is put before the axes of the operand with the most.
    Leading(&'static [&'static str], usize),
    /// The operands get the axis in front, and the axes that a parameter names move by one.
    Axes(&'static [&'static str], &'static str, Absent),
    /// The operands get the axis in front, and lists with an entry for each axis this entry for it.
    Lists(&'static [&'static str], &'static [(&'static str, i64)]),
    /// The axis is merged with that axis of each operand and of each result whose entries the operation
    /// treats alike (its own batch).
    Fold(&'static [(&'static str, usize)], &'static [usize]),
    /// The elements of the first parameter in another shape, which depends on the shapes of all.
    Reshape(&'static [&'static str]),
    /// The result depends on the shapes of the parameters alone, so that all examples share it.
    Extents(&'static [&'static str]),
    Own(Rule),
    /// A rule that is also asked when all arguments are shared: the operation reads more than those.
    Always(Rule),
}

/// What an axis parameter means if it is absent, as it stands for one example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// This axis.
    Axis(i64),
    /// All axes.
    All,
    /// It has no influence, or may not be absent.
    Nothing,
    /// It may not be absent, and counts the axis that the operation adds.
    Added,
    /// The last, of axes with the one that the operation adds.
    AddedLast,
}

pub(super) fn apply(batch: Batch, group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    match batch {
        Batch::Each => Ok(None),
        Batch::Leading(operands, least) => leading(group, operands, least, ctx),
        Batch::Axes(operands, axes, absent) => moved_axes(group, operands, (axes, absent), ctx),
        Batch::Lists(operands, entries) => listed(group, operands, entries, ctx),
        Batch::Fold(operands, results) => folded(group, operands, results, ctx),
        Batch::Reshape(params) => reshaped(&group, params, ctx),
        Batch::Extents(params) => extents(&group, params, ctx),
        Batch::Own(rule) | Batch::Always(rule) => rule(group, ctx),
    }
}

/// [`Batch::Leading`], for rules that come to it.
pub fn leading(
    mut group: Group,
    operands: &[&str],
    least: usize,
    ctx: &mut Ctx,
) -> Result<Option<Vec<Lane>>> {
    let lanes = operands.iter().flat_map(|name| group.lanes(name));
    let ranks: Vec<usize> = lanes
        .map(|lane| Ok(lane.dims()?.len()))
        .collect::<Result<_>>()?;
    let Some(most) = ranks.iter().max().filter(|_| group.only(operands)) else {
        return Ok(None);
    };
    if ranks.iter().any(|rank| rank < &least) {
        return Ok(None);
    }
    for name in operands {
        group.map(name, |tensor| aligned(tensor, *most))?;
    }
    group.whole(ctx)
}

/// `[examples, …]` with extents of 1 behind the first axis, so that an example has `rank` axes.
fn aligned(tensor: &Tensor, rank: usize) -> Result<Tensor> {
    let mut shape = tensor.dims().to_vec();
    let missing = (rank + 1).saturating_sub(shape.len());
    shape.splice(1..1, std::iter::repeat_n(1, missing));
    match missing {
        0 => Ok(tensor.clone()),
        _ => Ok(tensor.reshape(shape)?),
    }
}

fn moved_axes(
    mut group: Group,
    operands: &[&str],
    (param, absent): (&'static str, Absent),
    ctx: &mut Ctx,
) -> Result<Option<Vec<Lane>>> {
    let rank = operands.first().and_then(|name| group.rank(name));
    let Some(rank) = rank.filter(|_| group.only(operands)) else {
        return Ok(None);
    };
    let rank = rank + usize::from(matches!(absent, Absent::Added | Absent::AddedLast));
    let axes = match (group.ints(param)?, absent) {
        (Some(axes), _) => axes,
        (None, Absent::Axis(axis)) => vec![axis],
        (None, Absent::AddedLast) => vec![-1],
        (None, Absent::All) => (0..rank as i64).collect(),
        (None, Absent::Nothing | Absent::Added) => Vec::new(),
    };
    let Ok(axes) = moved(&axes, rank) else {
        return Ok(None);
    };
    for name in operands {
        group.spread(name)?;
    }
    if group.lane(param).is_some() || !axes.is_empty() || absent == Absent::All {
        group.set_ints(param, &axes)?;
    }
    group.whole(ctx)
}

/// Axes of an example of `rank` axes as axes of the tensor of all examples.
pub fn moved(axes: &[i64], rank: usize) -> Result<Vec<i64>> {
    let place = |axis: &i64| Ok(shapes::axis(*axis, rank)? as i64 + 1);
    axes.iter().map(place).collect()
}

fn listed(
    mut group: Group,
    operands: &[&str],
    entries: &[(&'static str, i64)],
    ctx: &mut Ctx,
) -> Result<Option<Vec<Lane>>> {
    if !group.only(operands) {
        return Ok(None);
    }
    for (name, entry) in entries {
        group.prefix(name, *entry)?;
    }
    for name in operands {
        group.spread(name)?;
    }
    group.whole(ctx)
}

/// [`Batch::Fold`], for rules that come to it.
pub fn folded(
    mut group: Group,
    operands: &[(&str, usize)],
    results: &[usize],
    ctx: &mut Ctx,
) -> Result<Option<Vec<Lane>>> {
    let names: Vec<&str> = operands.iter().map(|(name, _)| *name).collect();
    let short = |(name, axis): &(&str, usize)| group.rank(name).is_some_and(|rank| rank <= *axis);
    if !group.only(&names) || operands.iter().any(short) {
        return Ok(None);
    }
    for (name, axis) in operands {
        group.spread(name)?;
        group.map(name, |tensor| {
            Ok(shapes::moved(tensor, 0, *axis)?.flatten(*axis, axis + 1)?)
        })?;
    }
    let values = group.eval(ctx)?.into_iter().enumerate();
    let lanes = values.map(|(i, value)| {
        let axis = results.get(i).copied().unwrap_or(0);
        let tensor = value.tensor()?;
        let mut shape = tensor.dims().to_vec();
        match shape.get(axis) {
            Some(n) if n.is_multiple_of(group.count) => {
                let own = n / group.count;
                shape.splice(axis..=axis, [group.count, own]);
            }
            _ => fail!("internal: {shape:?} can't be divided among {}", group.count),
        }
        Ok(Lane::batched(shapes::moved(
            &tensor.reshape(shape)?,
            axis,
            0,
        )?))
    });
    lanes.collect::<Result<_>>().map(Some)
}

fn reshaped(group: &Group, params: &[&str], ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    let Some(whole) = params.first().and_then(|name| group.lane(name)) else {
        return Ok(None);
    };
    if !group.only(params) {
        return Ok(None);
    }
    let values = ctx.call(group.op, group.types, group.example(0)?)?;
    let shaped = |value: Value| {
        if !whole.batched {
            return Ok(Lane::shared(value));
        }
        let shape = [&[group.count], value.tensor()?.dims()].concat();
        Ok(Lane::batched(whole.value.tensor()?.reshape(shape)?))
    };
    values
        .into_iter()
        .map(shaped)
        .collect::<Result<_>>()
        .map(Some)
}

fn extents(group: &Group, params: &[&str], ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    if !group.only(params) {
        return Ok(None);
    }
    let values = ctx.call(group.op, group.types, group.example(0)?)?;
    Ok(Some(values.into_iter().map(Lane::shared).collect()))
}

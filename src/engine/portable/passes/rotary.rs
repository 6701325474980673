//! Rotary positions (Su et al. 2021), which programs spell out by halves.

use super::Pass;
use super::graph::{Graph, arg, fused, name, operands};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels;
use crate::engine::portable::ops::{Gradient, Op};
use crate::engine::portable::plan::{Source, Sources, Step};
use crate::engine::portable::value::Value;
use crate::mil::Dim;

pub(super) const PASS: Pass = Pass {
    name: "rotary",
    find,
};

static OP: Op = Op {
    name: "rotary",
    eval,
    gradient: Gradient::Full,
    batch: Batch::Leading(&["x", "cos", "sin"], 1),
    samples: &[],
};

fn find(graph: &Graph, step: &Step) -> Option<Step> {
    if name(step) != "add" {
        return None;
    }
    operands(step).find_map(|(along, across)| {
        let along = graph.made_by(along, "mul")?;
        let across = graph.made_by(across, "mul")?;
        operands(along).find_map(|(x, cos)| {
            let sin = operands(across)
                .find_map(|(turned, sin)| is_turned(graph, turned, x).then_some(sin))?;
            let width = graph.width(x);
            let fits = |table| {
                let narrow = graph.dims(table)?.len() <= graph.dims(x)?.len();
                (narrow && graph.width(table) == width).then_some(())
            };
            fits(cos).and(fits(sin))?;
            let args = [("x", x), ("cos", cos), ("sin", sin)];
            Some(fused(
                step,
                &OP,
                args.map(|(name, source)| (name, source.clone())).into(),
            ))
        })
    })
}

/// Whether `turned` is (−x₂, x₁).
fn is_turned<'a>(graph: &Graph<'a>, turned: &'a Source, x: &'a Source) -> bool {
    let found = || {
        let concat = graph.made_by(turned, "concat")?;
        let last = graph.dims(x)?.len() as i64 - 1;
        let axis = graph.ints_of(concat, "axis")?;
        let interleave = graph.ints_of(concat, "interleave").unwrap_or_default();
        if (axis != [-1] && axis != [last]) || interleave == [1] {
            return None;
        }
        let values = concat.args.iter().find(|(name, _)| name == "values");
        let Sources::Many(values) = &values?.1 else {
            return None;
        };
        let [high, low] = values.as_slice() else {
            return None;
        };
        let negated = graph.made_by(high, "mul")?;
        let high = operands(negated)
            .find_map(|(high, factor)| (graph.number(factor)? == -1.0).then_some(high))?;
        (is_half(graph, low, x, 0)? && is_half(graph, high, x, 1)?).then_some(())
    };
    found().is_some()
}

/// Whether `half` is the first (0) or second (1) half of the last axis of `x`.
fn is_half<'a>(graph: &Graph<'a>, half: &'a Source, x: &'a Source, which: usize) -> Option<bool> {
    let width = graph.width(x)?;
    let rank = graph.dims(x)?.len();
    let maker = graph.maker(half)?;
    let of_x = graph.same(arg(maker, "x")?, x) && width.is_multiple_of(2);
    let right = match name(maker) {
        "split" => {
            let axis = graph.ints_of(maker, "axis")?;
            let last = axis == [-1] || axis == [rank as i64 - 1];
            let whole = maker.outputs.len() == 2 && graph.width(half) == Some(width / 2);
            last && whole && matches!(half, Source::Slot(slot) if maker.outputs[which] == *slot)
        }
        "slice_by_index" => {
            let start = which * width / 2;
            part_of_last(graph, maker, x)? == (start, start + width / 2)
        }
        _ => false,
    };
    Some(of_x && right)
}

/// Where a slice of `x` starts and ends on the last axis, if it takes the others as they are.
fn part_of_last<'a>(graph: &Graph<'a>, slice: &'a Step, x: &'a Source) -> Option<(usize, usize)> {
    let dims = graph.dims(x)?;
    let given = |name: &str, absent: i64| match arg(slice, name) {
        Some(source) => graph.ints(source),
        None => Some(vec![absent; dims.len()]),
    };
    let [begin, end] = ["begin", "end"].map(|name| graph.ints_of(slice, name));
    let [first, last] = ["begin_mask", "end_mask"].map(|name| given(name, 0));
    let (begin, end, first, last) = (begin?, end?, first?, last?);
    let whole_steps = given("stride", 1)?.iter().all(|step| *step == 1);
    let same_rank = given("squeeze_mask", 0)?.iter().all(|flag| *flag == 0);
    let full = [&begin, &end, &first, &last]
        .iter()
        .all(|v| v.len() == dims.len());
    if !whole_steps || !same_rank || !full {
        return None;
    }
    let part = |i: usize| -> Option<(usize, usize)> {
        let extent = match dims[i] {
            Dim::Fixed(n) => Some(n as i64),
            _ => None,
        };
        let at = |index: i64| {
            if index < 0 {
                Some(index + extent?)
            } else {
                Some(index)
            }
        };
        let start = if first[i] == 1 { 0 } else { at(begin[i])? };
        let end = if last[i] == 1 {
            extent.unwrap_or(i64::MAX)
        } else {
            at(end[i])?
        };
        Some((usize::try_from(start).ok()?, usize::try_from(end).ok()?))
    };
    let (outer, inner) = (0..dims.len() - 1, dims.len() - 1);
    let whole = |i: usize| match (part(i)?, dims[i]) {
        ((0, end), Dim::Fixed(n)) if end >= n => Some(()),
        ((0, end), Dim::Unknown) if end == i64::MAX as usize => Some(()),
        _ => None,
    };
    outer.map(whole).collect::<Option<Vec<()>>>()?;
    part(inner)
}

fn eval(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let [x, cos, sin] = ["x", "cos", "sin"].map(|name| call.floats(name));
    Ok(vec![kernels::rotary(x?, cos?, sin?)?.into()])
}

//! Root-mean-square normalisation (Zhang and Sennrich 2019), which programs spell out.

use super::Pass;
use super::graph::{Graph, arg, fused, name, operands, setting};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels::{self, Norm};
use crate::engine::portable::ops::{Gradient, Op};
use crate::engine::portable::plan::{Source, Step};
use crate::engine::portable::value::Value;

pub(super) const PASS: Pass = Pass {
    name: "rms_norm",
    find,
};

static OP: Op = Op {
    name: "rms_norm",
    eval,
    gradient: Gradient::Full,
    batch: Batch::Leading(&["x"], 1),
    samples: &[],
};

fn find(graph: &Graph, step: &Step) -> Option<Step> {
    if name(step) != "mul" {
        return None;
    }
    operands(step).find_map(|(normed, gamma)| {
        let width = graph.width(gamma)?;
        let normed = graph.behind_casts(normed, "mul")?;
        let (x, epsilon) = operands(normed).find_map(|(x, scale)| {
            let epsilon = inverse_root(graph, scale, x)?;
            Some((x, epsilon))
        })?;
        let fits = graph.dims(gamma)?.len() == 1 && graph.width(x) == Some(width);
        let args = vec![
            ("x", graph.uncast(x).clone()),
            ("gamma", graph.uncast(gamma).clone()),
            ("epsilon", setting(epsilon)?),
        ];
        fits.then(|| fused(step, &OP, args))
    })
}

/// ε, if `scale` is 1 / √(mean(x²) + ε).
fn inverse_root<'a>(graph: &Graph<'a>, scale: &'a Source, x: &'a Source) -> Option<f64> {
    let (variance, own) = match graph.behind_casts(scale, "rsqrt") {
        Some(root) => {
            // An rsqrt adds an ε of its own, by default 1e-12.
            let own = match arg(root, "epsilon") {
                Some(epsilon) => graph.number(epsilon)?,
                None => 1e-12,
            };
            (arg(root, "x")?, own)
        }
        None => {
            let root = graph.behind_casts(scale, "pow")?;
            let power = graph.number(arg(root, "y")?)?;
            (power == -0.5).then_some((arg(root, "x")?, 0.0))?
        }
    };
    if let Some(sum) = graph.behind_casts(variance, "add") {
        return operands(sum).find_map(|(mean, epsilon)| {
            let epsilon = graph.number(epsilon)?;
            is_mean_square(graph, mean, x).then_some(own + epsilon)
        });
    }
    is_mean_square(graph, variance, x).then_some(own)
}

/// Whether `mean` is the mean of x² over the last axis, which it keeps.
fn is_mean_square<'a>(graph: &Graph<'a>, mean: &'a Source, x: &'a Source) -> bool {
    let square = || {
        let mean = graph.behind_casts(mean, "reduce_mean")?;
        let axes = graph.ints_of(mean, "axes")?;
        let last = graph.dims(x)?.len() as i64 - 1;
        let kept = graph.ints_of(mean, "keep_dims")? == [1];
        ((axes == [-1] || axes == [last]) && kept).then_some(arg(mean, "x")?)
    };
    square().is_some_and(|square| is_square(graph, square, x))
}

fn is_square<'a>(graph: &Graph<'a>, square: &'a Source, x: &'a Source) -> bool {
    let of = |op: &str| graph.behind_casts(square, op);
    let base = |step: &'a Step| arg(step, "x").is_some_and(|base| graph.same(base, x));
    let other = |step: &'a Step| arg(step, "y");
    if let Some(step) = of("pow") {
        return base(step) && other(step).and_then(|y| graph.number(y)) == Some(2.0);
    }
    if let Some(step) = of("mul") {
        return base(step) && other(step).is_some_and(|y| graph.same(y, x));
    }
    of("square").is_some_and(base)
}

fn eval(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let kind = Norm {
        epsilon: call.float("epsilon")?,
        centre: false,
    };
    let y = kernels::norm(call.floats("x")?, call.floats("gamma")?, kind)?;
    Ok(vec![y.into()])
}

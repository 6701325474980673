//! Attention: scaled scores, mask, softmax and weighted sum; key/value heads that several query heads
//! share (Ainslie et al. 2023) are not repeated in memory.

use candle_core::Tensor;

use super::Pass;
use super::graph::{Graph, arg, fused, name, operands, setting};
use crate::diag::Result;
use crate::engine::portable::batch::{Batch, Group, Lane, folded};
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels;
use crate::engine::portable::ops::{Gradient, Op, added, attend, reshaped};
use crate::engine::portable::plan::{Source, Step};
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const PASS: Pass = Pass {
    name: "attention",
    find,
};

static OP: Op = Op {
    name: "attention",
    eval,
    gradient: Gradient::Full,
    batch: Batch::Own(together),
    samples: &[],
};

static SHAPE: Op = Op {
    name: "repeated_shape",
    eval: |call, _| {
        let (x, repeats) = (call.tensor("x")?, call.ints("repeats")?);
        let target = call.ints("shape")?;
        let shape = Repeat::of(call, x, &repeats, &target)?.shape;
        let shape: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
        Ok(vec![Tensor::new(shape, &candle_core::Device::Cpu)?.into()])
    },
    gradient: Gradient::None,
    batch: Batch::Extents(&["x"]),
    samples: &[],
};

type Args = Vec<(&'static str, Source)>;

fn find(graph: &Graph, step: &Step) -> Option<Step> {
    let args = match name(step) {
        "matmul" => spelled_out(graph, step)?,
        "scaled_dot_product_attention" => native(graph, step)?,
        "shape" => {
            let repeated = Repeated::find(graph, arg(step, "x")?)?;
            let args = vec![("x", repeated.x.clone())];
            let args = args.into_iter().chain(repeated.args(["repeats", "shape"]));
            return Some(fused(step, &SHAPE, args.collect()));
        }
        _ => return None,
    };
    Some(fused(step, &OP, args))
}

/// matmul(softmax(matmul(scaled query, key) + mask), value).
fn spelled_out(graph: &Graph, step: &Step) -> Option<Args> {
    if turns(graph, step)? != (false, false) {
        return None;
    }
    let softmax = graph.behind_casts(arg(step, "x")?, "softmax")?;
    let scores = arg(softmax, "x")?;
    let rank = graph.dims(scores)?.len();
    let axis = graph.ints_of(softmax, "axis").unwrap_or(vec![-1]);
    if rank != 4 || (axis != [-1] && axis != [3]) {
        return None;
    }
    let (scores, mask) = match graph.behind_casts(scores, "add") {
        Some(sum) => operands(sum).find_map(|(scores, mask)| {
            let inner = ["matmul", "mul", "real_div"];
            let plain = inner
                .iter()
                .any(|op| graph.behind_casts(scores, op).is_some());
            plain.then_some((scores, Some(mask)))
        })?,
        None => (scores, None),
    };
    let (scores, after) = unscaled(graph, scores);
    let product = graph.behind_casts(scores, "matmul")?;
    let (_, key_turned) = turns(graph, product).filter(|(x, _)| !x)?;
    let (query, before) = unscaled(graph, arg(product, "x")?);
    let mut args = vec![
        ("query", query.clone()),
        ("scale", setting(before * after)?),
        ("key_turned", setting(f64::from(u8::from(key_turned)))?),
    ];
    args.extend(mask.map(|mask| ("mask", mask.clone())));
    add_heads(graph, &mut args, arg(product, "y")?, arg(step, "y")?);
    Some(args)
}

/// The operation of iOS 18, if heads are repeated for it.
fn native(graph: &Graph, step: &Step) -> Option<Args> {
    let [query, key, value] = ["query", "key", "value"].map(|name| arg(step, name));
    let (query, key, value) = (query?, key?, value?);
    Repeated::find(graph, key)?;
    let mut args = vec![("query", query.clone())];
    args.extend(arg(step, "attn_mask").map(|mask| ("mask", mask.clone())));
    add_heads(graph, &mut args, key, value);
    Some(args)
}

/// Key and value, as they are before their heads are repeated.
fn add_heads(graph: &Graph, args: &mut Args, key: &Source, value: &Source) {
    let sides = [
        ("key", key, ["key_repeats", "key_shape"]),
        ("value", value, ["value_repeats", "value_shape"]),
    ];
    for (name, source, names) in sides {
        match Repeated::find(graph, source) {
            Some(repeated) => {
                args.push((name, repeated.x.clone()));
                args.extend(repeated.args(names));
            }
            None => args.push((name, source.clone())),
        }
    }
}

/// (transpose_x, transpose_y) of a matmul.
fn turns(graph: &Graph, matmul: &Step) -> Option<(bool, bool)> {
    let turn = |name: &str| match arg(matmul, name) {
        Some(flag) => Some(graph.ints(flag)? == [1]),
        None => Some(false),
    };
    Some((turn("transpose_x")?, turn("transpose_y")?))
}

/// What `source` is a constant multiple of, and that factor.
fn unscaled<'a>(graph: &Graph<'a>, source: &'a Source) -> (&'a Source, f64) {
    let multiple = || {
        let step = graph.behind_casts(source, "mul")?;
        operands(step).find_map(|(x, factor)| Some((x, graph.number(factor)?)))
    };
    let quotient = || {
        let step = graph.behind_casts(source, "real_div")?;
        let divisor = graph.number(arg(step, "y")?)?;
        Some((arg(step, "x")?, 1.0 / divisor))
    };
    let scaled = multiple().or_else(quotient);
    scaled
        .filter(|(x, _)| graph.is_float(x))
        .unwrap_or((source, 1.0))
}

/// Heads, each `n` times in a row: reshape(tile(expand_dims(x))).
struct Repeated<'a> {
    x: &'a Source,
    repeats: &'a Source,
    shape: &'a Source,
}

impl<'a> Repeated<'a> {
    /// Finds the form; how often, and whether the shape fits, is known when it runs.
    fn find(graph: &Graph<'a>, source: &'a Source) -> Option<Self> {
        let reshape = graph.made_by_but_shape(source, "reshape")?;
        let tile = graph.made_by_but_shape(arg(reshape, "x")?, "tile")?;
        let expand = graph.made_by_but_shape(arg(tile, "x")?, "expand_dims")?;
        let x = arg(expand, "x")?;
        let fits = graph.ints_of(expand, "axes")? == [2]
            && graph.dims(x)?.len() == 4
            && graph.dims(source)?.len() == 4
            && graph.is_float(x);
        fits.then_some(Self {
            x,
            repeats: arg(tile, "reps")?,
            shape: arg(reshape, "shape")?,
        })
    }

    fn args(&self, [repeats, shape]: [&'static str; 2]) -> [(&'static str, Source); 2] {
        [(repeats, self.repeats.clone()), (shape, self.shape.clone())]
    }
}

/// What a repeat comes to.
struct Repeat {
    /// The extents that the program sees.
    shape: Vec<usize>,
    /// Whether it only repeats heads.
    grouped: bool,
}

impl Repeat {
    /// Of `x` `[batch, heads, length, width]`, tiled as `[batch, heads, 1, length, width]` by `repeats`
    /// and reshaped to `target`.
    fn of(call: &Call, x: &Tensor, repeats: &[i64], target: &[i64]) -> Result<Self> {
        let counts = repeats.iter().filter_map(|n| usize::try_from(*n).ok());
        let (&[batch, heads, length, width], &[a, b, c, d, e]) =
            (x.dims(), counts.collect::<Vec<_>>().as_slice())
        else {
            fail!("heads of {:?} are repeated {repeats:?} times", x.dims());
        };
        let tiled = [batch * a, heads * b, c, length * d, width * e];
        let shape = reshaped(call.opset, &tiled, target)?;
        let heads_only = [a, b, d, e] == [1; 4];
        let grouped = heads_only && shape == [batch, heads * c, length, width];
        Ok(Self { shape, grouped })
    }
}

/// The parameter `name` as it is, and as the program has it: with its heads repeated.
struct Heads {
    few: Tensor,
    repeat: Option<(Vec<i64>, Repeat)>,
}

impl Heads {
    fn of(call: &Call, name: &str, names: [&str; 2]) -> Result<Self> {
        let few = call.floats(name)?.clone();
        let given = call.opt_ints(names[0])?.zip(call.opt_ints(names[1])?);
        let repeat = match given {
            Some((repeats, target)) => {
                let repeat = Repeat::of(call, &few, &repeats, &target)?;
                Some((repeats, repeat))
            }
            None => None,
        };
        Ok(Self { few, repeat })
    }

    fn grouped(&self) -> bool {
        self.repeat
            .as_ref()
            .is_none_or(|(_, repeat)| repeat.grouped)
    }

    fn many(&self) -> Result<Tensor> {
        let Some((repeats, repeat)) = &self.repeat else {
            return Ok(self.few.clone());
        };
        let counts: Vec<usize> = repeats.iter().map(|n| *n as usize).collect();
        let tiled = self.few.unsqueeze(2)?.repeat(counts)?;
        Ok(tiled.reshape(repeat.shape.as_slice())?)
    }
}

fn eval(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let query = call.floats("query")?;
    let key = Heads::of(call, "key", ["key_repeats", "key_shape"])?;
    let value = Heads::of(call, "value", ["value_repeats", "value_shape"])?;
    let turned = call.float_or("key_turned", 1.0)? != 0.0;
    let upright = |key: Tensor| if turned { Ok(key) } else { key.t() };
    let width = query.dims().last().copied().unwrap_or(1).max(1);
    let scale = call.float_or("scale", 1.0 / (width as f64).sqrt())?;
    let mask = call.opt_tensor("mask")?;
    if key.grouped() && value.grouped() {
        let (key, mask) = (
            upright(key.few.clone())?,
            mask.map(|mask| added(mask, query)).transpose()?,
        );
        if kernels::attention_fits([query, &key, &value.few], mask.as_ref()) {
            let y = kernels::attention(query, &key, &value.few, mask.as_ref(), scale)?;
            return Ok(vec![y.into()]);
        }
    }
    let (key, value) = (upright(key.many()?)?, value.many()?);
    Ok(vec![
        attend(call, [query, &key, &value], mask, scale)?.into(),
    ])
}

/// The examples as entries of the batch axis, if the mask has nothing against it.
fn together(mut group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    let sides = [
        ("key", "key_repeats", "key_shape"),
        ("value", "value_repeats", "value_shape"),
    ];
    for (name, repeats, shape) in sides {
        let (Some(counts), Some(target)) = (group.ints(repeats)?, group.ints(shape)?) else {
            continue;
        };
        let &[batch, heads, length, width] = group.dims(name).unwrap_or_default() else {
            return Ok(None);
        };
        let [1, 1, n, 1, 1] = counts.as_slice() else {
            return Ok(None);
        };
        let kept = [batch as i64, heads as i64 * n, length as i64, width as i64];
        if target.len() != 4
            || target
                .iter()
                .zip(kept)
                .any(|(n, own)| ![own, -1].contains(n))
        {
            return Ok(None);
        }
        group.unset(&[repeats, shape]);
    }
    let shared_mask = group
        .dims("mask")
        .is_none_or(|dims| dims.len() < 4 || dims[0] == 1);
    if group.has_axis("mask") || !shared_mask {
        return Ok(None);
    }
    folded(group, &[("query", 0), ("key", 0), ("value", 0)], &[0], ctx)
}

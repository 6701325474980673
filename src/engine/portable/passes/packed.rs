//! Products with constant matrices, packed once for the processor; and rows looked up in one that is packed
//! anyway, as a tied embedding is.
//!
//! Only in f32 on a CPU that has the kernel's instructions.

use candle_core::Tensor;

use super::Pass;
use super::graph::{Graph, arg, fused, name};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels::packed_product;
use crate::engine::portable::ops::{Gradient, Op, bounded};
use crate::engine::portable::plan::{Source, Step};
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const PASS: Pass = Pass {
    name: "packed",
    find: |graph, step| match name(step) {
        "linear" => Some(fused(step, &PRODUCT, linear(graph, step)?)),
        "matmul" => Some(fused(step, &PRODUCT, matmul(graph, step)?)),
        _ => None,
    },
};

pub(super) const ROWS_PASS: Pass = Pass {
    name: "packed_rows",
    find: |graph, step| match name(step) {
        "gather" => Some(fused(step, &ROWS, gather(graph, step)?)),
        _ => None,
    },
};

static PRODUCT: Op = Op {
    name: "packed_linear",
    eval: product,
    gradient: Gradient::Full,
    batch: Batch::Leading(&["x"], 1),
    samples: &[],
};

static ROWS: Op = Op {
    name: "packed_rows",
    eval: rows,
    gradient: Gradient::None,
    batch: Batch::Leading(&["indices"], 0),
    samples: &[],
};

type Args = Vec<(&'static str, Source)>;

fn linear(graph: &Graph, step: &Step) -> Option<Args> {
    let (x, weight) = (arg(step, "x")?, arg(step, "weight")?);
    let mut args = vec![
        ("x", floats(graph, x)?),
        ("weight", graph.pack(weight, false)?),
    ];
    if let Some(bias) = arg(step, "bias") {
        args.push(("bias", floats(graph, bias)?));
    }
    Some(args)
}

/// A matmul whose second operand is a constant matrix.
fn matmul(graph: &Graph, step: &Step) -> Option<Args> {
    let flag = |name: &str| match arg(step, name) {
        Some(flag) => graph.ints(flag).map(|flag| flag == [1]),
        None => Some(false),
    };
    let (x, weight) = (arg(step, "x")?, arg(step, "y")?);
    if flag("transpose_x")? || graph.dims(x)?.len() < 2 {
        return None;
    }
    let turned = !flag("transpose_y")?;
    Some(vec![
        ("x", floats(graph, x)?),
        ("weight", graph.pack(weight, turned)?),
    ])
}

/// Rows of a matrix that some product has packed.
fn gather(graph: &Graph, step: &Step) -> Option<Args> {
    let zero = |name: &str| match arg(step, name) {
        Some(value) => graph.ints(value).is_some_and(|ints| ints == [0]),
        None => true,
    };
    if !zero("axis") || !zero("batch_dims") {
        return None;
    }
    let rows = graph.packed(arg(step, "x")?, false)?;
    Some(vec![
        ("x", rows),
        ("indices", arg(step, "indices")?.clone()),
    ])
}

fn floats(graph: &Graph, source: &Source) -> Option<Source> {
    graph.is_float(source).then(|| source.clone())
}

fn product(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let (x, weight) = (call.floats("x")?, call.packed("weight")?);
    let [n, k] = weight.dims();
    if x.dims().last() != Some(&k) {
        fail!("linear of {:?} by {:?}", x.dims(), [n, k]);
    }
    let rows = x.elem_count() / k.max(1);
    call.check_size(&[rows, n])?;
    let y = packed_product(&x.reshape((rows, k))?, weight, call.opt_floats("bias")?)?;
    let mut shape = x.dims().to_vec();
    shape.pop();
    shape.push(n);
    Ok(vec![y.reshape(shape)?.into()])
}

fn rows(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let (x, indices) = (call.packed("x")?, call.tensor("indices")?);
    let [n, k] = x.dims();
    let picked = bounded(call, call.ints("indices")?, n)?;
    let shape = [indices.dims(), &[k]].concat();
    call.check_size(&shape)?;
    let picked: Vec<usize> = picked.into_iter().map(|i| i as usize).collect();
    let rows: Tensor = x.rows(&picked)?;
    Ok(vec![rows.reshape(shape)?.into()])
}

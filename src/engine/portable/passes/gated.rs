//! The gate of SwiGLU (Shazeer 2020).

use super::Pass;
use super::graph::{Graph, arg, fused, name, operands};
use crate::diag::Result;
use crate::engine::portable::batch::Batch;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels::{Pair, Real, zip};
use crate::engine::portable::ops::{Gradient, Op, shapes, sigmoid};
use crate::engine::portable::plan::Step;
use crate::engine::portable::value::Value;

pub(super) const PASS: Pass = Pass {
    name: "silu_mul",
    find,
};

static OP: Op = Op {
    name: "silu_mul",
    eval,
    gradient: Gradient::Full,
    batch: Batch::Leading(&["x", "y"], 0),
    samples: &[],
};

fn find(graph: &Graph, step: &Step) -> Option<Step> {
    if name(step) != "mul" {
        return None;
    }
    operands(step).find_map(|(gate, other)| {
        let gate = graph.behind_casts(gate, "silu")?;
        let x = arg(gate, "x")?;
        let args = vec![("x", x.clone()), ("y", other.clone())];
        graph.is_float(other).then(|| fused(step, &OP, args))
    })
}

fn eval(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let (x, y) = (call.floats("x")?, call.floats("y")?);
    let shape = shapes::broadcast(call, x.dims(), y.dims())?;
    Ok(vec![zip(x, y, &shape, SiluMul)?.into()])
}

/// a · σ(a) · b.
#[derive(Clone, Copy)]
struct SiluMul;

impl Pair for SiluMul {
    fn value<R: Real>(&self, a: R, b: R) -> R {
        a * sigmoid(a) * b
    }

    fn slopes<R: Real>(&self, a: R, b: R) -> (R, R) {
        let s = sigmoid(a);
        (s * (R::of(1.0) + a * (R::of(1.0) - s)) * b, a * s)
    }
}

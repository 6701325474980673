//! Ordering elements by value.

use candle_core::{DType as Candle, Tensor};

use super::{Op, discrete, integers, one, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::{Absent, Batch};
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[
    discrete(
        "argsort",
        argsort,
        &[
            sample(
                "tensor<int32, [2, 3]> y = argsort(x = tensor<fp32, [2, 3]>([[3.0, 1.0, 2.0], [-1.0, 5.0, 0.0]]));",
                &[&[0.0, 2.0, 1.0, 1.0, 2.0, 0.0]],
            ),
            sample(
                "tensor<int32, [3]> y = argsort(x = tensor<int32, [3]>([3, 1, 2]), axis = int32(0), ascending = bool(true));",
                &[&[1.0, 2.0, 0.0]],
            ),
        ],
    ).batch(Batch::Axes(&["x"], "axis", Absent::Axis(-1))),
    smooth(
        "topk",
        topk,
        &[
            sample(
                "tensor<fp32, [2, 2]> v, tensor<int32, [2, 2]> i = topk(x = tensor<fp32, [2, 3]>([[3.0, 1.0, 2.0], [-1.0, 5.0, 0.0]]), k = int32(2));",
                &[&[3.0, 2.0, 5.0, 0.0], &[0.0, 2.0, 1.0, 2.0]],
            ),
            sample(
                "tensor<fp32, [1, 3]> v, tensor<uint16, [1, 3]> i = topk(x = tensor<fp32, [2, 3]>([[3.0, 1.0, 2.0], [-1.0, 5.0, 0.0]]), k = int32(1), axis = int32(0), ascending = bool(true), output_indices_dtype = string(\"uint16\"));",
                &[&[-1.0, 1.0, 0.0], &[1.0, 0.0, 1.0]],
            ),
        ],
    ).batch(Batch::Axes(&["x"], "axis", Absent::Axis(-1))),
];

/// The first `k` indices along the last axis, ordered by value; equal values by index.
fn ordered(x: &Tensor, k: usize, ascending: bool) -> Result<Vec<i64>> {
    let width = x.dims()[x.rank() - 1];
    let values: Vec<f64> = x.detach().flatten_all()?.to_dtype(Candle::F64)?.to_vec1()?;
    let rows = values.chunks(width.max(1));
    Ok(rows
        .flat_map(|row| {
            let by_value = |a: &usize, b: &usize| {
                let order = row[*a].total_cmp(&row[*b]);
                let order = if ascending { order } else { order.reverse() };
                order.then(a.cmp(b))
            };
            let mut indices: Vec<usize> = (0..width).collect();
            if k < width && k > 0 {
                indices.select_nth_unstable_by(k - 1, by_value);
            }
            indices.truncate(k);
            indices.sort_unstable_by(by_value);
            indices.into_iter().map(|i| i as i64)
        })
        .collect())
}

fn argsort(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let x = call.tensor("x")?;
    let axis = shapes::axis_of(call, -1, x.rank())?;
    let rows = shapes::last(x, axis)?;
    let indices = ordered(&rows, x.dims()[axis], call.bool_or("ascending", false)?)?;
    one(shapes::moved(
        &integers::tensor(indices, rows.dims())?,
        x.rank() - 1,
        axis,
    )?)
}

fn topk(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    call.ignore(&["sort", "output_indices_dtype"]);
    let x = call.tensor("x")?;
    let axis = shapes::axis_of(call, -1, x.rank())?;
    let rows = shapes::last(x, axis)?;
    let width = x.dims()[axis];
    let k = match call.int_or("k", 1)? {
        -1 => width,
        k => match usize::try_from(k) {
            Ok(k) if k <= width => k,
            _ => fail!("the best {k} of {width}"),
        },
    };
    let mut shape = rows.dims().to_vec();
    shape[x.rank() - 1] = k;
    let indices = ordered(&rows, k, call.bool_or("ascending", false)?)?;
    let indices = integers::tensor(indices, &shape)?;
    let values = rows.gather(&indices.to_device(x.device())?, x.rank() - 1)?;
    let back = |t: &Tensor| shapes::moved(t, x.rank() - 1, axis);
    let mut results = vec![back(&values)?.into()];
    if call.bool_or("return_indices", true)? {
        results.push(back(&indices)?.into());
    }
    Ok(results)
}

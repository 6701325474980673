//! Products of matrices.

use candle_core::{DType as Candle, Device, Tensor};

use super::elementwise_binary::Add;
use super::{Op, one, sample, shapes, smooth};
use crate::diag::Result;
use crate::engine::portable::batch::{Batch, Group, Lane};
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::kernels::{self, zip};
use crate::engine::portable::value::Value;
use crate::fail;
use crate::mil;
use crate::numeric::DType;

pub(super) const OPS: &[Op] = &[
    smooth(
        "einsum",
        einsum,
        &[
            sample(
                "tensor<fp32, [1, 1, 2]> z = einsum(values = (tensor<fp32, [1, 1, 2]>([[[1.0, 2.0]]]), tensor<fp32, [2, 1, 2]>([[[1.0, 0.5]], [[2.0, -1.0]]])), equation = string(\"chw,whr->chr\"));",
                &[&[5.0, -1.5]],
            ),
            sample(
                "tensor<fp32, [1, 2, 1, 2]> z = einsum(values = (tensor<fp32, [1, 2, 1, 2]>([[[[1.0, 2.0]], [[3.0, 4.0]]]]), tensor<fp32, [1, 2, 1, 2]>([[[[1.0, 0.5]], [[2.0, -1.0]]]])), equation = string(\"nchw,nwhu->nchu\"));",
                &[&[5.0, -1.5, 11.0, -2.5]],
            ),
            sample(
                "tensor<fp32, [2, 2]> z = einsum(values = (tensor<fp32, [1, 2]>([[1.0, 2.0]]), tensor<fp32, [2, 1, 2]>([[[1.0, 0.5]], [[2.0, -1.0]]])), equation = string(\"ab,abc->ac\"));",
                &[&[3.0, 1.5, 6.0, -3.0]],
            ),
        ],
    ).batch(Batch::Own(einsum_together)),
    smooth(
        "linear",
        linear,
        &[
            sample(
                "tensor<fp32, [2, 3]> y = linear(x = tensor<fp32, [2, 2]>([[1.0, 2.0], [3.0, -1.0]]), weight = tensor<fp32, [3, 2]>([[1.0, 0.5], [2.0, -1.0], [0.0, 4.0]]), bias = tensor<fp32, [3]>([10.0, 20.0, 30.0]));",
                &[&[12.0, 20.0, 38.0, 12.5, 27.0, 26.0]],
            ),
            sample(
                "tensor<fp32, [2]> y = linear(x = tensor<fp32, [2]>([1.0, 2.0]), weight = tensor<fp32, [2, 2]>([[1.0, 0.5], [2.0, -1.0]]));",
                &[&[2.0, 0.0]],
            ),
            sample(
                "tensor<fp32, [1]> y = linear(x = tensor<fp32, [2]>([1.5, 2.0]), weight = tensor<int32, [1, 2]>([[3, -1]]), bias = tensor<int32, [1]>([2]));",
                &[&[4.5]],
            ),
        ],
    ).batch(Batch::Leading(&["x"], 1)),
    smooth(
        "matmul",
        matmul,
        &[
            sample(
                "tensor<fp32, [2, 2]> z = matmul(x = tensor<fp32, [2, 3]>([[1.0, 2.0, 0.5], [3.0, -1.0, 2.0]]), y = tensor<fp32, [3, 2]>([[1.0, 0.5], [2.0, -1.0], [4.0, 6.0]]));",
                &[&[7.0, 1.5, 9.0, 14.5]],
            ),
            sample(
                "tensor<fp32, [2, 1, 2]> z = matmul(x = tensor<fp32, [2, 2, 1]>([[[1.0], [2.0]], [[3.0], [-1.0]]]), y = tensor<fp32, [2, 2]>([[1.0, 0.5], [2.0, -1.0]]), transpose_x = bool(true), transpose_y = bool(true));",
                &[&[2.0, 0.0, 2.5, 7.0]],
            ),
            sample(
                "tensor<fp32, [2]> z = matmul(x = tensor<fp32, [2]>([1.0, 2.0]), y = tensor<fp32, [2, 2]>([[1.0, 0.5], [2.0, -1.0]]));",
                &[&[5.0, -1.5]],
            ),
            sample(
                "tensor<int32, [1, 1]> z = matmul(x = tensor<int32, [1, 2]>([[16777217, 2]]), y = tensor<int32, [2, 1]>([[3], [-1]]));",
                &[&[50331649.0]],
            ),
        ],
    ).batch(Batch::Leading(&["x", "y"], 2)),
];

/// x Wᵀ + b, `weight` as `[out, in]`.
fn linear(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let [x, weight] = &operands(call, ["x", "weight"])?;
    let (Some(width), [out, inner]) = (x.dims().last(), weight.dims()) else {
        fail!("linear of {:?} by {:?}", x.dims(), weight.dims());
    };
    if width != inner {
        fail!("linear of {:?} by {:?}", x.dims(), weight.dims());
    }
    let rows = x.elem_count() / inner.max(&1);
    let flat = x.reshape((rows, *inner))?;
    call.check_size(&[rows, *out])?;
    let mut y = kernels::matmul(&flat, weight, true)?;
    if let Some(bias) = call.opt_tensor("bias")? {
        let bias = bias.to_dtype(y.dtype())?.to_device(y.device())?;
        y = zip(&y, &bias, &[rows, *out], Add)?;
    }
    let mut shape = x.dims().to_vec();
    shape.truncate(x.rank() - 1);
    shape.push(*out);
    one(declared(call, &y.reshape(shape)?)?)
}

/// Both operands in one float type. From iOS 17 types may differ, and integers go with integers too:
/// these are multiplied exactly.
fn operands(call: &Call, names: [&str; 2]) -> Result<[Tensor; 2]> {
    let (x, y) = (call.tensor(names[0])?, call.tensor(names[1])?);
    let given = match (x.dtype().is_float(), y.dtype().is_float()) {
        (true, true) => return Ok([x.clone(), y.clone()]),
        _ if gives_integers(call) => return Ok([exact(x)?, exact(y)?]),
        (true, false) => x,
        (false, true) => y,
        (false, false) => fail!("a product of integers was declared to be of a float type"),
    };
    let alike = |t: &Tensor| t.to_dtype(given.dtype())?.to_device(given.device());
    Ok([alike(x)?, alike(y)?])
}

fn exact(x: &Tensor) -> Result<Tensor> {
    Ok(x.to_device(&Device::Cpu)?.to_dtype(Candle::F64)?)
}

fn gives_integers(call: &Call) -> bool {
    let dtype = call.outputs.first().and_then(mil::Type::dtype);
    dtype.is_some_and(DType::is_int)
}

/// `z` as integers where they are declared.
fn declared(call: &Call, z: &Tensor) -> Result<Tensor> {
    match gives_integers(call) {
        true => Ok(z.to_dtype(Candle::I64)?),
        false => Ok(z.clone()),
    }
}

fn matmul(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let [x, y] = &operands(call, ["x", "y"])?;
    let mut turn_x = call.bool_or("transpose_x", false)?;
    let mut turn_y = call.bool_or("transpose_y", false)?;
    if x.rank() == 0 || y.rank() == 0 {
        fail!("matmul needs tensors of rank 1 or more");
    }
    let (row, column) = (x.rank() == 1, y.rank() == 1);
    let x = match row {
        true => {
            turn_x = false;
            x.unsqueeze(0)?
        }
        false => x.clone(),
    };
    let y = match column {
        true => {
            turn_y = false;
            y.unsqueeze(1)?
        }
        false => y.clone(),
    };
    let x = if turn_x { x.t()? } else { x };
    let z = batched(call, &x, &y, turn_y)?;
    let mut shape = z.dims().to_vec();
    if column {
        shape.pop();
    }
    if row {
        shape.remove(z.rank() - 2);
    }
    one(declared(call, &z.reshape(shape)?)?)
}

/// `x` times `y` (or its transpose) with numpy's broadcasting of the leading axes.
pub(super) fn batched(call: &Call, x: &Tensor, y: &Tensor, turned: bool) -> Result<Tensor> {
    let ((a, m), (b, n)) = (
        x.dims().split_at(x.rank() - 2),
        y.dims().split_at(y.rank() - 2),
    );
    let (inner, out) = if turned { (n[1], n[0]) } else { (n[0], n[1]) };
    if m[1] != inner {
        fail!(
            "matmul of {:?} by {:?}: {} is not {inner}",
            x.dims(),
            y.dims(),
            m[1]
        );
    }
    let mut shape = shapes::broadcast(call, a, b)?;
    if b.iter().all(|n| *n == 1) && b.len() <= a.len() {
        let rows: usize = a.iter().product::<usize>() * m[0];
        call.check_size(&[rows, out])?;
        let flat = x.reshape((rows, m[1]))?;
        let z = kernels::matmul(&flat, &y.reshape((n[0], n[1]))?, turned)?;
        shape.extend([m[0], out]);
        return Ok(z.reshape(shape)?);
    }
    let spread = |t: &Tensor, tail: &[usize]| {
        let mut full = shape.clone();
        full.extend(tail);
        match t.dims() == full {
            true => Ok(t.clone()),
            false => t.broadcast_as(full),
        }
    };
    let (x, y) = (spread(x, m)?, spread(y, n)?);
    shape.extend([m[0], out]);
    call.check_size(&shape)?;
    Ok(kernels::matmul(&x, &y, turned)?)
}

/// Any einsum of two operands without repeated labels inside one; extents of 1 are stretched.
fn einsum(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let equation: String = call.text("equation")?.split_whitespace().collect();
    let [x, y] = call.many("values")? else {
        fail!("einsum takes two values");
    };
    let Some((a, b, out)) = labels(&equation) else {
        fail!("einsum equation \"{equation}\" is not of the form \"ab,bc->ac\"");
    };
    let (x, a) = summed(x.tensor()?, &a, &[b.as_slice(), &out].concat())?;
    let (y, b) = summed(y.tensor()?, &b, &[a.as_slice(), &out].concat())?;
    let (x, y) = (
        stretched((&x, &a), (&y, &b))?,
        stretched((&y, &b), (&x, &a))?,
    );
    call.check_size(x.dims())?;
    call.check_size(y.dims())?;
    let class = |own: &[char], other: &[char], in_out: bool| -> Vec<char> {
        let shared = own
            .iter()
            .filter(|l| other.contains(l) && out.contains(l) == in_out);
        shared.copied().collect()
    };
    let (batch, inner) = (class(&a, &b, true), class(&a, &b, false));
    let only = |own: &[char], other: &[char]| -> Vec<char> {
        own.iter().filter(|l| !other.contains(l)).copied().collect()
    };
    let (left, right) = (only(&a, &b), only(&b, &a));
    if inner
        .iter()
        .chain(&batch)
        .any(|l| extent(&x, &a, *l) != extent(&y, &b, *l))
    {
        fail!("einsum \"{equation}\" of {:?} and {:?}", x.dims(), y.dims());
    }
    let x3 = grouped(&x, &a, [&batch, &left, &inner])?;
    let y3 = grouped(&y, &b, [&batch, &inner, &right])?;
    call.check_size(&[x3.dims()[0], x3.dims()[1], y3.dims()[2]])?;
    let z = kernels::matmul(&x3, &y3, false)?;
    let made = [batch, left, right].concat();
    let dims: Vec<usize> = made
        .iter()
        .map(|l| {
            if a.contains(l) {
                extent(&x, &a, *l)
            } else {
                extent(&y, &b, *l)
            }
        })
        .collect();
    let order: Option<Vec<usize>> = out
        .iter()
        .map(|l| made.iter().position(|m| m == l))
        .collect();
    match order {
        Some(order) if order.len() == made.len() => one(z.reshape(dims)?.permute(order)?),
        _ => fail!("einsum equation \"{equation}\" makes labels out of nothing"),
    }
}

/// The axis of the examples is a label more.
fn einsum_together(mut group: Group, ctx: &mut Ctx) -> Result<Option<Vec<Lane>>> {
    let equation = match group.lane("equation").map(|lane| &lane.value) {
        Some(Value::Texts(texts)) => texts.concat(),
        _ => return Ok(None),
    };
    let free = ('A'..='Z')
        .chain('a'..='z')
        .find(|label| !equation.contains(*label));
    let (Some(label), Some((operands, out)), true) =
        (free, equation.split_once("->"), group.only(&["values"]))
    else {
        return Ok(None);
    };
    let labelled = operands.split(',').zip(group.lanes("values"));
    let labelled = labelled.map(|(labels, lane)| match lane.batched {
        true => format!("{label}{}", labels.trim()),
        false => labels.to_owned(),
    });
    let operands = labelled.collect::<Vec<_>>().join(",");
    let equation = format!("{operands}->{label}{}", out.trim());
    group.set("equation", Lane::shared(Value::text(&equation)));
    group.whole(ctx)
}

/// `x` with the extents of `y` where its own are 1.
fn stretched((x, a): (&Tensor, &[char]), (y, b): (&Tensor, &[char])) -> Result<Tensor> {
    let wanted = |(i, label): (usize, &char)| match x.dims()[i] {
        1 if b.contains(label) => extent(y, b, *label),
        own => own,
    };
    let shape: Vec<usize> = a.iter().enumerate().map(wanted).collect();
    match x.dims() == shape {
        true => Ok(x.clone()),
        false => Ok(x.broadcast_as(shape)?),
    }
}

fn labels(equation: &str) -> Option<(Vec<char>, Vec<char>, Vec<char>)> {
    let (operands, out) = equation.split_once("->")?;
    let (a, b) = operands.split_once(',')?;
    let read = |text: &str| -> Option<Vec<char>> {
        let labels: Vec<char> = text.chars().collect();
        let distinct = (1..labels.len()).all(|i| !labels[..i].contains(&labels[i]));
        (distinct && labels.iter().all(char::is_ascii_alphabetic)).then_some(labels)
    };
    Some((read(a)?, read(b)?, read(out)?))
}

/// `x` summed over the labels that nobody else knows.
fn summed(x: &Tensor, labels: &[char], known: &[char]) -> Result<(Tensor, Vec<char>)> {
    if x.rank() != labels.len() || !x.dtype().is_float() {
        fail!(
            "einsum labels {labels:?} for a value of shape {:?}",
            x.dims()
        );
    }
    let alone: Vec<usize> = (0..labels.len())
        .filter(|i| !known.contains(&labels[*i]))
        .collect();
    let kept = labels
        .iter()
        .filter(|l| known.contains(l))
        .copied()
        .collect();
    match alone.is_empty() {
        true => Ok((x.clone(), kept)),
        false => Ok((x.sum(alone.as_slice())?, kept)),
    }
}

fn extent(x: &Tensor, labels: &[char], label: char) -> usize {
    labels
        .iter()
        .position(|l| *l == label)
        .map_or(1, |i| x.dims()[i])
}

/// `x` with its axes in three groups, each made one axis.
fn grouped(x: &Tensor, labels: &[char], groups: [&Vec<char>; 3]) -> Result<Tensor> {
    let wanted = groups.iter().flat_map(|g| g.iter());
    let order: Vec<usize> = wanted
        .filter_map(|l| labels.iter().position(|m| m == l))
        .collect();
    let sizes = groups.map(|g| g.iter().map(|l| extent(x, labels, *l)).product::<usize>());
    Ok(x.permute(order)?.reshape((sizes[0], sizes[1], sizes[2]))?)
}

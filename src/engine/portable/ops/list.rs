//! Lists of tensors; writing gives a new list.

use std::sync::Arc;

use candle_core::{DType as Candle, Device, Tensor};

use super::{Op, discrete, integers, one, sample, smooth};
use crate::diag::Result;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[
    smooth(
        "list_gather",
        list_gather,
        &[sample(
            "list<tensor<fp32, [2]>, 3> l = make_list(init_length = int32(3), elem_shape = tensor<int32, [1]>([2]));\n\
            list<tensor<fp32, [2]>, 3> m = list_scatter(ls = l, indices = tensor<int32, [3]>([2, 0, 1]), value = tensor<fp32, [3, 2]>([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));\n\
            tensor<fp32, [2, 2]> y = list_gather(ls = m, indices = tensor<int32, [2]>([0, 2]));",
            &[&[3.0, 4.0, 1.0, 2.0]],
        )],
    ),
    discrete(
        "list_length",
        |call, _| one(integers::tensor(vec![items(call)?.len() as i64], &[])?),
        &[sample(
            "list<tensor<fp32, [2]>, ?> l = make_list(init_length = int32(3), elem_shape = tensor<int32, [1]>([2]));\n\
            list<tensor<fp32, [2]>, ?> m = list_write(ls = l, index = int32(4), value = tensor<fp32, [2]>([1.0, 2.0]));\n\
            int32 n = list_length(ls = m);",
            &[&[5.0]],
        )],
    ),
    smooth(
        "list_read",
        list_read,
        &[sample(
            "list<tensor<fp32, [2]>, ?> l = make_list(elem_shape = tensor<int32, [1]>([2]));\n\
            list<tensor<fp32, [2]>, ?> m = list_write(ls = l, index = int32(0), value = tensor<fp32, [2]>([1.0, 2.0]));\n\
            tensor<fp32, [2]> y = list_read(ls = m, index = int32(0));",
            &[&[1.0, 2.0]],
        )],
    ),
    smooth(
        "list_scatter",
        list_scatter,
        &[sample(
            "list<tensor<fp32, [1]>, ?> l = make_list(elem_shape = tensor<int32, [1]>([1]));\n\
            list<tensor<fp32, [1]>, ?> m = list_scatter(ls = l, indices = tensor<int32, [2]>([1, 0]), value = tensor<fp32, [2, 1]>([[1.0], [2.0]]));\n\
            tensor<fp32, [1]> y = list_read(ls = m, index = int32(1));",
            &[&[1.0]],
        )],
    ),
    smooth(
        "list_write",
        list_write,
        &[sample(
            "list<tensor<fp32, [1]>, ?> l = make_list(elem_shape = tensor<int32, [1]>([1]));\n\
            list<tensor<fp32, [1]>, ?> m = list_write(ls = l, index = int32(2), value = tensor<fp32, [1]>([7.0]));\n\
            tensor<fp32, [1]> y = list_read(ls = m, index = int32(2));",
            &[&[7.0]],
        )],
    ),
    discrete(
        "make_list",
        make_list,
        &[sample(
            "list<tensor<fp32, [2]>, 3> l = make_list(init_length = int32(3), dynamic_length = bool(false), elem_shape = tensor<int32, [1]>([2]), dtype = string(\"fp32\"));\n\
            int32 n = list_length(ls = l);",
            &[&[3.0]],
        )],
    ),
];

type Items = Vec<Option<Value>>;

fn items<'c>(call: &'c Call) -> Result<&'c Arc<Items>> {
    match call.value("ls")? {
        Value::List(items) => Ok(items),
        other => fail!("parameter \"ls\" must be a list, got {}", other.kind()),
    }
}

fn make_list(call: &Call, ctx: &mut Ctx) -> Result<Vec<Value>> {
    call.ignore(&["dynamic_length"]);
    let length = usize::try_from(call.int_or("init_length", 1)?).unwrap_or(usize::MAX);
    check_length(call, length)?;
    one(Value::List(Arc::new(vec![zeros(call, ctx)?; length])))
}

/// Fails if a list may not be so long: an item takes as much memory as several numbers.
fn check_length(call: &Call, length: usize) -> Result<()> {
    call.check_size(&[length, size_of::<Option<Value>>() / size_of::<f32>()])
}

/// What the items of a new list are, if their shape is known: an unknown extent is named or negative.
fn zeros(call: &Call, ctx: &Ctx) -> Result<Option<Value>> {
    let mut shape = Vec::new();
    for extents in call.many("elem_shape")? {
        if matches!(extents, Value::Texts(_)) {
            return Ok(None);
        }
        shape.extend(extents.ints()?);
    }
    let Ok(shape) = shape
        .into_iter()
        .map(usize::try_from)
        .collect::<Result<Vec<_>, _>>()
    else {
        return Ok(None);
    };
    call.check_size(&shape)?;
    let zeros = match call.text_or("dtype", "fp32")? {
        "fp16" | "fp32" => Tensor::zeros(shape, ctx.scope.float, ctx.scope.device)?,
        "bool" => Tensor::zeros(shape, Candle::U8, &Device::Cpu)?,
        _ => Tensor::zeros(shape, Candle::I64, &Device::Cpu)?,
    };
    Ok(Some(zeros.into()))
}

fn read(items: &Items, index: i64) -> Result<Value> {
    match usize::try_from(index).ok().and_then(|i| items.get(i)) {
        Some(Some(value)) => Ok(value.clone()),
        Some(None) => fail!("item {index} of the list was never written"),
        None => fail!(
            "index {index} is out of bounds: the list has {} items",
            items.len()
        ),
    }
}

/// Stores an item; the list grows as far as needed, by zeros.
fn write(call: &Call, items: &mut Items, index: i64, value: Value) -> Result<()> {
    let Ok(index) = usize::try_from(index) else {
        fail!("a list has no item {index}");
    };
    if index >= items.len() {
        check_length(call, index.saturating_add(1))?;
        let between = value.tensor()?.zeros_like()?;
        items.resize(index + 1, Some(between.into()));
    }
    items[index] = Some(value);
    Ok(())
}

fn list_read(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    one(read(items(call)?, call.int("index")?)?)
}

fn list_write(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let mut items = Items::clone(items(call)?);
    write(
        call,
        &mut items,
        call.int("index")?,
        call.value("value")?.clone(),
    )?;
    one(Value::List(Arc::new(items)))
}

fn list_gather(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let items = items(call)?;
    let indices = call.ints("indices")?;
    if let Some(Some(item)) = items.first() {
        call.check_size(&[indices.len(), item.tensor()?.elem_count()])?;
    }
    let rows: Vec<Tensor> = indices
        .iter()
        .map(|i| Ok(read(items, *i)?.tensor()?.contiguous()?))
        .collect::<Result<_>>()?;
    match rows.is_empty() {
        true => fail!("list_gather of no items"),
        false => one(Tensor::stack(&rows, 0)?),
    }
}

fn list_scatter(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let mut items = Items::clone(items(call)?);
    let (indices, value) = (call.ints("indices")?, call.tensor("value")?);
    if value.dims().first() != Some(&indices.len()) {
        fail!(
            "{} indices for a value of shape {:?}",
            indices.len(),
            value.dims()
        );
    }
    for (row, index) in indices.into_iter().enumerate() {
        write(call, &mut items, index, value.get(row)?.into())?;
    }
    one(Value::List(Arc::new(items)))
}

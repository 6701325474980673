//! Sorting with a script's comparator. rhai's own discards its errors, and with them the interrupt.

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, NativeCallContext};

use super::engine::{call, error};

type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// Replaces `sort(f)` and `sort_by(f)` of arrays.
pub(super) fn install(engine: &mut Engine) {
    for name in ["sort", "sort_by"] {
        engine.register_fn(
            name,
            |context: NativeCallContext, array: &mut Array, comparer: FnPtr| -> Fallible<()> {
                let items = std::mem::take(array);
                let kept = items.clone();
                match merge_sort(items, &mut |a, b| in_order(&context, &comparer, a, b)) {
                    Ok(sorted) => {
                        *array = sorted;
                        Ok(())
                    }
                    Err(error) => {
                        *array = kept;
                        Err(error)
                    }
                }
            },
        );
    }
}

/// Whether `a` may stand before `b`: the comparator gave a number up to 0, or `true`.
fn in_order(
    context: &NativeCallContext,
    comparer: &FnPtr,
    a: &Dynamic,
    b: &Dynamic,
) -> Fallible<bool> {
    let order = call(context, comparer, vec![a.clone(), b.clone()])?;
    if let Ok(number) = order.as_int() {
        return Ok(number <= 0);
    }
    if let Ok(number) = order.as_float() {
        return Ok(number <= 0.0);
    }
    order.as_bool().map_err(|_| {
        error(format!(
            "a comparator must give a number or a bool, not {}",
            super::show::describe(&order)
        ))
    })
}

/// Stable; stops at the first error. `sort_by` of the standard library panics when an order contradicts itself.
fn merge_sort(
    mut items: Vec<Dynamic>,
    in_order: &mut dyn FnMut(&Dynamic, &Dynamic) -> Fallible<bool>,
) -> Fallible<Vec<Dynamic>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let left = merge_sort(items, in_order)?;
    let right = merge_sort(right, in_order)?;
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = match in_order(a, b)? {
            true => left.next(),
            false => right.next(),
        };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

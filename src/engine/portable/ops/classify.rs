//! The end of a classifier in a package: which class is the most probable.

use super::{Op, sample, smooth};
use crate::diag::Result;
use crate::engine::portable::call::Call;
use crate::engine::portable::execute::Ctx;
use crate::engine::portable::value::Value;
use crate::fail;

pub(super) const OPS: &[Op] = &[smooth(
    "classify",
    classify,
    &[sample(
        "int64 label, dict<int64, fp64> p = classify(classes = list<int64, 3>([7, 8, 9]), probabilities = tensor<fp32, [1, 3]>([[0.2, 0.7, 0.1]]));",
        &[&[8.0], &[0.2, 0.7, 0.1]],
    )],
)];

/// The class, as it is listed, and the probabilities as a tensor, in the order of the classes.
fn classify(call: &Call, _: &mut Ctx) -> Result<Vec<Value>> {
    let probabilities = call.value("probabilities")?;
    let values = probabilities.floats()?;
    let highest = values.iter().enumerate().rev();
    let Some((best, _)) = highest.max_by(|a, b| a.1.total_cmp(b.1)) else {
        fail!("there are no probabilities");
    };
    let (count, class) = match call.value("classes")? {
        Value::Texts(texts) => (texts.len(), texts.get(best).map(|text| Value::text(text))),
        Value::List(items) => (items.len(), items.get(best).cloned().flatten()),
        other => fail!("parameter \"classes\" must be a list, got {}", other.kind()),
    };
    match class {
        Some(class) if count == values.len() => Ok(vec![class, probabilities.clone()]),
        _ => fail!("{} probabilities of {count} classes", values.len()),
    }
}

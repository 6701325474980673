//! Checkpoints that classify texts, `…ForSequenceClassification`: reward models, judges, rerankers.

use super::keys::Keys;
use crate::convert::Checkpoint;
use crate::convert::transformer::{Head, Linear, Pool, Transformer};
use crate::diag::{Error, Result};
use crate::fail;

/// Whether the checkpoint says so.
pub(super) fn is_classifier(source: &Checkpoint) -> Result<bool> {
    let names = Keys(&source.config).list("architectures")?;
    let names = names
        .unwrap_or_default()
        .iter()
        .filter_map(|name| name.as_str());
    Ok(names
        .into_iter()
        .any(|name| name.ends_with("ForSequenceClassification")))
}

/// How many classes the matrix `name` tells apart.
pub(super) fn labels(source: &Checkpoint, name: &str) -> Result<usize> {
    match source.tensors.shapes().get(name).map(Vec::as_slice) {
        Some(&[classes, _]) => Ok(classes),
        Some(shape) => fail!("weight \"{name}\" is {shape:?}, expected [classes, hidden]"),
        None => {
            let known = source.tensors.shapes().keys().map(String::as_str);
            Err(Error::unknown("weight", name, known))
        }
    }
}

/// A decoder as a classifier, if the checkpoint is one: `score` of the last token.
pub(super) fn scored(source: &Checkpoint, mut model: Transformer) -> Result<Transformer> {
    if model.gives_tokens() && is_classifier(source)? {
        let classes = labels(source, "score.weight")?;
        model.head = Head::Classes {
            pool: Pool::Last,
            dense: None,
            norm: None,
            linear: Linear::new("score", [model.hidden, classes], false),
        };
    }
    Ok(model)
}

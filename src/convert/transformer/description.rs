//! What programs of transformers look like from outside.
//!
//! Stateless: `input_ids` int32 `[batch, length]` → `logits` `[batch, length, vocab]`. Encoders and classifiers take
//! `attention_mask` beside it, 1 for tokens and 0 for padding on the right, and perhaps `token_type_ids`.
//!
//! Stateful, as Apple's Llama and Mistral are and Hugging Face's swift-transformers runs them: `inputIds` int32
//! `[1, length]` and `causalMask` fp16 `[1, 1, length, end]`, whose columns tell where the tokens stand (the last
//! is at position end − 1); states `keyCache` and `valueCache`; `logits` `[1, length, vocab]`. The function
//! `prefill` takes any number of tokens, `decode` one.

use super::cache::STATE;
use super::{Head, Layout, Transformer};
use crate::numeric::DType;
use crate::package::{
    Description, Feature, FeatureKind, Flexibility, FunctionDescription, Metadata,
};

/// Names of the functions, the default one first, with the number of tokens that they take if it is fixed.
pub(super) fn functions(layout: &Layout) -> &'static [(&'static str, Option<usize>)] {
    match layout.stateful {
        true => &[("prefill", None), ("decode", Some(1))],
        false => &[("main", None)],
    }
}

/// `[layers, 1, heads, context, head_dim]`.
pub(super) fn state_shape(model: &Transformer, layout: &Layout) -> [usize; 5] {
    let layers = model.layers.len();
    [layers, 1, model.kv_heads, layout.context, model.head_dim]
}

pub(super) fn description(model: &Transformer, layout: &Layout) -> Description {
    let described = functions(layout).iter().map(|(name, tokens)| {
        let function = match layout.stateful {
            true => stateful(model, layout, *tokens),
            false => stateless(model, layout),
        };
        ((*name).to_owned(), function)
    });
    Description {
        specification_version: 9,
        functions: described.collect(),
        default_function: functions(layout)[0].0.to_owned(),
        metadata: Metadata::default(),
        ..Description::default()
    }
}

fn stateless(model: &Transformer, layout: &Layout) -> FunctionDescription {
    let (batch, length) = (layout.batch, layout.context);
    let input = |name| match layout.fixed {
        true => array(name, DType::Int32, &[batch, length]),
        false => ranged(name, DType::Int32, &[batch, length]),
    };
    let dtype = layout.precision.dtype();
    let output = |name, shape: &[usize]| match layout.fixed {
        true => array(name, dtype, shape),
        false => array(name, dtype, &[]),
    };
    let mut inputs = vec![input("input_ids")];
    inputs.extend(model.takes_mask().then(|| input("attention_mask")));
    let types = model.embedding.types.as_ref();
    inputs.extend(types.map(|_| input("token_type_ids")));
    let outputs = match &model.head {
        Head::Tokens { .. } => vec![output("logits", &[batch, length, model.vocab])],
        Head::Classes { linear, .. } => vec![output("logits", &[batch, linear.outputs])],
        Head::Hidden => vec![
            output("last_hidden_state", &[batch, length, model.hidden]),
            output("embedding", &[batch, model.hidden]),
        ],
    };
    FunctionDescription {
        inputs,
        outputs,
        ..FunctionDescription::default()
    }
}

fn stateful(model: &Transformer, layout: &Layout, tokens: Option<usize>) -> FunctionDescription {
    let most = tokens.unwrap_or(layout.context);
    let dtype = layout.precision.dtype();
    let ids = match tokens {
        Some(tokens) => array("inputIds", DType::Int32, &[1, tokens]),
        None => ranged("inputIds", DType::Int32, &[1, most]),
    };
    let logits = match tokens {
        Some(tokens) => array("logits", dtype, &[1, tokens, model.vocab]),
        None => array("logits", dtype, &[]),
    };
    let state = state_shape(model, layout);
    FunctionDescription {
        inputs: vec![
            ids,
            ranged("causalMask", STATE, &[1, 1, most, layout.context]),
        ],
        outputs: vec![logits],
        states: vec![
            array("keyCache", STATE, &state),
            array("valueCache", STATE, &state),
        ],
        ..FunctionDescription::default()
    }
}

fn array(name: &str, dtype: DType, shape: &[usize]) -> Feature {
    Feature::array(name, dtype, shape)
}

/// Extents from 1 to those of `most`.
fn ranged(name: &str, dtype: DType, most: &[usize]) -> Feature {
    let ranges = most.iter().map(|most| (1, Some(*most))).collect();
    Feature {
        kind: FeatureKind::Array {
            dtype,
            shape: vec![1; most.len()],
            flexibility: Flexibility::Ranges(ranges),
            default: None,
        },
        ..array(name, dtype, most)
    }
}

//! Tensors: weights, values from inside a model, attention; what they hold at a glance and number by number.

use std::sync::{Arc, OnceLock};

use rhai::{Dynamic, Map};

use super::models::Model;
use super::tracing::inputs;
use crate::diag::Result;
use crate::engine::portable::Portable;
use crate::fail;
use crate::host::nested::{array, nested};
use crate::host::value::place;
use crate::host::{
    Call, Key, Kind, ScriptFn, ScriptValue, Topic, TypeEntry, function, index, method, property,
};
use crate::numeric::{Array, Stats};
use crate::report::{Display, Drawing, Heat, Plot, corners, stats_line, visible_bytes};

pub(super) const TOPIC: Topic = Topic {
    name: "tensors",
    summary: "Tensors: weights, values from inside a model, attention.",
    functions,
    types: || vec![TypeEntry::of::<Tensor>()],
};

/// Numbers of a shape and type, in host memory.
#[derive(Clone)]
pub(super) struct Tensor {
    array: Array,
    stats: Arc<OnceLock<Stats>>,
}

impl Tensor {
    pub fn new(array: Array) -> Self {
        Self {
            array,
            stats: Arc::default(),
        }
    }

    pub fn array(&self) -> &Array {
        &self.array
    }

    fn stats(&self) -> &Stats {
        let stats = || Stats::of_values(self.array.to_f64s().into_iter());
        self.stats.get_or_init(stats)
    }

    /// The part at a place of the first side; negative counts from the end.
    fn part(&self, at: i64) -> Result<Dynamic> {
        let Some((length, rest)) = self.array.shape().split_first() else {
            fail!("a tensor without sides has one number: to_array() gives it");
        };
        let Some(place) = place(at, *length) else {
            fail!("place {at} is out of range: the first side has {length}");
        };
        let size = self.array.bytes().len() / length;
        let bytes = self.array.bytes()[place * size..(place + 1) * size].to_vec();
        let part = Self::new(Array::new(self.array.dtype(), rest.to_vec(), bytes)?);
        Ok(match rest {
            [] => part.to_script(),
            _ => Dynamic::from(part),
        })
    }

    /// Along the first side.
    fn parts(&self) -> Result<rhai::Array> {
        let length = self.array.shape().first().copied().unwrap_or(1);
        (0..length as i64).map(|at| self.part(at)).collect()
    }

    fn to_script(&self) -> Dynamic {
        let whole = !self.array.dtype().is_float();
        nested(self.array.shape(), &self.array.to_f64s(), whole)
    }

    /// The rows of a matrix.
    pub fn rows(&self) -> Result<Vec<Vec<f64>>> {
        let [_, width] = *self.array.shape() else {
            fail!(
                "expected a matrix, got a tensor of shape {:?}",
                self.array.shape()
            );
        };
        let values = self.array.to_f64s();
        Ok(values.chunks(width.max(1)).map(<[f64]>::to_vec).collect())
    }
}

impl ScriptValue for Tensor {
    const NAME: &'static str = "Tensor";
    const SUMMARY: &'static str = "Numbers of a shape and a type.";
    const PARTS: Option<fn(&Self) -> Result<rhai::Array>> = Some(Tensor::parts);

    fn line(&self) -> String {
        format!("Tensor({} {:?})", self.array.dtype(), self.array.shape())
    }

    fn stats(&self) -> Option<String> {
        let (dtype, shape) = (self.array.dtype().name(), self.array.shape());
        Some(stats_line(dtype, shape, self.stats()))
    }

    fn show(&self) -> Display {
        let told = ScriptValue::stats(self).unwrap_or_default();
        let numbers = corners(self.array.shape(), &self.array.to_f64s(), 80);
        Display::Text(format!("{told}\n{numbers}"))
    }

    fn data(&self) -> Option<Dynamic> {
        Some(self.to_script())
    }
}

const ATTENTION: &[Key] = &[
    Key::int("layer", 0, "Which layer; negative counts from the end."),
    Key::optional(
        "head",
        Kind::Int,
        "Which head; the mean of all if left out.",
    ),
];

const INPUTS: Kind = Kind::Either(&[Kind::Text, Kind::Array, Kind::Map]);
/// What the parameter `inputs` says of itself.
const GIVEN: &str = "A text, token ids, or a map of input name to numbers (nested arrays).";

fn functions() -> Vec<ScriptFn> {
    let mut all = inside_models();
    all.extend(of_tensors());
    all
}

fn inside_models() -> Vec<ScriptFn> {
    vec![
        method::<Model>("weight", "One of its weights, dense.")
            .param("name", Kind::Text, "Its name, as `weights()` lists it.")
            .returns("Tensor")
            .example("let m = load(\"embedded:student\"); m.weight(\"model_norm_weight\").shape", "[96]")
            .run(weight),
        method::<Model>("values", "What operations gave when the model ran once.")
            .param("inputs", INPUTS, GIVEN)
            .param("labels", Kind::Array, "The operations' labels, as `trace` tells them.")
            .returns("map")
            .details("From label to Tensor; an array of them for an operation that ran several times.")
            .example("load(\"embedded:student\").values(\"the soup\", [\"logits\"]).logits.shape", "[1, 2, 384]")
            .run(values),
        method::<Model>("attention", "How much each token attends to those before it, as a heat map.")
            .param("inputs", INPUTS, GIVEN)
            .options(ATTENTION)
            .returns("Plot")
            .example("[load(\"embedded:student\").attention(\"the soup was good\", #{layer: 0, head: 1})]", "[Plot(\"layer 0, head 1\", 4 × 4)]")
            .run(attention_plot),
        method::<Model>("attention_weights", "How much each position attends to each: a tensor of layers, heads, queries and keys.")
            .param("inputs", INPUTS, GIVEN)
            .returns("array")
            .details("One tensor [heads, queries, keys] a layer (with the batch in front if there are several rows); each row sums to 1.")
            .example("load(\"embedded:student\").attention_weights(\"the soup\")[0].shape", "[4, 2, 2]")
            .run(|call| Ok(attention(call)?.into_iter().map(Tensor::new).collect::<Vec<_>>())),
    ]
}

fn of_tensors() -> Vec<ScriptFn> {
    vec![
        function("tensor", "A tensor of numbers.")
            .param(
                "numbers",
                Kind::Either(&[Kind::Array, Kind::Int, Kind::Float]),
                "Numbers in nested arrays of equal lengths.",
            )
            .returns("Tensor")
            .example(
                "tensor([[1, 2.5], [3, 4]])",
                "fp64 [2, 2]  min 1  max 4  mean 2.625  std 1.083\n[[1.000 2.500]\n [3.000 4.000]]",
            )
            .run(|call| Ok(Tensor::new(array(&call.get::<Dynamic>("numbers")?)?))),
        property::<Tensor>("shape", "The lengths of its sides.")
            .returns("array")
            .example("tensor([[1, 2, 3]]).shape", "[1, 3]")
            .run(|call| Ok(call.receiver::<Tensor>()?.array.shape().to_vec())),
        property::<Tensor>("dtype", "The type of its numbers.")
            .returns("string")
            .example("tensor([1.5]).dtype", "\"fp64\"")
            .run(|call| Ok(call.receiver::<Tensor>()?.array.dtype().name())),
        method::<Tensor>("stats", "Statistics of its numbers.")
            .returns("map")
            .details("Keys: count, nan, inf, and min, max, mean, std of the finite ones.")
            .example("tensor([1, 3]).stats().mean", "2.0")
            .run(|call| Ok(stats_map(call.receiver::<Tensor>()?.stats()))),
        method::<Tensor>("to_array", "Its numbers in nested arrays.")
            .returns("array")
            .example("tensor([[1, 2]]).to_array()", "[[1.0, 2.0]]")
            .run(|call| Ok(call.receiver::<Tensor>()?.to_script())),
        index::<Tensor>("The part at a place of the first side: a tensor, or a number.")
            .param("at", Kind::Int, "The place; negative counts from the end.")
            .returns("any")
            .example("tensor([[1, 2], [3, 4]])[-1][0]", "3.0")
            .run(|call| call.receiver::<Tensor>()?.part(call.get("at")?)),
    ]
}

fn stats_map(stats: &Stats) -> Map {
    let float = |name: &str, value: f64| (name.into(), Dynamic::from_float(value));
    let count = |name: &str, value: usize| (name.into(), Dynamic::from_int(value as i64));
    Map::from([
        count("count", stats.count),
        count("nan", stats.nan),
        count("inf", stats.inf),
        float("min", stats.min),
        float("max", stats.max),
        float("mean", stats.mean),
        float("std", stats.std),
    ])
}

fn weight(call: &mut Call) -> Result<Tensor> {
    let model = call.receiver::<Model>()?.0;
    let name: String = call.get("name")?;
    Ok(Tensor::new(
        model.portable()?.weight_array(model.function(), &name)?,
    ))
}

/// A run of the model on the call's inputs.
fn run<T>(
    call: &Call,
    run: impl FnOnce(&Portable, &str, &crate::engine::Features) -> Result<T>,
) -> Result<T> {
    let model = call.receiver::<Model>()?.0;
    let function = model.function();
    let described = model.description().function(function)?;
    let inputs = inputs::features(call, &model, described)?;
    run(model.portable()?, function, &inputs)
}

fn values(call: &mut Call) -> Result<Map> {
    let labels: Vec<String> = call.get("labels")?;
    let values = run(call, |engine, function, inputs| {
        engine.results(function, inputs, &labels)
    })?;
    let mut map = Map::new();
    for label in &labels {
        let of_label = values.iter().filter(|(known, _)| known == label);
        let mut tensors: Vec<Dynamic> = of_label
            .map(|(_, array)| Dynamic::from(Tensor::new(array.clone())))
            .collect();
        let value = match tensors.len() {
            1 => tensors.remove(0),
            _ => Dynamic::from_array(tensors),
        };
        map.insert(label.into(), value);
    }
    Ok(map)
}

/// `[heads, queries, keys]` of each layer.
fn attention(call: &Call) -> Result<Vec<Array>> {
    let layers = run(call, Portable::attention)?;
    let one_row = |weights: Array| match *weights.shape() {
        [1, heads, queries, keys] => weights.reshaped(vec![heads, queries, keys]),
        _ => Ok(weights),
    };
    layers
        .into_iter()
        .map(|layer| one_row(layer.weights))
        .collect()
}

fn attention_plot(call: &mut Call) -> Result<Plot> {
    let layers = attention(call)?;
    let layer = place_of("layer", call.options.get("layer")?, layers.len())?;
    let weights = &layers[layer];
    let [heads, queries, keys] = *weights.shape() else {
        fail!("the model ran on several rows; attention_weights gives them all");
    };
    let numbers = weights.to_f64s();
    let head: Option<i64> = call.options.get("head")?;
    let head = head.map(|head| place_of("head", head, heads)).transpose()?;
    let value = |q: usize, k: usize| match head {
        Some(head) => numbers[(head * queries + q) * keys + k],
        None => {
            let all = (0..heads).map(|head| numbers[(head * queries + q) * keys + k]);
            all.sum::<f64>() / heads as f64
        }
    };
    let rows = (0..queries).map(|q| (0..keys).map(|k| value(q, k)).collect());
    let names = token_names(call)?;
    let of = |count: usize| match names.len() == count {
        true => names.clone(),
        false => Vec::new(),
    };
    let heat = Heat::new(rows.collect())?.names(of(queries), of(keys))?;
    let head = head.map_or_else(
        || format!("mean of {heads} heads"),
        |head| format!("head {head}"),
    );
    Ok(Plot::new(format!("layer {layer}, {head}"))
        .labels("attends to", "")
        .drawing(Drawing::Heat(heat.between(Some(0.0), Some(1.0))?)))
}

fn place_of(what: &str, at: i64, count: usize) -> Result<usize> {
    match place(at, count) {
        Some(place) => Ok(place),
        None => fail!("{what} {at} is out of range: there are {count}"),
    }
}

/// What each token writes; nothing where tokens are not what was given.
fn token_names(call: &Call) -> Result<Vec<String>> {
    let model = call.receiver::<Model>()?.0;
    if call.get::<Map>("inputs").is_ok() {
        return Ok(Vec::new());
    }
    let Ok(tokenizer) = model.tokenizer() else {
        return Ok(Vec::new());
    };
    let ids = match call.get::<String>("inputs") {
        Ok(text) => tokenizer.encode(&text, true)?,
        Err(_) => call.get::<Vec<u32>>("inputs")?,
    };
    let name = |id: &u32| match tokenizer.token_bytes(*id) {
        Ok(bytes) => visible_bytes(&bytes),
        Err(_) => format!("#{id}"),
    };
    Ok(ids.iter().map(name).collect())
}

//! Small programs in the styles of the families: GPT-2 with masks and positions as inputs, Qwen 3 with
//! normalised queries and keys, Gemma 3 with sliding windows, capped scores and scaled embeddings.

use std::fmt::Write;
use std::sync::Arc;

use rlaif_repl::engine::Features;
use rlaif_repl::generate::NextLogits;
use rlaif_repl::mil::text;
use rlaif_repl::models::{CoreMLModelWrapper, Decoding, LoadOptions};
use rlaif_repl::numeric::{Array, DType, Rng};
use rlaif_repl::package::{Bundle, Description};

use super::{EXACT, apart, difference};

const LENGTH: usize = 12;
const VOCAB: usize = 16;
const WIDTH: usize = 8;
/// Query heads, key/value heads, and their size.
const HEADS: (usize, usize, usize) = (4, 2, 4);

/// A program while it is written.
struct Writer {
    text: String,
    rng: Rng,
    /// The type of floats: fp32 or fp16.
    float: &'static str,
    count: usize,
}

impl Writer {
    fn new(float: &'static str) -> Self {
        Self {
            text: String::new(),
            rng: Rng::new(11),
            float,
            count: 0,
        }
    }

    /// `let name = op(…)` of a float type; returns the name.
    fn op(&mut self, shape: &[usize], call: &str) -> String {
        self.count += 1;
        let (name, float) = (format!("v{}", self.count), self.float);
        let statement = writeln!(self.text, "tensor<{float}, {shape:?}> {name} = {call};");
        statement.unwrap();
        name
    }

    fn constant(&mut self, shape: &[usize], values: &[f64]) -> String {
        let float = self.float;
        let literal = nested(shape, values);
        self.op(
            shape,
            &format!("const()[val = tensor<{float}, {shape:?}>({literal})]"),
        )
    }

    fn weight(&mut self, shape: &[usize]) -> String {
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|_| self.rng.normal() * 0.4).collect();
        self.constant(shape, &values)
    }

    fn linear(&mut self, x: &str, from: usize, to: usize) -> String {
        let weight = self.weight(&[to, from]);
        self.op(
            &[1, LENGTH, to],
            &format!("linear(x = {x}, weight = {weight})"),
        )
    }

    /// x / √(mean(x²) + ε) · (1 + weight), over the last axis.
    fn norm(&mut self, x: &str, shape: &[usize]) -> String {
        let float = self.float;
        let width = *shape.last().unwrap();
        let mut one = shape.to_vec();
        *one.last_mut().unwrap() = 1;
        let square = self.op(shape, &format!("square(x = {x})"));
        let mean = format!(
            "reduce_mean(x = {square}, axes = tensor<int32, [1]>([-1]), keep_dims = bool(true))"
        );
        let mean = self.op(&one, &mean);
        let inverse = self.op(&one, &format!("rsqrt(x = {mean}, epsilon = {float}(1e-5))"));
        let scaled = self.op(shape, &format!("mul(x = {x}, y = {inverse})"));
        let weight = self.weight(&[width]);
        let weight = self.op(&[width], &format!("add(x = {weight}, y = {float}(1.0))"));
        self.op(shape, &format!("mul(x = {scaled}, y = {weight})"))
    }

    fn heads(&mut self, x: &str, heads: usize) -> String {
        let size = HEADS.2;
        let flat = self.linear(x, WIDTH, heads * size);
        let shape = format!("tensor<int32, [4]>([1, -1, {heads}, {size}])");
        let split = self.op(
            &[1, LENGTH, heads, size],
            &format!("reshape(x = {flat}, shape = {shape})"),
        );
        self.op(
            &[1, heads, LENGTH, size],
            &format!("transpose(x = {split}, perm = tensor<int32, [4]>([0, 2, 1, 3]))"),
        )
    }

    /// Rotary positions in two halves.
    fn rotated(&mut self, x: &str, heads: usize, base: f64) -> String {
        let size = HEADS.2;
        let shape = [1, heads, LENGTH, size];
        let angle = |i: usize| {
            let exponent = (i % size % (size / 2)) as f64 * 2.0 / size as f64;
            (i / size) as f64 / base.powf(exponent)
        };
        let table = |f: fn(f64) -> f64| {
            (0..LENGTH * size)
                .map(|i| f(angle(i)))
                .collect::<Vec<f64>>()
        };
        let cos = self.constant(&[LENGTH, size], &table(f64::cos));
        let sin = self.constant(&[LENGTH, size], &table(f64::sin));
        let half = [1, heads, LENGTH, size / 2];
        let cut = |from: usize, to: usize| {
            format!(
                "slice_by_index(x = {x}, begin = tensor<int32, [4]>([0, 0, 0, {from}]), \
                 end = tensor<int32, [4]>([1, {heads}, 0, {to}]), \
                 end_mask = tensor<bool, [4]>([true, true, true, false]))"
            )
        };
        let (first, second) = (
            self.op(&half, &cut(0, size / 2)),
            self.op(&half, &cut(size / 2, size)),
        );
        let float = self.float;
        let negated = self.op(&half, &format!("mul(x = {second}, y = {float}(-1.0))"));
        let turned = format!(
            "concat(values = ({negated}, {first}), axis = int32(-1), interleave = bool(false))"
        );
        let turned = self.op(&shape, &turned);
        let along = self.op(&shape, &format!("mul(x = {x}, y = {cos})"));
        let across = self.op(&shape, &format!("mul(x = {turned}, y = {sin})"));
        self.op(&shape, &format!("add(x = {along}, y = {across})"))
    }

    /// Key/value heads, repeated for the query heads that share them.
    fn repeated(&mut self, x: &str) -> String {
        let (heads, shared, size) = HEADS;
        let group = heads / shared;
        let expanded = format!("expand_dims(x = {x}, axes = tensor<int32, [1]>([2]))");
        let expanded = self.op(&[1, shared, 1, LENGTH, size], &expanded);
        let tiled =
            format!("tile(x = {expanded}, reps = tensor<int32, [5]>([1, 1, {group}, 1, 1]))");
        let tiled = self.op(&[1, shared, group, LENGTH, size], &tiled);
        let shape = format!("tensor<int32, [4]>([1, {heads}, -1, {size}])");
        self.op(
            &[1, heads, LENGTH, size],
            &format!("reshape(x = {tiled}, shape = {shape})"),
        )
    }

    /// softmax(cap(q kᵀ / √size) + mask) v, heads merged.
    fn attention(&mut self, [q, k, v]: [&str; 3], mask: &str, cap: Option<f64>) -> String {
        let ((heads, _, size), float) = (HEADS, self.float);
        let square = [1, heads, LENGTH, LENGTH];
        let mut scores = self.op(
            &square,
            &format!("matmul(x = {q}, y = {k}, transpose_y = bool(true))"),
        );
        scores = self.op(&square, &format!("mul(x = {scores}, y = {float}(0.5))"));
        if let Some(cap) = cap {
            scores = self.op(
                &square,
                &format!("real_div(x = {scores}, y = {float}({cap:?}))"),
            );
            scores = self.op(&square, &format!("tanh(x = {scores})"));
            scores = self.op(&square, &format!("mul(x = {scores}, y = {float}({cap:?}))"));
        }
        let masked = self.op(&square, &format!("add(x = {scores}, y = {mask})"));
        let weights = self.op(&square, &format!("softmax(x = {masked}, axis = int32(-1))"));
        let mixed = self.op(
            &[1, heads, LENGTH, size],
            &format!("matmul(x = {weights}, y = {v})"),
        );
        let back = format!("transpose(x = {mixed}, perm = tensor<int32, [4]>([0, 2, 1, 3]))");
        let back = self.op(&[1, LENGTH, heads, size], &back);
        let merged = format!("reshape(x = {back}, shape = tensor<int32, [3]>([1, {LENGTH}, -1]))");
        let merged = self.op(&[1, LENGTH, heads * size], &merged);
        self.linear(&merged, heads * size, WIDTH)
    }

    /// Hides later positions, and those `window` or more before.
    fn mask(&mut self, window: usize) -> String {
        let hidden = |i: usize| {
            let (row, key) = (i / LENGTH, i % LENGTH);
            f64::from(u8::from(key > row || key + window <= row)) * -1e4
        };
        let values: Vec<f64> = (0..LENGTH * LENGTH).map(hidden).collect();
        self.constant(&[1, 1, LENGTH, LENGTH], &values)
    }

    fn add(&mut self, x: &str, y: &str) -> String {
        self.op(&[1, LENGTH, WIDTH], &format!("add(x = {x}, y = {y})"))
    }

    /// The program, its logits made of `x` by `head`.
    fn model(mut self, inputs: &str, x: &str, head: &str) -> CoreMLModelWrapper {
        let logits = format!("linear(x = {x}, weight = {head})");
        let logits = self.op(&[1, LENGTH, VOCAB], &logits);
        let text = format!(
            "program(1.3){{func main<ios18>(tensor<int32, [1, {LENGTH}]> input_ids{inputs}){{\n{}}} -> ({logits});}}",
            self.text
        );
        let (program, _) = text::parse(&text, "style").unwrap();
        let description = Description::from_program(&program).unwrap();
        let bundle = Arc::new(Bundle::new(program, description));
        CoreMLModelWrapper::new("style", bundle, None, &LoadOptions::default()).unwrap()
    }
}

/// A literal of nested brackets.
fn nested(shape: &[usize], values: &[f64]) -> String {
    match shape {
        [] => format!("{:?}", values[0]),
        [extent, rest @ ..] => {
            let size = values.len() / extent;
            let parts = values.chunks(size).map(|part| nested(rest, part));
            format!("[{}]", parts.collect::<Vec<_>>().join(", "))
        }
    }
}

fn embedded(w: &mut Writer, table: &str) -> String {
    let call = format!(
        "gather(x = {table}, indices = input_ids, axis = int32(0), batch_dims = int32(0), validate_indices = bool(false))"
    );
    w.op(&[1, LENGTH, WIDTH], &call)
}

/// Norms before and after, normalised queries and keys, windows in every other layer.
fn gemma_or_qwen(float: &'static str, gemma: bool) -> CoreMLModelWrapper {
    let mut w = Writer::new(float);
    let table = w.weight(&[VOCAB, WIDTH]);
    let mut x = embedded(&mut w, &table);
    let shape = [1, LENGTH, WIDTH];
    if gemma {
        x = w.op(&shape, &format!("mul(x = {x}, y = {float}(2.828))"));
    }
    let (whole, near) = (w.mask(LENGTH), w.mask(4));
    let (heads, shared, size) = HEADS;
    for layer in 0..3 {
        let local = gemma && layer % 2 == 0;
        let base = if local { 100.0 } else { 10_000.0 };
        let normed = w.norm(&x, &shape);
        let mut turned = |heads: usize| {
            let projected = w.heads(&normed, heads);
            let normed = w.norm(&projected, &[1, heads, LENGTH, size]);
            w.rotated(&normed, heads, base)
        };
        let (q, k) = (turned(heads), turned(shared));
        let v = w.heads(&normed, shared);
        let (k, v) = (w.repeated(&k), w.repeated(&v));
        let mask = if local { &near } else { &whole };
        let mut attended = w.attention([&q, &k, &v], mask, gemma.then_some(5.0));
        if gemma {
            attended = w.norm(&attended, &shape);
        }
        x = w.add(&x, &attended);
        let normed = w.norm(&x, &shape);
        let (gate, up) = (w.linear(&normed, WIDTH, 12), w.linear(&normed, WIDTH, 12));
        let gate = w.op(
            &[1, LENGTH, 12],
            &format!("gelu(x = {gate}, mode = string(\"TANH_APPROXIMATION\"))"),
        );
        let gated = w.op(&[1, LENGTH, 12], &format!("mul(x = {gate}, y = {up})"));
        let fed = w.linear(&gated, 12, WIDTH);
        x = w.add(&x, &fed);
    }
    let x = w.norm(&x, &shape);
    w.model("", &x, &table)
}

/// Learnt positions, looked up at `position_ids`; keys hidden where `attention_mask` is 0.
fn gpt2() -> CoreMLModelWrapper {
    let mut w = Writer::new("fp32");
    let (table, positions) = (w.weight(&[VOCAB, WIDTH]), w.weight(&[LENGTH, WIDTH]));
    let shape = [1, LENGTH, WIDTH];
    let tokens = embedded(&mut w, &table);
    let places = w.op(&shape, &format!("gather(x = {positions}, indices = position_ids, axis = int32(0), batch_dims = int32(0), validate_indices = bool(false))"));
    let mut x = w.add(&tokens, &places);
    let seen = w.op(
        &[1, LENGTH],
        "cast(x = attention_mask, dtype = string(\"fp32\"))",
    );
    let unseen = w.op(&[1, LENGTH], &format!("sub(x = fp32(1.0), y = {seen})"));
    let hidden = w.op(&[1, LENGTH], &format!("mul(x = {unseen}, y = fp32(-1e4))"));
    let hidden = w.op(
        &[1, 1, 1, LENGTH],
        &format!("expand_dims(x = {hidden}, axes = tensor<int32, [2]>([1, 2]))"),
    );
    let causal = w.mask(LENGTH);
    let mask = w.op(
        &[1, 1, LENGTH, LENGTH],
        &format!("add(x = {causal}, y = {hidden})"),
    );
    for _ in 0..2 {
        let normed = w.op(
            &shape,
            &format!("layer_norm(x = {x}, axes = tensor<int32, [1]>([-1]), epsilon = fp32(1e-5))"),
        );
        let [q, k, v] = [(); 3].map(|()| w.heads(&normed, HEADS.0));
        let attended = w.attention([&q, &k, &v], &mask, None);
        x = w.add(&x, &attended);
        let up = w.linear(&x, WIDTH, 16);
        let up = w.op(&[1, LENGTH, 16], &format!("gelu(x = {up})"));
        let fed = w.linear(&up, 16, WIDTH);
        x = w.add(&x, &fed);
    }
    let int = format!("tensor<int32, [1, {LENGTH}]>");
    w.model(
        &format!(", {int} attention_mask, {int} position_ids"),
        &x,
        &table,
    )
}

#[test]
fn families_decode_as_they_compute() {
    for (name, model) in [
        ("gemma 3, fp32", gemma_or_qwen("fp32", true)),
        ("gemma 3, fp16", gemma_or_qwen("fp16", true)),
        ("qwen 3, fp32", gemma_or_qwen("fp32", false)),
        ("qwen 3, fp16", gemma_or_qwen("fp16", false)),
        ("gpt-2", gpt2()),
    ] {
        assert!(
            model.decoder(LENGTH).unwrap().is_some(),
            "{name}: {:?}",
            model.decoding()
        );
        let worst = difference(&model, VOCAB as u64, LENGTH).unwrap();
        assert!(worst < EXACT, "{name}: {worst:e}");
        assert_eq!(model.decoding(), Some(Decoding::Incremental));
    }
}

/// A sequence without padding gives what it gives with padding on the left, masked and at its positions,
/// and on the right.
#[test]
fn padding_on_either_side_changes_nothing() {
    let model = gpt2();
    let ids: [u32; 5] = [3, 9, 1, 14, 6];
    let mut decoder = model.decoder(LENGTH).unwrap().unwrap();
    let got = decoder.next(&[(0, &ids[..3]), (1, &ids)]).unwrap();
    let got = [&got[1], &decoder.next(&[(0, &ids)]).unwrap()[0]].map(Clone::clone);
    for left in [0, 4, LENGTH - ids.len()] {
        let expected = padded(&model, &ids, left);
        for got in &got {
            assert!(apart(&expected, got) < EXACT, "{left} on the left");
        }
    }
}

/// The logits after the last of `ids`, with `left` paddings before and the rest behind.
fn padded(model: &CoreMLModelWrapper, ids: &[u32], left: usize) -> Vec<f32> {
    let place = |i: usize| i.checked_sub(left).filter(|place| *place < ids.len());
    let row = |value: &dyn Fn(Option<usize>) -> i64| {
        let values: Vec<i64> = (0..LENGTH).map(|i| value(place(i))).collect();
        Array::from_i64s(DType::Int32, vec![1, LENGTH], &values).unwrap()
    };
    let inputs = Features::from([
        (
            "input_ids".to_owned(),
            row(&|at| at.map_or(7, |at| i64::from(ids[at]))),
        ),
        (
            "attention_mask".to_owned(),
            row(&|at| i64::from(at.is_some())),
        ),
        (
            "position_ids".to_owned(),
            row(&|at| at.map_or(0, |at| at as i64)),
        ),
    ]);
    let outputs = model.engine().predict("main", &inputs, None).unwrap();
    let logits = outputs.values().next().unwrap().to_f32s();
    let last = left + ids.len() - 1;
    logits[last * VOCAB..][..VOCAB].to_vec()
}

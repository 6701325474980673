//! Traces as their users see them: figures against hand-computed ones, the first value that is not
//! finite, fp16 drift, loops and branches, states, memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rlaif_repl::engine::portable::{Event, Options, Portable, Trace, TraceOptions};
use rlaif_repl::engine::{Engine, Features, State};
use rlaif_repl::mil::text;
use rlaif_repl::numeric::Array;
use rlaif_repl::package::{Bundle, Description};

/// An engine for a program with one function `main`.
fn engine(head: &str, body: &str) -> Portable {
    let text = format!("program(1.3)\n{{ func main<ios18>({head}) {{ {body} }} -> (y); }}");
    let (program, _) = text::parse(&text, "test").unwrap();
    let description = Description::from_program(&program).unwrap();
    let bundle = Arc::new(Bundle::new(program, description));
    Portable::new(bundle, Options::default()).unwrap()
}

/// Traced with a clock that goes on by a millisecond each time it is read.
fn traced(engine: &Portable, x: &[f32], drift: bool, state: Option<&mut dyn State>) -> Trace {
    let inputs = Features::from([("x".into(), Array::from_f32(vec![x.len()], x).unwrap())]);
    let ticks = AtomicU64::new(1000);
    let options = TraceOptions {
        drift,
        fused: false,
        warmup: 1,
        now: &|| Duration::from_millis(ticks.fetch_add(1, Ordering::Relaxed)),
    };
    engine.trace("main", &inputs, state, &options).unwrap()
}

fn trace(head: &str, body: &str, x: &[f32]) -> Trace {
    traced(&engine(head, body), x, false, None)
}

fn labels(trace: &Trace) -> Vec<&str> {
    trace
        .events
        .iter()
        .map(|event| event.label.as_str())
        .collect()
}

fn by_label<'a>(trace: &'a Trace, label: &str) -> &'a Event {
    trace.events.iter().find(|e| e.label == label).unwrap()
}

const HEAD: &str = "tensor<fp32, [4]> x";
const HALF: &str = "tensor<fp16, [4]> x";

#[test]
fn statistics_are_those_of_the_values() {
    let body = "tensor<fp32, [4]> s = square(x = x); \
        tensor<fp32, [2]> a, tensor<fp32, [2]> y = split(x = s, axis = int32(0), num_splits = int32(2));";
    let trace = trace(HEAD, body, &[1.0, -2.0, 3.0, 0.0]);
    assert_eq!(labels(&trace), ["s", "a"]);
    let stats = by_label(&trace, "s").stats().unwrap();
    assert_eq!((stats.min, stats.max, stats.mean), (0.0, 9.0, 3.5));
    // Squares 1, 4, 9, 0 around 3.5: 6.25 + 0.25 + 30.25 + 12.25 = 49.
    assert_eq!(stats.std, 3.5);
    let split = by_label(&trace, "a");
    let means = split.values.iter().map(|value| value.stats.unwrap().mean);
    assert_eq!(means.collect::<Vec<_>>(), [2.5, 4.5]);
    assert_eq!(split.values[1].shape, [2]);
    assert_eq!(split.stats().unwrap().mean, 3.5);
    assert!(trace.first_bad.is_none() && trace.drift.is_none());
}

#[test]
fn memory_counts_views_once_and_frees_what_is_over() {
    let body = "tensor<fp32, [4]> a = square(x = x); \
        tensor<fp32, [2, 2]> b = reshape(x = a, shape = tensor<int32, [2]>([2, 2])); \
        tensor<fp32, [2, 2]> c = relu(x = b); \
        tensor<fp32, []> y = reduce_sum(x = c, keep_dims = bool(false));";
    let trace = trace(HEAD, body, &[1.0; 4]);
    let held: Vec<(u64, u64)> = trace.events.iter().map(|e| (e.allocated, e.live)).collect();
    assert_eq!(held, [(16, 32), (0, 16), (16, 32), (4, 20)]);
    assert_eq!(trace.peak, 32);
}

#[test]
fn the_first_value_that_is_not_finite_is_named_with_what_went_in() {
    let body = "tensor<fp32, [4]> a = add(x = x, y = fp32(100.0))[name = string(\"x_11\")]; \
        tensor<fp32, [4]> b = exp(x = a)[name = string(\"x_12\")]; \
        tensor<fp32, [4]> y = sub(x = b, y = b)[name = string(\"x_13\")];";
    let trace = trace(HEAD, body, &[1.0, -2.0, 3.0, 4.3]);
    let bad = trace.first_bad.as_ref().unwrap();
    assert_eq!(
        bad.to_string(),
        "exp at \"x_12\": 4 Inf of 4 elements; x (\"a\") had min 98, max 104.3"
    );
    assert_eq!(by_label(&trace, "x_13").stats().unwrap().nan, 4);
}

#[test]
fn what_only_passes_on_is_not_blamed() {
    let body = "tensor<fp32, [4]> m = select(cond = tensor<bool, [4]>([true, false, true, true]), a = x, \
        b = fp32(-1.0)); tensor<fp32, [4]> y = softmax(x = m, axis = int32(0));";
    let trace = trace(HEAD, body, &[1.0, f32::NEG_INFINITY, 0.0, f32::NAN]);
    let bad = trace.first_bad.unwrap();
    assert_eq!((bad.op, bad.label.as_str()), ("", "x"));
    assert_eq!(
        bad.to_string(),
        "the input \"x\": 1 NaN and 1 Inf of 4 elements"
    );
}

/// 300² overflows fp16, and no rounding happens where every value is exact in fp16.
#[test]
fn drift_is_what_fp16_loses() {
    let body = "tensor<fp16, [4]> a = add(x = x, y = fp16(0.5)); \
        tensor<fp16, [4]> b = square(x = a)[name = string(\"wide\")]; \
        tensor<fp16, [4]> y = tanh(x = b);";
    let engine = engine(HALF, body);
    let drifts = |x: &[f32]| {
        let trace = traced(&engine, x, true, None);
        let drifts: Vec<f64> = trace.events.iter().map(|e| e.drift().unwrap()).collect();
        (drifts, trace.drift.unwrap(), trace.first_bad)
    };
    let (exact, drift, _) = drifts(&[1.0, 2.0, 0.5, -0.5]);
    assert_eq!(exact[..2], [0.0, 0.0]);
    // tanh(0.5²) … tanh(2.5²): rounded to 11 significant bits.
    assert!(exact[2] > 0.0 && exact[2] < 2f64.powi(-11), "{exact:?}");
    assert_eq!((drift.parted, drift.first_bad), (None, None));
    let (wide, drift, f32s) = drifts(&[300.0, 1.0, 1.0, 1.0]);
    assert_eq!(wide[..2], [0.0, f64::INFINITY]);
    let bad = drift.first_bad.unwrap();
    assert_eq!(
        bad.to_string(),
        "square at \"wide\": 1 Inf of 4 elements; x (\"a\") had min 1.5, max 300.5"
    );
    assert_eq!(f32s, None);
}

#[test]
fn fp32_programs_do_not_drift() {
    let body = "tensor<fp32, [4]> a = exp(x = x); tensor<fp32, [4]> y = tanh(x = a);";
    let trace = traced(&engine(HEAD, body), &[0.1, 0.2, 0.3, 5.0], true, None);
    assert!(trace.events.iter().all(|e| e.drift() == Some(0.0)));
}

const LOOP: &str = "tensor<fp16, [1]> y, tensor<int32, [1]> n = while_loop(loop_vars = (x, tensor<int32, [1]>([0])))\
    [name = string(\"grow\")] (tensor<fp16, [1]> a, tensor<int32, [1]> i) { \
        bool c = less(x = a, y = fp16(LIMIT)); } -> (c) \
    (tensor<fp16, [1]> a2, tensor<int32, [1]> i2) { \
        tensor<fp16, [1]> s = mul(x = a2, y = fp16(FACTOR)); \
        tensor<int32, [1]> j = add(x = i2, y = int32(1)); } -> (s, j);";

#[test]
fn operations_of_loops_tell_their_turn() {
    let engine = engine(
        "tensor<fp16, [1]> x",
        &LOOP.replace("LIMIT", "2.0").replace("FACTOR", "1.5"),
    );
    let trace = traced(&engine, &[1.0], false, None);
    let told: Vec<(&str, &str)> = trace
        .events
        .iter()
        .map(|e| (e.label.as_str(), e.place.as_deref().unwrap_or("")))
        .collect();
    assert_eq!(
        told,
        [
            ("grow", ""),
            ("c", "grow: condition, turn 1"),
            ("s", "grow: turn 1"),
            ("j", "grow: turn 1"),
            ("c", "grow: condition, turn 2"),
            ("s", "grow: turn 2"),
            ("j", "grow: turn 2"),
            ("c", "grow: condition, turn 3"),
        ]
    );
}

/// Each operation reads the clock at its start and end, so one without blocks takes one tick; the time
/// that the recorder takes for itself is left out.
#[test]
fn times_of_nested_operations_add_up() {
    let engine = engine(
        "tensor<fp16, [1]> x",
        &LOOP.replace("LIMIT", "2.0").replace("FACTOR", "1.5"),
    );
    let trace = traced(&engine, &[1.0], false, None);
    let own: Duration = trace.events.iter().map(|event| event.own).sum();
    assert_eq!(own, trace.total);
    assert_eq!(trace.events[0].time, trace.total);
    let inner = trace.events.iter().skip(1);
    assert!(inner.clone().all(|e| e.time == Duration::from_millis(1)));
    let starts: Vec<Duration> = trace.events.iter().map(|e| e.start).collect();
    assert!(starts.is_sorted());
    let totals: BTreeMap<&str, usize> = trace.by_op().iter().map(|t| (t.op, t.count)).collect();
    assert_eq!(
        totals,
        BTreeMap::from([("add", 2), ("less", 3), ("mul", 2), ("while_loop", 1)])
    );
}

/// 1.5 · (1 + 2⁻¹⁰) lies between two numbers of fp16 and is rounded up to the limit: one turn less.
#[test]
fn runs_that_part_are_compared_up_to_there() {
    let body = LOOP
        .replace("LIMIT", "1.501953125")
        .replace("FACTOR", "1.0009765625");
    let engine = engine("tensor<fp16, [1]> x", &body);
    let trace = traced(&engine, &[1.5], true, None);
    let parted = trace.drift.as_ref().unwrap().parted.as_deref();
    assert_eq!(parted, Some("mul at \"s\""));
    let compared: Vec<&str> = trace
        .events
        .iter()
        .filter(|event| event.drift().is_some())
        .map(|event| event.label.as_str())
        .collect();
    assert_eq!(compared, ["c", "s", "j", "c"]);
    assert_eq!(trace.events.len(), 8);
}

#[test]
fn branches_are_named() {
    let body = "bool p = less(x = tensor<fp32, []>(1.0), y = fp32(2.0)); \
        tensor<fp32, []> t = reduce_sum(x = x, keep_dims = bool(false)); \
        bool q = greater(x = t, y = fp32(0.0)); \
        tensor<fp32, [4]> y = cond(pred = q)[name = string(\"choice\")] () \
        { tensor<fp32, [4]> a = relu(x = x); } -> (a) () { tensor<fp32, [4]> b = square(x = x); } -> (b);";
    for (x, inside, place) in [(1.0, "a", "choice: then"), (-1.0, "b", "choice: else")] {
        let trace = trace(HEAD, body, &[x; 4]);
        assert_eq!(labels(&trace), ["t", "q", "choice", inside]);
        let event = by_label(&trace, inside);
        assert_eq!(event.place.as_deref(), Some(place));
    }
}

#[test]
fn a_state_goes_on_once() {
    let head = "state<tensor<fp16, [4]>> s, tensor<fp16, [4]> x";
    let body = "tensor<fp16, [4]> old = read_state(input = s); \
        tensor<fp16, [4]> y = add(x = old, y = x); write_state(input = s, data = y);";
    let engine = engine(head, body);
    let mut state = engine.new_state("main").unwrap();
    for turn in 1..3 {
        let trace = traced(&engine, &[1.0; 4], true, Some(&mut *state));
        assert_eq!(by_label(&trace, "y").stats().unwrap().mean, f64::from(turn));
        assert!(trace.events.iter().all(|e| e.drift().unwrap_or(0.0) == 0.0));
    }
    assert_eq!(state.read("s").unwrap().to_f32s(), [2.0; 4]);
}

/// What a prediction runs has fewer operations and the same result; drift is of the program's own.
#[test]
fn fused_operations_are_shown_if_asked_for() {
    let body = "tensor<fp32, [4]> s = silu(x = x); tensor<fp32, [4]> y = mul(x = s, y = x);";
    let engine = engine(HEAD, body);
    let inputs = Features::from([("x".into(), Array::from_f32(vec![4], &[1.0; 4]).unwrap())]);
    let traced = |fused, drift| {
        let options = TraceOptions {
            drift,
            fused,
            warmup: 0,
            now: &|| Duration::ZERO,
        };
        engine.trace("main", &inputs, None, &options)
    };
    let (own, fused) = (traced(false, false).unwrap(), traced(true, false).unwrap());
    assert_eq!((own.events.len(), fused.events.len()), (2, 1));
    let last = |trace: &Trace| trace.events.last().unwrap().stats().unwrap().mean;
    assert!((last(&own) - last(&fused)).abs() < 1e-6);
    let error = traced(true, true).unwrap_err().to_string();
    assert!(error.contains("leave out either fused or drift"), "{error}");
}

#[test]
fn chrome_events_carry_times_and_values() {
    let trace = trace(HEAD, "tensor<fp32, [4]> y = relu(x = x);", &[1.0; 4]);
    let json = trace.to_chrome();
    let events = json["traceEvents"].as_array().unwrap();
    let slice = events.iter().find(|e| e["ph"] == "X").unwrap();
    assert_eq!(slice["name"], "relu y");
    assert_eq!(
        (slice["ts"].as_f64(), slice["dur"].as_f64()),
        (Some(1000.0), Some(1000.0))
    );
    assert_eq!(slice["args"]["max"], 1.0);
    let counter = events.iter().find(|e| e["ph"] == "C").unwrap();
    assert_eq!(counter["args"]["bytes"], 32);
}

/// softmax([0, 1/√2]) = [0.3302, 0.6698]; the first position sees itself alone.
#[test]
fn attention_is_the_same_however_it_is_written() {
    let body = "tensor<fp32, [1, 1, 2, 2]> q = reshape(x = x, shape = tensor<int32, [4]>([1, 1, 2, 2])); \
        tensor<fp32, [1, 1, 2, 2]> a = scaled_dot_product_attention(query = q, key = q, value = q, attn_mask = tensor<bool, [2, 2]>([[true, false], [true, true]])); \
        tensor<fp32, [1, 1, 2, 2]> t = mul(x = q, y = fp32(0.70710678)); \
        tensor<fp32, [1, 1, 2, 2]> s = matmul(x = t, y = a, transpose_y = bool(true)); \
        tensor<fp32, [1, 1, 2, 2]> m = matmul(x = t, y = q, transpose_y = bool(true)); \
        tensor<fp32, [1, 1, 2, 2]> n = add(x = m, y = tensor<fp32, [2, 2]>([[0.0, -30000.0], [0.0, 0.0]])); \
        tensor<fp32, [1, 1, 2, 2]> w = softmax(x = n, axis = int32(-1)); \
        tensor<fp32, [2]> z = softmax(x = tensor<fp32, [2]>([1.0, 2.0])); \
        tensor<fp32, [1, 1, 2, 2]> y = add(x = w, y = s);";
    let engine = engine(HEAD, body);
    let x = Array::from_f32(vec![4], &[1.0, 0.0, 0.0, 1.0]).unwrap();
    let inputs = Features::from([("x".into(), x)]);
    let layers = engine.attention("main", &inputs).unwrap();
    let labels: Vec<&str> = layers.iter().map(|layer| layer.label.as_str()).collect();
    assert_eq!(labels, ["a", "w"]);
    for layer in &layers {
        assert_eq!(layer.weights.shape(), [1, 1, 2, 2]);
        let expected = [1.0, 0.0, 0.330_238, 0.669_762];
        let near = |(a, b): (f64, f64)| (a - b).abs() < 1e-6;
        let weights = layer.weights.to_f64s();
        assert!(
            weights.iter().copied().zip(expected).all(near),
            "{weights:?}"
        );
    }
    let labels = ["w".to_owned(), "q".to_owned()];
    let kept = engine.results("main", &inputs, &labels).unwrap();
    let kept: Vec<&str> = kept.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(kept, ["q", "w"]);
    let error = engine.results("main", &inputs, &["ww".to_owned()]);
    assert!(error.unwrap_err().to_string().contains("unknown operation"));
}

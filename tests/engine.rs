//! The portable engine as its users see it: what it refuses and in which words, randomness, training
//! of a small program's weights.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use rlaif_repl::diag::{Error, Interrupt, Kind, Result};
use rlaif_repl::engine::portable::{Limits, Options, Portable, Value};
use rlaif_repl::engine::{Engine, Features};
use rlaif_repl::mil::text;
use rlaif_repl::numeric::Array;
use rlaif_repl::package::{Bundle, Description};

/// A program with one function `main` of the given head and body.
fn bundle(head: &str, body: &str) -> Arc<Bundle> {
    let text = format!("program(1.3)\n{{ func main<ios18>({head}) {{ {body} }} -> (y); }}");
    let (program, _) = text::parse(&text, "test").unwrap();
    let description = Description::from_program(&program).unwrap();
    Arc::new(Bundle::new(program, description))
}

fn engine(head: &str, body: &str) -> Portable {
    Portable::new(bundle(head, body), Options::default()).unwrap()
}

fn predict(engine: &Portable, x: &[f32]) -> Result<Vec<f32>> {
    let x = Array::from_f32(vec![x.len()], x)?;
    let outputs = engine.predict("main", &Features::from([("x".into(), x)]), None)?;
    Ok(outputs["y"].to_f32s())
}

const HEAD: &str = "tensor<fp32, [2]> x";

#[test]
fn an_unknown_operation_is_named_with_its_place_before_anything_runs() {
    let body = "tensor<fp32, [2]> y = cond(pred = bool(true)) () { tensor<fp32, [2]> a = \
        frobnicate(x = x)[name = string(\"deep\")]; } -> (a) () { tensor<fp32, [2]> b = \
        defuse(x = x); } -> (b);";
    let error = Portable::new(bundle(HEAD, body), Options::default())
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "function \"main\" uses operations that the portable engine does not have: defuse (at \"b\"), \
         frobnicate (at \"deep\")\n  hint: on a Mac, load it with the apple engine"
    );
    let names = vec!["defuse".to_string(), "frobnicate".to_string()];
    assert_eq!(error.kind(), &Kind::Unsupported(names));
}

#[test]
fn inputs_are_held_against_the_description() {
    let engine = engine(HEAD, "tensor<fp32, [2]> y = relu(x = x);");
    assert_eq!(predict(&engine, &[-1.0, 2.0]).unwrap(), [0.0, 2.0]);
    let error = predict(&engine, &[1.0]).unwrap_err();
    assert_eq!(error.to_string(), "\"x\" has shape [1], expected [2]");
    let wrong = Features::from([("z".into(), Array::from_f32(vec![2], &[0.0; 2]).unwrap())]);
    let error = engine.predict("main", &wrong, None).unwrap_err();
    assert_eq!(error.message(), "unknown input \"z\"");
    let error = engine.predict("mian", &wrong, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown function \"mian\"\n  hint: did you mean \"main\"?"
    );
}

#[test]
fn a_failing_operation_is_named() {
    let head = "tensor<fp32, [2]> x, tensor<int32, [1]> i";
    let body = "tensor<fp32, [1]> y = gather(x = x, indices = i)[name = string(\"lookup\")];";
    let inputs = Features::from([
        ("x".into(), Array::from_f32(vec![2], &[0.0; 2]).unwrap()),
        ("i".into(), Array::from_i32(vec![1], &[2]).unwrap()),
    ]);
    let error = engine(head, body)
        .predict("main", &inputs, None)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "gather at \"lookup\": index 2 is out of bounds: there are 2"
    );
}

#[test]
fn parameters_that_would_be_ignored_are_errors() {
    let engine = engine(
        HEAD,
        "tensor<fp32, [2]> y = relu(x = x, alpha = fp32(0.5));",
    );
    let error = predict(&engine, &[1.0, 2.0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "relu at \"y\": parameter \"alpha\" is not known to the portable engine"
    );
}

/// Statements that would make 10¹² elements and more out of nothing.
#[test]
fn hostile_sizes_are_errors() {
    let huge = "tensor<int32, [2]>([1000000, 1000000])";
    let statements = [
        format!("tensor<fp32, [?, ?]> y = fill(shape = {huge}, value = fp32(1.0));"),
        format!("tensor<fp32, [?, ?]> m = expand_dims(x = x, axes = tensor<int32, [1]>([0])); tensor<fp32, [?, ?]> y = tile(x = m, reps = {huge});"),
        "tensor<fp32, [?]> y = range_1d(start = fp32(0.0), end = fp32(1e12), step = fp32(1.0));".into(),
        "tensor<fp32, [?]> y = range_1d(start = fp32(0.0), end = fp32(1.0), step = fp32(0.0));".into(),
        "tensor<fp32, [?]> y = pad(x = x, pad = tensor<int32, [2]>([2000000000, 2000000000]));".into(),
        "tensor<fp32, [?, ?]> y = one_hot(indices = tensor<int32, [2]>([0, 1]), one_hot_vector_size = int32(2000000000), on_value = fp32(1.0));".into(),
        format!("tensor<fp32, [?, ?]> y = random_normal(shape = {huge});"),
        "tensor<fp32, [100000]> f = fill(shape = tensor<int32, [1]>([100000]), value = fp32(1.0)); tensor<fp32, [100000, 1]> c = expand_dims(x = f, axes = tensor<int32, [1]>([1])); tensor<fp32, [?, ?]> y = add(x = f, y = c);".into(),
        "list<tensor<fp32, [2]>, ?> l = make_list(init_length = int32(2147483647), elem_shape = tensor<int32, [1]>([2])); list<tensor<fp32, [2]>, ?> k = list_write(ls = l, index = int32(2147483647), value = x); int32 y = list_length(ls = k);".into(),
        // Nothing in them, but work to walk through.
        "tensor<fp32, [?, ?, ?]> y = fill(shape = tensor<int32, [3]>([0, 2000000000, 2000000000]));".into(),
        "tensor<fp32, [0, 1099511627776]> y = relu(x = tensor<fp32, [0, 1099511627776]>([]));".into(),
        "tensor<fp32, [1, 1, 2]> i = expand_dims(x = x, axes = tensor<int32, [2]>([0, 1])); tensor<fp32, [?, ?, ?]> y = max_pool(x = i, kernel_sizes = tensor<int32, [1]>([1000000000]), pad_type = string(\"custom\"), pad = tensor<int32, [2]>([1500000000, 1500000000]), strides = tensor<int32, [1]>([1]));".into(),
        "tensor<fp32, [1, 1, 1, 2]> i = expand_dims(x = x, axes = tensor<int32, [3]>([0, 1, 2])); tensor<fp32, [?, ?, ?, ?]> y = upsample_nearest_neighbor(x = i, scale_factor_height = fp32(1000000.0), scale_factor_width = fp32(1000000.0));".into(),
        "tensor<fp32, [65536, 1]> q = fill(shape = tensor<int32, [2]>([65536, 1]), value = fp32(1.0)); tensor<fp32, [1, 65536]> v = fill(shape = tensor<int32, [2]>([1, 65536]), value = fp32(1.0)); tensor<fp32, [?, ?]> y = scaled_dot_product_attention(query = q, key = tensor<fp32, [1, 1]>([[1.0]]), value = v);".into(),
        "tensor<fp32, [?, ?]> y = expand_dims(x = x, axes = tensor<int32, [9]>([0, 1, 2, 3, 4, 5, 6, 7, 8]));".into(),
    ];
    for body in statements {
        let options = Options {
            limits: Limits {
                elements: 1 << 30,
                ..Limits::default()
            },
            ..Options::default()
        };
        let engine = Portable::new(bundle(HEAD, &body), options);
        let error = engine
            .and_then(|engine| predict(&engine, &[1.0, 2.0]))
            .unwrap_err()
            .to_string();
        let reasons = ["elements allowed", "a range from", "axes are computed with"];
        assert!(
            reasons.iter().any(|reason| error.contains(reason)),
            "{body}\n{error}"
        );
    }
}

#[test]
fn hostile_states_are_errors() {
    let head = "state<tensor<fp16, [1000000, 1000000]>> s, tensor<fp32, [2]> x";
    let engine = engine(head, "tensor<fp32, [2]> y = relu(x = x);");
    let error = predict(&engine, &[1.0, 2.0]).unwrap_err().to_string();
    assert!(
        error.starts_with("state \"s\": a tensor of shape [1000000, 1000000]"),
        "{error}"
    );
}

#[test]
fn what_is_held_at_once_is_limited() {
    let body = "tensor<int32, [1]> n = const()[val = tensor<int32, [1]>([1000])]; \
        tensor<fp32, [1000]> a = fill(shape = n, value = fp32(1.0)); \
        tensor<fp32, [?]> b = tile(x = x, reps = tensor<int32, [1]>([500])); \
        tensor<fp32, [?]> c = add(x = a, y = b); tensor<fp32, [?]> y = add(x = c, y = b);";
    let run = |bytes| {
        let limits = Limits {
            bytes,
            ..Limits::default()
        };
        let options = Options {
            limits,
            ..Options::default()
        };
        predict(&Portable::new(bundle(HEAD, body), options)?, &[1.0, 2.0])
    };
    assert_eq!(run(1 << 15).unwrap().len(), 1000);
    let error = run(10_000).unwrap_err().to_string();
    assert!(error.contains("more than the 10000 allowed"), "{error}");
}

const ENDLESS: &str = "tensor<fp32, [2]> y = while_loop(loop_vars = (x)) (tensor<fp32, [2]> a) \
    { bool go = identity(x = bool(true)); } -> (go) (tensor<fp32, [2]> b) \
    { tensor<fp32, [2]> c = relu(x = b); } -> (c);";

#[test]
fn an_endless_loop_ends() {
    let limits = Limits {
        turns: 50,
        ..Limits::default()
    };
    let options = Options {
        limits,
        ..Options::default()
    };
    let engine = Portable::new(bundle(HEAD, ENDLESS), options).unwrap();
    let error = predict(&engine, &[1.0, 2.0]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "while_loop at \"y\": loops took more than the 50 turns allowed in a run"
    );
}

#[test]
fn an_interrupt_stops_a_run() {
    let interrupt = Interrupt::default();
    let options = Options {
        interrupt: interrupt.clone(),
        ..Options::default()
    };
    let engine = Portable::new(bundle(HEAD, ENDLESS), options).unwrap();
    let handle = std::thread::spawn(move || predict(&engine, &[1.0, 2.0]));
    std::thread::sleep(std::time::Duration::from_millis(20));
    interrupt.set();
    assert!(handle.join().unwrap().unwrap_err().is_interrupt());
}

#[test]
fn unseeded_draws_differ_and_repeat_with_the_engine() {
    let body = "tensor<fp32, [2]> r = random_uniform(shape = tensor<int32, [1]>([2])); \
        tensor<fp32, [2]> y = add(x = x, y = r);";
    let draws = |engine: &Portable| [(); 3].map(|()| predict(engine, &[0.0, 0.0]).unwrap());
    let first = draws(&engine(HEAD, body));
    assert!(first[0] != first[1] && first[1] != first[2]);
    assert_eq!(draws(&engine(HEAD, body)), first);
}

/// y = softmax(W₂ silu(W₁ x + b)) with constants of its own.
const NETWORK: &str = "tensor<fp32, [3, 2]> w = const()[val = tensor<fp32, [3, 2]>([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]])]; \
    tensor<fp32, [3]> b = const()[val = tensor<fp32, [3]>([0.1, 0.2, -0.3])]; \
    tensor<fp32, [2, 3]> u = const()[val = tensor<fp32, [2, 3]>([[1.0, -2.0, 0.5], [0.25, 1.0, -1.0]])]; \
    tensor<fp32, [1, 2]> r = expand_dims(x = x, axes = tensor<int32, [1]>([0])); \
    tensor<fp32, [1, 3]> h = linear(x = r, weight = w, bias = b); \
    tensor<fp32, [1, 3]> s = silu(x = h); \
    tensor<fp32, [1, 2]> o = linear(x = s, weight = u); \
    tensor<fp32, [1, 2]> y = softmax(x = o);";

#[test]
fn weights_are_listed_bound_and_reached_by_gradients() {
    let engine = engine(HEAD, NETWORK);
    let weights = engine.weights("main").unwrap();
    let names: Vec<&str> = weights.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(names, ["w", "b", "u"]);
    assert_eq!(
        weights[0].uses,
        [("linear".to_string(), "weight".to_string())]
    );
    let bound = engine
        .bind("main", &BTreeSet::from(["w".to_string(), "u".to_string()]))
        .unwrap();
    let var = |name: &str| Var::from_tensor(&engine.weight("main", name).unwrap()).unwrap();
    let vars = BTreeMap::from([("w", var("w")), ("u", var("u"))]);
    let run = |x: [f32; 2]| {
        let given = vars
            .iter()
            .map(|(name, var)| ((*name).to_string(), var.as_tensor().clone()))
            .collect();
        let inputs = BTreeMap::from([(
            "x".to_string(),
            Value::from(Tensor::new(&x, &Device::Cpu).unwrap()),
        )]);
        let outputs = bound
            .run(&inputs, &given, &mut bound.states().unwrap())
            .unwrap();
        outputs["y"].tensor().unwrap().clone()
    };
    let x = [0.7, -0.4];
    let before: Vec<f32> = run(x).flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(before, predict(&engine, &x).unwrap());
    for _ in 0..50 {
        let loss = run(x)
            .get(0)
            .unwrap()
            .get(0)
            .unwrap()
            .log()
            .unwrap()
            .neg()
            .unwrap();
        let gradients = loss.backward().unwrap();
        for var in vars.values() {
            let step = (gradients.get(var).unwrap() * 0.5).unwrap();
            var.set(&(var.as_tensor() - step).unwrap()).unwrap();
        }
    }
    let after: Vec<f32> = run(x).flatten_all().unwrap().to_vec1().unwrap();
    assert!(after[0] > 0.9 && before[0] < 0.1, "{before:?} {after:?}");
    let unknown: Option<Error> = engine
        .bind("main", &BTreeSet::from(["v".to_string()]))
        .err();
    assert_eq!(unknown.unwrap().message(), "unknown value \"v\"");
}

//! Programs in the spellings that passes know: fused, they give what they gave, and so do their gradients.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use candle_core::{DType as Candle, Device, Tensor, Var};

use super::{ALL, Passes};
use crate::engine::portable::kernels::Packed;
use crate::engine::portable::plan::UPDATE_STATE;
use crate::engine::portable::{Options, Portable, Precision, Value};
use crate::mil;
use crate::numeric::{DType, Rng};
use crate::package::{Bundle, Description};

/// A program over `head`, whose inputs are all trained, run with and without the pass `name`.
struct Case {
    name: &'static str,
    head: &'static str,
    body: &'static str,
    /// Steps that the pass should make.
    fused: usize,
}

const ROW: &str = "tensor<fp32, [2, 3, 4]> x, tensor<fp32, [4]> g";
const HEADS: &str = "tensor<fp32, [1, 2, 3, 4]> x, tensor<fp32, [3, 4]> c, tensor<fp32, [3, 4]> s";
const QKV: &str = "tensor<fp32, [2, 4, 3, 6]> q, tensor<fp32, [2, 2, 5, 6]> k, tensor<fp32, [2, 2, 5, 3]> v, tensor<fp32, [3, 5]> m";

const CASES: &[Case] = &[
    Case {
        name: "rms_norm",
        head: ROW,
        body: "tensor<fp32, [2, 3, 4]> p = pow(x = x, y = fp32(2.0)); tensor<fp32, [2, 3, 1]> n = reduce_mean(x = p, axes = tensor<int32, [1]>([-1]), keep_dims = bool(true)); tensor<fp32, [2, 3, 1]> a = add(x = fp32(0.3), y = n); tensor<fp32, [2, 3, 1]> r = rsqrt(x = a, epsilon = fp32(0.1)); tensor<fp32, [2, 3, 4]> h = mul(x = x, y = r); tensor<fp32, [2, 3, 4]> y = mul(x = h, y = g);",
        fused: 1,
    },
    Case {
        name: "rms_norm",
        head: ROW,
        body: "tensor<fp32, [2, 3, 4]> w = cast(x = x, dtype = string(\"fp32\")); tensor<fp32, [2, 3, 4]> p = mul(x = w, y = w); tensor<fp32, [2, 3, 1]> n = reduce_mean(x = p, axes = tensor<int32, [1]>([2]), keep_dims = bool(true)); tensor<fp32, [2, 3, 1]> a = add(x = n, y = fp32(0.3)); tensor<fp32, [2, 3, 1]> r = pow(x = a, y = fp32(-0.5)); tensor<fp32, [2, 3, 4]> h = mul(x = r, y = w); tensor<fp16, [2, 3, 4]> b = cast(x = h, dtype = string(\"fp16\")); tensor<fp16, [2, 3, 4]> y = mul(x = g, y = b);",
        fused: 1,
    },
    Case {
        // Another axis, and a mean that drops it.
        name: "rms_norm",
        head: "tensor<fp32, [4, 4]> x, tensor<fp32, [4]> g",
        body: "tensor<fp32, [4, 4]> p = square(x = x); tensor<fp32, [1, 4]> n = reduce_mean(x = p, axes = tensor<int32, [1]>([0]), keep_dims = bool(true)); tensor<fp32, [1, 4]> r = rsqrt(x = n); tensor<fp32, [4, 4]> h = mul(x = x, y = r); tensor<fp32, [4, 4]> i = mul(x = h, y = g); tensor<fp32, [4]> m = reduce_mean(x = p, axes = tensor<int32, [1]>([-1]), keep_dims = bool(false)); tensor<fp32, [4]> t = rsqrt(x = m); tensor<fp32, [4, 4]> u = mul(x = x, y = t); tensor<fp32, [4, 4]> z = mul(x = u, y = g); tensor<fp32, [4, 4]> y = add(x = z, y = i);",
        fused: 0,
    },
    Case {
        // The root is a result too.
        name: "rms_norm",
        head: ROW,
        body: "tensor<fp32, [2, 3, 4]> p = pow(x = x, y = fp32(2.0)); tensor<fp32, [2, 3, 1]> n = reduce_mean(x = p, axes = tensor<int32, [1]>([-1]), keep_dims = bool(true)); tensor<fp32, [2, 3, 1]> r = rsqrt(x = n); tensor<fp32, [2, 3, 4]> h = mul(x = x, y = r); tensor<fp32, [2, 3, 4]> z = mul(x = h, y = g); tensor<fp32, [2, 3, 4]> y = add(x = z, y = r);",
        fused: 0,
    },
    Case {
        // A weight that varies is left alone.
        name: "packed",
        head: "tensor<fp32, [2, 3]> x, tensor<fp32, [4, 3]> z",
        body: "tensor<fp16, [4, 3]> w = const()[name = string(\"w\"), val = tensor<fp16, [4, 3]>([[1.0, 2.0, -1.0], [0.5, 0.25, 3.0], [1.5, -2.0, 0.0], [2.0, 1.0, 1.0]])]; tensor<fp32, [4]> b = const()[name = string(\"b\"), val = tensor<fp32, [4]>([1.0, 2.0, 3.0, 4.0])]; tensor<fp32, [2, 4]> p = linear(x = x, weight = w, bias = b); tensor<fp32, [1, 2, 3]> e = gather(x = w, indices = tensor<int32, [1, 2]>([[3, 0]]), axis = int32(0), batch_dims = int32(0)); tensor<fp32, [1, 2, 4]> q = linear(x = e, weight = z); tensor<fp32, [1, 2, 4]> r = add(x = p, y = q); tensor<fp32, [1, 2, 3]> y = matmul(x = r, y = w, transpose_y = bool(false));",
        fused: 2,
    },
    Case {
        name: "silu_mul",
        head: ROW,
        body: "tensor<fp32, [2, 3, 4]> a = silu(x = x); tensor<fp32, [2, 3, 4]> y = mul(x = g, y = a);",
        fused: 1,
    },
    Case {
        name: "rotary",
        head: HEADS,
        body: "tensor<fp32, [1, 2, 3, 2]> a, tensor<fp32, [1, 2, 3, 2]> b = split(x = x, num_splits = int32(2), axis = int32(-1)); tensor<fp32, [1, 2, 3, 2]> n = mul(x = b, y = fp32(-1.0)); tensor<fp32, [1, 2, 3, 4]> t = concat(values = (n, a), axis = int32(-1), interleave = bool(false)); tensor<fp32, [1, 2, 3, 4]> u = mul(x = c, y = x); tensor<fp32, [1, 2, 3, 4]> w = mul(x = t, y = s); tensor<fp32, [1, 2, 3, 4]> y = add(x = w, y = u);",
        fused: 1,
    },
    Case {
        name: "rotary",
        head: "tensor<fp32, [1, 3, 2, 4]> z, tensor<fp32, [3, 4]> c, tensor<fp32, [3, 4]> s",
        body: "tensor<fp32, [1, 2, 3, 4]> x = transpose(x = z, perm = tensor<int32, [4]>([0, 2, 1, 3])); tensor<fp32, [1, 2, 3, 2]> a = slice_by_index(x = x, begin = tensor<int32, [4]>([0, 0, 0, 0]), end = tensor<int32, [4]>([1, 2, 0, 2]), end_mask = tensor<bool, [4]>([true, true, true, false])); tensor<fp32, [1, 2, 3, 2]> b = slice_by_index(x = x, begin = tensor<int32, [4]>([0, 0, 0, -2]), end = tensor<int32, [4]>([1, 2, 0, 4]), end_mask = tensor<bool, [4]>([true, true, true, true])); tensor<fp32, [1, 2, 3, 2]> n = mul(x = b, y = fp32(-1.0)); tensor<fp32, [1, 2, 3, 4]> t = concat(values = (n, a), axis = int32(3), interleave = bool(false)); tensor<fp32, [1, 2, 3, 4]> u = mul(x = x, y = c); tensor<fp32, [1, 2, 3, 4]> w = mul(x = t, y = s); tensor<fp32, [1, 2, 3, 4]> y = add(x = u, y = w);",
        fused: 1,
    },
    Case {
        // The halves are not turned.
        name: "rotary",
        head: HEADS,
        body: "tensor<fp32, [1, 2, 3, 2]> a, tensor<fp32, [1, 2, 3, 2]> b = split(x = x, num_splits = int32(2), axis = int32(-1)); tensor<fp32, [1, 2, 3, 2]> n = mul(x = a, y = fp32(-1.0)); tensor<fp32, [1, 2, 3, 4]> t = concat(values = (n, b), axis = int32(-1), interleave = bool(false)); tensor<fp32, [1, 2, 3, 4]> u = mul(x = x, y = c); tensor<fp32, [1, 2, 3, 4]> w = mul(x = t, y = s); tensor<fp32, [1, 2, 3, 4]> y = add(x = u, y = w);",
        fused: 0,
    },
    Case {
        name: "attention",
        head: QKV,
        body: "tensor<fp32, [2, 2, 1, 5, 6]> ke = expand_dims(x = k, axes = tensor<int32, [1]>([2])); tensor<fp32, [2, 2, 2, 5, 6]> kt = tile(x = ke, reps = tensor<int32, [5]>([1, 1, 2, 1, 1])); tensor<fp32, [2, 4, 5, 6]> kk = reshape(x = kt, shape = tensor<int32, [4]>([2, 4, -1, 6])); tensor<fp32, [2, 2, 1, 5, 3]> ve = expand_dims(x = v, axes = tensor<int32, [1]>([2])); tensor<fp32, [2, 2, 2, 5, 3]> vt = tile(x = ve, reps = tensor<int32, [5]>([1, 1, 2, 1, 1])); tensor<fp32, [2, 4, 5, 3]> vv = reshape(x = vt, shape = tensor<int32, [4]>([2, 4, 5, 3])); tensor<fp32, [2, 4, 3, 6]> qs = mul(x = q, y = fp32(0.4)); tensor<fp32, [2, 4, 3, 5]> p = matmul(x = qs, y = kk, transpose_y = bool(true)); tensor<fp32, [2, 4, 3, 5]> a = add(x = m, y = p); tensor<fp32, [2, 4, 3, 5]> w = softmax(x = a, axis = int32(-1)); tensor<fp32, [2, 4, 3, 3]> y = matmul(x = w, y = vv);",
        fused: 1,
    },
    Case {
        // Repeated in another order, and asked for its shape.
        name: "attention",
        head: QKV,
        body: "tensor<fp32, [2, 2, 1, 5, 6]> ke = expand_dims(x = k, axes = tensor<int32, [1]>([2])); tensor<fp32, [2, 4, 1, 5, 6]> kt = tile(x = ke, reps = tensor<int32, [5]>([1, 2, 1, 1, 1])); tensor<fp32, [2, 4, 5, 6]> kk = reshape(x = kt, shape = tensor<int32, [4]>([2, -1, 5, 6])); tensor<int32, [4]> ks = shape(x = kk); tensor<fp32, [4]> kf = cast(x = ks, dtype = string(\"fp32\")); tensor<fp32, []> kn = reduce_sum(x = kf, keep_dims = bool(false)); tensor<fp32, [2, 4, 5, 3]> vv = tile(x = v, reps = tensor<int32, [4]>([1, 2, 1, 1])); tensor<fp32, [2, 4, 3, 5]> p = matmul(x = q, y = kk, transpose_y = bool(true)); tensor<fp32, [2, 4, 3, 5]> d = real_div(x = p, y = fp32(2.5)); tensor<fp32, [2, 4, 3, 5]> w = softmax(x = d, axis = int32(3)); tensor<fp32, [2, 4, 3, 3]> o = matmul(x = w, y = vv, transpose_y = bool(false)); tensor<fp32, [2, 4, 3, 3]> y = mul(x = o, y = kn);",
        fused: 2,
    },
    Case {
        name: "attention",
        head: "tensor<fp32, [2, 4, 3, 6]> q, tensor<fp32, [2, 4, 6, 5]> k, tensor<fp32, [2, 4, 5, 3]> v",
        body: "tensor<fp32, [2, 4, 3, 5]> p = matmul(x = q, y = k); tensor<fp32, [2, 4, 3, 5]> w = softmax(x = p, axis = int32(-1)); tensor<fp32, [2, 4, 3, 3]> y = matmul(x = w, y = v);",
        fused: 1,
    },
    Case {
        name: "attention",
        head: QKV,
        body: "tensor<fp32, [2, 2, 1, 5, 6]> ke = expand_dims(x = k, axes = tensor<int32, [1]>([2])); tensor<fp32, [2, 2, 2, 5, 6]> kt = tile(x = ke, reps = tensor<int32, [5]>([1, 1, 2, 1, 1])); tensor<fp32, [2, 4, 5, 6]> kk = reshape(x = kt, shape = tensor<int32, [4]>([2, 4, 5, 6])); tensor<fp32, [2, 4, 5, 3]> vv = tile(x = v, reps = tensor<int32, [4]>([1, 2, 1, 1])); tensor<fp32, [2, 4, 3, 3]> y = scaled_dot_product_attention(query = q, key = kk, value = vv, attn_mask = m);",
        fused: 1,
    },
];

impl Case {
    fn engine(&self, precision: Precision, passes: Passes) -> Portable {
        let (head, body) = (self.head, self.body);
        let text = format!("program(1.3)\n{{ func main<ios18>({head}) {{ {body} }} -> (y); }}");
        let (program, _) = mil::text::parse(&text, body).unwrap();
        let description = Description::from_program(&program).unwrap();
        let options = Options {
            precision,
            passes,
            ..Options::default()
        };
        Portable::new(Arc::new(Bundle::new(program, description)), options).unwrap()
    }

    /// The result and the gradients of all inputs.
    fn run(&self, precision: Precision, passes: Passes) -> Vec<(String, Vec<f64>)> {
        let engine = self.engine(precision, passes);
        let float = match precision {
            Precision::F64 => Candle::F64,
            _ => Candle::F32,
        };
        let mut vars = BTreeMap::new();
        for input in &engine.bundle().program.functions["main"].inputs {
            let shape = input.ty.shape().unwrap();
            let mut rng = Rng::named(5, &input.name);
            let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            let var = Var::from_tensor(&tensor.to_dtype(float).unwrap()).unwrap();
            vars.insert(input.name.clone(), var);
        }
        let value = |var: &Var| Value::Tensor {
            tensor: var.as_tensor().clone(),
            dtype: DType::Fp32,
        };
        let inputs = vars.iter().map(|(name, var)| (name.clone(), value(var)));
        let bound = engine.bind("main", &BTreeSet::new()).unwrap();
        let mut states = bound.states().unwrap();
        let results = bound.run(&inputs.collect(), &BTreeMap::new(), &mut states);
        let y = results.unwrap()["y"].tensor().unwrap().clone();
        let slope: Vec<f64> = (0..y.elem_count())
            .map(|i| (1.3 * i as f64).sin())
            .collect();
        let slope = Tensor::from_vec(slope, y.dims(), &Device::Cpu).unwrap();
        let loss = (&y * slope.to_dtype(float).unwrap())
            .unwrap()
            .sum_all()
            .unwrap();
        let gradients = loss.backward().unwrap();
        let flat = |t: &Tensor| {
            t.flatten_all()
                .unwrap()
                .to_dtype(Candle::F64)
                .unwrap()
                .to_vec1()
        };
        let mut all = vec![("y".to_string(), flat(&y).unwrap())];
        for (name, var) in &vars {
            if let Some(gradient) = gradients.get(var) {
                all.push((name.clone(), flat(gradient).unwrap()));
            }
        }
        all
    }
}

#[test]
fn fused_or_not_is_the_same() {
    for case in CASES {
        let one = || Passes::named([case.name]).unwrap();
        let fused = case.engine(Precision::F32, one()).fusions("main").unwrap();
        let here = case.name != "packed" || Packed::available();
        assert_eq!(
            fused.values().sum::<usize>(),
            if here { case.fused } else { 0 },
            "{fused:?}\n{}",
            case.body
        );
        for (precision, tolerance) in [(Precision::F64, 1e-12), (Precision::F32, 1e-6)] {
            let (on, off) = (
                case.run(precision, one()),
                case.run(precision, Passes::none()),
            );
            assert_eq!(on.len(), off.len(), "{}", case.body);
            for ((name, on), (_, off)) in on.iter().zip(&off) {
                let scale = off.iter().fold(1f64, |m, v| m.max(v.abs()));
                let near = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance * scale;
                let same = on.len() == off.len() && on.iter().zip(off).all(near);
                assert!(same, "{name}: {on:?}\n{off:?}\n{}", case.body);
            }
        }
    }
}

#[test]
fn a_tied_embedding_is_packed_once() {
    let case = CASES.iter().find(|case| case.name == "packed").unwrap();
    let fusions = case
        .engine(Precision::F32, Passes::default())
        .fusions("main")
        .unwrap();
    let expected = if Packed::available() {
        vec![("packed_linear", 2), ("packed_rows", 1)]
    } else {
        vec![]
    };
    assert!(fusions.into_iter().eq(expected));
    let [on, off] = [Passes::default(), Passes::none()].map(|p| case.run(Precision::F32, p));
    for ((name, on), (_, off)) in on.iter().zip(&off) {
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-5;
        assert!(on.iter().zip(off).all(near), "{name}: {on:?}\n{off:?}");
    }
}

#[test]
fn each_pass_has_cases_and_a_name() {
    // Functions with states are no cases: see `updates_of_states_are_found`.
    for pass in ALL.iter().filter(|pass| pass.name != UPDATE_STATE) {
        // What looks rows up only follows another pass.
        let name = pass.name.trim_end_matches("_rows");
        let cases = CASES.iter().filter(|case| case.name == name);
        assert!(
            cases.filter(|case| case.fused > 0).count() > 0,
            "{}",
            pass.name
        );
    }
    let names = |passes: Passes| passes.names().collect::<Vec<_>>();
    assert_eq!(names(Passes::named(["none"]).unwrap()), [""; 0]);
    assert_eq!(names(Passes::named(["all"]).unwrap()).len(), ALL.len());
    let error = Passes::named(["rotray"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown pass \"rotray\"\n  hint: did you mean \"rotary\"?"
    );
}

#[test]
fn what_is_given_from_outside_is_not_fused_away() {
    let case = &CASES[0];
    let engine = case.engine(Precision::F64, Passes::default());
    let given = BTreeSet::from(["h".to_string()]);
    let bound = engine.bind("main", &given).unwrap();
    assert_eq!(bound.schedule.fusions().values().sum::<usize>(), 0);
    let faithful = case.engine(Precision::Faithful, Passes::default());
    assert!(faithful.fusions("main").unwrap().is_empty());
}

/// Where a part of the state as it is goes into it, and nothing else wants the whole.
#[test]
fn updates_of_states_are_found() {
    let update = |from: &str, name: &str| {
        format!(
            "tensor<fp32, [4]> {name} = slice_update(x = {from}, update = x, \
             begin = tensor<int32, [1]>([1]), end = tensor<int32, [1]>([2]));"
        )
    };
    let read = |name: &str| format!("tensor<fp32, [4]> {name} = read_state(input = s);");
    let write = |name: &str| format!("write_state(data = {name}, input = s);");
    let check = |body: &[String], out: &str, expected: usize| {
        let text = format!(
            "program(1.3)\n{{ func main<ios18>(state<tensor<fp32, [4]>> s, tensor<fp32, [1]> x) \
             {{ {} }} -> ({out}); }}",
            body.join(" ")
        );
        let (program, _) = mil::text::parse(&text, "states").unwrap();
        let description = Description::from_program(&program).unwrap();
        let bundle = Arc::new(Bundle::new(program, description));
        let engine = Portable::new(bundle, Options::default()).unwrap();
        let found = engine.fusions("main").unwrap();
        assert_eq!(
            found.get(UPDATE_STATE).copied().unwrap_or(0),
            expected,
            "{text}"
        );
    };
    check(
        &[read("r"), update("r", "u"), write("u"), read("y")],
        "y",
        1,
    );
    check(&[read("r"), update("r", "u"), write("u")], "u", 0);
    let twice = [
        read("r"),
        update("r", "u"),
        write("u"),
        update("r", "v"),
        write("v"),
    ];
    check(&[&twice[..], &[read("y")]].concat(), "y", 1);
    check(&[read("r"), write("r"), read("y")], "y", 0);
}

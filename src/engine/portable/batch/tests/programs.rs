//! Whole programs: states, choices and loops whose examples part, random numbers, language models.

use std::collections::BTreeMap;
use std::path::Path;

use super::{COUNT, bind, both_ways, equal, value};
use crate::engine::portable::batch::Lane;
use crate::engine::portable::{Bound, Value};
use crate::mil::text;
use crate::numeric::{Array, Rng};

fn main(head: &str, body: &str) -> Bound {
    let text = format!("program(1.3)\n{{ func main<ios18>({head}) {{ {body} }} -> (y); }}");
    bind(text::parse(&text, "test").unwrap().0).unwrap()
}

/// `x` of three examples, two numbers each.
fn x(values: [[f32; 2]; COUNT]) -> BTreeMap<String, Lane> {
    let array = |values: [f32; 2]| value(&Array::from_f32(vec![2], &values).unwrap());
    let lane = Lane::together(values.map(array).to_vec()).unwrap();
    BTreeMap::from([("x".to_string(), lane)])
}

/// Runs both ways; the operations that went one by one.
fn check(bound: &Bound, lanes: &BTreeMap<String, Lane>) -> Vec<&'static str> {
    let (together, alone) = both_ways(bound, lanes);
    let together = together.unwrap();
    equal(&together.lanes, &alone.unwrap()).unwrap();
    together.apart.into_iter().collect()
}

/// Why the program can't run its examples together, after running them all the same.
fn refused(bound: &Bound, lanes: &BTreeMap<String, Lane>) -> String {
    let mut states = bound.states_of(COUNT).unwrap();
    let given = BTreeMap::new();
    let _ = bound.run_batch(COUNT, lanes, &given, &mut states);
    bound.apart().unwrap().to_owned()
}

const HEAD: &str = "tensor<fp32, [2]> x";

#[test]
fn a_condition_that_examples_share_chooses_for_all() {
    let body = "bool c = less(x = fp32(1.0), y = fp32(2.0)); tensor<fp32, [2]> y = cond(pred = c) () { \
        tensor<fp32, [2]> a = square(x = x); } -> (a) () { tensor<fp32, [2]> b = exp(x = x); } -> (b);";
    let none: [&str; 0] = [];
    assert_eq!(
        check(&main(HEAD, body), &x([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])),
        none
    );
}

/// The first number says which branch an example takes.
#[test]
fn a_condition_of_their_own_parts_the_examples() {
    let body = "fp32 s = reduce_sum(x = x); bool c = less(x = s, y = fp32(4.0)); tensor<fp32, [2]> y = cond(pred = c) () { \
        tensor<fp32, [2]> a = square(x = x); } -> (a) () { tensor<fp32, [2]> b = exp(x = x); } -> (b);";
    let bound = main(HEAD, body);
    assert_eq!(
        check(&bound, &x([[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]])),
        ["cond"]
    );
    let none: [&str; 0] = [];
    assert_eq!(
        check(&bound, &x([[1.0, 2.0], [0.5, 0.0], [0.0, 1.0]])),
        none
    );
}

const DOUBLING: &str = "tensor<fp32, [2]> y = while_loop(loop_vars = (x)) (tensor<fp32, [2]> a) { \
    fp32 s = reduce_sum(x = a); bool c = less(x = s, y = fp32(100.0)); } -> (c) (tensor<fp32, [2]> b) { \
    tensor<fp32, [2]> d = add(x = b, y = b); } -> (d);";

#[test]
fn loops_may_end_at_different_turns() {
    let bound = main(HEAD, DOUBLING);
    assert_eq!(
        check(&bound, &x([[1.0, 2.0], [30.0, 4.0], [0.0, 1.0]])),
        ["while_loop"]
    );
    let none: [&str; 0] = [];
    assert_eq!(
        check(&bound, &x([[1.0, 2.0], [1.0, 2.1], [2.0, 1.0]])),
        none
    );
}

/// Each turn adds to a state of the example's own; the turns differ.
#[test]
fn every_example_has_states_of_its_own() {
    let head = "state<tensor<fp32, [2]>> sum, tensor<fp32, [2]> x";
    let body = "tensor<fp32, [2]> z = while_loop(loop_vars = (x)) (tensor<fp32, [2]> a) { \
        fp32 s = reduce_sum(x = a); bool c = less(x = s, y = fp32(100.0)); } -> (c) (tensor<fp32, [2]> b) { \
        tensor<fp32, [2]> o = read_state(input = sum); tensor<fp32, [2]> n = add(x = o, y = b); \
        write_state(data = n, input = sum); tensor<fp32, [2]> d = add(x = b, y = b); } -> (d); \
        tensor<fp32, [2]> y = read_state(input = sum);";
    let bound = main(head, body);
    let lanes = x([[1.0, 2.0], [30.0, 4.0], [0.0, 1.0]]);
    assert_eq!(check(&bound, &lanes), ["while_loop"]);
    let mut states = bound.states_of(COUNT).unwrap();
    let given = BTreeMap::new();
    let mut y = || {
        let outputs = bound.run_batch(COUNT, &lanes, &given, &mut states).unwrap();
        outputs["y"].floats().unwrap()
    };
    assert_eq!(y(), [63.0, 126.0, 90.0, 12.0, 0.0, 127.0]);
    assert_eq!(y(), [126.0, 252.0, 180.0, 24.0, 0.0, 254.0]);
    let mut one = bound.states().unwrap();
    let error = bound
        .run_batch(COUNT, &lanes, &given, &mut one)
        .unwrap_err();
    assert_eq!(
        error.message(),
        "the states are those of one example, there are 3"
    );
}

#[test]
fn lists_are_kept_for_every_example() {
    let body = "list<tensor<fp32, [2]>, ?> l = make_list(elem_shape = tensor<int32, [1]>([2])); \
        list<tensor<fp32, [2]>, ?> m = list_write(ls = l, index = int32(1), value = x); \
        tensor<fp32, [2, 2]> y = list_gather(ls = m, indices = tensor<int32, [2]>([1, 0]));";
    let went = check(&main(HEAD, body), &x([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
    assert_eq!(went, ["list_gather", "list_write"]);
}

#[test]
fn results_of_different_shapes_end_the_batch_and_are_named() {
    let bound = main(HEAD, "tensor<int32, [?, 1]> y = non_zero(x = x);");
    assert_eq!(
        check(&bound, &x([[1.0, 0.0], [0.0, 4.0], [5.0, 0.0]])),
        ["non_zero"]
    );
    assert_eq!(
        refused(&bound, &x([[1.0, 0.0], [3.0, 4.0], [5.0, 6.0]])),
        "non_zero at \"y\": examples give the shapes [1, 1] and [2, 1]"
    );
}

#[test]
fn random_numbers_are_those_that_each_example_draws_alone() {
    let drawn = |seed: &str| {
        let body = format!(
            "tensor<fp32, [2]> r = random_normal(shape = tensor<int32, [1]>([2]){seed}); \
            tensor<fp32, [2]> y = add(x = x, y = r);"
        );
        main(HEAD, &body)
    };
    let lanes = x([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let none: [&str; 0] = [];
    assert_eq!(check(&drawn(", seed = int32(3)"), &lanes), none);
    let bound = drawn("");
    assert_eq!(
        refused(&bound, &lanes),
        "random_normal at \"r\": it draws random numbers without a seed"
    );
    // The second batch goes the same way, and every example draws from the next stream.
    let run = |bound: &Bound| {
        let mut states = bound.states_of(COUNT).unwrap();
        let outputs = bound.run_batch(COUNT, &lanes, &BTreeMap::new(), &mut states);
        outputs.unwrap()["y"].floats().unwrap()
    };
    let alone = drawn("");
    for _ in 0..COUNT {
        single(&alone, &lanes, 0);
    }
    let singles = (0..COUNT).flat_map(|i| single(&alone, &lanes, i));
    assert_eq!(run(&bound), singles.collect::<Vec<_>>());
}

fn single(bound: &Bound, lanes: &BTreeMap<String, Lane>, i: usize) -> Vec<f64> {
    let inputs = lanes.iter();
    let inputs = inputs.map(|(name, lane)| (name.clone(), lane.example(i).unwrap()));
    let mut states = bound.states().unwrap();
    let outputs = bound.run(&inputs.collect(), &BTreeMap::new(), &mut states);
    outputs.unwrap()["y"].floats().unwrap()
}

/// Language models take every step at once.
#[test]
fn language_models_run_in_one_pass() {
    for name in ["gpt2", "llama"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/grad");
        let source = std::fs::read_to_string(folder.join(format!("{name}.mil"))).unwrap();
        let bound = bind(text::parse(&source, name).unwrap().0).unwrap();
        let mut rng = Rng::new(5);
        let mut row = || -> Value {
            let ids: Vec<i32> = (0..5).map(|_| rng.below(11) as i32).collect();
            value(&Array::from_i32(vec![1, 5], &ids).unwrap())
        };
        let rows = (0..COUNT).map(|_| row()).collect();
        let lanes = BTreeMap::from([("ids".to_string(), Lane::together(rows).unwrap())]);
        let none: [&str; 0] = [];
        assert_eq!(check(&bound, &lanes), none, "{name}");
    }
}

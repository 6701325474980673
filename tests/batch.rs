//! Programs made for one example run several in one pass: gradients, language models of any batch, and
//! real models where `RLAIF_MODELS` names their folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Device, Tensor, Var};
use rlaif_repl::engine::portable::batch::Lane;
use rlaif_repl::engine::portable::{Bound, Options, Portable, Precision, Value};
use rlaif_repl::engine::{Engine, Features};
use rlaif_repl::generate::NextLogits;
use rlaif_repl::host::{Event, Recorder, Setup};
use rlaif_repl::mil::text;
use rlaif_repl::models::{CoreMLModelWrapper, LoadOptions, StudentModel, Trainable, embedded};
use rlaif_repl::numeric::{Array, DType, Rng};
use rlaif_repl::optim::AdamWOptions;
use rlaif_repl::package::{Bundle, Description, Feature, FeatureKind};
use rlaif_repl::report::Terminal;
use rlaif_repl::session::Session;

use crate::formats::{find, has_extension, models};

const ROWS: [[i32; 5]; 3] = [[3, 7, 1, 10, 4], [0, 2, 2, 9, 5], [6, 1, 8, 3, 3]];

/// A language model that takes `ids` `[1, 5]` and nothing else.
fn fixture(name: &str) -> Arc<Bundle> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/grad");
    let source = std::fs::read_to_string(folder.join(format!("{name}.mil"))).unwrap();
    let (program, _) = text::parse(&source, name).unwrap();
    let description = Description::from_program(&program).unwrap();
    Arc::new(Bundle::new(program, description))
}

fn ids(row: &[i32]) -> Value {
    Value::host(Array::from_i32(vec![1, row.len()], row).unwrap())
}

/// A sum of all logits with uneven weights, the same for each row.
fn loss(logits: &Tensor) -> Tensor {
    let width = logits.elem_count() / logits.dims()[0].max(1);
    let weights: Vec<f64> = (0..width).map(|i| (1.3 * i as f64).sin()).collect();
    let weights = Tensor::from_vec(weights, (1, width), &Device::Cpu).unwrap();
    let rows = logits.reshape(((), width)).unwrap();
    rows.broadcast_mul(&weights).unwrap().sum_all().unwrap()
}

fn gradients(vars: &BTreeMap<String, Var>, loss: &Tensor) -> BTreeMap<String, Vec<f64>> {
    let store = loss.backward().unwrap();
    let gradient = |(name, var): (&String, &Var)| {
        let gradient = store.get(var).unwrap().flatten_all().unwrap();
        (name.clone(), gradient.to_vec1().unwrap())
    };
    vars.iter().map(gradient).collect()
}

fn given(vars: &BTreeMap<String, Var>) -> BTreeMap<String, Tensor> {
    let tensor = |(name, var): (&String, &Var)| (name.clone(), var.as_tensor().clone());
    vars.iter().map(tensor).collect()
}

/// The loss of one row alone.
fn alone(bound: &Bound, vars: &BTreeMap<String, Var>, row: &[i32]) -> Tensor {
    let inputs = BTreeMap::from([("ids".to_string(), ids(row))]);
    let mut states = bound.states().unwrap();
    let outputs = bound.run(&inputs, &given(vars), &mut states).unwrap();
    loss(&outputs["logits"].tensor().unwrap().unsqueeze(0).unwrap())
}

/// The gradient of a batch is the sum of its rows' gradients.
#[test]
fn gradients_of_a_batch_are_the_sum_of_its_rows() {
    for name in ["gpt2", "llama"] {
        let options = Options {
            precision: Precision::F64,
            ..Options::default()
        };
        let engine = Portable::new(fixture(name), options).unwrap();
        let weights = engine.weights("main").unwrap();
        let var = |weight: &str| Var::from_tensor(&engine.weight("main", weight).unwrap()).unwrap();
        let vars: BTreeMap<String, Var> = weights
            .iter()
            .map(|weight| (weight.name.clone(), var(&weight.name)))
            .collect();
        let names: BTreeSet<String> = vars.keys().cloned().collect();
        let bound = engine.bind("main", &names).unwrap();

        let rows = Lane::together(ROWS.iter().map(|row| ids(row)).collect()).unwrap();
        let inputs = BTreeMap::from([("ids".to_string(), rows)]);
        let mut states = bound.states_of(ROWS.len()).unwrap();
        let outputs = bound
            .run_batch(ROWS.len(), &inputs, &given(&vars), &mut states)
            .unwrap();
        assert_eq!(bound.apart(), None);
        let together = gradients(&vars, &loss(outputs["logits"].tensor().unwrap()));

        let mut sums: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for row in &ROWS {
            for (name, gradient) in gradients(&vars, &alone(&bound, &vars, row)) {
                let sum = sums
                    .entry(name)
                    .or_insert_with(|| vec![0.0; gradient.len()]);
                sum.iter_mut().zip(gradient).for_each(|(s, g)| *s += g);
            }
        }
        for (weight, sum) in sums {
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * (1.0 + b.abs());
            assert!(
                together[&weight].iter().zip(&sum).all(near),
                "{name}: {weight}"
            );
        }
    }
}

/// Rows of any length on a model made for one row, fixed or flexible.
#[test]
fn a_model_of_batch_one_takes_rows_together() {
    let model = CoreMLModelWrapper::new("llama", fixture("llama"), None, &LoadOptions::default());
    let model = Arc::new(model.unwrap());
    let rows: [&[u32]; 4] = [&[3, 7, 1, 10, 4], &[5], &[2, 2, 9], &[5]];
    let together = model.forward_batch(&rows).unwrap();
    for (row, logits) in rows.iter().zip(&together) {
        let alone = model.forward(row).unwrap();
        assert_eq!(alone.dim(), (row.len(), 11));
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * (1.0 + b.abs());
        assert!(alone.iter().zip(logits).all(near));
    }
    let last = model.next_logits(&rows[..1]).unwrap();
    assert_eq!(last[0], together[0].row(4).to_vec());
    assert!(model.engine().remarks().is_empty());
    let options = AdamWOptions::default();
    let student = StudentModel::new(model, &Trainable::Whole(Vec::new()), options, 0).unwrap();
    for (row, logits) in student
        .policy()
        .unwrap()
        .rows(&rows)
        .unwrap()
        .iter()
        .zip(&together)
    {
        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * (1.0 + b.abs());
        assert!(row.iter().zip(logits).all(near) && row.dim() == logits.dim());
    }
}

/// A program that takes two rows of four tokens and nothing else gets three rows of its own lengths.
#[test]
fn a_model_of_a_fixed_batch_is_filled_up() {
    let body = "program(1.3)\n{ func main<ios18>(tensor<int32, [2, 4]> ids) { \
        tensor<fp32, [2, 4]> f = cast(x = ids, dtype = string(\"fp32\")); \
        tensor<fp32, [2, 4, 1]> e = expand_dims(x = f, axes = tensor<int32, [1]>([2])); \
        tensor<fp32, [2, 4, 3]> logits = tile(x = e, reps = tensor<int32, [3]>([1, 1, 3])); \
        } -> (logits); }";
    let (program, _) = text::parse(body, "pairs").unwrap();
    let description = Description::from_program(&program).unwrap();
    let bundle = Arc::new(Bundle::new(program, description));
    let model = CoreMLModelWrapper::new("pairs", bundle, None, &LoadOptions::default()).unwrap();
    let rows: [&[u32]; 3] = [&[1, 2], &[3, 4, 5, 6], &[7]];
    let calls = model
        .convention()
        .unwrap()
        .whole()
        .unwrap()
        .calls(&rows)
        .unwrap();
    assert_eq!((calls.inputs.len(), calls.rows, calls.length), (2, 2, 4));
    for (row, logits) in rows.iter().zip(model.forward_batch(&rows).unwrap()) {
        let expected = row.iter().flat_map(|id| [*id as f32; 3]);
        assert_eq!(
            logits.into_raw_vec_and_offset().0,
            expected.collect::<Vec<_>>()
        );
    }
}

/// A language model that draws random numbers: its rows can't run together, and it says so once.
#[test]
fn a_model_that_needs_its_rows_apart_says_so_once() {
    let student = embedded("student", &LoadOptions::default()).unwrap();
    let tokenizer = student.tokenizer().unwrap();
    let vocab = tokenizer.vocab_size();
    let body = format!(
        "program(1.3)\n{{ func main<ios18>(tensor<int32, [1, 8]> ids) {{ \
         tensor<fp32, [1, 8]> f = cast(x = ids, dtype = string(\"fp32\")); \
         tensor<fp32, [1, 8]> r = random_normal(shape = tensor<int32, [2]>([1, 8]), stddev = fp32(0.0)); \
         tensor<fp32, [1, 8]> s = add(x = f, y = r); \
         tensor<fp32, [1, 8, 1]> e = expand_dims(x = s, axes = tensor<int32, [1]>([2])); \
         tensor<fp32, [1, 8, {vocab}]> logits = tile(x = e, reps = tensor<int32, [3]>([1, 1, {vocab}])); \
         }} -> (logits); }}"
    );
    let (program, _) = text::parse(&body, "noise").unwrap();
    let description = Description::from_program(&program).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("noise.mlpackage");
    Bundle::new(program, description).save(&path).unwrap();
    std::fs::write(path.join("tokenizer.json"), tokenizer.to_json().unwrap()).unwrap();

    let recorder = Arc::new(Recorder::default());
    let mut session = Session::new(Setup {
        sink: recorder.clone(),
        ..Setup::still(folder.path().into())
    });
    let code = "let m = load(\"noise.mlpackage\"); \
        for i in 0..2 { m.generate([\"the soup\", \"the tea was\"], #{max_new_tokens: 2}); } print(m.card());";
    let problem = session.eval(code).problem;
    assert_eq!(problem.map(|p| p.render(false)), None);
    let texts = recorder.take().into_iter().filter_map(|event| match event {
        Event::Show(display) => Some(display.render(&Terminal::default())),
        Event::Write(text) | Event::Note(text) => Some(text),
        Event::Progress(_) | Event::Clear => None,
    });
    let texts: Vec<String> = texts.collect();
    let remark = "\"main\" runs its examples one by one: random_normal at \"r\": it draws random numbers without a seed";
    let said = texts
        .iter()
        .filter(|text| **text == format!("note: {remark}"));
    assert_eq!(said.count(), 1, "{texts:?}");
    let card = texts.last().unwrap();
    assert!(card.contains("one by one: random_normal"), "{card}");
}

/// Something that `feature` takes, of its usual shape.
fn input(feature: &Feature, rng: &mut Rng) -> Array {
    let (dtype, shape) = match &feature.kind {
        FeatureKind::Array { dtype, shape, .. } => (*dtype, shape.clone()),
        other => panic!("{other:?}"),
    };
    let count: usize = shape.iter().product();
    match dtype.is_float() {
        true => {
            let values: Vec<f64> = (0..count).map(|_| 0.5 * rng.normal()).collect();
            Array::from_f64s(DType::Fp32, shape, &values).unwrap()
        }
        false => {
            let values: Vec<i64> = (0..count).map(|_| rng.below(2) as i64).collect();
            Array::from_i64s(DType::Int32, shape, &values).unwrap()
        }
    }
}

/// The largest difference of three examples together from each alone, in units of the output's scale and
/// beyond what rounding to fp16 explains; nothing if the function does not run on such inputs.
fn difference(engine: &Portable, function: &str) -> Option<f64> {
    let described = engine.description().function(function).unwrap();
    let mut rng = Rng::new(7);
    let mut example = || -> Features {
        let inputs = described.inputs.iter();
        inputs
            .map(|f| (f.name.clone(), input(f, &mut rng)))
            .collect()
    };
    let examples: Vec<Features> = (0..3).map(|_| example()).collect();
    let alone = examples
        .iter()
        .map(|inputs| engine.predict(function, inputs, None));
    let alone: Vec<Features> = alone.collect::<Result<_, _>>().ok()?;
    let together = engine.predict_batch(function, &examples).unwrap();
    let mut worst = 0f64;
    for (together, alone) in together.iter().zip(&alone) {
        assert_eq!(together.len(), alone.len());
        for (name, expected) in alone {
            let got = &together[name];
            assert_eq!(
                (got.shape(), got.dtype()),
                (expected.shape(), expected.dtype())
            );
            let (got, expected) = (got.to_f64s(), expected.to_f64s());
            let scale = expected.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
            let delta = |(a, b): (&f64, &f64)| if a == b { 0.0 } else { (a - b).abs() / scale };
            let delta = got.iter().zip(&expected).map(delta).fold(0.0, f64::max);
            // An element declared fp16 may be rounded to the neighbour.
            let half = together[name].dtype() == DType::Fp16;
            worst = worst.max(if half && delta < 1e-3 { 0.0 } else { delta });
        }
    }
    Some(worst)
}

#[expect(
    clippy::print_stderr,
    reason = "figures for the reader of the test's output"
)]
fn report(path: &Path, function: &str, words: &str) {
    let name: PathBuf = path
        .iter()
        .rev()
        .take(2)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    eprintln!("{words}  {} {function}", name.display());
}

#[test]
fn real_models_give_together_what_they_give_alone() {
    let Some(folder) = models() else { return };
    let (mut run, mut apart) = (0, Vec::new());
    for part in [
        "small",
        "generated",
        "mobius-silero-vad",
        "mlmodelc-export",
        "smollm2-135m",
    ] {
        let bundle = |path: &Path| {
            ["mlpackage", "mlmodelc"]
                .iter()
                .any(|e| has_extension(path, e))
        };
        for path in find(&folder.join(part), &bundle) {
            let Ok(bundle) = Bundle::open(&path) else {
                continue;
            };
            let Ok(engine) = Portable::new(Arc::new(bundle), Options::default()) else {
                continue;
            };
            let functions = engine.bundle().program.functions.keys();
            for function in functions.cloned().collect::<Vec<_>>() {
                match difference(&engine, &function) {
                    Some(worst) => {
                        report(&path, &function, &format!("{worst:9.2e}"));
                        assert!(worst < 1e-5, "{}: {worst}", path.display());
                        run += 1;
                    }
                    None => report(&path, &function, "not run  "),
                }
            }
            apart.extend(engine.remarks());
        }
    }
    assert!(run > 150, "{run} functions");
    assert_eq!(apart, [""; 0]);
}

//! Gradients through whole small models against PyTorch's (`fixtures/grad/make.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use candle_core::{D, DType, Device, Tensor, Var};
use rlaif_repl::engine::portable::{Options, Portable, Precision, Value};
use rlaif_repl::mil::text;
use rlaif_repl::numeric::Array;
use rlaif_repl::package::{Bundle, Description};

const IDS: [i32; 5] = [3, 7, 1, 10, 4];

struct Model {
    engine: Portable,
    reference: BTreeMap<String, Tensor>,
}

fn model(name: &str, precision: Precision) -> Model {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/grad");
    let source = std::fs::read_to_string(folder.join(format!("{name}.mil"))).unwrap();
    let (program, _) = text::parse(&source, name).unwrap();
    let description = Description::from_program(&program).unwrap();
    let options = Options {
        precision,
        ..Options::default()
    };
    let bundle = Arc::new(Bundle::new(program, description));
    let file = folder.join(format!("{name}.safetensors"));
    let reference = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    Model {
        engine: Portable::new(bundle, options).unwrap(),
        reference: reference.into_iter().collect(),
    }
}

impl Model {
    /// Mean cross-entropy of each next token, with `given` for the weights of these names.
    fn loss(&self, given: &BTreeMap<String, Tensor>) -> (Tensor, Tensor) {
        let names: BTreeSet<String> = given.keys().cloned().collect();
        let bound = self.engine.bind("main", &names).unwrap();
        let ids = Value::host(Array::from_i32(vec![1, 5], &IDS).unwrap());
        let inputs = BTreeMap::from([("ids".to_string(), ids)]);
        let outputs = bound
            .run(&inputs, given, &mut bound.states().unwrap())
            .unwrap();
        let logits = outputs["logits"].tensor().unwrap().clone();
        let rows = logits.get(0).unwrap().narrow(0, 0, 4).unwrap();
        let max = rows.max_keepdim(D::Minus1).unwrap();
        let rows = rows.broadcast_sub(&max).unwrap();
        let sums = rows.exp().unwrap().sum_keepdim(1).unwrap().log().unwrap();
        let next: Vec<i64> = IDS[1..].iter().map(|id| i64::from(*id)).collect();
        let next = Tensor::from_vec(next, (4, 1), &Device::Cpu).unwrap();
        let chosen = rows.gather(&next, 1).unwrap();
        ((sums - chosen).unwrap().mean_all().unwrap(), logits)
    }

    /// Fails unless `got` is within `tolerance` of the reference's scale.
    fn near(&self, got: &Tensor, name: &str, tolerance: f64) {
        let expected = self.reference[name].to_dtype(DType::F64).unwrap();
        let got = got.to_dtype(DType::F64).unwrap();
        assert_eq!(got.dims(), expected.dims(), "{name}");
        let most = |t: &Tensor| -> f64 {
            let t = t.abs().unwrap().flatten_all().unwrap();
            t.max(0).unwrap().to_scalar().unwrap()
        };
        let delta = most(&(&got - &expected).unwrap()) / most(&expected).max(1e-3);
        assert!(delta < tolerance, "{name} is off by {delta:.2e}");
    }

    fn var(&self, name: &str) -> Var {
        Var::from_tensor(&self.engine.weight("main", name).unwrap()).unwrap()
    }
}

fn check_all_weights(name: &str, precision: Precision, tolerance: f64) {
    let model = model(name, precision);
    let weights = model.engine.weights("main").unwrap();
    let trained = |name: &str| model.reference.contains_key(&format!("grad.{name}"));
    let vars: BTreeMap<String, Var> = weights
        .iter()
        .filter(|w| trained(&w.name))
        .map(|w| (w.name.clone(), model.var(&w.name)))
        .collect();
    let references = model.reference.keys().filter(|k| k.starts_with("grad."));
    assert_eq!(vars.len(), references.count());
    let given = vars
        .iter()
        .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
        .collect();
    let (loss, logits) = model.loss(&given);
    model.near(&logits, "logits", tolerance);
    model.near(&loss, "loss", tolerance);
    let gradients = loss.backward().unwrap();
    for (name, var) in &vars {
        let gradient = gradients
            .get(var)
            .unwrap_or_else(|| panic!("{name} has no gradient"));
        model.near(gradient, &format!("grad.{name}"), tolerance);
    }
}

#[test]
fn every_weight_of_a_llama() {
    check_all_weights("llama", Precision::F64, 1e-6);
    check_all_weights("llama", Precision::F32, 1e-4);
}

#[test]
fn every_weight_of_a_gpt2_with_tied_embedding() {
    check_all_weights("gpt2", Precision::F64, 1e-6);
    check_all_weights("gpt2", Precision::F32, 1e-4);
}

/// W + ½ B A with gradients for A and B alone.
fn check_lora(name: &str, weight: &str) {
    let model = model(name, Precision::F64);
    let part = |part: &str| {
        let tensor = &model.reference[&format!("lora.{weight}.{part}")];
        Var::from_tensor(&tensor.to_dtype(DType::F64).unwrap()).unwrap()
    };
    let (a, b) = (part("a"), part("b"));
    let product = (b.matmul(&a).unwrap() * 0.5).unwrap();
    let adapted = (model.engine.weight("main", weight).unwrap() + product).unwrap();
    let (loss, _) = model.loss(&BTreeMap::from([(weight.to_string(), adapted)]));
    model.near(&loss, "lora.loss", 1e-6);
    let gradients = loss.backward().unwrap();
    model.near(gradients.get(&a).unwrap(), "lora.grad.a", 1e-6);
    model.near(gradients.get(&b).unwrap(), "lora.grad.b", 1e-6);
}

#[test]
fn adapters() {
    check_lora("llama", "q");
    check_lora("gpt2", "qkv");
}

//! Pipelines: read, run as one model, written both ways.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rlaif_repl::engine::portable::Options;
use rlaif_repl::engine::{Engine, Features, pipeline};
use rlaif_repl::mil::text;
use rlaif_repl::numeric::{Array, DType};
use rlaif_repl::package::{
    Bundle, Description, Feature, FeatureKind, FunctionDescription, Model, Pipeline, PipelineKind,
    Stage,
};

use super::save::contents;

/// Adds `x` to a state, and a weight to the sum.
const FIRST: &str = "program(1.3) {
    func main<ios18>(state<tensor<fp16, [2]>> sum, tensor<fp32, [2]> x) {
        tensor<fp32, [10]> w = const()[val = tensor<fp32, [10]>([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])];
        tensor<fp16, [2]> before = read_state(input = sum);
        tensor<fp16, [2]> given = cast(dtype = string(\"fp16\"), x = x);
        tensor<fp16, [2]> after = add(x = before, y = given);
        write_state(data = after, input = sum);
        tensor<fp32, [2]> wide = cast(dtype = string(\"fp32\"), x = after);
        tensor<fp32, [1]> most = reduce_max(axes = tensor<int32, [1]>([0]), keep_dims = bool(true), x = w);
        tensor<fp32, [2]> h = add(x = wide, y = most);
    } -> (h);
}";

/// Classifies what it is given, twice: by the first stage's result and by the pipeline's own input.
const SECOND: &str = "program(1.3) {
    func main<ios17>(tensor<fp32, [2]> x, tensor<fp32, [2]> h) {
        tensor<fp32, [2]> s = add(x = x, y = h);
        tensor<fp32, [2]> q = softmax(axis = int32(0), x = s);
        list<string, 2> c = const()[val = list<string, 2>([\"low\", \"high\"])];
        string label, dict<string, fp64> p = classify(classes = c, probabilities = q);
    } -> (label, p);
}";

fn stage(name: &str, source: &str) -> Stage {
    let program = text::parse(source, name).unwrap().0;
    let mut description = Description::from_program(&program).unwrap();
    let main = description.functions.get_mut("main").unwrap();
    if main.outputs.len() == 2 {
        make_classifier(main);
        main.class_labels = vec!["low".into(), "high".into()];
    }
    Stage {
        name: name.to_owned(),
        bundle: Bundle::new(program, description),
    }
}

fn make_classifier(main: &mut FunctionDescription) {
    for (output, kind) in [("label", "String"), ("p", "Dictionary<String>")] {
        main.outputs.retain(|feature| feature.name != output);
        main.outputs.push(Feature {
            kind: FeatureKind::Other(kind.into()),
            ..Feature::array(output, DType::Fp32, &[])
        });
    }
    main.predicted_feature = Some("label".into());
    main.predicted_probabilities = Some("p".into());
}

fn classifier() -> Pipeline {
    let mut main = FunctionDescription {
        inputs: vec![Feature::array("x", DType::Fp32, &[2])],
        outputs: vec![Feature::array("h", DType::Fp32, &[2])],
        ..FunctionDescription::default()
    };
    make_classifier(&mut main);
    let mut description = Description {
        specification_version: 9,
        functions: BTreeMap::from([("main".to_owned(), main)]),
        default_function: "main".into(),
        ..Description::default()
    };
    description.metadata.author = "nobody".into();
    let stages = vec![stage("sum", FIRST), stage("choice", SECOND)];
    Pipeline::new(PipelineKind::Classifier, description, stages).unwrap()
}

fn engine(model: Model) -> Box<dyn Engine> {
    pipeline::portable(model, Options::default()).unwrap()
}

fn given(name: &str, values: &[f32]) -> Features {
    let array = Array::from_f32(vec![values.len()], values).unwrap();
    Features::from([(name.to_owned(), array)])
}

#[test]
fn stages_pass_their_values_on_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let saved = |name: &str| folder.path().join(name);
    let original = Model::Pipeline(classifier());
    original.save(&saved("a.mlpackage")).unwrap();
    original.save(&saved("a.mlmodelc")).unwrap();
    // Packed, then compiled: classify is taken out, and back in.
    Model::open(&saved("a.mlmodelc"))
        .unwrap()
        .save(&saved("b.mlpackage"))
        .unwrap();
    Model::open(&saved("b.mlpackage"))
        .unwrap()
        .save(&saved("b.mlmodelc"))
        .unwrap();
    let opened = ["a.mlpackage", "a.mlmodelc", "b.mlpackage", "b.mlmodelc"];
    let opened = opened.map(|name| Model::open(&saved(name)).unwrap());
    for model in opened.into_iter().chain([original]) {
        let engine = engine(model);
        let main = engine.description().function("main").unwrap();
        assert_eq!(main.class_labels, ["low", "high"]);
        assert_eq!(engine.description().metadata.author, "nobody");
        let mut state = engine.new_state("main").unwrap();
        for expected in [[11.0, 10.0], [12.0, 10.0]] {
            let x = given("x", &[1.0, 0.0]);
            let outputs = engine.predict("main", &x, Some(&mut *state)).unwrap();
            assert_eq!(outputs["h"].to_f32s(), expected);
            let read = rlaif_repl::engine::classifier::classification(main, &outputs);
            assert_eq!(read.unwrap().unwrap().label, "low");
        }
        assert_eq!(state.read("sum").unwrap().to_f32s(), [2.0, 0.0]);
        state.write("sum", &given("x", &[0.0, 9.0])["x"]).unwrap();
        let outputs = engine.predict("main", &given("x", &[0.0; 2]), Some(&mut *state));
        assert_eq!(outputs.unwrap()["h"].to_f32s(), [10.0, 19.0]);
        assert!(state.read("smu").unwrap_err().hint_text().is_some());
    }
    let compiled = contents(&saved("a.mlmodelc"));
    assert!(compiled.contains_key("model0/weights/weight.bin"));
    assert!(
        contents(&saved("a.mlpackage"))
            .keys()
            .any(|name| name.ends_with("weights/0-weight.bin"))
    );
    assert!(
        compiled
            == contents(&{
                let again = folder.path().join("again/a.mlmodelc");
                Model::open(&saved("a.mlmodelc"))
                    .unwrap()
                    .save(&again)
                    .unwrap();
                again
            })
    );
}

#[test]
fn apples_pipelines_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/apple/pipeline");
    for form in ["input.mlmodel", "expected.mlmodelc"] {
        let engine = engine(Model::open(&folder.join(form)).unwrap());
        let input = given("input", &[1.0003, -1.0003, 1.0007, -1.0007]);
        let outputs = engine.predict("main", &input, None).unwrap();
        // Rounded to fp16 between the stages where it is positive.
        let expected = [1.0, -1.0003, 1.0 + 1.0 / 1024.0, -1.0007];
        assert_eq!(outputs["result"].to_f32s(), expected, "{form}");
        assert_eq!(outputs["result"].dtype(), DType::Fp32);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let check = |change: &dyn Fn(&mut Pipeline), words: &str| {
        let mut pipeline = classifier();
        change(&mut pipeline);
        let Pipeline {
            kind,
            description,
            stages,
        } = pipeline;
        let error = Pipeline::new(kind, description, stages).err().unwrap();
        assert!(error.to_string().contains(words), "{error}");
    };
    check(
        &|pipeline| pipeline.stages.swap(0, 1),
        "stage \"choice\" needs \"h\", which neither the pipeline nor an earlier stage gives",
    );
    check(
        &|pipeline| pipeline.stages.clear(),
        "the pipeline has no stages",
    );
    check(
        &|pipeline| {
            let main = pipeline.description.functions.get_mut("main").unwrap();
            main.outputs.push(Feature::array("z", DType::Fp32, &[]));
        },
        "no stage gives the pipeline's output \"z\"",
    );
    check(
        &|pipeline| pipeline.stages.push(stage("again", FIRST)),
        "two stages have a state called \"sum\"",
    );
}

/// A pipeline in protobuf form whose only stage is a neural network.
const NETWORK: &[u8] = b"\x08\x09\xd2\x0c\x0a\x0a\x05\x08\x04\xa2\x1f\x00\x12\x01n";

#[test]
fn stages_of_other_kinds_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.mlmodel");
    fs::write(&path, NETWORK).unwrap();
    let error = Model::open(&path).err().unwrap().to_string();
    let words = "stage \"n\" of the pipeline: this is a neural network, not an ML Program";
    assert!(error.contains(words), "{error}");
    let compiled = folder.path().join("m.mlmodelc");
    Model::Pipeline(classifier()).save(&compiled).unwrap();
    fs::remove_file(compiled.join("model1/model.mil")).unwrap();
    fs::write(compiled.join("model1/model.espresso.net"), "").unwrap();
    fs::remove_file(compiled.join("model1/coremldata.bin")).unwrap();
    let error = Model::open(&compiled).err().unwrap().to_string();
    assert!(
        error.contains("stage \"choice\" of the pipeline: this is a neural network"),
        "{error}"
    );
    let error = Bundle::open(&folder.path().join("m.mlmodel"))
        .err()
        .unwrap();
    assert!(error.to_string().contains("neural network"), "{error}");
}

/// Stages may share a weight file that lies beside them.
#[test]
fn shared_weight_files_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.mlmodelc");
    Model::Pipeline(classifier()).save(&path).unwrap();
    fs::create_dir(path.join("weights")).unwrap();
    fs::rename(
        path.join("model0/weights/weight.bin"),
        path.join("weights/w.bin"),
    )
    .unwrap();
    let text = path.join("model0/model.mil");
    let content = fs::read_to_string(&text).unwrap();
    let content = content.replace(
        "@model_path/weights/weight.bin",
        "@model_path/../weights/w.bin",
    );
    fs::write(&text, content).unwrap();
    let model = Model::open(&path).unwrap();
    let again = folder.path().join("again.mlmodelc");
    model.save(&again).unwrap();
    assert!(again.join("model0/weights/w.bin").exists());
    for model in [model, Model::open(&again).unwrap()] {
        let outputs = engine(model).predict("main", &given("x", &[1.0, 0.0]), None);
        assert_eq!(outputs.unwrap()["h"].to_f32s(), [11.0, 10.0]);
    }
    let content = fs::read_to_string(&text).unwrap();
    fs::write(&text, content.replace("/../weights", "/../../weights")).unwrap();
    let error = engine(Model::open(&path).unwrap()).predict("main", &given("x", &[0.0; 2]), None);
    assert!(error.unwrap_err().to_string().contains("leaves the bundle"));
}

//! Pipelines of embeddings, body and head: language models too.

use std::fmt::Write as _;
use std::path::Path;

use rlaif_repl::generate::{NextLogits, Way};
use rlaif_repl::models::{CoreMLModelWrapper, Decoding, LoadOptions};
use rlaif_repl::numeric::Rng;
use rlaif_repl::package::{
    Bundle, Description, FunctionDescription, Model, Pipeline, PipelineKind, Stage,
};

use super::habits::{Habit, LAYERS, SLOTS, VOCAB, WIDTH, Writer, bundle_of};
use super::kept::{agree, expected, plain, tokens};
use super::ports::Port;

fn stage(name: &str, written: (String, FunctionDescription)) -> Stage {
    Stage {
        name: name.to_owned(),
        bundle: bundle_of([("main".to_owned(), written)].into()),
    }
}

/// Embeddings, layers that keep the past as `habit` says, head.
fn stages(habit: Habit) -> Vec<Stage> {
    let wide = format!("1, ?, {WIDTH}");
    let hidden = [(1, 1), (1, SLOTS), (WIDTH, WIDTH)];
    let mut first = Writer::new(habit, (1, SLOTS));
    let table = first.weight("table", VOCAB, WIDTH);
    let x = first.gather(&table, "inputIds", &wide);
    writeln!(
        first.text,
        "tensor<fp32, [{wide}]> embedded = identity(x = {x});"
    )
    .unwrap();
    first.outputs.push("embedded".to_owned());

    let mut body = Writer::new(habit, (1, SLOTS));
    body.inputs = vec![Port::new("embedded", "fp32", &hidden)];
    let (start, mask) = body.place();
    let (mut x, end) = body.placed("embedded", &start);
    for layer in 0..LAYERS {
        x = body.layer(layer, &x, &mask, &[start.clone(), end.clone()]);
    }
    writeln!(
        body.text,
        "tensor<fp32, [{wide}]> hidden = identity(x = {x});"
    )
    .unwrap();
    body.outputs.push("hidden".to_owned());

    let mut head = Writer::new(habit, (1, SLOTS));
    head.inputs = vec![Port::new("hidden", "fp32", &hidden)];
    let table = head.weight("table", VOCAB, WIDTH);
    let call = format!("linear(x = hidden, weight = {table})");
    writeln!(
        head.text,
        "tensor<fp32, [1, ?, {VOCAB}]> token_scores = {call};"
    )
    .unwrap();
    head.outputs.push("token_scores".to_owned());
    vec![
        stage("embeddings", first.finish("main")),
        stage("body", body.finish("main")),
        stage("head", head.finish("main")),
    ]
}

fn pipeline(habit: Habit) -> Pipeline {
    let stages = stages(habit);
    let main = |stage: &Stage| stage.bundle.description.functions["main"].clone();
    let (first, body, head) = (main(&stages[0]), main(&stages[1]), main(&stages[2]));
    let inputs = first
        .inputs
        .into_iter()
        .chain(body.inputs.into_iter().skip(1));
    let whole = FunctionDescription {
        inputs: inputs.collect(),
        outputs: head.outputs,
        ..Default::default()
    };
    let description = Description {
        functions: [("main".to_owned(), whole)].into(),
        ..stages[0].bundle.description.clone()
    };
    Pipeline::new(PipelineKind::Plain, description, stages).unwrap()
}

fn load(path: &Path) -> CoreMLModelWrapper {
    CoreMLModelWrapper::load(path, &LoadOptions::default()).unwrap()
}

#[test]
fn pipelines_decode_as_their_stages_compute() {
    let twin = plain(Habit::Stateless);
    for habit in [Habit::Stateless, Habit::States] {
        for form in ["mlpackage", "mlmodelc"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(format!("model.{form}"));
            Model::Pipeline(pipeline(habit)).save(&path).unwrap();
            let model = load(&path);
            let mut rng = Rng::new(4);
            let rows = [tokens(&mut rng, 5), tokens(&mut rng, SLOTS)];
            let rows = [(0, &rows[0][..]), (1, &rows[1][..])];
            let ids = rows.map(|(_, ids)| ids);
            let expected = expected(&twin, &rows);
            agree(habit, &expected, &model.next_logits(&ids).unwrap());
            let whole = model.forward_batch(&ids).unwrap();
            let last: Vec<Vec<f32>> = whole
                .iter()
                .map(|l| l.row(l.nrows() - 1).to_vec())
                .collect();
            agree(habit, &expected, &last);
            match habit {
                Habit::States => {
                    let mut decoder = model.decoder(SLOTS).unwrap().unwrap();
                    assert_eq!(decoder.way(), Way::States);
                    agree(habit, &expected, &decoder.next(&rows).unwrap());
                }
                _ => assert!(matches!(model.decoding(), Some(Decoding::Recompute(_)))),
            }
            let error = model.portable().err().unwrap().to_string();
            assert!(error.contains("made of several programs"), "{error}");
        }
    }
}

/// A folder with one bundle in it stands for that.
#[test]
fn folders_with_one_bundle_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    let bundle: Bundle = super::habits::bundle(Habit::States);
    bundle.save(&folder.path().join("model.mlpackage")).unwrap();
    assert_eq!(load(folder.path()).max_len(), SLOTS);
    bundle.save(&folder.path().join("other.mlpackage")).unwrap();
    let error = CoreMLModelWrapper::load(folder.path(), &LoadOptions::default())
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("there is no Core ML bundle here"),
        "{error}"
    );
}

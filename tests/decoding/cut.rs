//! The tiny transformer cut into parts as ANEMLL does: embeddings, chunks of layers with a function for
//! prompts and one for single tokens, a head whose logits come in two halves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use rlaif_repl::generate::NextLogits;
use rlaif_repl::models::{CoreMLModelWrapper, LoadOptions};
use rlaif_repl::numeric::Rng;
use rlaif_repl::package::{Bundle, FeatureKind, Flexibility};

use super::habits::{Habit, LAYERS, PIECE, SLOTS, VOCAB, WIDTH, Writer, bundle_of};
use super::kept::{agree, expected, plain, tokens};
use super::ports::Port;

const HIDDEN: &str = "hidden_states";

fn embeddings() -> Bundle {
    let mut writer = Writer::new(Habit::Slots, (1, PIECE));
    writer.inputs[0].name = "input_ids".to_owned();
    let table = writer.weight("table", VOCAB, WIDTH);
    let wide = format!("1, ?, {WIDTH}");
    let x = writer.gather(&table, "input_ids", &wide);
    writeln!(
        writer.text,
        "tensor<fp32, [{wide}]> {HIDDEN} = identity(x = {x});"
    )
    .unwrap();
    writer.outputs.push(HIDDEN.to_owned());
    let (text, mut function) = writer.finish("main");
    if let FeatureKind::Array { flexibility, .. } = &mut function.inputs[0].kind {
        *flexibility = Flexibility::Enumerated(vec![vec![1, 1], vec![1, PIECE]]);
    }
    bundle_of([("main".to_owned(), (text, function))].into())
}

/// One layer's function; prompts give their first position only, as nobody asks for it.
fn layer(
    layer: usize,
    name: &str,
    length: usize,
) -> (String, rlaif_repl::package::FunctionDescription) {
    let mut writer = Writer::new(Habit::Slots, (length, length));
    let hidden = [(1, 1), (length, length), (WIDTH, WIDTH)];
    writer.inputs = vec![
        Port::new(HIDDEN, "fp32", &hidden),
        Port::new("position_ids", "int32", &[(length, length)]),
    ];
    if name == "infer" {
        let slots = [(1, 1), (1, 1), (SLOTS, SLOTS), (1, 1)];
        writer.inputs.push(Port::new("update_mask", "fp32", &slots));
    }
    let (start, mask) = writer.place();
    let (placed, end) = writer.placed(HIDDEN, &start);
    let x = if layer == 0 { placed.as_str() } else { HIDDEN };
    let x = writer.layer(layer, x, &mask, &[start, end]);
    let x = match name {
        "prefill" => {
            let call = format!(
                "slice_by_index(x = {x}, begin = tensor<int32, [3]>([0, 0, 0]), \
                 end = tensor<int32, [3]>([1, 1, {WIDTH}]))"
            );
            match layer + 1 == LAYERS {
                true => writer.op(&format!("1, 1, {WIDTH}"), &call),
                false => x,
            }
        }
        _ => x,
    };
    let name_of = format!("output_{HIDDEN}");
    writeln!(
        writer.text,
        "tensor<fp32, [1, ?, {WIDTH}]> {name_of} = identity(x = {x});"
    )
    .unwrap();
    writer.outputs.push(name_of);
    writer.finish(name)
}

const FUNCTIONS: [(&str, usize); 2] = [("infer", 1), ("prefill", PIECE)];

fn chunk(number: usize, functions: &[(&str, usize)]) -> Bundle {
    let function =
        |(name, length): &(&str, usize)| ((*name).to_owned(), layer(number, name, *length));
    bundle_of(functions.iter().map(function).collect())
}

fn head() -> Bundle {
    let mut writer = Writer::new(Habit::Slots, (1, 1));
    writer.inputs = vec![Port::new(HIDDEN, "fp32", &[(1, 1), (1, 1), (WIDTH, WIDTH)])];
    let table = writer.weight("table", VOCAB, WIDTH);
    let half = VOCAB / 2;
    for part in 0..2 {
        let call = format!(
            "slice_by_index(x = {table}, begin = tensor<int32, [2]>([{}, 0]), \
             end = tensor<int32, [2]>([{}, {WIDTH}]))",
            part * half,
            (part + 1) * half
        );
        let rows = writer.op(&format!("{half}, {WIDTH}"), &call);
        let (name, call) = (
            format!("logits{}", part + 1),
            format!("linear(x = {HIDDEN}, weight = {rows})"),
        );
        writeln!(writer.text, "tensor<fp32, [1, 1, {half}]> {name} = {call};").unwrap();
        writer.outputs.push(name);
    }
    bundle_of(BTreeMap::from([("main".to_owned(), writer.finish("main"))]))
}

/// Everything in a folder, with the names that ANEMLL gives.
fn write(folder: &Path, form: &str) {
    let path = |name: &str| folder.join(format!("tiny_{name}.{form}"));
    embeddings().save(&path("embeddings")).unwrap();
    head().save(&path("lm_head_lut6")).unwrap();
    for number in 0..LAYERS {
        let name = format!("FFN_PF_lut4_chunk_{:02}of{LAYERS:02}", number + 1);
        chunk(number, &FUNCTIONS).save(&path(&name)).unwrap();
    }
}

fn check(path: &Path) {
    let model = CoreMLModelWrapper::load(path, &LoadOptions::default()).unwrap();
    let twin = plain(Habit::Stateless);
    let mut rng = Rng::new(2);
    let mut rows: Vec<Vec<u32>> = [1, PIECE, 2 * PIECE, 7, 3]
        .map(|n| tokens(&mut rng, n))
        .into();
    let mut decoder = model.decoder(SLOTS).unwrap().unwrap();
    while rows.iter().any(|row| row.len() <= SLOTS) {
        let open = rows.iter().map(Vec::as_slice).enumerate();
        let open: Vec<_> = open.filter(|(_, row)| row.len() <= SLOTS).collect();
        agree(path, &expected(&twin, &open), &decoder.next(&open).unwrap());
        rows.iter_mut()
            .for_each(|row| row.extend(tokens(&mut rng, 1)));
    }
    let back: [(usize, &[u32]); 2] = [(0, &rows[0][..3]), (3, &rows[3][..9])];
    agree(path, &expected(&twin, &back), &decoder.next(&back).unwrap());
    let whole = model.forward(&rows[1][..SLOTS]).unwrap();
    let last = whole.row(SLOTS - 1).to_vec();
    agree(path, &expected(&twin, &[(0, &rows[1][..SLOTS])]), &[last]);
    assert_eq!(whole.dim(), (SLOTS, VOCAB));
    assert_eq!(model.remark(), None);
    let told = model.convention().unwrap().told();
    assert_eq!(
        told,
        "states chunk1.keyCache, chunk1.valueCache, chunk2.keyCache, chunk2.valueCache in infer, prefill"
    );
    let error = model.bundle().err().unwrap().to_string();
    assert!(error.contains("made of several programs"), "{error}");
}

#[test]
fn parts_are_found_by_their_names() {
    for form in ["mlmodelc", "mlpackage"] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), form);
        check(folder.path());
    }
}

#[test]
fn parts_are_found_by_meta_yaml() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "mlmodelc");
    let decoy = folder.path().join("other_embeddings.mlmodelc");
    head().save(&decoy).unwrap();
    let meta = "model_info:\n  name: tiny\n  parameters:\n    num_chunks: 2\n    model_prefix: tiny\n    \
                embeddings: tiny_embeddings.mlmodelc\n    lm_head: tiny_lm_head_lut6.mlmodelc\n    \
                ffn: tiny_FFN_PF_lut4.mlmodelc\n    split_lm_head: 2\n";
    fs::write(folder.path().join("meta.yaml"), meta).unwrap();
    check(folder.path());
}

/// As candle-coreml writes it: the shapes are there, and the bundles' own count.
fn config(infer: &str) -> String {
    let component = |path: &str| {
        format!(r#"{{"file_path": "{path}", "inputs": {{}}, "outputs": {{}}, "functions": []}}"#)
    };
    format!(
        r#"{{"model_info": {{"model_type": "qwen"}},
        "shapes": {{"batch_size": 1, "context_length": 12, "hidden_size": 8, "vocab_size": 16}},
        "components": {{"embeddings": {}, "ffn_prefill": {}, {infer} "lm_head": {}}},
        "naming": {{}}}}"#,
        component("tiny_embeddings.mlmodelc"),
        component("tiny_FFN_PF_lut4_chunk_01of02.mlmodelc"),
        component("tiny_lm_head_lut6.mlmodelc"),
    )
}

#[test]
fn parts_are_found_by_a_model_config() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "mlmodelc");
    let file = folder.path().join("tiny.json");
    fs::write(&file, config("")).unwrap();
    check(folder.path());
    check(&file);
    // Functions for single tokens in files of their own.
    for number in 0..LAYERS {
        let name = format!("tiny_infer_chunk_{:02}of{LAYERS:02}.mlmodelc", number + 1);
        chunk(number, &FUNCTIONS[..1])
            .save(&folder.path().join(name))
            .unwrap();
    }
    let infer = r#""ffn_infer": {"file_path": "tiny_infer_chunk_01of02.mlmodelc"},"#;
    fs::write(&file, config(infer)).unwrap();
    check(&file);
}

#[test]
fn what_is_missing_is_named() {
    let refused = |path: &Path, words: &str| {
        let error = CoreMLModelWrapper::load(path, &LoadOptions::default())
            .err()
            .unwrap();
        assert!(error.to_string().contains(words), "{error}");
    };
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "mlmodelc");
    fs::remove_dir_all(folder.path().join("tiny_FFN_PF_lut4_chunk_02of02.mlmodelc")).unwrap();
    refused(folder.path(), "chunk_02of02");
    let file = folder.path().join("tiny.json");
    fs::write(
        &file,
        r#"{"components": {"embeddings": {"file_path": "a"}}}"#,
    )
    .unwrap();
    refused(&file, "there is no component \"ffn_prefill\"");
}

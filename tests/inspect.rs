//! `inspect`: what is told of a bundle, as tables and as JSON, with and without its weights.

use std::fs;
use std::path::Path;

use rlaif_repl::mil::text;
use rlaif_repl::package::{Bundle, Description};

use crate::cli::run;

const PROGRAM: &str = "program(1.3) {
    func main<ios18>(tensor<fp16, [?, 4]> x, state<tensor<fp16, [2]>> s) {
        tensor<fp16, [3, 4]> v = const()[val = tensor<fp16, [3, 4]>([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])];
        tensor<fp16, [3]> b = const()[val = tensor<fp16, [3]>([1, 2, 3])];
        tensor<fp16, [3, 4]> q = constexpr_blockwise_shift_scale(data = tensor<int4, [3, 4]>([[1, 2, 3, 4], [-5, 6, 7, -8], [0, 1, 2, 3]]), scale = tensor<fp16, [3, 1]>([[1], [2], [4]]));
        tensor<fp16, [?, 3]> a = linear(bias = b, weight = v, x = x);
        tensor<fp16, [?, 3]> c = linear(bias = b, weight = q, x = x);
        tensor<fp16, [?, 3]> d = frobnicate(x = c);
        tensor<fp16, [?, 3]> y = add(x = a, y = d);
    } -> (y);
}";

const TABLES: &str = "\
model
╭───────────────────────┬────────╮
│                       │ value  │
├───────────────────────┼────────┤
│ specification version │ 9      │
│ opset                 │ ios18  │
│ author                │ nobody │
│ trained               │ hardly │
╰───────────────────────┴────────╯
inputs of main
╭──────┬──────┬────────────────┬─────────╮
│ name │ type │ shape          │ default │
├──────┼──────┼────────────────┼─────────┤
│ x    │ fp16 │ [1 or more, 4] │ [1, 4]  │
╰──────┴──────┴────────────────┴─────────╯
outputs of main
╭──────┬──────┬────────────╮
│ name │ type │ shape      │
├──────┼──────┼────────────┤
│ y    │ fp16 │ not stated │
╰──────┴──────┴────────────╯
states of main
╭──────┬──────┬───────╮
│ name │ type │ shape │
├──────┼──────┼───────┤
│ s    │ fp16 │ [2]   │
╰──────┴──────┴───────╯
operations: 5
╭─────────────────────────────────┬───────╮
│ operation                       │ count │
├─────────────────────────────────┼───────┤
│ linear                          │     2 │
│ add                             │     1 │
│ constexpr_blockwise_shift_scale │     1 │
│ frobnicate                      │     1 │
╰─────────────────────────────────┴───────╯
weights: 27 elements in 42 bytes
╭───────────────────────┬───────────┬────────┬─────────┬──────────┬───────┬───────────╮
│ form                  │ stored as │ values │ tensors │ elements │ bytes │ bits each │
├───────────────────────┼───────────┼────────┼─────────┼──────────┼───────┼───────────┤
│ dense                 │ fp16      │ fp16   │       2 │       15 │    30 │     16.00 │
│ blockwise_shift_scale │ int4      │ fp16   │       1 │       12 │    12 │      8.00 │
╰───────────────────────┴───────────┴────────┴─────────┴──────────┴───────┴───────────╯
weight files
╭────────────────────────────────┬───────┬──────────╮
│ file                           │ bytes │ state    │
├────────────────────────────────┼───────┼──────────┤
│ @model_path/weights/weight.bin │   262 │ readable │
╰────────────────────────────────┴───────┴──────────╯
the portable engine can't run
╭──────────┬────────────┬────────────────╮
│ function │ operation  │ for example at │
├──────────┼────────────┼────────────────┤
│ main     │ frobnicate │ d              │
╰──────────┴────────────┴────────────────╯
";

fn save(path: &Path) {
    let program = text::parse(PROGRAM, "test").unwrap().0;
    let mut description = Description::from_program(&program).unwrap();
    description.metadata.author = "nobody".into();
    let user = &mut description.metadata.user;
    user.insert("trained".into(), "hardly".into());
    Bundle::new(program, description).save(path).unwrap();
}

fn inspect(path: &Path, options: &[&str]) -> (bool, String) {
    let path = path.display().to_string();
    let output = run(&[&["inspect", &path], options].concat(), "");
    let text = match output.status.success() {
        true => output.stdout,
        false => output.stderr,
    };
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn tables_tell_what_a_model_is() {
    let folder = tempfile::tempdir().unwrap();
    for form in ["m.mlpackage", "m.mlmodelc"] {
        save(&folder.path().join(form));
        let (done, text) = inspect(&folder.path().join(form), &[]);
        assert!(done, "{text}");
        assert_eq!(text, TABLES, "{form}\n{text}");
    }
}

#[test]
fn absent_weights_are_no_hindrance() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.mlmodelc");
    save(&path);
    let whole = inspect(&path, &["--json"]);
    fs::remove_file(path.join("weights/weight.bin")).unwrap();
    let without = inspect(&path, &["--json"]);
    let read = |(done, text): (bool, String)| -> serde_json::Value {
        assert!(done, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let (mut whole, mut without) = (read(whole), read(without));
    let file = "@model_path/weights/weight.bin";
    assert_eq!(whole["weight_files"][file]["bytes"], 262);
    assert!(without["weight_files"][file]["error"].is_string());
    for json in [&mut whole, &mut without] {
        json["weight_files"] = "compared".into();
    }
    assert_eq!(whole, without);
    assert_eq!(whole["operations"]["linear"], 2);
    let main = &whole["functions"]["main"];
    assert_eq!(main["unsupported"]["frobnicate"], "d");
    assert_eq!(main["inputs"][0]["shapes"], "[1 or more, 4]");
    assert_eq!(main["states"][0]["name"], "s");
    assert_eq!(whole["metadata"]["user"]["trained"], "hardly");
    assert_eq!(whole["weights"][1]["stored"], "int4");
}

#[test]
fn what_is_no_program_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let check = |files: &[&str], words: &str| {
        let path = folder.path().join("m.mlmodelc");
        fs::create_dir_all(&path).unwrap();
        for file in files {
            fs::write(path.join(file), "").unwrap();
        }
        let (done, text) = inspect(&path, &[]);
        assert!(!done && text.contains(words), "{text}");
        fs::remove_dir_all(&path).unwrap();
    };
    check(&[], "there is no Core ML bundle here");
    check(&["model0"], "coremldata.bin");
    check(&["model.espresso.net"], "this is a neural network");
}

/// Apple's own pipeline of two stages.
fn pipeline() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/apple/pipeline")
}

#[test]
fn stages_of_a_pipeline_are_told_apart() {
    for form in ["input.mlmodel", "expected.mlmodelc"] {
        let (done, text) = inspect(&pipeline().join(form), &[]);
        assert!(done, "{text}");
        for words in [
            "│ pipeline              │ stage0 → stage1 │",
            "operations of stage stage0: 4",
            "operations of stage stage1: 4",
            "│ result │ fp32 │ [4]   │",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        let (done, json) = inspect(&pipeline().join(form), &["--json"]);
        assert!(done, "{json}");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["pipeline"], "pipeline");
        assert_eq!(json["functions"]["main"]["inputs"][0]["name"], "input");
        assert_eq!(json["stages"][1]["name"], "stage1");
        assert_eq!(json["stages"][1]["operations"]["select"], 1);
    }
}

#[test]
fn compiling_tells_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("m.mlpackage").display().to_string();
    let target = folder.path().join("c.mlmodelc").display().to_string();
    save(Path::new(&source));
    let compile = |options: &[&str]| {
        let output = run(&[&["compile"], options].concat(), "");
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), text)
    };
    let (done, card) = compile(&[&source, "-o", &target]);
    assert!(done, "{card}");
    assert!(
        card.starts_with(&format!(
            "{target}: an ML Program, specification version 9\n"
        )),
        "{card}"
    );
    assert!(
        card.contains("│ weights/weight.bin       │   262 │"),
        "{card}"
    );
    let (done, tables) = inspect(Path::new(&target), &[]);
    assert!(done && tables == TABLES, "{tables}");
    let refused = |options: &[&str], words: &str| {
        let (done, text) = compile(options);
        assert!(!done && text.contains(words), "{text}");
    };
    refused(&[&source, "-o", &target], "c.mlmodelc exists\n  hint: ");
    refused(&[&target, "-o", "d.mlmodelc"], "it is compiled already");
    refused(&[&source, "-o", "d.mlpackage"], "end the path in .mlmodelc");
    assert!(compile(&[&source, "-o", &target, "--force"]).0);
    if !cfg!(target_os = "macos") {
        refused(
            &[&source, "-o", &target, "--force", "--apple"],
            "runs on macOS only",
        );
    }
    // What failed has left nothing behind, and the old bundle in its place.
    fs::remove_dir_all(Path::new(&source).join("Data/com.apple.CoreML/weights")).unwrap();
    refused(&[&source, "-o", &target, "--force"], "weights");
    assert!(inspect(Path::new(&target), &[]).0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

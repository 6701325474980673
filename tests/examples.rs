//! The scripts of `examples/` and `scripts/`, run as they stand on the real binary.

use std::path::Path;

use crate::cli::program;
use crate::judging::server::{Server, likely};

/// Runs a script in an empty folder: what it prints, and that folder.
fn play(script: &str, args: &[&str]) -> (String, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let mut command = program();
    command
        .current_dir(&folder)
        .args(["--seed", "7"])
        .arg(path)
        .args(args);
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {error}");
    (String::from_utf8(output.stdout).unwrap(), folder)
}

fn shows(script: &str, args: &[&str], words: &[&str]) {
    let (text, _) = play(script, args);
    for word in words {
        assert!(
            text.contains(word),
            "{script} does not show {word}:\n{text}"
        );
    }
}

#[test]
fn every_example_is_run_here() {
    let tested = [
        // By tests/kernel/notebook.rs.
        "first_steps.ipynb",
        "generate.rhai",
        "judge.rhai",
        "judge_remote.rhai",
        "logits.rhai",
        "own_reward.rhai",
        "vscode",
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, tested);
}

/// As VS Code reads it: every file is there, and the grammar knows every keyword.
#[test]
fn vscode() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/vscode");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let json = |name: &str| serde_json::from_str::<serde_json::Value>(&read(name)).unwrap();
    let package = json("package.json");
    let contributes = &package["contributes"];
    json(
        contributes["languages"][0]["configuration"]
            .as_str()
            .unwrap(),
    );
    read(package["main"].as_str().unwrap());
    let path = contributes["grammars"][0]["path"].as_str().unwrap();
    let rules = json(path)["repository"]["code"].to_string();
    let words: Vec<&str> = rules.split(|c: char| !c.is_alphanumeric()).collect();
    for keyword in rlaif_repl::session::lexer::keywords() {
        // What is called is coloured as a function.
        let called = ["Fn", "call", "curry", "type_of", "eval"].contains(keyword);
        let known = called || keyword.starts_with("is_") || words.contains(keyword);
        assert!(known, "{keyword}");
    }
}

#[test]
fn logits() {
    shows(
        "examples/logits.rhai",
        &[],
        &["embedded:student", "entropy", "likeliest"],
    );
}

#[test]
fn generate() {
    let words = [
        "ended by stop, decoding keeps increments",
        "the same alone: true",
        "good .",
    ];
    shows("examples/generate.rhai", &[], &words);
}

#[test]
fn judge() {
    shows("examples/judge.rhai", &[], &["p_first", "order decided"]);
}

#[test]
fn judge_remote() {
    let server = Server::open(|asked| match asked.question().contains("letter") {
        true => likely(&[("A", 0.6), ("B", 0.2)]),
        false => likely(&[("Yes", 0.8), ("No", 0.1)]),
    });
    let words = [
        "\"p_first\": 0.5",
        "order decided",
        "\"cached\": 2, \"calls\": 7",
    ];
    shows(
        "examples/judge_remote.rhai",
        &["--url", &server.url],
        &words,
    );
}

#[test]
fn own_reward() {
    shows(
        "examples/own_reward.rhai",
        &[],
        &["completions/mean_length"],
    );
}

/// The main job leaves a whole record, and the same seed leaves the same numbers, bit for bit.
#[test]
fn the_main_job_repeats() {
    let metrics = || {
        let args = "--steps 1 --prompts 2 --group 4 --questions 2".split(' ');
        let (text, folder) = play("scripts/train.rhai", &args.collect::<Vec<_>>());
        assert!(text.contains("win-rate"), "{text}");
        let run = folder.path().join("runs/train");
        let record = std::fs::read_to_string(run.join("run.json")).unwrap();
        assert!(
            record.contains("\"finished\"") && record.contains("train.rhai"),
            "{record}"
        );
        assert!(run.join("reward.svg").is_file() && run.join("student.mlpackage").is_dir());
        let read = |name: &str| std::fs::read_to_string(run.join(name)).unwrap();
        (read("metrics.jsonl"), read("samples.jsonl"))
    };
    assert_eq!(metrics(), metrics());
}

/// The script that made the embedded models still makes models.
#[test]
fn models_are_made() {
    let args = "--student_steps 2 --judge_steps 1 --reviews 120 --batch 8 --checks 2 --out made";
    let args: Vec<&str> = args.split(' ').collect();
    let (_, folder) = play("scripts/make_models.rhai", &args);
    for name in ["student", "judge"] {
        assert!(
            folder
                .path()
                .join(format!("made/{name}.mlmodelc/model.mil"))
                .is_file()
        );
    }
}

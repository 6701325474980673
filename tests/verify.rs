//! The commands `verify` and `quantize`: what they print, write and exit with.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cli::run;

/// Exit code, and the standard output as JSON, or the standard error.
fn json(args: &[&str]) -> (Option<i32>, Value) {
    let output = run(args, "");
    let (out, err) = (output.stdout, output.stderr);
    let said = String::from_utf8_lossy(&err).into_owned();
    let value = serde_json::from_slice(&out).unwrap_or(Value::from(said));
    (output.status.code(), value)
}

/// A bundle of the embedded student with its tokenizer, and a short text.
fn files(folder: &Path) -> [String; 3] {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let [model, smaller, text] = ["m.mlpackage", "q.mlpackage", "text.txt"].map(path);
    fs::write(&text, "the soup was good and the tea was cold").unwrap();
    let script = format!("student(load(\"embedded:student\"), #{{rank: 1}}).save({model:?});");
    assert!(run(&["-e", &script], "").status.success());
    [model, smaller, text]
}

#[test]
fn a_smaller_model_is_near_the_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let [model, smaller, text] = files(folder.path());
    let quantize = [
        "quantize", &model, "-o", &smaller, "--text", &text, "--json",
    ];
    let (code, done) = json(&quantize);
    assert_eq!(code, Some(0), "{done}");
    assert!(done["weights"]["rows"].as_array().unwrap().len() > 10);
    for file in ["tokenizer.json", "tokenizer_config.json", "Manifest.json"] {
        assert!(Path::new(&smaller).join(file).is_file(), "{file}");
    }
    let (code, refused) = json(&quantize);
    assert_eq!(code, Some(2), "{refused}");
    assert!(
        refused.as_str().unwrap().contains("q.mlpackage exists"),
        "{refused}"
    );

    let (code, found) = json(&["verify", &model, &smaller, "--text", &text, "--json"]);
    assert_eq!((code, &found), (Some(0), &done["comparison"]));
    assert!(found["delta_max"].as_f64().unwrap() > 0.0);
    assert!(found["kl_mean"].as_f64().unwrap() < 0.1);
    let exact = [
        "verify", &model, &smaller, "--text", &text, "--within", "1e-9",
    ];
    assert_eq!(run(&exact, "").status.code(), Some(1));
}

#[test]
fn what_is_compared() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.txt");
    fs::write(&text, "the soup was good").unwrap();
    let text = text.to_str().unwrap();
    let same = [
        "verify",
        "embedded:student",
        "embedded:student",
        "--text",
        text,
    ];
    let output = String::from_utf8(run(&same, "").stdout).unwrap();
    for line in [
        "embedded:student and embedded:student:",
        "│ top-1 agreement │ 100.00 %",
    ] {
        assert!(output.contains(line), "{output}");
    }
    let (code, refused) = json(&[
        "verify",
        "embedded:student",
        "embedded:nobody",
        "--text",
        text,
    ]);
    assert_eq!(code, Some(2));
    assert!(
        refused
            .as_str()
            .unwrap()
            .contains("unknown embedded model \"nobody\""),
        "{refused}"
    );
}

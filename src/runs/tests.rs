//! Runs written, torn, reopened.

use serde_json::json;

use super::*;
use crate::diag::Kind;

fn record() -> Record {
    let mut record = Record::new("first", "2026-01-02T03:04:05Z");
    record.seed = Some(7);
    record.device = Some("cpu".to_owned());
    record.git = Some(Git {
        commit: "abc".to_owned(),
        dirty: true,
    });
    record.arguments.insert("beta".to_owned(), json!(0.1));
    record.inputs.insert("model".to_owned(), "00ff".to_owned());
    record
}

fn metrics(reward: f64) -> Vec<(String, f64)> {
    vec![("reward".to_owned(), reward), ("kl".to_owned(), 0.0)]
}

#[test]
fn a_run_is_read_back_as_it_was_written() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("runs/first");
    let mut run = Run::create(&folder, record()).unwrap();
    assert_eq!(Run::open(&folder).unwrap().record().status, Status::Running);
    run.log(0, &metrics(0.25)).unwrap();
    run.log(1, &metrics(f64::NAN)).unwrap();
    run.sample(&json!({ "prompt": "a", "completion": "b\n" }))
        .unwrap();
    run.finish(Status::Finished, "2026-01-02T04:00:00Z")
        .unwrap();
    let read = Run::open(&folder).unwrap();
    assert_eq!(read.record(), run.record());
    assert_eq!(
        read.record().finished.as_deref(),
        Some("2026-01-02T04:00:00Z")
    );
    let steps = read.steps().unwrap();
    assert_eq!(steps[0].metrics, metrics(0.25));
    assert!(steps[1].metrics[0].1.is_nan());
    assert_eq!(
        read.samples().unwrap(),
        [json!({ "prompt": "a", "completion": "b\n" })]
    );
    assert_eq!(read.series("kl").unwrap(), [(0.0, 0.0), (1.0, 0.0)]);
    let error = read.series("rewards").unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown metric \"rewards\"\n  hint: did you mean \"reward\"?"
    );
    let names: Vec<String> = list(&parent.path().join("runs"))
        .unwrap()
        .into_iter()
        .map(|r| r.name)
        .collect();
    assert_eq!(names, ["first"]);
}

#[test]
fn a_torn_line_is_dropped_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = Run::create(folder.path(), record()).unwrap();
    run.log(0, &metrics(1.0)).unwrap();
    let path = folder.path().join("metrics.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, whole + "{\"step\": 1, \"rew").unwrap();
    let mut run = Run::open(folder.path()).unwrap();
    assert_eq!(run.steps().unwrap().len(), 1);
    run.log(1, &metrics(2.0)).unwrap();
    assert_eq!(run.series("reward").unwrap(), [(0.0, 1.0), (1.0, 2.0)]);
}

#[test]
fn errors_say_what_to_do() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("a");
    Run::create(&folder, record()).unwrap();
    let error = Run::create(&folder, record()).unwrap_err();
    assert!(error.message().ends_with("holds a run already"), "{error}");
    assert_eq!(free_folder(parent.path(), "a"), parent.path().join("a-2"));
    assert_eq!(free_folder(parent.path(), "b"), parent.path().join("b"));
    assert!(
        Run::open(parent.path())
            .unwrap_err()
            .message()
            .ends_with("holds no run")
    );
    std::fs::write(folder.join("run.json"), "{\n\"name\": }").unwrap();
    let error = Run::open(&folder).unwrap_err();
    assert_eq!(error.position().unwrap().line, 2);
    // A folder below a file can't be made.
    let error = Run::create(&folder.join("run.json/b"), record()).unwrap_err();
    assert_eq!(error.kind(), &Kind::Io);
    assert!(error.to_string().starts_with("make "), "{error}");
}

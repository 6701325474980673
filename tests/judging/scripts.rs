//! The judge behind a server in scripts, on the real binary.

use std::path::Path;

use super::biased;
use super::server::{Asked, Given, Server, likely};
use crate::cli::program;

/// Exit code, standard output and standard error of code in a folder.
fn run(folder: &Path, args: &[&str], code: &str) -> (Option<i32>, String, String) {
    let mut command = program();
    command.current_dir(folder).env("JUDGE_KEY", "sk-secret");
    let output = command.args(args).args(["-e", code]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// All that files below a folder hold.
fn texts(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let text = |path: std::path::PathBuf| match path.is_dir() {
        true => texts(&path),
        false => std::fs::read_to_string(path).unwrap(),
    };
    entries.map(text).collect()
}

#[test]
fn a_run_notes_its_judges_and_no_key() {
    let (folder, server) = (tempfile::tempdir().unwrap(), Server::open(biased));
    let (here, url) = (folder.path(), &server.url);
    let code = format!(
        "let r = start_run(\"a\"); let j = judge_remote(\"{url}\", #{{model: \"m\", key_env: \"JUDGE_KEY\", cache: \"c\"}}); \
         print(j.compare(\"p\", \"good\", \"poor\").p_first); print(j.usage)"
    );
    let (status, first, error) = run(here, &[], &code);
    assert_eq!(status, Some(0), "{error}");
    assert!(
        first.starts_with("0.644331") && first.contains("\"calls\": 2"),
        "{first}"
    );
    let asked = server.asked();
    assert_eq!(asked[0].key.as_deref(), Some("Bearer sk-secret"));
    let record = std::fs::read(here.join("runs/a/run.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    let noted = &record["judges"][0];
    assert_eq!(noted["url"], format!("{url}/v1"));
    assert_eq!((&noted["model"], &noted["calls"]), (&"m".into(), &2.into()));
    assert_eq!(noted["questions"].as_str().unwrap().len(), 64);
    // Offline and without the key, even in a sandbox.
    let replayed = code.replace(
        "key_env: \"JUDGE_KEY\", cache: \"c\"",
        "cache: \"runs/c\", replay: true",
    );
    std::fs::rename(here.join("c"), here.join("runs/c")).unwrap();
    let (status, again, error) = run(here, &["--sandbox"], &replayed);
    assert_eq!(status, Some(0), "{error}");
    assert_eq!(again.lines().next(), first.lines().next());
    assert!(server.asked().is_empty());
    let inputs = std::fs::read_to_string(here.join("runs/a-2/run.json")).unwrap();
    assert!(inputs.contains("runs/c/verdicts.jsonl"), "{inputs}");
    let (status, _, error) = run(here, &["--sandbox"], &code.replace("\"c\"", "\"runs/c\""));
    assert_eq!(status, Some(1));
    assert!(error.contains("the sandbox reaches no network"), "{error}");
    let told = [texts(here), first, again, error].concat();
    assert!(!told.contains("sk-secret"));
}

#[test]
fn a_wrong_call_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let check = |code: &str, words: &str| {
        let (status, _, error) = run(folder.path(), &[], code);
        assert_eq!(status, Some(1));
        assert!(error.contains(words), "{error}");
    };
    let with = |options: &str| {
        format!("judge_remote(\"http://127.0.0.1:9\", #{{model: \"m\", {options}}})")
    };
    check(
        "judge_remote(\"http://127.0.0.1:9\", #{})",
        "option \"model\" is required",
    );
    check(
        "judge_remote(\"127.0.0.1:9\", #{model: \"m\"})",
        "begins with http://",
    );
    check(&with("key_env: \"NO_SUCH_KEY\""), "NO_SUCH_KEY is not set");
    check(&with("replay: true"), "replay needs the option \"cache\"");
    check(
        &with("replay: true, cache: \"none\""),
        "there are no verdicts in",
    );
    check(&with("extra: #{stream: true}"), "sets the field \"stream\"");
    check(&with("score_labels: [\"1\"]"), "at least two labels");
    check(&with("templ: \"\""), "unknown option \"templ\"");
}

/// The student writes; a judge that is asked over the network rewards whatever is long. A step that fails leaves the
/// trainer where it was.
#[test]
fn a_student_is_trained_by_a_remote_judge() {
    let server = Server::open(|asked: &Asked| {
        let p = (asked.question().len() % 64) as f64 / 64.0;
        match asked.before {
            1 => Given::Says(400, "", "not now".into()),
            _ => likely(&[("Yes", p), ("No", 1.0 - p)]),
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let code = format!(
        "let prompts = [\"the soup was\", \"the old hotel\", \"this\", \"a\"]; let j = judge_remote(\"{}\", #{{model: \"m\", parallel: 1}}); \
         let trainer = || grpo(student(load(\"embedded:student\"), #{{rank: 1}}), prompts, j, #{{group: 4, prompts_per_step: 1, max_new_tokens: 2}}); \
         let one = trainer.call(); try {{ one.step(); }} catch (e) {{ print(e.message); }} let a = one.step(); \
         let b = trainer.call().step(); print(a == b); print(a.reward > 0.0 && a.reward < 1.0); print(j.usage.calls > 2)",
        server.url
    );
    let (status, shown, error) = run(folder.path(), &[], &code);
    assert_eq!(
        (status, error.as_str()),
        (Some(0), ""),
        "no bars of parts stay"
    );
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].contains("not now"), "{shown}{error}");
    assert_eq!(lines[1..], ["true", "true", "true"], "{error}");
}

/// A cell that its time limit stops in a call leaves the next one to go on.
#[test]
fn a_time_limit_ends_a_call() {
    let server = Server::open(|_| Given::Hangs);
    let folder = tempfile::tempdir().unwrap();
    let code = format!(
        "judge_remote(\"{}\", #{{model: \"m\"}}).score(\"p\", \"a\")",
        server.url
    );
    let (status, _, error) = run(folder.path(), &["--time-limit", "100ms"], &code);
    assert_eq!(status, Some(124), "{error}");
    assert!(error.contains("time limit"), "{error}");
}

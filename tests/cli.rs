//! The command line: what runs, what it writes where, and the exit code.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rlaif-repl"));
    command.env("RLAIF_HISTORY", "").env_remove("NO_COLOR");
    command
}

pub fn run(args: &[&str], input: &str) -> Output {
    let mut child = program()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that needs no input may be gone already.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

/// Exit code, the standard output in full, and words of the standard error.
fn check(args: &[&str], input: &str, code: i32, out: &str, err: &[&str]) {
    let output = run(args, input);
    let (stdout, stderr) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(
        output.status.code(),
        Some(code),
        "{args:?} {input:?}\n{stdout}{stderr}"
    );
    assert_eq!(stdout, out, "{args:?} {input:?}\n{stderr}");
    assert!(
        err.iter().all(|word| stderr.contains(word)),
        "{args:?} {input:?}\n{stderr}"
    );
    assert!(
        !stdout.contains('\x1b') && !stderr.contains('\x1b'),
        "colours in a pipe"
    );
}

#[test]
fn code_of_the_command_line() {
    check(&["-e", "1 + 1"], "", 0, "2\n", &[]);
    check(&["-e", "let x = 1;"], "", 0, "", &[]);
    check(
        &["-e", "print(\"a\"); x"],
        "",
        1,
        "",
        &["error: unknown variable x", "--> -e:1:13"],
    );
    check(
        &["-e", "print(\"a\"); 1 / 0"],
        "",
        1,
        "a\n",
        &["division by zero"],
    );
    check(&["-e", "exit(7)"], "", 7, "", &[]);
    check(&["-e", "try { exit(7) } catch { }"], "", 7, "", &[]);
    check(&["--seed", "5", "-e", "seed()"], "", 0, "5\n", &[]);
}

#[test]
fn usage() {
    check(&["--nonsense"], "", 2, "", &["--nonsense"]);
    check(
        &["no-such-file.rhai"],
        "",
        2,
        "",
        &["can't read", "no-such-file.rhai"],
    );
    let help = String::from_utf8(run(&["--help"], "").stdout).unwrap();
    assert!(
        help.contains("Exit codes: 0 done; 1 the script failed; 2 wrong usage; 124 a limit is reached; 130 interrupted"),
        "{help}"
    );
}

#[test]
fn piped_code_runs_line_by_line() {
    check(&[], "1 + 1\nlet a = [1, 2]\na\n", 0, "2\n[1, 2]\n", &[]);
    check(
        &[],
        "fn f(x) {\n  x * 2\n}\nif true {\n  f(4)\n}\nelse { 0 }\n",
        0,
        "8\n",
        &[],
    );
    check(
        &[],
        "print(1)\nfoo()\nprint(2)\n",
        1,
        "1\n",
        &["unknown function foo()", "--> stdin:2:1"],
    );
    check(
        &[],
        "print(1)\nlet x = )\nprint(2)\n",
        1,
        "",
        &["--> stdin:2:9"],
    );
    check(&[], "print(1)\nprint(\n", 1, "", &["stdin:"]);
    check(&[], "", 0, "", &[]);
    check(&["-"], "1 + 2", 0, "3\n", &[]);
}

#[test]
fn scripts_with_parameters_and_imports() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("main.rhai");
    std::fs::write(folder.path().join("lib.rhai"), "fn twice(x) { x * 2 }").unwrap();
    std::fs::write(&script, "import \"lib\" as lib;\nlet n = param(\"n\", 1, \"A number.\");\nprint(lib::twice(n));\nprint(args());\n").unwrap();
    let path = script.to_str().unwrap();
    check(&[path], "", 0, "2\n[]\n", &[]);
    check(&[path, "--n", "21"], "", 0, "42\n[\"--n\", \"21\"]\n", &[]);
    check(
        &[path, "--n=x"],
        "",
        1,
        "",
        &["--n must be a whole number, not \"x\"", "main.rhai:2:9"],
    );
}

#[test]
fn parameters_are_known_before_the_script_runs() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("train.rhai");
    std::fs::write(&script, "// Trains a student.\nprint(\"runs\");\nlet steps = param(\"steps\", 20, \"Training steps.\");\n").unwrap();
    let path = script.to_str().unwrap();
    check(
        &[path, "--stpes", "3"],
        "",
        2,
        "",
        &["unknown parameter \"--stpes\"", "did you mean \"--steps\"?"],
    );
    check(
        &[path, "--help"],
        "",
        0,
        "Trains a student.\n\nParameters:\n  --steps <int>  Training steps. (default 20)\n",
        &[],
    );
}

#[test]
fn progress_is_quiet_in_a_pipe() {
    let code =
        "let bar = progress(\"work\", 1000); for i in 1..=1000 { bar.step(i); } bar.finish()";
    let output = run(&["-e", code], "");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("work 1000/1000"), "{told}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_script_with_130() {
    for work in [
        "loop { }",
        "let m = load(\"embedded:student\"); loop { m.forward(\"the soup\"); }",
        "load(\"embedded:student\").generate([\"a\", \"b\"], #{max_new_tokens: 60, stop: [\"#\"]}); loop { }",
        "let m = load(\"embedded:student\"); grpo(student(m), [\"the\"], |s| s.map(|x| 1.0)).run(10000)",
        "sleep(1000)",
    ] {
        interrupted(work);
    }
}

#[cfg(unix)]
fn interrupted(work: &str) {
    let mut child = program()
        .args(["-e", &format!("print(\"ready\"); {work}")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 5];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{work}: {told}");
    assert!(told.contains("stopped: "), "{work}: {told}");
}

#[test]
fn limits_end_a_script_with_124() {
    let late = ["stopped: the time limit of 50ms is over", "--time-limit"];
    check(
        &["--time-limit", "50ms", "-e", "loop { }"],
        "",
        124,
        "",
        &late,
    );
    check(
        &["--time-limit", "50ms", "-e", "sleep(100)"],
        "",
        124,
        "",
        &late,
    );
    check(&["--time-limit", "1h", "-e", "1"], "", 0, "1\n", &[]);
    let many = [
        "stopped: the limit of script operations",
        "--max-operations",
    ];
    check(
        &["--max-operations", "1000", "-e", "loop { }"],
        "",
        124,
        "",
        &many,
    );
    check(
        &["--max-operations", "0", "-e", "1"],
        "",
        2,
        "",
        &["--max-operations"],
    );
    check(
        &["--time-limit", "soon", "-e", "1"],
        "",
        2,
        "",
        &["--time-limit"],
    );
}

#[test]
fn a_sandbox_keeps_scripts_to_their_runs() {
    let folder = tempfile::tempdir().unwrap();
    let in_sandbox = |code: &str| {
        let mut command = program();
        command.current_dir(folder.path());
        let output = command.args(["--sandbox", "-e", code]).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), told)
    };
    let (code, told) = in_sandbox(
        "let r = start_run(\"a\"); r.log(0, #{x: 1}); write_text(r.folder + \"/b.txt\", \"\")",
    );
    assert_eq!((code, told.as_str()), (Some(0), ""));
    for refused in [
        "write_text(\"a.txt\", \"\")",
        "write_text(\"runs/../a.txt\", \"\")",
        "plot([1, 2]).save(\"a.svg\")",
        "load(\"embedded:student\").graph().save(\"a.dot\")",
        "load(\"embedded:student\").quantize(\"a.mlpackage\")",
        "student(load(\"embedded:student\")).save(\"a.mlpackage\")",
        "convert(\"a.gguf\", #{out: \"a.mlpackage\"})",
    ] {
        let (code, told) = in_sandbox(refused);
        assert_eq!(code, Some(1), "{refused}: {told}");
        assert!(
            told.contains("the sandbox lets no script write"),
            "{refused}: {told}"
        );
    }
    let (code, told) = in_sandbox("fetch(\"org/name\")");
    assert!(code == Some(1) && told.contains("offline"), "{told}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn piped_statements_as_json_lines() {
    let output = run(
        &["--json"],
        "let x = 2\nprint(x); x * 2\n\nx +\n y\nprint(\"never\")",
    );
    assert_eq!(output.status.code(), Some(1));
    let told: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(
        (&told[0]["status"], &told[0]["line"]),
        (&"ok".into(), &1.into())
    );
    assert_eq!(told[1]["output"], serde_json::json!([{ "text": "2" }]));
    assert_eq!(
        (&told[1]["text"], &told[1]["line"]),
        (&"4".into(), &2.into())
    );
    assert_eq!(
        (&told[2]["status"], &told[2]["line"]),
        (&"error".into(), &4.into())
    );
    assert_eq!(told[2]["error"]["frames"][0]["line"], 5);
    let output = run(&["--json", "-e", "exit(3)"], "");
    assert_eq!(output.status.code(), Some(3));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["exit"], 3);
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let mut child = program()
        .args(["-e", "for i in 0..100000 { print(i) }"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_reference_comes_out_of_the_registry() {
    let text = String::from_utf8(run(&["reference"], "").stdout).unwrap();
    assert!(
        text.contains("## random") && text.contains("Stream.below(n: int) -> int"),
        "{text}"
    );
    check(
        &["reference", "randm"],
        "",
        2,
        "",
        &["did you mean \"random\"?"],
    );
}

#[test]
fn bench_measures_two_sets_of_options() {
    let args = "bench embedded:student --runs 2 --warmup 0 --loads 1 --tokens 2 --length 8 --batch 2 \
        --json --compare passes=none";
    let output = run(&args.split_whitespace().collect::<Vec<_>>(), "");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let sides = told["sides"].as_array().unwrap();
    let names = [
        "embedded:student, passes: all",
        "embedded:student, passes: none",
    ];
    assert_eq!(sides.len(), names.len());
    for (side, name) in sides.iter().zip(names) {
        assert_eq!(side["name"], name);
        assert_eq!(side["inputs"], serde_json::json!(["input_ids 2x8"]));
        for figure in ["forward_seconds", "decode_tokens_per_second"] {
            assert!(side[figure]["median"].as_f64().unwrap() > 0.0, "{side}");
        }
    }
    assert!(told["forward_ratio"]["median"].as_f64().unwrap() > 0.0);
    check(
        &["bench", "embedded:student", "--compare", "pases=none"],
        "",
        2,
        "",
        &["unknown setting \"pases\"", "did you mean \"passes\""],
    );
    let check_shape = |shape, word| {
        let args = [
            "bench",
            "embedded:student",
            "--loads",
            "1",
            "--shape",
            shape,
        ];
        check(&args, "", 2, "", &[word]);
    };
    check_shape("input_ids", "as in input_ids=1x128");
    check_shape("ids=1x2", "unknown input \"ids\"");
    check_shape("input_ids=1x9999", "has shape [1, 9999]");
}

#[test]
fn checking_runs_nothing() {
    let code = "print(\"ran\"); nope; load(\"x\", #{engin: 1})";
    let told = [
        "error: unknown variable nope\n  --> -e:1:15\n",
        "unknown option \"engin\"",
        "did you mean \"engine\"?",
    ];
    check(&["--check", "-e", code], "", 1, "", &told);
    check(&["--check"], "let x = 1;\nprint(x)", 0, "", &[]);
    check(&["--check"], "let x = ;", 1, "", &["stdin:1:9"]);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = file("good.rhai", "import \"lib\" as l;\nl::f(1)");
    let bad = file("bad.rhai", "import \"lib\" as l;\nl::g(1)");
    file("lib.rhai", "fn f(x) { x }");
    check(&["--check", &good], "", 0, "", &[]);
    let told = ["bad.rhai:2:4", "module l has no function g"];
    check(&["--check", &good, &bad], "", 1, "", &told);
}

#[test]
fn our_scripts_are_in_order() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["scripts", "examples"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "rhai") {
                files.push(path.display().to_string());
            }
        }
    }
    let args: Vec<&str> = std::iter::once("--check")
        .chain(files.iter().map(String::as_str))
        .collect();
    assert!(args.len() > 4);
    check(&args, "", 0, "", &[]);
}

#[test]
fn the_manual_and_the_definitions_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (manual, definitions) = (at("manual"), at("definitions"));
    check(
        &["docs", "-o", &manual],
        "",
        0,
        &format!("{manual}/index.html\n"),
        &[],
    );
    let page = std::fs::read_to_string(format!("{manual}/models.html")).unwrap();
    assert!(page.contains("<section class=entry id=\"load\">"), "{page}");
    let output = run(&["definitions", "-o", &definitions], "");
    assert_eq!(output.status.code(), Some(0));
    let text = std::fs::read_to_string(format!("{definitions}/rlaif-repl.d.rhai")).unwrap();
    assert!(
        text.contains("fn load(path: String, options: Map) -> Model;"),
        "{text}"
    );
    let told = run(&["reference", "load"], "").stdout;
    assert!(
        String::from_utf8(told)
            .unwrap()
            .starts_with("load(path: path, #{..}) -> Model\n")
    );
}

#[test]
fn a_new_experiment_is_in_order_and_runs() {
    let folder = tempfile::tempdir().unwrap();
    let at = |args: &[&str]| {
        let output = program().args(args).current_dir(folder.path()).output();
        let output = output.unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), shown, told)
    };
    let (code, shown, told) = at(&["new", "brevity"]);
    assert_eq!((code, told.as_str()), (Some(0), ""), "{shown}");
    let (code, _, told) = at(&["new", "brevity"]);
    assert!(code == Some(2) && told.contains("exists"), "{told}");
    let (code, _, told) = at(&["new", "a b"]);
    assert!(
        code == Some(2) && told.contains("names no experiment"),
        "{told}"
    );
    let script = "brevity/experiment.rhai";
    assert_eq!(
        at(&["--check", script, "brevity/reward.rhai"]),
        (Some(0), String::new(), String::new())
    );
    let (_, help, _) = at(&[script, "--help"]);
    assert!(
        help.contains("--rate") && help.contains("learning rate"),
        "{help}"
    );
    let (code, shown, told) = at(&["--sandbox", script, "--steps", "1"]);
    assert_eq!(code, Some(0), "{shown}{told}");
    assert!(shown.contains("before and after"), "{shown}");
    let saved = folder.path().join("runs");
    assert!(saved.exists(), "{shown}");
}

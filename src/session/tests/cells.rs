//! What lives on from cell to cell, and what is let go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Bench;

#[test]
fn results_and_cells() {
    let mut bench = Bench::new();
    bench.check("1 + 1", "2");
    bench.check("_ * 10", "20");
    bench.check("_1 + __", "4");
    bench.check("Out[2]", "20");
    bench.check("In[1]", "\"1 + 1\"");
    bench.check("switch _1 { 2 => \"two\", _ => \"other\" }", "\"two\"");
    bench.check("let x = 5;", "");
    bench.check("_", "\"two\"");
}

#[test]
fn functions_closures_and_constants_live_on() {
    let mut bench = Bench::new();
    bench.check("fn double(x) { x * 2 }", "");
    bench.check("let f = |x| double(x) + 1;", "");
    bench.check("f.call(20)", "41");
    bench.check("[1, 2].map(f)", "[3, 5]");
    bench.check("const RATE = 3;", "");
    bench.check("fn rated(x) { x * global::RATE }", "");
    bench.check("rated(5)", "15");
    bench.check("fn double(x) { x * 200 }", "");
    bench.check("f.call(1)", "201");
}

#[test]
fn imports_live_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lib.rhai");
    std::fs::write(
        &file,
        "const K = 4; fn four() { global::K } fn fails() { throw \"inside\" }",
    )
    .unwrap();
    let mut bench = Bench::new();
    let path = file.with_extension("");
    bench.check(
        &format!("import {:?} as m;", path.display().to_string()),
        "",
    );
    bench.check("m::four()", "4");
    bench.check("fn through() { m::four() + 1 }", "");
    bench.check("through()", "5");
    let failure = bench.shows("m::fails()");
    assert!(failure.contains("lib.rhai:1:51 in fails"), "{failure}");
    // Beside the script that imports.
    std::fs::write(
        folder.path().join("main.rhai"),
        "import \"lib\" as l;\nlet four = l::four();",
    )
    .unwrap();
    let outcome = bench
        .session
        .run_file(&folder.path().join("main.rhai"))
        .unwrap();
    assert!(outcome.is_ok(), "{outcome:?}");
    bench.check("four", "4");
    // A changed file is loaded again.
    std::fs::write(&file, "fn four() { 44 }").unwrap();
    bench.check(
        &format!("import {:?} as m;", path.display().to_string()),
        "",
    );
    bench.check("m::four()", "44");
}

/// A limit on sizes would make the engine measure all of them at each push.
#[test]
fn large_values_grow_by_themselves() {
    let fill = "let a = []; let m = #{}; for i in 0..200000 { a.push(i); m[`${i % 1000}`] = i; }";
    Bench::new().check(&format!("{fill} a.len() + m.len()"), "201000");
}

/// Under a profile and beside a module that is known, code runs on an engine that tells its steps.
#[test]
fn a_module_runs_once() {
    let mut bench = Bench::new();
    let file = bench.folder.path().join("told.rhai");
    std::fs::write(file, "print(\"told\"); fn one() { 1 }").unwrap();
    bench.check("import \"told\" as a;", "told");
    bench.check("import \"told\" as b; a::one() + b::one()", "2");
    assert!(
        !bench
            .submits("%prof import \"told\" as c;")
            .contains("told\n")
    );
}

#[derive(Clone)]
struct Counted(#[allow(dead_code, reason = "it counts by being dropped")] Arc<Guard>);

struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn let_again_frees_the_old_value() {
    let mut bench = Bench::new();
    let live = Arc::new(AtomicUsize::new(0));
    let counter = live.clone();
    bench.session.engine.register_fn("big", move || {
        counter.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::new(Guard(counter.clone())))
    });
    for _ in 0..50 {
        bench.check("let b = big();", "");
    }
    // That of now, and those that going back finds again.
    assert_eq!(live.load(Ordering::Relaxed), 1 + 10);
    bench.check("b = (); const C = 1; let C = 2; C", "2");
    for _ in 0..9 {
        bench.check("1", "1");
    }
    assert_eq!(live.load(Ordering::Relaxed), 1);
    bench.session.reset();
    assert_eq!(live.load(Ordering::Relaxed), 0);
}

#[test]
fn parameters_come_from_the_command_line() {
    let mut bench = Bench::with_args(&["--steps", "7", "--rate=0.5", "--dry", "--name", "x"]);
    bench.check("[param(\"steps\", 1), param(\"rate\", 1.0), param(\"dry\", false), param(\"name\", \"\"), param(\"k\", 3)]",
        "[7, 0.5, true, \"x\", 3]");
    let shown = bench.shows("param(\"name\", 1)");
    assert!(
        shown.contains("--name must be a whole number, not \"x\""),
        "{shown}"
    );
}

#[test]
fn long_values_wrap_and_end() {
    let mut bench = Bench::new();
    bench.check(
        "let a = []; for i in 0..30 { a.push(i * 1000) } a",
        "[\n  0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10000, 11000, 12000,\n  \
         13000, 14000, 15000, 16000, 17000, 18000, 19000, 20000, 21000, 22000, 23000,\n  \
         24000, 25000, 26000, 27000, 28000, 29000\n]",
    );
    bench.check(
        "let m = #{}; m.key = \"v\"; m[\"a b\"] = [1.5, ()]; m",
        "#{\"a b\": [1.5, ()], key: \"v\"}",
    );
    let shown = bench.shows("let a = []; a.pad(5000, ()); a");
    assert!(shown.ends_with("… 4000 more\n]"), "{shown}");
}

#[test]
fn many_numbers_are_told_in_short() {
    let mut bench = Bench::new();
    bench.check(
        "let a = []; a.pad(5000, 0); a[7] = 2.5; a",
        "array [5000]  min 0  max 2.5  mean 0.0005  std 0.03535\n\
         [0 0 0 … 0 0 0]",
    );
    bench.check(
        "let rows = []; for i in 0..40 { rows.push([i, -i, 0.25, 1, 2, 3, 4]) } rows",
        "array [40, 7]  min -39  max 39  mean 1.464  std 12.2\n\
         [[  0.00   0.00   0.25 …   2.00   3.00   4.00]\n \
         [  1.00  -1.00   0.25 …   2.00   3.00   4.00]\n \
         [  2.00  -2.00   0.25 …   2.00   3.00   4.00]\n \
         …\n \
         [ 37.00 -37.00   0.25 …   2.00   3.00   4.00]\n \
         [ 38.00 -38.00   0.25 …   2.00   3.00   4.00]\n \
         [ 39.00 -39.00   0.25 …   2.00   3.00   4.00]]",
    );
}

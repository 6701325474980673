//! Warnings: what is told of code that runs but is hardly meant.

use super::Bench;

fn check(code: &str, expected: &[&str]) {
    let bench = Bench::new();
    let found = bench.session.warnings("test.rhai", code);
    let told: Vec<String> = found
        .iter()
        .map(|warning| {
            let at = &warning.frames[0];
            format!("{}:{} {}", at.line, at.column, warning.message)
        })
        .collect();
    assert_eq!(told, expected, "{code}");
}

#[test]
fn results_that_go_nowhere() {
    check(
        "let x = 1; x == 2; x",
        &["1:14 the result of `==` is not used"],
    );
    check(
        "let a = [1]; a; a[0]; a.len",
        &[
            "1:14 the value of a is not used",
            "1:17 this value is not used",
        ],
    );
    check(
        "mean([1.0]);\nmean([2.0])",
        &["1:1 the result of mean(..) is not used"],
    );
    check(
        "fn mean(x) { print(x) } mean(1); 2",
        &["1:4 this mean(x) hides mean(values: array) -> float"],
    );
    check(
        "let n = 0;\nwhile n < 3 { n + 1; n += 1; }",
        &["2:17 the result of `+` is not used"],
    );
    check(
        "if true { 1; print(2) } else { [3]; print(4) }",
        &["1:11 this value is not used", "1:32 this value is not used"],
    );
    check(
        "print(1); let y = 2; y.push; y += 1; ()",
        &["1:22 this value is not used"],
    );
    check("print(1); load(\"x\"); true && f(); 3", &[]);
    check("let x = ", &[]);
}

#[test]
fn names_that_hide_others() {
    check(
        "let total = 0;\nif true {\n    let total = 1;\n}\ntotal",
        &["3:9 this total hides the one of line 1 until its block ends"],
    );
    check("let x = 1; let x = 2; x", &[]);
    check("let x = 1; fn f() { let x = 2; x } f()", &[]);
    check("let i = 1; for i in 0..3 { print(i) }", &[]);
    check(
        "fn load(path) { path }",
        &["1:4 this load(path) hides load(path: path, #{..}) -> Model"],
    );
    check("fn load(a, b, c) { a }", &[]);
}

#[test]
fn a_cell_is_warned_of_before_it_runs() {
    let mut bench = Bench::new();
    let shown = bench.shows("let x = 1; x == 2; x");
    assert!(
        shown.contains("warning: the result of `==` is not used"),
        "{shown}"
    );
    assert!(
        shown.contains("= hint: `=` gives a variable a value"),
        "{shown}"
    );
}

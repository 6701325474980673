//! How long the prompt takes for a key. Run it by hand: `cargo test --release -- --ignored --nocapture speed`.
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use std::time::Instant;

use super::Bench;
use crate::host::notes::noted;
use crate::session::lexer::{depth, lex};
use crate::session::{Checker, Source};

/// The mean of a few runs.
fn measure<T>(what: &str, mut run: impl FnMut() -> T) {
    const RUNS: u32 = 5;
    run();
    let start = Instant::now();
    for _ in 0..RUNS {
        run();
    }
    eprintln!("{what:<44} {:>9.2?}", start.elapsed() / RUNS);
}

#[test]
#[ignore = "it prints figures and checks nothing"]
fn completion_among_a_thousand_variables() {
    let mut bench = Bench::new();
    let code: String = (0..1000)
        .map(|n| format!("let variable_{n} = #{{rate: {n}, list: [1, 2, 3]}};"))
        .collect();
    bench.check(&code, "");
    bench.check("let large = []; large.pad(200000, 1);", "");
    for text in [
        "",
        "var",
        "variable_77",
        "variable_7.",
        "vrbl",
        "load(\"x\").",
        "load(\"x\", #{",
        "1 + lar",
    ] {
        measure(&format!("complete {text:?}"), || {
            bench.session.complete(text, text.len())
        });
    }
}

/// A script of about 100 kB.
fn long_script() -> String {
    let function = "fn step(a, b) {\n    let sum = #{rate: a, name: \"x\", list: [1, 2.5, b]}; // comment\n    \
                    if sum.rate > 3 { return sum.list.map(|x| x * 2); }\n    `text ${a + b}`\n}\n";
    (0..500)
        .map(|n| function.replace("step", &format!("step_{n}")))
        .collect()
}

#[test]
#[ignore = "it prints figures and checks nothing"]
fn keys_in_a_long_buffer() {
    let bench = Bench::new();
    let checker = Checker::new();
    let text = long_script();
    let open = format!("{text}load(\"x\", ");
    let earlier = text.replace("let sum", "_3 + _; let sum");
    eprintln!("{} bytes", text.len());
    measure("lex", || lex(&text).len());
    measure("depth", || depth(&lex(&text), text.len()));
    measure("completeness", || checker.check(&text));
    measure("completeness of unfinished text", || checker.check(&open));
    measure("completeness with 1000 earlier results", || {
        checker.check(&earlier)
    });
    measure("the hint of a call", || bench.session.call_hint(&open));
    measure("complete", || bench.session.complete(&open, open.len()));
    measure("check", || bench.session.check("x.rhai", &text).len());
    let source = Source {
        file: None,
        text: &text,
    };
    measure("hover", || bench.session.hover(source, text.len() / 2));
}

#[test]
#[ignore = "it prints figures and checks nothing"]
fn a_long_cell() {
    let mut bench = Bench::new();
    let text = long_script();
    measure("parse", || bench.session.engine.compile(&text).is_ok());
    let ast = bench.session.engine.compile(&text).unwrap();
    measure("blocks that note", || noted(&ast, std::iter::empty()));
    measure("warnings", || bench.session.warnings("x.rhai", &text).len());
    measure("run", || bench.shows(&text));
}

#[test]
#[ignore = "it prints figures and checks nothing"]
fn loops_and_calls() {
    let mut bench = Bench::new();
    for code in [
        "let x = 0; for i in 0..1000000 { x += i }",
        "let x = 0; for i in 0..1000000 { let y = i * 2; x += y; }",
        "fn f(x) { x + 1 } let x = 0; for i in 0..1000000 { x = f(x) }",
        "fn fib(n) { if n < 2 { n } else { fib(n - 1) + fib(n - 2) } } fib(22)",
        "let a = []; for i in 0..20000 { a.push(i) }",
    ] {
        let plain = bench.session.engine.compile(code).unwrap();
        let noted = noted(&plain, std::iter::empty());
        for (name, ast) in [("plain", plain), ("noted", noted)] {
            let engine = &bench.session.engine;
            let what = format!("{name}: {}", &code[..code.len().min(36)]);
            measure(&what, || engine.eval_ast::<rhai::Dynamic>(&ast).unwrap());
        }
    }
    bench.check("1", "1");
}

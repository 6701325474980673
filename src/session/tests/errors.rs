//! How evaluations fail.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Bench;
use crate::session::{Problem, silence_panics};

#[test]
fn errors_in_one_look() {
    let mut bench = Bench::new();
    bench.check("fn inner(x) {\n  let y = 1;\n  x / 0\n}", "");
    bench.check("fn outer(x) { inner(x) }", "");
    bench.check(
        "outer(3)",
        "error: division by zero: 3 / 0\n  \
         --> In [1]:3:5 in inner\n3 |   x / 0\n  |     ^\n  | where x = 3\n  \
         called from In [2]:1:15 in outer\n1 | fn outer(x) { inner(x) }\n  |               ^\n  | where x = 3\n  \
         called from In [3]:1:1\n1 | outer(3)\n  | ^",
    );
}

#[test]
fn errors_name_the_way_out() {
    let mut bench = Bench::new();
    let mut check = |code: &str, words: &[&str]| {
        let shown = bench.shows(code);
        assert!(
            words.iter().all(|word| shown.contains(word)),
            "{code}:\n{shown}"
        );
    };
    check(
        "let loss = 1; lss",
        &["unknown variable lss", "did you mean loss?"],
    );
    check("let seen = 1;", &[]);
    check(
        "fn f() { seen } f()",
        &["functions don't see", "global::seen"],
    );
    check(
        "randm()",
        &["unknown function randm()", "did you mean random?"],
    );
    check(
        "rng(1).below(2.5)",
        &[
            "\"n\" must be int, not float 2.5",
            "without a decimal point",
        ],
    );
    check(
        "rng(1).below()",
        &["no below takes (Stream)", "Stream.below(n: int) -> int"],
    );
    check(
        "rng(1).belw",
        &["Stream has no property belw", "did you mean below?"],
    );
    check("rng(1).below", &["it is a method"]);
    check("format(1, 2, 3)", &["format(x: float, digits: int)"]);
    check(
        "json(1, #{prety: true})",
        &["unknown option \"prety\"", "did you mean \"pretty\"?"],
    );
    check(
        "json(1, #{pretty: 1})",
        &["option \"pretty\" must be bool, not int 1"],
    );
    check("let m = #{steps: 1};", &[]);
    check(
        "m.stpes",
        &["the map has no key \"stpes\"", "did you mean \"steps\"?"],
    );
    check("m[\"qq\"]", &["no key \"qq\"", "ask first"]);
    check("[1][3]", &["index 3 is outside"]);
    check("\"abc", &["the string is not closed"]);
    check(
        "fn again(x) { again(x) } again(1)",
        &["too many calls", "without an end"],
    );
    check("throw \"mine\"", &["error: mine"]);
    check(
        "try { rng(1).below(0) } catch (e) { print(e.message) }",
        &["at least 1"],
    );
    check("_99", &["there is no result _99"]);
}

#[test]
fn failures_inside_closures_called_by_natives_are_told() {
    let mut bench = Bench::new();
    let shown = bench.shows("let a = [3, 1, 2];\na.sort(|x, y| throw \"no order\");");
    assert!(
        shown.contains("no order") && shown.contains("In [1]:2:"),
        "{shown}"
    );
    bench.check("fn bad() {\n  1 / 0\n}", "");
    let shown = bench.shows("measure(|| bad())");
    assert!(
        shown.contains("error: division by zero") && shown.contains("In [2]:2:5 in bad"),
        "{shown}"
    );
    bench.check("let a = [3, 1, 2]; a.sort(|x, y| y - x); a", "[3, 2, 1]");
}

#[test]
fn a_panic_is_an_error_and_the_session_lives() {
    let mut bench = Bench::new();
    bench
        .session
        .engine
        .register_fn("burst", || -> i64 { panic!("burst pipe") });
    silence_panics();
    bench.check("let before = 1;", "");
    let shown = bench.shows("before = 2; burst()");
    assert!(shown.contains("internal error: burst pipe"), "{shown}");
    bench.check("before", "1");
}

#[test]
fn an_interrupt_stops_script_and_natives() {
    let stopped_by = |code: &str| {
        let mut bench = Bench::new();
        let flag = bench.session.host().interrupt().clone();
        bench
            .session
            .engine
            .register_fn("press", move || flag.store(true, Ordering::Relaxed));
        let outcome = bench.session.eval(code);
        assert_eq!(
            outcome.problem.map(|p| p.problem),
            Some(Problem::Interrupted),
            "{code}"
        );
        // What the user types next is new; the rest of a script is stopped too.
        assert!(bench.shows("1").contains("interrupted"));
        assert_eq!(bench.submits("1"), "1");
    };
    stopped_by("press(); loop { }");
    stopped_by("press(); sleep(1000)");
    stopped_by("try { press(); loop { } } catch { 1 }");
    stopped_by("let a = [3, 2, 1]; a.sort(|x, y| { press(); 1 })");
}

/// A bench whose lines may take so many milliseconds.
fn limited(milliseconds: u64) -> Bench {
    Bench::with(|setup| setup.limits.time = Some(Duration::from_millis(milliseconds)))
}

#[test]
fn a_line_has_one_time_limit() {
    let mut bench = limited(60);
    std::fs::write(bench.folder.path().join("slow.rhai"), "sleep(100)").unwrap();
    for line in [
        "loop { }",
        "!sleep 30",
        "!!sleep 30",
        "let lines = !sleep 30",
        "%run slow.rhai",
        "%time sleep(100)",
        "%timeit sleep(100)",
        "try { sleep(100) } catch { }",
    ] {
        let shown = bench.submits(line);
        let expected = "stopped: the time limit of 60ms is over";
        assert!(shown.contains(expected), "{line}: {shown}");
        assert_eq!(bench.submits("1 + 1"), "2", "after {line}");
    }
}

#[test]
fn waiting_for_a_script_to_be_saved_has_no_time_limit() {
    let mut bench = limited(40);
    std::fs::write(bench.folder.path().join("quick.rhai"), "print(1)").unwrap();
    let flag = bench.session.host().interrupt().clone();
    let user = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        flag.store(true, Ordering::Relaxed);
    });
    let shown = bench.submits("%watch quick.rhai");
    assert!(user.is_finished() && !shown.contains("stopped"), "{shown}");
    user.join().unwrap();
}

#[test]
fn exit_leaves_with_its_code() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.session.eval("try { exit(3) } catch { }").exit,
        Some(3)
    );
    assert_eq!(bench.session.eval("exit()").exit, Some(0));
    bench.check("exit(256)", "error: exit: parameter \"code\" must be between 0 and 255, not 256\n  --> In [3]:1:1\n1 | exit(256)\n  | ^");
}

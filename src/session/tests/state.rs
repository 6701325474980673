//! What a failing cell leaves, and going back.

use super::Bench;

/// What the input prints and shows, magics too.
fn says(bench: &mut Bench, input: &str) -> String {
    bench.submits(input)
}

#[test]
fn a_failing_cell_leaves_the_state_as_before() {
    let mut bench = Bench::new();
    bench.check(
        "let a = [1, 2]; let k = 1; fn f() { 1 } let grow = |x| k += x;",
        "",
    );
    let check = |bench: &mut Bench, code: &str, note: &str| {
        let shown = bench.shows(code);
        let told = shown
            .lines()
            .find_map(|line| line.trim().strip_prefix("= note: "));
        // The values on the failing line come first.
        let told = told.and_then(|told| told.split("; ").find(|part| part.starts_with("taken")));
        assert_eq!(told.unwrap_or(""), note, "{code}\n{shown}");
        bench.check("[a, k, f()]", "[[1, 2], 1, 1]");
    };
    check(&mut bench, "throw 1", "");
    check(&mut bench, "a.push(3); k = 5; throw 1", "taken back: k");
    check(
        &mut bench,
        "let b = 1; let a = 5; throw 1",
        "taken back: a, b",
    );
    check(
        &mut bench,
        "fn f() { 2 } fn g() { 3 } throw 1",
        "taken back: f, g",
    );
    check(&mut bench, "grow.call(5); throw 1", "taken back: k");
    check(&mut bench, "eval(\"a = 7\"); throw 1", "");
    check(&mut bench, "a[0] = 9; a.foo()", "taken back: a");
    assert!(bench.shows("b").contains("unknown variable"), "b is gone");
    let shown = bench.shows("g()");
    assert!(shown.contains("unknown function g"), "{shown}");
    bench.check("grow.call(5); k", "6");
}

#[test]
fn random_numbers_go_back_too() {
    let mut bench = Bench::new();
    let first = bench.shows("seed(1); random()");
    bench.shows("seed(1);");
    bench.shows("random(); throw 1");
    bench.check("random()", &first);
    says(&mut bench, "%back");
    bench.check("random()", &first);
}

#[test]
fn cells_are_taken_back() {
    let mut bench = Bench::new();
    bench.check("let a = [1]; let k = 1; fn f() { 1 }", "");
    bench.check("let grow = |x| k += x;", "");
    bench.check("a.push(2); fn f() { 2 } let c = 5;", "");
    bench.check("let a = 7; grow.call(3);", "");
    bench.check("[a, k, f(), c]", "[7, 4, 2, 5]");
    assert_eq!(says(&mut bench, "%back 2"), "back before cell 4");
    bench.check("[a, k, f(), c]", "[[1, 2], 1, 2, 5]");
    assert_eq!(says(&mut bench, "%back 2"), "back before cell 3");
    bench.check("[a, k, f()]", "[[1], 1, 1]");
    bench.check("grow.call(3); k", "4");
    assert!(says(&mut bench, "%back 99").contains("cells can be taken back, not 99"));
}

#[test]
fn forks_are_gone_back_to_again_and_again() {
    let mut bench = Bench::new();
    bench.check("let a = [1]; let k = 1; let grow = |x| k += x;", "");
    assert_eq!(says(&mut bench, "%fork start"), "");
    for _ in 0..2 {
        bench.check("a.push(2); grow.call(1); [a, k]", "[[1, 2], 2]");
        assert_eq!(
            says(&mut bench, "%back start"),
            "back at start, before cell 2"
        );
        bench.check("[a, k]", "[[1], 1]");
        assert_eq!(
            says(&mut bench, "%back start"),
            "back at start, before cell 2"
        );
    }
    assert!(says(&mut bench, "%back strat").contains("did you mean \"start\"?"));
    assert!(says(&mut bench, "%forks").contains("start"));
}

/// A student after going back learns the same numbers again, bit for bit.
#[test]
fn training_goes_on_equally_after_going_back() {
    let mut bench = Bench::new();
    bench.shows("let s = student(load(\"embedded:student\"), #{rank: 1});");
    bench.shows("let t = grpo(s, [\"the soup\"], |all| all.map(|a| 1.0 * a.completion.len()), #{group: 2, prompts_per_step: 1, max_new_tokens: 3, seed: 2});");
    let first = bench.shows("t.step()");
    let next = bench.shows("t.step()");
    assert!(first.contains("loss") && first != next, "{first}");
    says(&mut bench, "%back 2");
    bench.check("t.step()", &first);
    bench.check("t.step()", &next);
    says(&mut bench, "%fork two");
    let third = bench.shows("t.step()");
    says(&mut bench, "%back two");
    bench.check("t.step()", &third);
}

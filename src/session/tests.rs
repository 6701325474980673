//! Whole evaluations: what cells show, what lives on between them, how they fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::host::function::Form;
use crate::host::{Clock, Event, Recorder};
use crate::report::Terminal;

struct Still;

impl Clock for Still {
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
    fn wait(&self, _: Duration) {}
}

struct Bench {
    session: Session,
    recorder: Arc<Recorder>,
}

impl Bench {
    fn new() -> Self {
        Self::with_args(&[])
    }

    fn with_args(args: &[&str]) -> Self {
        let recorder = Arc::new(Recorder::default());
        let session = Session::new(Setup {
            base: std::env::temp_dir(),
            seed: 0,
            args: args.iter().map(ToString::to_string).collect(),
            sink: recorder.clone(),
            interrupt: Arc::new(AtomicBool::new(false)),
            clock: Arc::new(Still),
        });
        Self { session, recorder }
    }

    /// What a cell prints and shows, or its error.
    fn shows(&mut self, code: &str) -> String {
        let outcome = self.session.eval(code);
        let mut lines: Vec<String> = self.recorder.take().iter().filter_map(printed).collect();
        lines.extend(
            self.session
                .show(&outcome.value, 80)
                .map(|display| display.render(&Terminal::default())),
        );
        lines.extend(outcome.problem.map(|problem| problem.render(false)));
        lines.join("\n")
    }

    fn check(&mut self, code: &str, expected: &str) {
        assert_eq!(self.shows(code), expected, "{code}");
    }
}

fn printed(event: &Event) -> Option<String> {
    match event {
        Event::Show(rich) => Some(rich.render(&Terminal::default())),
        Event::Progress(_) => None,
    }
}

#[test]
fn every_example_shows_what_it_says() {
    let functions = Bench::new().session.host().registry().functions.clone();
    for function in functions {
        for example in &function.examples {
            let shown = Bench::new().shows(example.code);
            assert_eq!(
                shown.trim_end(),
                example.shows.trim_end(),
                "{}: {}",
                function.name,
                example.code
            );
        }
    }
}

#[test]
fn the_table_is_in_order() {
    let bench = Bench::new();
    let registry = bench.session.host().registry();
    let snake = |name: &str| {
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let sentence =
        |text: &str| text.ends_with('.') && text.starts_with(|c: char| !c.is_lowercase());
    let mut seen = Vec::new();
    for function in &registry.functions {
        let name = function.name;
        let operator = matches!(function.form, Form::Operator | Form::Index);
        assert!(operator || snake(name), "{name} is not snake_case");
        assert!(
            sentence(function.summary),
            "{name}: \"{}\" is not a sentence",
            function.summary
        );
        for param in &function.params {
            assert!(
                snake(param.name) && sentence(param.summary),
                "{name}: parameter {}",
                param.name
            );
        }
        for key in &function.keys {
            assert!(
                snake(key.name) && sentence(key.summary),
                "{name}: option {}",
                key.name
            );
        }
        let first_optional = function
            .params
            .iter()
            .position(|p| p.optional)
            .unwrap_or(function.params.len());
        assert!(
            function.params[first_optional..].iter().all(|p| p.optional),
            "{name}: optional ones come last"
        );
        let identity = (function.receiver.map(|r| r.id), name, function.form);
        assert!(
            operator || !seen.contains(&identity),
            "{name} is defined twice"
        );
        seen.push(identity);
    }
    for entry in &registry.types {
        assert!(sentence(entry.summary), "{}", entry.name);
    }
}

#[test]
fn defaults_of_options_fit_their_kinds() {
    for function in &Bench::new().session.host().registry().functions {
        for key in function
            .keys
            .iter()
            .filter(|key| key.default != crate::host::options::Default::Required)
        {
            let value = key.default_value();
            assert!(key.check(&value).is_ok(), "{}: {}", function.name, key.name);
        }
    }
}

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
    for _ in 0..5 {
        bench.check("let b = big();", "");
    }
    assert_eq!(live.load(Ordering::Relaxed), 1);
    bench.check("b = (); const C = 1; let C = 2; C", "2");
    assert_eq!(live.load(Ordering::Relaxed), 0);
}

#[test]
fn errors_in_one_look() {
    let mut bench = Bench::new();
    bench.check("fn inner(x) {\n  let y = 1;\n  x / 0\n}", "");
    bench.check("fn outer(x) { inner(x) }", "");
    bench.check(
        "outer(3)",
        "error: division by zero: 3 / 0\n  \
         --> In [1]:3:5 in inner\n3 |   x / 0\n  |     ^\n  \
         called from In [2]:1:15 in outer\n1 | fn outer(x) { inner(x) }\n  |               ^\n  \
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
    let shown = bench.shows("let before = 1; burst()");
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
        bench.check("1", "1");
    };
    stopped_by("press(); loop { }");
    stopped_by("press(); sleep(1000)");
    stopped_by("try { press(); loop { } } catch { 1 }");
    stopped_by("let a = [3, 2, 1]; a.sort(|x, y| { press(); 1 })");
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
    let shown = bench.shows("let a = []; a.pad(5000, 0); a");
    assert!(shown.ends_with("… 4000 more\n]"), "{shown}");
}

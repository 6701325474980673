//! `--check`: what is told of scripts that do not run.

use super::Bench;

/// `line:column message (hint)` of each problem.
fn problems(bench: &Bench, code: &str) -> Vec<String> {
    let found = bench.session.check("test.rhai", code).into_iter();
    found
        .map(|problem| {
            let at = &problem.frames[0];
            let hint = problem
                .hint
                .map_or(String::new(), |hint| format!(" ({hint})"));
            format!("{}:{} {}{hint}", at.line, at.column, problem.message)
        })
        .collect()
}

fn check(bench: &Bench, table: &[(&str, &[&str])]) {
    for (code, expected) in table {
        assert_eq!(problems(bench, code), *expected, "{code}");
    }
}

#[test]
fn names_are_known_before_anything_runs() {
    check(
        &Bench::new(),
        &[
            ("let x = 1; x + y", &["1:16 unknown variable y"]),
            (
                "let count = 1; cuont = 2;",
                &["1:16 unknown variable cuont (did you mean count?)"],
            ),
            (
                "prnt(1);\nlet a = nope;",
                &[
                    "1:1 unknown function prnt (did you mean print?)",
                    "2:9 unknown variable nope",
                ],
            ),
            (
                "fn f(a) { a }\nf(1, 2); f(1)",
                &["2:1 f takes one argument, not 2"],
            ),
            (
                "sqrt(1.0, 2)",
                &["1:1 no sqrt takes 2 arguments (it is called as sqrt(x: float) -> float)"],
            ),
            ("let f = |x| x + w;", &["1:17 unknown variable w"]),
            ("let c = 1; let f = |x| |y| x + y + c; f.call(1)", &[]),
            (
                "const A = 1; fn f() { global::A + global::B }",
                &["1:43 there is no constant B"],
            ),
            (
                "_ + 1",
                &[
                    "1:1 there is no result _ in a script (`_` and `_3` are results of cells at the prompt)",
                ],
            ),
        ],
    );
    let told = problems(&Bench::new(), "let m = 1; fn f() { m }");
    assert!(
        told[0].starts_with("1:21 unknown variable m (functions don't see"),
        "{told:?}"
    );
}

#[test]
fn members_by_the_type_of_what_they_stand_behind() {
    check(
        &Bench::new(),
        &[
            (
                "load(\"x\").forwrd(\"y\")",
                &["1:11 Model has no method forwrd (did you mean forward?)"],
            ),
            (
                "let m = load(\"x\"); let n = m; n.nmae",
                &["1:33 Model has no property nmae (did you mean name?)"],
            ),
            (
                "let a = [1]; a.psh(2)",
                &["1:16 array has no method psh (did you mean push?)"],
            ),
            (
                "let a = [1]; if a.len() > 1 { a = load(\"x\"); } a.card()",
                &[],
            ),
            (
                "let m = #{score: |x| x}; m.score(1); m.other.thing()",
                &["1:46 unknown function thing"],
            ),
            ("fn anything(x) { x.card() + x.name }", &[]),
        ],
    );
}

#[test]
fn options_and_plain_arguments() {
    check(
        &Bench::new(),
        &[
            (
                "load(\"x\", #{engin: 1})",
                &["1:13 load: unknown option \"engin\" (did you mean \"engine\"?)"],
            ),
            (
                "let m = load(\"x\"); quantize(m, \"q\", #{bits: 99})",
                &["1:39 quantize: option \"bits\" must be between 1 and 8, not 99"],
            ),
            (
                "load(\"x\", #{engine: \"aple\"})",
                &["1:13 load: unknown option \"engine\" \"aple\" (did you mean \"apple\"?)"],
            ),
            (
                "load(5)",
                &[
                    "1:6 load: parameter \"path\" must be path, not int 5 (it is called as load(path: path, #{..}) -> Model)",
                ],
            ),
            ("let options = #{engin: 1}; load(\"x\", options)", &[]),
        ],
    );
}

#[test]
fn after_a_syntax_error_the_rest_is_looked_at() {
    check(
        &Bench::new(),
        &[
            (
                "let a = ;\nlet b = nope;\nprint(a);",
                &["1:9 unexpected ';'", "2:9 unknown variable nope"],
            ),
            (
                "fn f(x) { x + }\nf(1);\ng(2)",
                &["1:15 unexpected '}'", "3:1 unknown function g"],
            ),
            (
                "let a = (1;\nlet b = 2",
                &["1:11 expecting ')' for a matching ( in this expression"],
            ),
        ],
    );
}

#[test]
fn modules_are_read() {
    let bench = Bench::new();
    let file = bench.session.host().resolve("lib.rhai");
    std::fs::write(file, "fn more(n) { n }\nexport const LIMIT = 3;").unwrap();
    check(
        &bench,
        &[
            ("import \"lib\" as m; m::more(m::LIMIT)", &[]),
            (
                "import \"lib\" as m; m::mor(1)",
                &["1:23 module m has no function mor (did you mean m::more?)"],
            ),
            (
                "import \"lib\" as m; m::more()",
                &["1:23 m::more takes one argument, not 0 (it is more(n))"],
            ),
            (
                "import \"lib\" as m; m::LIMITS",
                &["1:23 module m exports no LIMITS (did you mean m::LIMIT?)"],
            ),
            (
                "import \"none\" as m; m::f()",
                &[
                    "1:1 there is no module \"none\" (modules are script files, looked up beside the script)",
                ],
            ),
            (
                "lib::more(1)",
                &["1:6 unknown module lib (import \"path\" as lib; makes it known)"],
            ),
        ],
    );
}

#[test]
fn every_example_is_in_order() {
    let bench = Bench::new();
    for function in &bench.session.host().registry().functions {
        for example in &function.examples {
            assert!(
                problems(&bench, example.code).is_empty(),
                "{}: {:?}",
                example.code,
                problems(&bench, example.code)
            );
        }
    }
}

/// With lines `#!`, and exports of what is declared before: as checked, so run.
#[test]
fn scripts_that_name_their_interpreter() {
    let mut bench = Bench::new();
    let folder = bench.folder.path().to_path_buf();
    let write = |name: &str, first: &str, text: &str| {
        std::fs::write(folder.join(name), format!("{first}\n{text}")).unwrap();
    };
    let module = "const ONE = 1;\nlet two = 2;\nexport ONE;\nexport two as TWO;";
    write("m.rhai", "#!/usr/bin/env rlaif-repl", module);
    for first in ["#!/usr/bin/env rlaif-repl", "#!rlaif-repl", "#!!", "//"] {
        write(
            "s.rhai",
            first,
            "import \"m\" as m;\nlet sum = m::ONE + m::TWO;",
        );
        let code = bench.session.read_script("s.rhai".as_ref()).unwrap();
        assert!(problems(&bench, &code).is_empty(), "{first}");
        bench.session.run_file("s.rhai".as_ref()).unwrap();
        bench.check("sum", "3");
    }
    assert_eq!(
        problems(&bench, "import \"m\" as m;\nm::two"),
        ["2:4 module m exports no two (did you mean m::TWO?)"]
    );
}

//! Notes of scripts that fail, and scripts that must not notice them.

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, NativeCallContext, Scope};

use super::{Notes, install, noted};

/// An engine, and the notes that its errors leave.
fn engine() -> (Engine, Notes) {
    let (mut engine, notes) = (Engine::new(), Notes::default());
    install(&mut engine, &notes);
    engine.on_progress(|_| None);
    // Somebody who calls functions, and does not mind their errors.
    engine.register_fn(
        "quietly",
        |context: NativeCallContext, function: FnPtr| -> Result<(), Box<EvalAltResult>> {
            function.call_within_context::<Dynamic>(&context, ()).ok();
            Ok(())
        },
    );
    (engine, notes)
}

/// What is noted when the code runs: `depth:line name=value ..` of each call.
fn told(code: &str) -> String {
    let (engine, notes) = engine();
    let ast = noted(&engine.compile(code).unwrap(), std::iter::empty());
    let result = engine.eval_ast_with_scope::<Dynamic>(&mut Scope::new(), &ast);
    let told = |note: super::Note| {
        let (depth, line) = (note.depth, note.line);
        let values = note.in_order();
        let values = values
            .iter()
            .map(|(name, value)| format!(" {name}={}", value.flatten_clone()));
        format!("{depth}:{line}{}", values.collect::<String>())
    };
    let notes: Vec<String> = notes.take().into_iter().map(told).collect();
    match result {
        Ok(value) => format!("{value} {}", notes.join("; ")).trim().into(),
        Err(_) => notes.join("; "),
    }
}

#[test]
fn calls_note_the_variables_of_their_lines() {
    let check = |code: &str, expected: &str| assert_eq!(told(code), expected, "{code}");
    check("fn f(x) {\n let y = x * 2;\n y / 0\n}\nf(4)", "0:3 y=8");
    check(
        "fn f(x) { x / 0 } fn g(a) { let b = a + 1; f(b) } g(1)",
        "0:1 x=2; 1:1 a=1 b=2",
    );
    check(
        "fn f(x) {\n g(x,\n  x + 1)\n}\nfn g(a, b) { a / (b - b) }\nf(4)",
        "0:5 a=4 b=5; 1:2 x=4",
    );
    // The innermost variable of a name.
    check(
        "fn f(x) { if x > 0 { let x = 7; throw x; } } f(1)",
        "0:1 x=7",
    );
    check(
        "fn f(x) { { let y = [x].len(); } { let z = 3; throw x + z; } } f(1)",
        "0:1 x=1 z=3",
    );
    check("fn f(x) { for x in 5..7 { 1 / (x - 5); } } f(1)", "0:1 x=5");
    check(
        "fn f(y) { for x in 5..7 { y / (x - 5); } } f(1)",
        "0:1 y=1 x=5",
    );
    check(
        "fn f(y) { for x in 5..7 { if x > y { throw y; } } } f(5)",
        "0:1 x=6 y=5",
    );
    check(
        "fn f(y) { for x in 5..7 { y += x + 9223372036854775800; } } f(1)",
        "0:1 y=9223372036854775806",
    );
    // Loops.
    check(
        "fn f(xs) { for (x, i) in xs { xs[i + 1] } } f([5])",
        "0:1 xs=[5] i=0",
    );
    check(
        "fn f(n) { for i in 0..n { let y = [i][i]; } } f(3)",
        "0:1 n=3 i=1",
    );
    check("for i in 0..3 { [1][i] }", "0:1 i=1");
    check(
        "let n = 0; while n < 2 { let m = [n].len(); n += m; if n == 2 { throw m; } }",
        "0:1 m=1",
    );
    // Closures, alone and called by the engine's own functions.
    check("let k = 2; [1, 2].map(|x| x / (k - x))", "0:1 x=2 k=2");
    check(
        "fn f(xs) { xs.map(|x| { let y = x - 1; 1 / y }) } f([1])",
        "0:1 x=1 y=0; 2:1 xs=[1]",
    );
    // Switches, blocks with a value.
    check(
        "fn f(x) { let a = switch x { 1 => { let b = [x].len(); b / 0 } }; } f(1)",
        "0:1 x=1 b=1",
    );
    check(
        "fn f(x) { let a = if x > 0 { let b = [x]; b[1] } else { 2 }; } f(1)",
        "0:1 x=1 b=[1]",
    );
}

#[test]
fn caught_errors_leave_nothing() {
    let check = |code: &str, expected: &str| assert_eq!(told(code), expected, "{code}");
    let fails = "fn f(x) { let y = x; throw y; }\n";
    check(&format!("{fails}try {{ f(1) }} catch {{}} 5"), "5");
    check(
        &format!("{fails}try {{ f(1) }} catch {{ f(2) }}"),
        "0:1 x=2 y=2",
    );
    check(
        &format!("{fails}try {{ f(1) }} catch (e) {{ [e][e] }}"),
        "0:2 e=1",
    );
    check(&format!("{fails}quietly(|| f(1)); f(3)"), "0:1 x=3 y=3");
    check(
        &format!("{fails}fn g(z) {{ quietly(|| f(1));\n z / 0 }} g(3)"),
        "0:3 z=3",
    );
    check(
        &format!("{fails}fn g(z) {{ quietly(|| f(1)); f(z)\n }} g(3)"),
        "0:1 x=3 y=3; 1:2 z=3",
    );
}

/// The script comes to the same, and takes as many steps.
#[test]
fn blocks_run_as_before() {
    let check = |code: &str| {
        let (engine, _) = engine();
        let plain = engine.compile(code).unwrap();
        let steps = |ast: &rhai::AST| {
            let (mut engine, notes) = self::engine();
            let last = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
            let seen = last.clone();
            engine.on_progress(move |steps| {
                seen.store(steps, std::sync::atomic::Ordering::Relaxed);
                None
            });
            let mut scope = Scope::new();
            let value = engine.eval_ast_with_scope::<Dynamic>(&mut scope, ast);
            let names: Vec<String> = scope.iter().map(|(name, ..)| name.into()).collect();
            let value = value.map(|v| v.to_string()).map_err(|e| e.to_string());
            drop(notes);
            (
                value,
                names,
                last.load(std::sync::atomic::Ordering::Relaxed),
            )
        };
        assert_eq!(
            steps(&noted(&plain, std::iter::empty())),
            steps(&plain),
            "{code}"
        );
    };
    check("let x = 0; for i in 0..5 { let y = [i].len(); x += y; if i == 3 { break; } } x");
    check("fn f(x) { for i in x { if i > 2 { return i * 10; } let z = [i]; } 0 } f([1, 2, 3, 4])");
    check("fn f(x) { x + 1 } f(1) + f(2)");
    check("fn f(x) { let y = x; y * 2 } let g = |a| f(a) + f(2); g.call(5)");
    check("let n = 0; let v = while true { let k = [n].len(); n += k; if n > 3 { break n; } }; v");
    check(
        "let a = []; for i in 0..3 { const K = [i].len(); a.push(|| i + K); } a.map(|f| f.call())",
    );
    check("fn f() { this.a += 1; let b = this.a; b } let m = #{a: 1}; m.f(); m.f()");
    check("try { let a = [1]; a[3] } catch (e) { let t = type_of(e); print(t); } 7");
    check("fn fact(n) { if n < 2 { 1 } else { n * fact(n - 1) } } fact(9)");
    check("fn f(x) { x / 0 } f(1)");
    check("fn f(x) {\n  let y = [x];\n  y[4]\n}\nfor i in [1] {\n  let z = f(i);\n}");
    check("let x = 1; { let y = [x].len(); x += y; } x");
}

#[test]
fn bodies_stand_where_they_were() {
    let code = "fn f(x) {\n  x +\n 1\n}\n\n  let g =   |a| a * 2;\nfn h() {}\nfn i() { |x| x }";
    let engine = Engine::new();
    let plain = engine.compile(code).unwrap();
    let places = |ast: &rhai::AST| {
        let mut found: Vec<String> = ast
            .iter_fn_def()
            .map(|f| format!("{} {:?}", f, f.body.start_position()))
            .collect();
        found.sort();
        found
    };
    assert_eq!(places(&noted(&plain, std::iter::empty())), places(&plain));
}

//! Every form of a function, on a type made for the test.

use super::*;
use crate::host::function::{function, index, method, operator, property};
use crate::host::{Callback, Key, Kind, Setup, engine};

/// A point of the plane.
#[derive(Clone)]
struct Point(f64, f64);

impl ScriptValue for Point {
    const NAME: &'static str = "Point";
    const SUMMARY: &'static str = "A point.";

    fn line(&self) -> String {
        format!("Point({}, {})", self.0, self.1)
    }
}

const POINT: Kind = Kind::object::<Point>();
const KEYS: &[Key] = &[
    Key::float("scale", 1.0, "Factor.").between(0.0, 10.0),
    Key::choice("side", &["left", "right"], "left", "Side."),
    Key::optional("then", Kind::Function, "Called with the result."),
];

fn functions() -> Vec<ScriptFn> {
    vec![
        function("point", "A point.")
            .param("x", Kind::Float, "Across.")
            .optional("y", Kind::Float, "Up.")
            .options(KEYS)
            .returns("Point")
            .run(|call| {
                let scale: f64 = call.options.get("scale")?;
                let sign = if call.options.get::<String>("side")? == "left" {
                    1.0
                } else {
                    -1.0
                };
                let x = call.get::<f64>("x")? * scale * sign;
                if let Some(then) = call.options.get::<Option<Callback>>("then")? {
                    let kept: bool = call.call(&then, [x.into()])?;
                    return Ok(Point(if kept { x } else { 0.0 }, 0.0));
                }
                Ok(Point(x, call.get_or("y", 0.0)?))
            }),
        property::<Point>("x", "Across.")
            .returns("float")
            .run(|call| Ok(call.receiver::<Point>()?.0)),
        method::<Point>("moved", "Moved.")
            .param("by", Kind::Float, "How far.")
            .returns("Point")
            .run(|call| {
                let Point(x, y) = call.receiver()?;
                Ok(Point(x + call.get::<f64>("by")?, y))
            }),
        index::<Point>("A coordinate.")
            .param("at", Kind::Int, "0 or 1.")
            .returns("float")
            .run(|call| {
                let Point(x, y) = call.receiver()?;
                Ok([x, y].get(call.get::<usize>("at")?).copied())
            }),
        operator("+", "The sum.")
            .param("a", POINT, "One.")
            .param("b", Kind::Either(&[POINT, Kind::Float]), "Other.")
            .returns("Point")
            .run(|call| {
                let Point(x, y) = call.get("a")?;
                Ok(match call.get::<Point>("b") {
                    Ok(b) => Point(x + b.0, y + b.1),
                    Err(_) => Point(x + call.get::<f64>("b")?, y),
                })
            }),
    ]
}

fn eval(code: &str) -> String {
    let host = Host::new(Setup::still("".into()));
    let mut engine = engine::build(&host);
    let topic = Topic {
        name: "test",
        summary: "Test.",
        functions,
        types: || vec![TypeEntry::of::<Point>()],
    };
    Registry::of(&[topic]).install(&mut engine, &host);
    match engine.eval::<Dynamic>(&format!("{code}.to_string()")) {
        Ok(value) => value.to_string(),
        Err(error) => crate::host::error::from_rhai(&error, None).to_string(),
    }
}

#[test]
fn every_form_works() {
    let check = |code: &str, expected: &str| assert_eq!(eval(code), expected, "{code}");
    check("point(1)", "Point(1, 0)");
    check("point(1, 2.5)", "Point(1, 2.5)");
    check("point(1, #{scale: 3})", "Point(3, 0)");
    check(
        "point(1, 2, #{scale: 0.5, side: \"right\"})",
        "Point(-0.5, 2)",
    );
    check("point(1).moved(2)", "Point(3, 0)");
    check("point(7, #{then: |x| x > 5})", "Point(7, 0)");
    check("(point(4).x)", "4.0");
    check("(point(4, 5)[1])", "5.0");
    check("(point(1) + point(2, 3))", "Point(3, 3)");
    check("(point(1) + 2)", "Point(3, 0)");
    check("(point(1) + 0.5)", "Point(1.5, 0)");
    check("[point(1)]", "[Point(1, 0)]");
    check("type_of(point(1))", "Point");
}

#[test]
fn wrong_arguments_are_told() {
    let check = |code: &str, words: &[&str]| {
        let shown = eval(code);
        assert!(
            words.iter().all(|word| shown.contains(word)),
            "{code}: {shown}"
        );
    };
    check(
        "point(\"a\")",
        &["point: parameter \"x\" must be float, not the string \"a\""],
    );
    check(
        "point(1, #{scle: 1})",
        &["unknown option \"scle\"", "did you mean \"scale\"?"],
    );
    check(
        "point(1, #{scale: 11})",
        &["option \"scale\" must be between 0 and 10, not 11"],
    );
    check(
        "point(1, #{scale: 0.0 / 0.0})",
        &["must be between 0 and 10"],
    );
    check(
        "point(1, #{side: \"lft\"})",
        &["\"lft\"", "did you mean \"left\"?"],
    );
    check(
        "point(1, 2, 3)",
        &["options must be a map #{..}, not int 3"],
    );
    check(
        "point(1, #{then: |x| x})",
        &["closure must give true or false, not float 1"],
    );
    check("point(1, #{then: |x| throw \"in then\"})", &["in then"]);
    check("point(1).moved()", &["moved"]);
}

//! IEEE comparisons. rhai compares floats with an epsilon, which calls `1e-17 > 0.0` and `inf > 1.0` false.

use rhai::Engine;

/// Replaces the six comparisons of floats, and of floats with ints.
pub(super) fn install(engine: &mut Engine) {
    // With the built-in fast path on, registered operators are ignored.
    engine.set_fast_operators(false);
    macro_rules! compare {
        ($($name:literal $op:tt),*) => {$(
            engine.register_fn($name, |a: f64, b: f64| a $op b);
            engine.register_fn($name, |a: i64, b: f64| (a as f64) $op b);
            engine.register_fn($name, |a: f64, b: i64| a $op (b as f64));
        )*};
    }
    compare!("==" ==, "!=" !=, "<" <, "<=" <=, ">" >, ">=" >=);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each comparison over the awkward numbers agrees with Rust, as variables and as folded constants.
    #[test]
    fn comparisons_are_ieee() {
        let mut engine = Engine::new();
        install(&mut engine);
        let numbers = [
            0.0,
            -0.0,
            1e-300,
            -1e-300,
            1e-17,
            1.0,
            1.0 + f64::EPSILON,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
        ];
        type Compare = fn(&f64, &f64) -> bool;
        let operators: [(&str, Compare); 6] = [
            ("==", f64::eq),
            ("!=", f64::ne),
            ("<", f64::lt),
            ("<=", f64::le),
            (">", f64::gt),
            (">=", f64::ge),
        ];
        for (name, expected) in operators {
            let ast = engine.compile(format!("a {name} b")).unwrap();
            for a in numbers {
                for b in numbers {
                    let mut scope = rhai::Scope::new();
                    scope.push("a", a).push("b", b);
                    let got: bool = engine.eval_ast_with_scope(&mut scope, &ast).unwrap();
                    assert_eq!(got, expected(&a, &b), "{a} {name} {b}");
                }
                for b in [0_i64, 1] {
                    let mut scope = rhai::Scope::new();
                    scope.push("a", a).push("b", b);
                    let got: bool = engine.eval_ast_with_scope(&mut scope, &ast).unwrap();
                    assert_eq!(got, expected(&a, &(b as f64)), "{a} {name} {b}");
                    let mut scope = rhai::Scope::new();
                    scope.push("a", b).push("b", a);
                    let got: bool = engine.eval_ast_with_scope(&mut scope, &ast).unwrap();
                    assert_eq!(got, expected(&(b as f64), &a), "{b} {name} {a}");
                }
            }
        }
        for (code, expected) in [
            ("1e-17 > 0.0", true),
            ("1e-300 < 1e-200", true),
            ("1e-17 == 0", false),
        ] {
            assert_eq!(engine.eval::<bool>(code).unwrap(), expected, "{code}");
        }
    }
}

//! What a piece of code has to do with the session: the names it reads, sets and may change.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Expr, FnCallExpr, FnPtr, Stmt};

/// Functions and methods of the language that leave their first argument as it is. Of all others we must think
/// that they change it.
const PURE: &[&str] = &[
    "len",
    "is_empty",
    "contains",
    "index_of",
    "get",
    "keys",
    "values",
    "map",
    "filter",
    "reduce",
    "reduce_rev",
    "some",
    "all",
    "find",
    "find_map",
    "for_each",
    "zip",
    "sub_string",
    "split",
    "starts_with",
    "ends_with",
    "to_string",
    "to_debug",
    "to_upper",
    "to_lower",
    "to_int",
    "to_float",
    "to_json",
    "to_array",
    "type_of",
    "print",
    "debug",
    "is_shared",
    "chars",
    "bytes",
    "max",
    "min",
    "sum",
    "abs",
    "floor",
    "ceiling",
    "round",
    "sqrt",
    "exp",
    "ln",
    "log",
    "is_nan",
    "is_finite",
    "is_infinite",
    "call",
    "curry",
    "name",
    "range",
    "extract",
    "order",
    "sorted",
    "parse_int",
    "parse_float",
    "is_def_var",
    "is_def_fn",
    "breakpoint",
];

/// The names that some code has to do with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// Variables, constants, modules and functions that it names.
    pub reads: BTreeSet<String>,
    /// Variables that it declares at its top level.
    pub defines: BTreeSet<String>,
    /// Variables that it assigns to, whole or in part.
    pub assigns: BTreeSet<String>,
    /// Variables that a method it calls, or a closure it makes, may change.
    pub touches: BTreeSet<String>,
    /// What the statements read that give a variable its value.
    made_of: BTreeMap<String, BTreeSet<String>>,
    /// What its closures name, if it calls anything.
    called: BTreeSet<String>,
    /// Functions that it defines.
    pub functions: BTreeSet<String>,
    /// The same with their numbers of parameters.
    pub signatures: BTreeSet<(String, usize)>,
    /// What its functions and closures name: looked up when they are called.
    pub later: BTreeSet<String>,
    /// Whether it defines functions or makes closures.
    pub code: bool,
    /// Whether it calls anything, and so perhaps a closure.
    pub calls: bool,
    /// Whether it may reach any name, by `eval`.
    pub anything: bool,
}

impl Uses {
    /// Of a cell: its statements and the functions that it defines.
    pub fn of(ast: &AST) -> Self {
        let mut uses = Self::default();
        let statements: &[Stmt] = ast.as_ref();
        for statement in statements {
            let mut one = Self::default();
            statement.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
                one.visit(path);
                true
            });
            uses.add(one);
        }
        for function in ast.iter_functions() {
            if !function.name.starts_with("anon$") {
                let name = function.name.to_string();
                uses.functions.insert(name.clone());
                uses.signatures.insert((name, function.params.len()));
            }
        }
        uses.code = ast.has_functions();
        let functions = ast.clone_functions_only();
        uses.later = called(&functions);
        if uses.calls {
            // A closure may well be called here.
            let mut closures = functions.clone();
            closures.retain_functions(|_, _, name, _| name.starts_with("anon$"));
            uses.called = called(&closures);
            uses.reads.extend(uses.called.iter().cloned());
        }
        uses
    }

    /// Adds what a statement has to do with the session.
    fn add(&mut self, one: Self) {
        for name in one.defines.iter().chain(&one.assigns) {
            let inputs = self.made_of.entry(name.clone()).or_default();
            inputs.extend(one.reads.iter().cloned());
        }
        self.reads.extend(one.reads);
        self.defines.extend(one.defines);
        self.assigns.extend(one.assigns);
        self.touches.extend(one.touches);
        self.calls |= one.calls;
        self.anything |= one.anything;
    }

    /// What the value of a name was made of, by the statements that make it.
    pub fn inputs(&self, name: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![name.to_string()];
        while let Some(name) = open.pop() {
            for input in self.made_of.get(&name).into_iter().flatten() {
                if found.insert(input.clone()) {
                    open.push(input.clone());
                }
            }
        }
        if self.calls {
            found.extend(self.called.iter().cloned());
        }
        found
    }

    fn visit(&mut self, path: &[ASTNode]) {
        let Some((node, above)) = path.split_last() else {
            return;
        };
        match node {
            ASTNode::Stmt(Stmt::Var(declared, ..)) if above.is_empty() => {
                self.defines.insert(declared.0.name.to_string());
            }
            ASTNode::Stmt(Stmt::Import(import, _)) => {
                self.defines.insert(import.1.name.to_string());
            }
            ASTNode::Stmt(Stmt::Assignment(assignment)) => {
                if let Some(name) = root(&assignment.1.lhs).filter(|name| !local(name, above)) {
                    self.assigns.insert(name.to_string());
                }
            }
            ASTNode::Stmt(Stmt::Share(shared)) => {
                for (name, _) in shared.iter() {
                    self.reads.insert(name.name.to_string());
                    self.touches.insert(name.name.to_string());
                }
            }
            ASTNode::Stmt(Stmt::FnCall(call, _)) | ASTNode::Expr(Expr::FnCall(call, _)) => {
                self.call(call, above);
            }
            ASTNode::Expr(Expr::MethodCall(..)) => self.calls = true,
            ASTNode::Expr(expr) => self.expression(expr, above),
            _ => {}
        }
    }

    fn expression(&mut self, expr: &Expr, above: &[ASTNode]) {
        match expr {
            Expr::Variable(variable, ..) => {
                let space = variable.2.path.first();
                let name = match space.map(|space| space.name.as_str()) {
                    None | Some("global") => variable.1.as_str(),
                    Some(space) => space,
                };
                if !local(name, above) {
                    self.reads.insert(name.to_string());
                }
            }
            Expr::Dot(chain, ..) | Expr::Index(chain, ..) => {
                if let Some(name) = root(&chain.lhs)
                    && !local(name, above)
                    && !harmless(&chain.rhs)
                {
                    self.touches.insert(name.to_string());
                }
            }
            Expr::DynamicConstant(value, _) => {
                let pointer = value.read_lock::<FnPtr>();
                let name = pointer.map(|pointer| pointer.fn_name().to_string());
                self.reads
                    .extend(name.filter(|name| !name.starts_with("anon$")));
            }
            _ => {}
        }
    }

    fn call(&mut self, call: &FnCallExpr, above: &[ASTNode]) {
        self.reads.extend(names(call));
        self.anything |= call.name == "eval";
        self.calls |= call.op_token.is_none();
        if call.op_token.is_some() || is_pure(&call.name) {
            return;
        }
        if let Some(name) = call.args.first().and_then(root)
            && !local(name, above)
        {
            self.touches.insert(name.to_string());
        }
    }
}

/// The functions that functions call, by name.
fn called(functions: &AST) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    functions.walk(&mut |path| {
        match path.last() {
            Some(
                ASTNode::Stmt(Stmt::FnCall(call, _))
                | ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _)),
            ) => found.extend(names(call)),
            Some(ASTNode::Expr(Expr::Variable(variable, ..))) => {
                // `global::K`, `m::K`
                let space = variable.2.path.first().map(|space| space.name.as_str());
                found.extend(space.map(|space| match space {
                    "global" => variable.1.to_string(),
                    space => space.to_string(),
                }));
            }
            _ => {}
        }
        true
    });
    found
}

/// What a call names: the function or the module it is in, and what `Fn("name")` points to.
fn names(call: &FnCallExpr) -> Vec<String> {
    if call.name.starts_with("anon$") {
        return Vec::new();
    }
    let space = call.namespace.path.first().map(|space| space.name.as_str());
    let mut names = match space {
        None | Some("global") => vec![call.name.to_string()],
        Some(space) => vec![space.to_string()],
    };
    if call.op_token.is_some() {
        names.clear();
    }
    if let ("Fn", [Expr::StringConstant(name, _)]) = (call.name.as_str(), &call.args[..]) {
        names.push(name.to_string());
    }
    names
}

fn is_pure(name: &str) -> bool {
    PURE.contains(&name)
}

/// The variable that an expression begins with.
fn root(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Variable(variable, ..) if variable.2.path.is_empty() => Some(&variable.1),
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => root(&chain.lhs),
        _ => None,
    }
}

/// Whether a chain of properties, indices and methods leaves what it starts from as it is.
fn harmless(expr: &Expr) -> bool {
    match expr {
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => {
            harmless(&chain.lhs) && harmless(&chain.rhs)
        }
        Expr::MethodCall(call, _) => is_pure(&call.name),
        _ => true,
    }
}

/// Whether a statement around the place declares the name for itself.
fn local(name: &str, above: &[ASTNode]) -> bool {
    let declares = |statements: &[Stmt]| {
        statements
            .iter()
            .any(|statement| matches!(statement, Stmt::Var(var, ..) if var.0.name == name))
    };
    above.iter().any(|node| match node {
        ASTNode::Stmt(Stmt::For(parts, _)) => {
            parts.0.name == name
                || parts.1.as_ref().is_some_and(|counter| counter.name == name)
                || declares(parts.2.body.statements())
        }
        ASTNode::Stmt(
            Stmt::If(flow, _) | Stmt::While(flow, _) | Stmt::Do(flow, ..) | Stmt::TryCatch(flow, _),
        ) => {
            let caught = matches!(&flow.expr, Expr::Variable(v, ..) if v.1 == name)
                && matches!(node, ASTNode::Stmt(Stmt::TryCatch(..)));
            caught || declares(flow.body.statements()) || declares(flow.branch.statements())
        }
        ASTNode::Stmt(Stmt::Block(block)) => declares(block.statements()),
        ASTNode::Expr(Expr::Stmt(block)) => declares(block.statements()),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The uses of some code, in words.
    fn told(code: &str) -> String {
        let uses = Uses::of(&rhai::Engine::new().compile(code).unwrap());
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
        let parts = [
            ("reads", &uses.reads),
            ("defines", &uses.defines),
            ("assigns", &uses.assigns),
            ("touches", &uses.touches),
            ("functions", &uses.functions),
            ("later", &uses.later),
        ];
        let parts = parts.iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = parts
            .map(|(what, names)| format!("{what} {}", list(names)))
            .collect();
        parts.join("; ")
    }

    #[test]
    fn names_and_what_becomes_of_them() {
        let check = |code: &str, expected: &str| assert_eq!(told(code), expected, "{code}");
        check("let x = a + 1", "reads a; defines x");
        check("x = 1; y += x", "reads x y; assigns x y");
        check("a[0].b = c", "reads a c; assigns a");
        check("a.push(1)", "reads a; touches a");
        check("a.len() + a[1].keys().len()", "reads a");
        check("a.b.push(f(c))", "reads a c f; touches a c");
        check("let n = len(a)", "reads a len; defines n");
        check("for x in xs { y += x }", "reads xs y; assigns y");
        check(
            "if a { let b = 1; b += 1; c = b } else { d }",
            "reads a c d; assigns c",
        );
        check("let f = |x| x + k", "reads curry k; defines f; touches k");
        check(
            "fn f(x) { g(x) + global::K } f(1)",
            "reads f; functions f; later K g",
        );
        check("let p = Fn(\"score\")", "reads score; defines p");
        check("m::f(1) + m::K", "reads m");
        check("import \"a\" as m; m::f()", "reads m; defines m");
        check(
            "try { f(a) } catch(e) { print(e) }",
            "reads a f print; touches a",
        );
        check("`text ${a}`", "reads a");
    }

    #[test]
    fn what_may_reach_everything() {
        let uses = |code| Uses::of(&rhai::Engine::new().compile(code).unwrap());
        assert!(uses("eval(\"x = 1\")").anything);
        assert!(uses("f.call()").calls && !uses("f.call()").anything);
        assert!(!uses("1 + a[0].b").calls);
    }
}

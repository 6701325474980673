//! What is no error but hardly meant: results that go nowhere, names that hide others.

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Expr, FnCallExpr, Stmt, StmtBlock};

use super::Session;
use super::completeness::offset;
use super::diagnose::{Diagnostic, Frame, Problem};
use super::outline::{From, Variable, outline};
use crate::host::Registry;
use crate::host::function::{Form, ScriptFn};

/// Warnings told at most of one text.
const MOST: usize = 10;

/// A warning where it belongs: a byte of the text.
struct Warning {
    at: usize,
    message: String,
    hint: String,
}

impl Session {
    /// What is hardly meant in the code `name`; nothing of code that does not compile.
    pub fn warnings(&self, name: &str, code: &str) -> Vec<Diagnostic> {
        match super::check::parser().compile(code) {
            Ok(ast) => self.warnings_of(name, code, &ast),
            Err(_) => Vec::new(),
        }
    }

    /// The same of code that is parsed already, and left as it was written.
    pub(super) fn warnings_of(&self, name: &str, code: &str, ast: &AST) -> Vec<Diagnostic> {
        let mut found = self.unused(code, ast);
        found.extend(self.hidden(code));
        found.sort_by_key(|warning| warning.at);
        found.dedup_by_key(|warning| warning.at);
        found.truncate(MOST);
        found
            .into_iter()
            .map(|warning| warning.at(name, code))
            .collect()
    }

    /// Statements that only compute something, not the last of their block.
    fn unused(&self, code: &str, ast: &AST) -> Vec<Warning> {
        let mut found = Vec::new();
        let earlier = self.functions().iter_functions();
        let pure = Pure {
            registry: self.host().registry(),
            own: earlier
                .chain(ast.iter_functions())
                .map(|f| f.name)
                .collect(),
        };
        let mut tell = |statement: &Stmt| {
            found.extend(pure.computes(statement).map(|(what, hint)| Warning {
                at: offset(code, statement.position()),
                message: format!("{what} is not used"),
                hint: hint.into(),
            }));
        };
        let mut outer: Option<Stmt> = None;
        let statements = ast.clone_statements_only();
        statements.walk(&mut |path: &[ASTNode]| {
            if let [ASTNode::Stmt(statement)] = path
                && let Some(before) = outer.replace((*statement).clone())
            {
                tell(&before);
            }
            true
        });
        ast.walk(&mut |path: &[ASTNode]| {
            if let Some(ASTNode::Stmt(statement)) = path.last() {
                for block in blocks(statement) {
                    let all_but_last = block
                        .statements()
                        .split_last()
                        .map_or(&[][..], |(_, all)| all);
                    all_but_last.iter().for_each(&mut tell);
                }
            }
            true
        });
        found
    }

    /// `let` of a name that a block around has already, and functions that hide one of ours.
    fn hidden(&self, code: &str) -> Vec<Warning> {
        let (outline, _) = outline(code);
        let new = |v: &&Variable| v.declared && matches!(v.from, From::Value(..) | From::Unknown);
        let inner = outline.variables.iter().filter(new).filter_map(|inner| {
            let around = |v: &&Variable| {
                let before = v.at.1 <= inner.at.0 && inner.at.0 <= v.until;
                v.declared
                    && v.name == inner.name
                    && before
                    && v.function == inner.function
                    && v.until > inner.until
            };
            let outer = outline.variables.iter().rfind(around)?;
            let line = 1 + code[..outer.at.0].matches('\n').count();
            Some(Warning {
                at: inner.at.0,
                message: format!(
                    "this {} hides the one of line {line} until its block ends",
                    inner.name
                ),
                hint: "without `let` the other one changes".into(),
            })
        });
        let functions = outline.functions.iter().filter_map(|function| {
            let count = function.params.len();
            let fits = |form: Form, (least, most): (usize, usize)| {
                form == Form::Function && (least..=most).contains(&count)
            };
            let mut ours = self.host().registry().named(function.name);
            let ours = ours.find(|ours| fits(ours.form, ours.arity()))?;
            Some(Warning {
                at: function.at.0,
                message: format!("this {} hides {}", function.signature(), ours.signature()),
                hint: "another name leaves both in reach".into(),
            })
        });
        inner.chain(functions).collect()
    }
}

/// What only computes.
struct Pure<'a> {
    registry: &'a Registry,
    /// The script's own functions, which may do anything.
    own: BTreeSet<&'a str>,
}

impl Pure<'_> {
    /// What a statement computes without doing anything, and what may have been meant.
    fn computes(&self, statement: &Stmt) -> Option<(String, &'static str)> {
        match statement {
            Stmt::Expr(expr) => self.value(expr),
            Stmt::FnCall(call, _) => self.call(call, &[Form::Function]),
            _ => None,
        }
    }

    fn value(&self, expr: &Expr) -> Option<(String, &'static str)> {
        match expr {
            Expr::Variable(variable, ..) => Some((format!("the value of {}", variable.1), "")),
            Expr::FnCall(call, _) => self.call(call, &[Form::Function]),
            Expr::Index(..) | Expr::Property(..) | Expr::Array(..) | Expr::Map(..) => {
                Some(("this value".into(), ""))
            }
            Expr::Dot(parts, ..) => match &parts.rhs {
                Expr::MethodCall(call, _) => self.call(call, &[Form::Method, Form::Function]),
                inner => self.value(inner),
            },
            constant if constant.is_constant() && !matches!(constant, Expr::Unit(..)) => {
                Some(("this value".into(), ""))
            }
            _ => None,
        }
    }

    /// A call of an operator, or of a function that is known to do nothing but compute.
    fn call(&self, call: &FnCallExpr, forms: &[Form]) -> Option<(String, &'static str)> {
        if call.op_token.is_some() {
            let hint = match call.name.as_str() {
                "==" => "`=` gives a variable a value",
                _ => "",
            };
            return Some((format!("the result of `{}`", call.name), hint));
        }
        let named = self.registry.named(&call.name);
        let mut known = named.filter(|f| forms.contains(&f.form)).peekable();
        let own = self.own.contains(call.name.as_str());
        let pure = !own && known.peek().is_some() && known.all(ScriptFn::is_pure);
        pure.then(|| (format!("the result of {}(..)", call.name), ""))
    }
}

/// The blocks of a statement.
fn blocks(statement: &Stmt) -> Vec<&StmtBlock> {
    match statement {
        Stmt::Block(block) => vec![block],
        Stmt::If(flow, _) | Stmt::TryCatch(flow, _) => vec![&flow.body, &flow.branch],
        Stmt::While(flow, _) | Stmt::Do(flow, ..) => vec![&flow.body],
        Stmt::For(parts, _) => vec![&parts.2.body],
        _ => Vec::new(),
    }
}

impl Warning {
    fn at(self, source: &str, code: &str) -> Diagnostic {
        let before = &code[..self.at];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        Diagnostic {
            problem: Problem::Warning,
            message: self.message,
            hint: Some(self.hint).filter(|hint| !hint.is_empty()),
            note: None,
            frames: vec![Frame {
                source: source.into(),
                line: 1 + before.matches('\n').count(),
                column: 1 + before[start..].chars().count(),
                function: None,
                text: code[start..].lines().next().unwrap_or("").to_string(),
                values: Vec::new(),
            }],
        }
    }
}

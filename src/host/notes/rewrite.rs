//! Puts our blocks into a syntax tree.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use rhai::{
    AST, ASTFlags, ASTNode, CustomExpr, Dynamic, Expr, INT, ImmutableString, Module, Position,
    ScriptFuncDef, Shared, Stmt, StmtBlock,
};

use super::block::{Block, KEY, Part};
use super::bodies::with_bodies;
use super::lines::Lines;

/// The tree with blocks that note their variables when they fail. It behaves as the other, and whoever walks it does
/// not see into the blocks. `variables` are there before.
pub(crate) fn noted<'a>(ast: &AST, variables: impl Iterator<Item = &'a str>) -> AST {
    let top: &[Stmt] = ast.as_ref();
    let mut top = top.to_vec();
    Rewriter::of(&top, variables.map(Into::into)).statements(&mut top);
    let (mut functions, mut bodies) = (Module::new(), Vec::new());
    for function in ast.iter_fn_def() {
        match part(function) {
            Some(part) => bodies.push((function.clone(), part)),
            None => drop(functions.set_script_fn(function.clone())),
        }
    }
    for function in with_bodies(bodies) {
        functions.set_script_fn(function);
    }
    let mut ast_noted = AST::new(top, functions);
    if let Some(source) = ast.source() {
        ast_noted.set_source(source);
    }
    ast_noted
}

/// The body of a function as a block of ours; nothing if it is empty.
fn part(function: &Shared<ScriptFuncDef>) -> Option<Part> {
    let mut body = body(function);
    let mut rewriter = Rewriter::of(&body, function.params.iter().cloned());
    rewriter.statements(&mut body);
    let code = match <[Stmt; 1]>::try_from(body) {
        Ok([Stmt::Expr(expr)]) => *expr,
        Ok(body) => block_of(body),
        Err(body) if body.is_empty() => return None,
        Err(body) => block_of(body),
    };
    Some(rewriter.part(code, function.params.len()))
}

fn block_of(statements: impl IntoIterator<Item = Stmt>) -> Expr {
    let block = StmtBlock::new(statements, Position::NONE, Position::NONE);
    Expr::Stmt(Box::new(block))
}

/// The statements of a function.
fn body(function: &Shared<ScriptFuncDef>) -> Vec<Stmt> {
    let mut alone = Module::new();
    alone.set_script_fn(function.clone());
    let mut statements = Vec::new();
    AST::new([], alone).walk(&mut |path: &[ASTNode]| {
        if let [ASTNode::Stmt(statement)] = path {
            statements.push((*statement).clone());
        }
        true
    });
    statements
}

/// Puts blocks into the statements of a function, or of the top level.
struct Rewriter {
    lines: Arc<Lines>,
    /// The variables in sight.
    seen: Vec<ImmutableString>,
}

impl Rewriter {
    fn of(statements: &[Stmt], seen: impl Iterator<Item = ImmutableString>) -> Self {
        Self {
            lines: Arc::new(Lines::of(statements)),
            seen: seen.collect(),
        }
    }

    fn part(&self, code: Expr, own: usize) -> Part {
        Part::Block(Arc::new(Block {
            code,
            own,
            lines: self.lines.clone(),
        }))
    }

    fn statements(&mut self, statements: &mut [Stmt]) {
        let before = self.seen.len();
        for statement in statements {
            self.statement(statement);
            if let Stmt::Var(parts, ..) = statement {
                self.seen.push(parts.0.name.clone());
            }
        }
        self.seen.truncate(before);
    }

    fn statement(&mut self, statement: &mut Stmt) {
        match statement {
            Stmt::For(parts, _) => {
                let (name, counter, flow) = &mut **parts;
                self.expression(&mut flow.expr);
                let own = [Some(name), counter.as_mut()];
                let own = own.into_iter().flatten().map(|ident| ident.name.clone());
                self.block(&mut flow.body, own.collect(), !is_range(&flow.expr));
            }
            Stmt::While(flow, _) | Stmt::Do(flow, ..) | Stmt::If(flow, _) => {
                self.expression(&mut flow.expr);
                self.block(&mut flow.body, Vec::new(), false);
                self.block(&mut flow.branch, Vec::new(), false);
            }
            Stmt::TryCatch(flow, _) => {
                let own = match &flow.expr {
                    Expr::Variable(variable, ..) => vec![variable.1.clone()],
                    _ => Vec::new(),
                };
                self.block(&mut flow.body, Vec::new(), false);
                self.block(&mut flow.branch, own, false);
                flow.branch.statements_mut().insert(0, custom(Part::Caught));
            }
            Stmt::Block(block) => self.block(block, Vec::new(), false),
            Stmt::Switch(parts, _) => {
                let (expr, cases) = &mut **parts;
                self.expression(expr);
                for case in &mut cases.expressions {
                    self.expression(&mut case.rhs);
                }
            }
            Stmt::Var(parts, ..) => self.expression(&mut parts.1),
            Stmt::Assignment(parts) => self.expression(&mut parts.1.rhs),
            Stmt::FnCall(call, _) => call.args.iter_mut().for_each(|arg| self.expression(arg)),
            Stmt::Expr(expr) => self.expression(expr),
            Stmt::Return(Some(expr), ..) | Stmt::BreakLoop(Some(expr), ..) => self.expression(expr),
            _ => {}
        }
    }

    fn expression(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Stmt(block) => self.block(block, Vec::new(), false),
            Expr::FnCall(call, _) | Expr::MethodCall(call, _) => {
                call.args.iter_mut().for_each(|arg| self.expression(arg));
            }
            Expr::Dot(parts, ..) | Expr::Index(parts, ..) => {
                self.expression(&mut parts.lhs);
                self.expression(&mut parts.rhs);
            }
            Expr::Array(items, _) => items.iter_mut().for_each(|item| self.expression(item)),
            _ => {}
        }
    }

    /// Makes a block one of ours if it has variables to note; `own` are those that come right before it. A loop that
    /// only adds up numbers is left as it is, for it would take half as long again, unless its variable hides another,
    /// whose value would be told instead.
    fn block(&mut self, block: &mut StmtBlock, own: Vec<ImmutableString>, always: bool) {
        let hides = own.iter().any(|name| self.seen.contains(name));
        let (before, count) = (self.seen.len(), own.len());
        self.seen.extend(own);
        self.statements(block.statements_mut());
        self.seen.truncate(before);
        let declares = |one: &Stmt| matches!(one, Stmt::Var(..));
        let declares = block.statements().iter().any(declares);
        if !declares && !(count > 0 && (always || hides || reaches_out(block))) {
            return;
        }
        let span = block.span();
        let code = Expr::Stmt(Box::new(std::mem::take(block)));
        let ours = custom(self.part(code, count));
        *block = StmtBlock::new([ours], span.start(), span.end());
    }
}

fn custom(part: Part) -> Stmt {
    let custom = CustomExpr {
        inputs: [].into_iter().collect(),
        tokens: [KEY.into()].into_iter().collect(),
        state: Dynamic::from(part),
        scope_may_be_changed: false,
        self_terminated: true,
    };
    Stmt::Expr(Box::new(Expr::Custom(Box::new(custom), Position::NONE)))
}

/// Whether a loop goes over numbers.
fn is_range(expr: &Expr) -> bool {
    match expr {
        Expr::FnCall(call, _) => matches!(call.name.as_str(), ".." | "..=" | "range"),
        Expr::DynamicConstant(value, _) => {
            value.is::<Range<INT>>() || value.is::<RangeInclusive<INT>>()
        }
        _ => false,
    }
}

/// Whether a block does what fails for other reasons than too large numbers: calls, divides, throws, reads parts of
/// values.
fn reaches_out(block: &StmtBlock) -> bool {
    let mut found = false;
    for statement in block.statements() {
        statement.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
            found |= match path.last() {
                Some(
                    ASTNode::Stmt(Stmt::FnCall(call, _))
                    | ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _)),
                ) => call.op_token.is_none() || matches!(call.name.as_str(), "/" | "%"),
                Some(ASTNode::Stmt(Stmt::Return(_, flags, _))) => flags.contains(ASTFlags::BREAK),
                Some(ASTNode::Expr(Expr::Index(..) | Expr::Dot(..) | Expr::Custom(..))) => true,
                _ => false,
            };
            !found
        });
    }
    found
}

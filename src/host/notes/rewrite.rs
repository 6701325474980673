//! Puts our blocks into a syntax tree.

use std::ops::{Range, RangeInclusive};
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{
    AST, ASTNode, CustomExpr, Dynamic, Engine, Expr, INT, ImmutableString, Module, Position,
    ScriptFuncDef, Shared, Stmt, StmtBlock, Token,
};

use super::block::{Block, KEY, Part};
use super::lines::Lines;

/// The tree with blocks that note their variables when they fail. It behaves as the other, and whoever walks it does
/// not see into the blocks. `variables` are there before.
pub(crate) fn noted<'a>(ast: &AST, variables: impl Iterator<Item = &'a str>) -> AST {
    let top: &[Stmt] = ast.as_ref();
    let mut top = top.to_vec();
    Rewriter::of(&top, variables.map(Into::into)).statements(&mut top);
    let mut functions = Module::new();
    for function in ast.iter_fn_def() {
        functions.set_script_fn(rewritten(function));
    }
    let mut ast_noted = AST::new(top, functions);
    if let Some(source) = ast.source() {
        ast_noted.set_source(source);
    }
    ast_noted
}

/// A function whose body is a block of ours.
fn rewritten(function: &Shared<ScriptFuncDef>) -> Shared<ScriptFuncDef> {
    let mut body = body(function);
    if body.is_empty() {
        return function.clone();
    }
    let mut rewriter = Rewriter::of(&body, function.params.iter().cloned());
    rewriter.statements(&mut body);
    let code = match <[Stmt; 1]>::try_from(body) {
        Ok([Stmt::Expr(expr)]) => *expr,
        Ok(body) => block_of(body),
        Err(body) => block_of(body),
    };
    let part = rewriter.part(code, function.params.len());
    match template(function, part) {
        Some(template) => {
            let mut rewritten = (**function).clone();
            rewritten.body = template.body.clone();
            rewritten.into()
        }
        None => function.clone(),
    }
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

/// A function at the place of another, with `part` for a body. The crate lets nobody make bodies, so it is parsed.
fn template(function: &ScriptFuncDef, part: Part) -> Option<Shared<ScriptFuncDef>> {
    const OPEN: &str = "fn f(){";
    const BODY: &str = "body";
    let mut text = String::new();
    pad(&mut text, function.body.start_position(), OPEN.len() - 1);
    text += OPEN;
    text += BODY;
    pad(&mut text, function.body.end_position(), 0);
    text += "}";
    let mut parser = Engine::new_raw();
    #[allow(deprecated, reason = "the crate marks it so because it may change")]
    parser.on_parse_token(|token, _, _| match token {
        Token::Identifier(name) if *name == BODY => Token::Custom(Box::new(KEY.into())),
        token => token,
    });
    let part = Mutex::new(Some(part));
    let put = move |state: &mut Dynamic| {
        let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
        *state = part.take().map_or(Dynamic::UNIT, Dynamic::from);
    };
    let parse = move |_: &[_], _: &str, state: &mut Dynamic| {
        put(state);
        Ok(None)
    };
    parser.register_custom_syntax_with_state_raw(KEY, parse, false, |_, _, _| Ok(Dynamic::UNIT));
    let ast = parser.compile(text).ok()?;
    ast.iter_fn_def().next().cloned()
}

/// Goes on to a place, less some columns.
fn pad(text: &mut String, to: Position, less: usize) {
    let Some(line) = to.line() else {
        return;
    };
    let now = 1 + text.matches('\n').count();
    text.extend(std::iter::repeat_n('\n', line.saturating_sub(now)));
    let column = 1 + text.len() - text.rfind('\n').map_or(0, |at| at + 1);
    let wanted = to.position().unwrap_or(1).saturating_sub(less);
    text.extend(std::iter::repeat_n(' ', wanted.saturating_sub(column)));
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

/// Whether a block calls functions, or reads parts of values.
fn reaches_out(block: &StmtBlock) -> bool {
    let mut found = false;
    for statement in block.statements() {
        statement.walk(&mut Vec::new(), &mut |path: &[ASTNode]| {
            found |= match path.last() {
                Some(
                    ASTNode::Stmt(Stmt::FnCall(call, _))
                    | ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _)),
                ) => call.op_token.is_none(),
                Some(ASTNode::Expr(Expr::Index(..) | Expr::Dot(..) | Expr::Custom(..))) => true,
                _ => false,
            };
            !found
        });
    }
    found
}

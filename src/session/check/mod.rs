//! What is wrong with a script, told without running it: syntax, unknown variables, functions, methods, modules
//! and options; all of it, not only the first.

mod calls;
mod recover;

use std::collections::BTreeSet;

use rhai::{AST, ASTNode, Engine, Expr, OptimizationLevel, Position, Stmt};

use super::completeness::offset;
use super::diagnose::{Context, Diagnostic, Frame, Problem};
use super::lexer::Kind;
use super::outline::outline;
use super::shape::Page;
use super::words::{self, Words};
use super::{Session, Sources, underscore};
use crate::diag::nearest;

/// Problems told at most.
const MOST: usize = 100;

impl Session {
    /// Everything that is wrong with the script `name`, in the order of the text. Imports are looked up beside it.
    pub fn check(&self, name: &str, code: &str) -> Vec<Diagnostic> {
        let (renamed, earlier) = underscore::rename(code, |_| false);
        let engine = parser();
        let mut check = Check::new(self, name, code);
        for word in &earlier {
            let error = Words::new(
                format!("there is no result {} in a script", word.name),
                Some("`_` and `_3` are results of cells at the prompt".into()),
            );
            check.tell(Position::new(place(word.line), place(word.column)), error);
        }
        let (ast, kept) = recover::compile(&engine, &renamed, |error| {
            let context = check.context();
            let words = words::parsing(error.err_type(), &context);
            check.tell(error.position(), words);
        });
        if let Some(ast) = ast {
            let (outline, tokens) = outline(&kept);
            let page = Page {
                text: &kept,
                tokens: &tokens,
                outline: &outline,
                sure: true,
            };
            check
                .lost
                .extend(earlier.into_iter().map(|word| word.alias));
            check.walk(&ast, page);
        }
        check.found.sort_by_key(|(at, _)| *at);
        check
            .found
            .dedup_by_key(|(at, problem)| (*at, problem.message.clone()));
        check.found.truncate(MOST);
        check
            .found
            .into_iter()
            .map(|(_, problem)| problem)
            .collect()
    }
}

/// A parser that leaves the code as it stands and lets unknown variables pass, so that all of them can be told.
pub(super) fn parser() -> Engine {
    let mut engine = Engine::new_raw();
    engine.set_max_expr_depths(128, 64);
    engine.set_optimization_level(OptimizationLevel::None);
    engine
}

fn place(at: usize) -> u16 {
    at.min(usize::from(u16::MAX)) as u16
}

struct Check<'a> {
    session: &'a Session,
    name: &'a str,
    code: &'a str,
    /// With the byte where each is.
    found: Vec<(usize, Diagnostic)>,
    sources: Sources,
    /// The functions of the script: name, parameters.
    functions: Vec<(String, usize)>,
    /// Names that stand before a `:` or after a dot with a `=`: a map may hold a function under them.
    keys: BTreeSet<String>,
    /// Aliases of modules whose path is not plain text.
    computed: BTreeSet<String>,
    /// Variables that closures capture; whether there are such is asked where a closure is made.
    captured: BTreeSet<String>,
    /// What a statement with a syntax error may have declared.
    lost: BTreeSet<String>,
}

impl<'a> Check<'a> {
    fn new(session: &'a Session, name: &'a str, code: &'a str) -> Self {
        Self {
            session,
            name,
            code,
            found: Vec::new(),
            sources: Sources::default(),
            functions: Vec::new(),
            keys: BTreeSet::new(),
            computed: BTreeSet::new(),
            captured: BTreeSet::new(),
            lost: BTreeSet::new(),
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            registry: self.session.host().registry(),
            builtins: self.session.builtins(),
            sources: &self.sources,
            scope: &self.session.scope,
            code: self.code,
            values: Vec::new(),
        }
    }

    fn tell(&mut self, at: Position, words: Words) {
        let line = at.line().unwrap_or(self.code.lines().count().max(1));
        let text = self.code.lines().nth(line - 1).unwrap_or("").to_string();
        let end = text.chars().count() + 1;
        let frame = Frame {
            source: self.name.into(),
            line,
            column: at.position().unwrap_or(end),
            function: None,
            text,
            values: Vec::new(),
        };
        let problem = Diagnostic {
            problem: Problem::Syntax,
            message: words.message,
            hint: words.hint,
            note: None,
            frames: vec![frame],
        };
        self.found.push((offset(self.code, at), problem));
    }

    fn walk(&mut self, ast: &AST, page: Page) {
        self.note(ast, page);
        self.nodes(&ast.clone_statements_only(), page);
        let closures = ast.iter_functions().filter(|f| f.name.starts_with("anon$"));
        self.captured = closures
            .flat_map(|f| f.params.into_iter().map(String::from))
            .collect();
        self.nodes(&ast.clone_functions_only(), page);
    }

    fn nodes(&mut self, ast: &AST, page: Page) {
        let mut nodes = Vec::new();
        ast.walk(&mut |path: &[ASTNode]| {
            nodes.extend(path.last().map(|node| match node {
                ASTNode::Stmt(Stmt::FnCall(call, at)) => Node::Call((**call).clone(), *at),
                ASTNode::Stmt(Stmt::Share(captured)) => Node::Capture(captured.to_vec()),
                ASTNode::Stmt(Stmt::Import(import, at)) => Node::Import(import.0.clone(), *at),
                ASTNode::Expr(expr) => Node::Expr((*expr).clone()),
                _ => Node::Other,
            }));
            true
        });
        for node in nodes {
            match node {
                Node::Call(call, at) => self.call(&call, at, page),
                Node::Import(path, at) => self.import(&path, at),
                Node::Expr(expr) => self.expression(&expr, page),
                Node::Capture(captured) => {
                    for (name, _) in captured.iter().filter(|(_, known)| known.is_none()) {
                        self.variable(&name.name, name.pos, page);
                    }
                }
                Node::Other => {}
            }
        }
    }

    /// Functions, map keys and aliases that the script makes known.
    fn note(&mut self, ast: &AST, page: Page) {
        let functions = ast.iter_functions();
        self.functions = functions.map(|f| (f.name.into(), f.params.len())).collect();
        for (name, _) in &self.functions {
            self.sources
                .functions
                .insert(name.clone(), self.name.into());
        }
        let word = |at: usize| {
            let token = page.tokens.get(at);
            token.map_or("", |token| &page.text[token.start..token.end])
        };
        for (at, token) in page.tokens.iter().enumerate() {
            let assigned = word(at + 1) == "=" && at > 0 && word(at - 1) == ".";
            if matches!(token.kind, Kind::Name | Kind::Text) && (word(at + 1) == ":" || assigned) {
                self.keys.insert(word(at).trim_matches('"').to_string());
            }
        }
        ast.walk(&mut |path: &[ASTNode]| {
            if let Some(ASTNode::Stmt(Stmt::Import(import, _))) = path.last()
                && !matches!(import.0, Expr::StringConstant(..))
            {
                self.computed.insert(import.1.name.to_string());
            }
            true
        });
        let whole = outline(self.code).0;
        let names = whole.variables.iter().map(|v| v.name);
        let all = names
            .chain(whole.functions.iter().map(|f| f.name))
            .chain(whole.imports.iter().map(|i| i.alias));
        let left: BTreeSet<&str> = page
            .outline
            .variables
            .iter()
            .map(|v| v.name)
            .chain(page.outline.functions.iter().map(|f| f.name))
            .chain(page.outline.imports.iter().map(|i| i.alias))
            .collect();
        self.lost
            .extend(all.filter(|name| !left.contains(name)).map(Into::into));
    }

    fn import(&mut self, path: &Expr, at: Position) {
        if let Expr::StringConstant(path, _) = path
            && self.session.module_text(Some(self.name), path).is_none()
        {
            let error = Words::new(
                format!("there is no module \"{path}\""),
                Some("modules are script files, looked up beside the script".into()),
            );
            self.tell(at, error);
        }
    }

    fn expression(&mut self, expr: &Expr, page: Page) {
        match expr {
            Expr::FnCall(call, at) => self.call(call, *at, page),
            Expr::MethodCall(call, at) => self.method(call, *at, page),
            Expr::Property(property, at) => self.property(&property.2, *at, page),
            Expr::Variable(variable, short, at) => {
                let (long, name, namespace, _) = &**variable;
                match namespace.is_empty() {
                    true if short.is_none() && long.is_none() => self.variable(name, *at, page),
                    true => {}
                    false => self.member_of(namespace.root(), name, *at, page),
                }
            }
            _ => {}
        }
    }

    /// A name that no scope of the script has.
    fn variable(&mut self, name: &str, at: Position, page: Page) {
        let function = self.functions.iter().any(|(known, _)| known == name);
        let seen = self.lost.contains(name) || self.captured.contains(name);
        if function || seen || self.session.scope.contains(name) {
            return;
        }
        let mut declared = page
            .outline
            .variables
            .iter()
            .filter(|v| v.declared && v.name == name);
        let words = match declared.any(|v| v.global) {
            true => words::hidden(name),
            false => words::variable(name, &self.context()),
        };
        self.tell(at, words);
    }

    /// `alias::NAME`
    fn member_of(&mut self, alias: &str, name: &str, at: Position, page: Page) {
        if alias == "global" {
            let known: Vec<&str> = page
                .outline
                .variables
                .iter()
                .filter(|v| v.global)
                .map(|v| v.name)
                .collect();
            if !known.contains(&name) && !self.lost.contains(name) {
                let hint =
                    nearest(name, &known).map(|near| format!("did you mean global::{near}?"));
                self.tell(at, Words::new(format!("there is no constant {name}"), hint));
            }
            return;
        }
        let Some(text) = self.module(alias, at, page) else {
            return;
        };
        let (module, _) = outline(&text);
        let known: Vec<&str> = module
            .variables
            .iter()
            .filter(|v| v.exported)
            .map(|v| v.name)
            .collect();
        if !known.contains(&name) {
            let hint = nearest(name, &known).map(|near| format!("did you mean {alias}::{near}?"));
            self.tell(
                at,
                Words::new(format!("module {alias} exports no {name}"), hint),
            );
        }
    }

    /// The text of an imported module; an unknown alias is told.
    fn module(&mut self, alias: &str, at: Position, page: Page) -> Option<String> {
        let mut imports = page.outline.imports.iter();
        match imports.find(|import| import.alias == alias) {
            Some(import) => Some(self.session.module_text(Some(self.name), import.path)?.1),
            None => {
                let known = self.computed.contains(alias) || self.lost.contains(alias);
                let live = self.session.modules().iter().any(|(name, _)| name == alias);
                if !known && !live {
                    self.tell(at, words::module(alias));
                }
                None
            }
        }
    }
}

/// A node that something is to be told about.
enum Node {
    Call(rhai::FnCallExpr, Position),
    Import(Expr, Position),
    /// Variables that a closure takes along, those known with their place.
    Capture(Vec<(rhai::Ident, Option<std::num::NonZeroUsize>)>),
    Expr(Expr),
    Other,
}

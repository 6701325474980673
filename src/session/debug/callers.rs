//! The calls that wait for the one that stands: their variables, as they were when each made its call.

use rhai::debugger::CallStackFrame;
use rhai::{AST, ASTNode, Array, Blob, Dynamic, EvalContext, Expr, FnCallExpr, Map, Scope, Stmt};

use super::frame;
use crate::session::Sources;
use crate::session::watch::{Step, standing};

/// Elements of a value that is kept.
const ELEMENTS_MAX: usize = 10_000;

/// What was seen of the calls at work, the outermost first.
#[derive(Default)]
pub(super) struct Callers(Vec<Option<Scope<'static>>>);

/// A call that waits.
pub(super) struct Caller {
    pub place: String,
    pub scope: Scope<'static>,
    /// Whether all of its variables are there, or its arguments alone.
    pub whole: bool,
}

impl Callers {
    /// Keeps the variables of a call that may be about to make another.
    pub fn note(&mut self, context: &EvalContext, step: &Step, sources: &Sources) {
        if !may_call(step.node) {
            return;
        }
        let depth = frames(context, sources).len();
        self.0.resize(depth, None);
        self.0.push(Some(kept(context.scope())));
    }

    /// The calls that wait, the innermost first.
    pub fn all(&self, context: &EvalContext, sources: &Sources, functions: &AST) -> Vec<Caller> {
        let frames = frames(context, sources);
        let caller = |depth: usize| {
            let call = frames[depth];
            let caller = depth.checked_sub(1).map(|at| frames[at]);
            let name = caller.map(|frame| frame.fn_name.as_str());
            let running = call.source.as_deref().unwrap_or("");
            let source = standing(&sources.functions, name, running);
            let function = name.map(frame::named);
            let seen = self.0.get(depth).cloned().flatten();
            Caller {
                place: frame::place(sources, source, call.pos, function),
                whole: seen.is_some(),
                scope: seen.unwrap_or_else(|| arguments(caller, functions)),
            }
        };
        (0..frames.len()).rev().map(caller).collect()
    }
}

/// The calls of the script's functions, the outermost first.
fn frames<'a>(context: &'a EvalContext, sources: &Sources) -> Vec<&'a CallStackFrame> {
    let debugger = context.debugger();
    let frames = debugger.map_or(&[][..], |debugger| debugger.call_stack());
    let known = |frame: &&CallStackFrame| sources.functions.contains_key(frame.fn_name.as_str());
    frames.iter().filter(known).collect()
}

fn may_call(node: ASTNode) -> bool {
    let calls = |call: &FnCallExpr| call.op_token.is_none();
    match node {
        ASTNode::Stmt(Stmt::FnCall(call, _)) | ASTNode::Expr(Expr::FnCall(call, _)) => calls(call),
        ASTNode::Expr(Expr::Dot(..)) => true,
        _ => false,
    }
}

/// The variables, with words in place of what is large.
fn kept(scope: &Scope) -> Scope<'static> {
    let mut copy = Scope::new();
    for (name, value, _) in scope {
        let length = value.read_lock::<Array>().map(|items| items.len());
        let length = length.or_else(|| value.read_lock::<Map>().map(|map| map.len()));
        let length = length.or_else(|| value.read_lock::<Blob>().map(|bytes| bytes.len()));
        let value = match length {
            Some(length) if length > ELEMENTS_MAX => {
                format!("{length} elements, too many to keep").into()
            }
            _ => value.clone(),
        };
        copy.push_dynamic(name, value);
    }
    copy
}

fn arguments(caller: Option<&CallStackFrame>, functions: &AST) -> Scope<'static> {
    let mut scope = Scope::new();
    let Some(caller) = caller else {
        return scope;
    };
    let mut known = functions.iter_functions();
    let known = known.find(|f| f.name == caller.fn_name && f.params.len() == caller.args.len());
    let params = known.map_or(Vec::new(), |function| function.params);
    for (name, value) in params.into_iter().zip(&caller.args) {
        scope.push_dynamic(name, Dynamic::clone(value));
    }
    scope
}

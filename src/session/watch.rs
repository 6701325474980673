//! A second engine that tells of every step. It is slower than the first, so it runs only what is debugged,
//! profiled, or calls `breakpoint()`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, TryLockError};

use rhai::debugger::{BreakPoint, CallStackFrame, DebuggerCommand, DebuggerEvent};
use rhai::{
    AST, ASTNode, Dynamic, Engine, EvalAltResult, EvalContext, Expr, Position, Scope, Stmt,
};

use super::Session;
use crate::host::engine;

/// A step of the script.
pub(super) struct Step<'a> {
    pub event: DebuggerEvent<'a>,
    pub node: ASTNode<'a>,
    /// The cell or file that the step stands in.
    pub source: &'a str,
    /// What the engine takes for it: the cell that runs.
    pub running: &'a str,
    pub position: Position,
}

pub(super) type Command = Result<DebuggerCommand, Box<EvalAltResult>>;

/// Watches an evaluation.
pub(super) trait Watcher: Send {
    /// A step is about to be taken.
    fn step(&mut self, context: &mut EvalContext, step: &Step) -> Command;
}

/// Makes a watcher when the code is known.
pub(super) type Watching = Box<dyn FnOnce(&Session) -> Box<dyn Watcher>>;

/// Where functions stand, and who is told of steps.
type Slot = Arc<Mutex<Option<(BTreeMap<String, String>, Box<dyn Watcher>)>>>;

/// The engine, and who watches it.
pub(super) struct Watched {
    engine: Engine,
    slot: Slot,
}

impl Session {
    /// Evaluates on the engine that tells its steps.
    pub(super) fn eval_watched(
        &mut self,
        watcher: Box<dyn Watcher>,
        program: &AST,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        let watched = self.watched.get_or_insert_with(|| build(&self.host));
        self.history.install(&mut watched.engine);
        for (alias, module) in &self.modules {
            watched.engine.register_static_module(alias, module.clone());
        }
        fill(
            &watched.slot,
            Some((self.sources.functions.clone(), watcher)),
        );
        let scope: &mut Scope = &mut self.scope;
        let result = watched
            .engine
            .eval_ast_with_scope::<Dynamic>(scope, program);
        fill(&watched.slot, None);
        result
    }
}

fn fill(slot: &Slot, watcher: Option<(BTreeMap<String, String>, Box<dyn Watcher>)>) {
    *slot
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = watcher;
}

#[allow(
    deprecated,
    reason = "the crate marks its debugger so because it may change"
)]
fn build(host: &crate::host::Host) -> Watched {
    let slot = Slot::default();
    let watchers = slot.clone();
    let mut engine = engine::build(host);
    engine.register_debugger(
        |_, mut debugger| {
            let name = "breakpoint".into();
            let call = BreakPoint::AtFunctionName {
                name,
                enabled: true,
            };
            debugger.break_points_mut().push(call);
            debugger
        },
        move |mut context, event, node, source, position| {
            let mut watcher = match watchers.try_lock() {
                Ok(watcher) => watcher,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                // What a watcher evaluates is not watched itself.
                Err(TryLockError::WouldBlock) => return Ok(DebuggerCommand::Continue),
            };
            let Some((functions, watcher)) = watcher.as_mut() else {
                return Ok(DebuggerCommand::Continue);
            };
            let running = source.unwrap_or("");
            let function = script_frame(&context, functions).map(|frame| frame.fn_name.clone());
            let step = Step {
                event,
                node,
                source: standing(functions, function.as_deref(), running),
                running,
                position,
            };
            watcher.step(&mut context, &step)
        },
    );
    Watched { engine, slot }
}

/// The innermost call of a script's function; operators and our functions are calls too.
pub(super) fn script_frame<'a>(
    context: &'a EvalContext,
    functions: &BTreeMap<String, String>,
) -> Option<&'a CallStackFrame> {
    let calls = context.debugger()?.call_stack();
    let known = |frame: &&CallStackFrame| functions.contains_key(frame.fn_name.as_str());
    calls.iter().rev().find(known)
}

/// The source of a function; the engine knows those of files alone.
pub(super) fn standing<'a>(
    functions: &'a BTreeMap<String, String>,
    function: Option<&str>,
    running: &'a str,
) -> &'a str {
    let known = function.and_then(|name| functions.get(name));
    match known {
        Some(source) if !running.ends_with(".rhai") || source.ends_with(".rhai") => source,
        _ => running,
    }
}

/// Whether the code may come to a `breakpoint()`: it, or what it imports, has one.
pub(super) fn may_break(program: &AST, modules: bool) -> bool {
    let mut found = false;
    program.walk(&mut |path| {
        found |= match path.last() {
            Some(ASTNode::Stmt(Stmt::FnCall(call, _)) | ASTNode::Expr(Expr::FnCall(call, _))) => {
                call.name == "breakpoint" || (modules && !call.namespace.is_empty())
            }
            Some(ASTNode::Stmt(Stmt::Import(..))) => modules,
            _ => false,
        };
        !found
    });
    found
}

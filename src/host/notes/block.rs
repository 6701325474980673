//! A block of a script that is told of its errors.

use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult, EvalContext, Expr, Expression};

use super::lines::Lines;
use super::{Notes, Passing};

/// How syntax trees name our blocks; no text can.
pub(super) const KEY: &str = "\0block";

/// What stands in a syntax tree in place of statements.
#[derive(Clone)]
pub(super) enum Part {
    Block(Arc<Block>),
    /// Begins a `catch`: what was noted is no longer of interest.
    Caught,
}

/// Statements, and what to know of them when they fail.
pub(super) struct Block {
    /// A block, or the one expression in it.
    pub code: Expr,
    /// How many variables come right before it and go with it: parameters, those of a loop, a caught error.
    pub own: usize,
    pub lines: Arc<Lines>,
}

/// Lets the engine run our blocks.
pub(in crate::host) fn install(engine: &mut Engine, notes: &Notes) {
    let notes = notes.clone();
    engine.register_custom_syntax_with_state_raw(
        KEY,
        |_, _, _| Ok(None),
        false,
        move |context, _, state| match state.read_lock::<Part>().as_deref() {
            Some(Part::Block(block)) => run(context, block, &notes),
            Some(Part::Caught) => {
                uncount(context, 2);
                notes.clear();
                Ok(Dynamic::UNIT)
            }
            None => Ok(Dynamic::UNIT),
        },
    );
}

fn run(
    context: &mut EvalContext,
    block: &Block,
    notes: &Notes,
) -> Result<Dynamic, Box<EvalAltResult>> {
    let statements = matches!(block.code, Expr::Stmt(_));
    uncount(context, if statements { 2 } else { 1 });
    let start = context.scope().len().saturating_sub(block.own);
    let begun = notes.count();
    let code = Expression::from(&block.code);
    #[allow(deprecated, reason = "the crate marks it so because it may change")]
    let result = context.eval_expression_tree_raw(&code, false);
    if let Err(error) = &result
        && !error.is_pseudo_error()
        && !error.is_system_exception()
    {
        let passing = Passing {
            error,
            level: context.call_level(),
            begun,
            lines: &block.lines,
        };
        notes.add(&passing, context.scope_mut(), start);
    }
    result
}

/// Takes steps off the count that the script has not taken.
fn uncount(context: &mut EvalContext, steps: u64) {
    let count = &mut context.global_runtime_state_mut().num_operations;
    *count = count.saturating_sub(steps);
}

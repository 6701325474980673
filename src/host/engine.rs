//! The rhai engine as our scripts see it: rhai's own traps closed.

use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, NativeCallContext, Position};

use super::context::Host;
use super::error::to_rhai;
use super::limits::Limits;
use super::resolver::Resolver;
use super::sink::Event;
use super::{compare, notes, sort};
use crate::diag::Error;

/// What `print` gives the engine when it has shown the value itself: the engine prints what `print` returns.
pub(super) const SHOWN: &str = "\0";

/// An engine with the language, our functions and the host behind them.
pub fn build(host: &Host) -> Engine {
    let mut engine = Engine::new();
    limit(&mut engine, host.limits());
    engine.set_strict_variables(true);
    engine.set_fail_on_invalid_map_property(true);
    compare::install(&mut engine);
    sort::install(&mut engine);
    notes::install(&mut engine, host.notes());
    engine.set_module_resolver(Resolver::new(host.clone()));
    stop_on_interrupt(&mut engine, host);
    print_through(&mut engine, host);
    engine
        .register_type_with_name::<Error>("Error")
        .register_fn("to_string", |error: &mut Error| error.to_string())
        .register_fn("to_debug", |error: &mut Error| error.to_string())
        .register_get("message", |error: &mut Error| error.message().to_string());
    host.registry().install(&mut engine, host);
    engine
}

/// rhai's defaults differ between debug and release builds; ours don't. The sizes of values have no limit: with one
/// the engine measures the whole of an array or map whenever it changes, so that loops that fill one are quadratic.
fn limit(engine: &mut Engine, limits: &Limits) {
    engine.set_max_call_levels(128);
    engine.set_max_expr_depths(128, 64);
    engine.set_max_operations(limits.operations.unwrap_or(0));
    engine.set_max_modules(1024);
    engine.set_max_functions(10_000);
    engine.set_max_variables(100_000);
}

fn stop_on_interrupt(engine: &mut Engine, host: &Host) {
    let flag = Arc::clone(host.interrupt());
    engine.on_progress(move |_| {
        let stop = flag.load(std::sync::atomic::Ordering::Relaxed);
        stop.then(|| Dynamic::from(Error::interrupted()))
    });
}

fn print_through(engine: &mut Engine, host: &Host) {
    let printer = host.clone();
    engine.on_print(move |text| {
        if text != SHOWN {
            printer.print(text);
        }
    });
    let printer = host.clone();
    engine.on_debug(move |text, source, position| {
        let source = source.unwrap_or("debug");
        printer.send(Event::Note(format!("{source}:{position:?}: {text}")));
    });
}

/// Calls a function pointer with what the script gave, as the engine's own array functions do.
pub(super) fn call(
    context: &NativeCallContext,
    function: &FnPtr,
    args: Vec<Dynamic>,
) -> Result<Dynamic, Box<EvalAltResult>> {
    function.call_raw(context, None, args)
}

/// An error of ours at no place yet.
pub(super) fn error(message: impl Into<String>) -> Box<EvalAltResult> {
    let mut error = to_rhai(Error::new(message));
    error.set_position(Position::NONE);
    error
}

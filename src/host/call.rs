//! One call of a script function: its checked arguments, its options, and the host behind it.

use rhai::{Array, Dynamic, EvalAltResult, FnPtr, Map, NativeCallContext, Position};

use super::builtins::{self, Builtin};
use super::context::Host;
use super::error::{from_rhai, to_rhai};
use super::function::ScriptFn;
use super::options::{Options, mismatch};
use super::show::describe;
use super::value::{FromScript, IntoScript, ScriptValue};
use crate::diag::{Error, Result};
use crate::fail;

/// A running call.
pub struct Call<'a> {
    pub host: &'a Host,
    /// The checked option map; empty if the function declares no keys.
    pub options: Options,
    function: &'a ScriptFn,
    context: &'a NativeCallContext<'a>,
    receiver: Option<&'a mut Dynamic>,
    args: Vec<&'a mut Dynamic>,
}

impl Call<'_> {
    /// The argument of that parameter; a parameter that was left out reads as `()`.
    pub fn get<T: FromScript>(&self, name: &str) -> Result<T> {
        let value = self.value(name)?;
        T::from_script(value, self.host).ok_or_else(|| {
            let got = describe(value);
            Error::new(format!(
                "parameter \"{name}\" must be {}, not {got}",
                T::expected()
            ))
        })
    }

    /// The argument, or `default` if it was left out.
    pub fn get_or<T: FromScript>(&self, name: &str, default: T) -> Result<T> {
        Ok(self.get::<Option<T>>(name)?.unwrap_or(default))
    }

    /// The receiver of a method, property or index.
    pub fn receiver<T: ScriptValue>(&self) -> Result<T> {
        self.receiver
            .as_deref()
            .and_then(|value| T::from_script(value, self.host))
            .ok_or_else(|| Error::new(format!("there is no {} to call it on", T::NAME)))
    }

    /// All arguments from `first` on, for functions that take any number.
    pub fn rest(&self, first: usize) -> impl Iterator<Item = &Dynamic> {
        self.args.iter().skip(first).map(|value| &**value)
    }

    /// The language's own functions.
    pub(crate) fn builtins(&self) -> Vec<Builtin> {
        builtins::collect(self.context.engine(), self.host.registry())
    }

    /// Calls a script function and reads its result.
    ///
    /// # Errors
    /// Its error, with the place in the script where it happened; a result of another type.
    pub fn call<T: FromScript>(
        &self,
        function: &Callback,
        args: impl IntoIterator<Item = Dynamic>,
    ) -> Result<T> {
        let value = function.call(self.context, args).map_err(|error| {
            let ours = from_rhai(&error, self.context.call_source());
            self.host.note_script_error(&ours, error);
            ours
        })?;
        T::from_script(&value, self.host).ok_or_else(|| {
            let (name, got) = (function.name(), describe(&value));
            Error::new(format!("{name} must give {}, not {got}", T::expected()))
        })
    }

    fn value(&self, name: &str) -> Result<&Dynamic> {
        const ABSENT: &Dynamic = &Dynamic::UNIT;
        let Some(at) = self.function.params.iter().position(|p| p.name == name) else {
            fail!(
                "\"{}\" declares no parameter \"{name}\"",
                self.function.name
            );
        };
        Ok(self.args.get(at).map_or(ABSENT, |value| &**value))
    }
}

/// Runs `function` on the engine's raw arguments.
pub(super) fn dispatch(
    function: &ScriptFn,
    host: &Host,
    context: &NativeCallContext,
    args: &mut [&mut Dynamic],
) -> Result<Dynamic, Box<EvalAltResult>> {
    run(function, host, context, args).map_err(|error| match host.take_script_error(&error) {
        Some(inner) => Box::new(EvalAltResult::ErrorInFunctionCall(
            function.name.into(),
            String::new(),
            inner,
            Position::NONE,
        )),
        None => to_rhai(error.context(function.name)),
    })
}

fn run(
    function: &ScriptFn,
    host: &Host,
    context: &NativeCallContext,
    args: &mut [&mut Dynamic],
) -> Result<Dynamic> {
    let mut args: Vec<&mut Dynamic> = args.iter_mut().map(|arg| &mut **arg).collect();
    let receiver = match function.receiver {
        Some(_) if !args.is_empty() => Some(args.remove(0)),
        _ => None,
    };
    let options = take_options(function, host, &mut args)?;
    for (param, value) in function.params.iter().zip(&args) {
        let left_out = param.optional && value.is_unit();
        if !left_out && !param.kind.accepts(value) {
            return Err(mismatch("parameter", param.name, &param.kind, value)
                .or_hint(format!("it is called as {}", function.signature())));
        }
        param.kind.permit(value, host)?;
    }
    let mut call = Call {
        host,
        options,
        function,
        context,
        receiver,
        args,
    };
    (function.code)(&mut call)
}

/// Takes the option map off the arguments. It is the last one, also when optional parameters are left out.
fn take_options(function: &ScriptFn, host: &Host, args: &mut Vec<&mut Dynamic>) -> Result<Options> {
    let required = function.params.iter().filter(|p| !p.optional).count();
    let full = args.len() > function.params.len();
    let is_map = |value: &Dynamic| value.type_id() == std::any::TypeId::of::<Map>();
    let early = args.len() > required && args.last().is_some_and(|last| is_map(last));
    if !function.has_options() || !(full || early) {
        return Options::parse(&function.keys, &Map::new(), host);
    }
    let Some(last) = args.pop() else {
        return Options::parse(&function.keys, &Map::new(), host);
    };
    match last.flatten_clone().try_cast::<Map>() {
        Some(map) => Options::parse(&function.keys, &map, host),
        None => fail!("options must be a map #{{..}}, not {}", describe(last)),
    }
}

/// A script function or closure that Rust can call while a script runs.
#[derive(Debug, Clone)]
pub struct Callback(FnPtr);

impl Callback {
    pub(super) fn new(pointer: FnPtr) -> Self {
        Self(pointer)
    }

    /// Its name; closures have a made-up one.
    pub fn name(&self) -> &str {
        match self.0.is_anonymous() {
            true => "closure",
            false => self.0.fn_name(),
        }
    }

    fn call(
        &self,
        context: &NativeCallContext,
        args: impl IntoIterator<Item = Dynamic>,
    ) -> Result<Dynamic, Box<EvalAltResult>> {
        let args: Array = args.into_iter().collect();
        self.0.call_raw(context, None, args)
    }
}

impl IntoScript for Callback {
    fn into_script(self) -> Dynamic {
        Dynamic::from(self.0)
    }
}

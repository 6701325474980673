//! The table of all script functions and types, and their way into the engine.

use std::any::TypeId;
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, EvalAltResult, FuncRegistration, Module, NativeCallContext};

use super::call::dispatch;
use super::context::Host;
use super::error::to_rhai;
use super::function::{Form, ScriptFn};
use super::functions::TOPICS;
use super::value::{Kept, ScriptValue};
use crate::diag::Result;
use crate::report::Display;

/// A group of functions, one file of `functions/`.
pub struct Topic {
    pub name: &'static str,
    /// One sentence with a full stop.
    pub summary: &'static str,
    pub functions: fn() -> Vec<ScriptFn>,
    pub types: fn() -> Vec<TypeEntry>,
}

/// One of our types as the engine and the shells need it.
#[derive(Clone, Copy)]
pub struct TypeEntry {
    pub name: &'static str,
    pub summary: &'static str,
    pub id: TypeId,
    /// Whether its methods change what is behind the handle.
    pub changes: bool,
    keep: fn(&Dynamic) -> Result<Option<Kept>>,
    digest: fn(&Dynamic) -> Option<String>,
    data: fn(&Dynamic) -> Option<Dynamic>,
    bytes: fn(&Dynamic) -> usize,
    line: fn(&Dynamic) -> Option<String>,
    stats: fn(&Dynamic) -> Option<String>,
    show: fn(&Dynamic) -> Option<Display>,
    install: fn(&mut Engine),
    parts: Option<Parts>,
}

/// What `for` goes through.
type Parts = fn(Dynamic) -> Result<Array>;

impl TypeEntry {
    pub fn of<T: ScriptValue>() -> Self {
        Self {
            name: T::NAME,
            summary: T::SUMMARY,
            id: TypeId::of::<T>(),
            changes: T::CHANGES,
            keep: |value| match value.read_lock::<T>() {
                Some(value) => value.keep(),
                None => Ok(None),
            },
            digest: |value| value.read_lock::<T>()?.digest(),
            data: |value| value.read_lock::<T>()?.data(),
            bytes: |value| value.read_lock::<T>().map_or(0, |value| value.bytes()),
            line: |value| Some(value.read_lock::<T>()?.line()),
            stats: |value| value.read_lock::<T>()?.stats(),
            show: |value| Some(value.read_lock::<T>()?.show()),
            install: |engine| {
                engine
                    .register_type_with_name::<T>(T::NAME)
                    .register_fn("to_string", |value: &mut T| value.line())
                    .register_fn("to_debug", |value: &mut T| value.line());
            },
            parts: T::PARTS.map(|_| parts::<T> as Parts),
        }
    }
}

/// All script functions and types, in the order of the help.
pub struct Registry {
    pub functions: Vec<Arc<ScriptFn>>,
    pub types: Vec<TypeEntry>,
}

impl Registry {
    /// The functions and types of every topic.
    pub fn new() -> Self {
        Self::of(TOPICS)
    }

    fn of(topics: &[Topic]) -> Self {
        let mut functions = Vec::new();
        for topic in topics {
            functions.extend((topic.functions)().into_iter().map(|mut function| {
                function.topic = topic.name;
                Arc::new(function)
            }));
        }
        let types = topics.iter().flat_map(|topic| (topic.types)()).collect();
        Self { functions, types }
    }

    /// Every function of that name; a method, property or operator may exist on several types.
    pub fn named<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a ScriptFn> + use<'a, 'n> {
        self.functions
            .iter()
            .map(|f| &**f)
            .filter(move |f| f.name == name)
    }

    /// What can be called on a value of that type.
    pub fn members(&self, id: TypeId) -> impl Iterator<Item = &ScriptFn> {
        let member = move |f: &&ScriptFn| f.receiver.is_some_and(|r| r.id == id);
        self.functions.iter().map(|f| &**f).filter(member)
    }

    /// Our type behind a value.
    pub fn type_of(&self, value: &Dynamic) -> Option<&TypeEntry> {
        let id = value.type_id();
        self.types.iter().find(|entry| entry.id == id)
    }

    /// One line for a value of one of our types.
    pub fn line(&self, value: &Dynamic) -> Option<String> {
        (self.type_of(value)?.line)(value)
    }

    /// Type, shape and statistics of a value of one of our types that holds numbers.
    pub fn stats(&self, value: &Dynamic) -> Option<String> {
        (self.type_of(value)?.stats)(value)
    }

    /// The full display of a value of one of our types.
    pub fn show(&self, value: &Dynamic) -> Option<Display> {
        (self.type_of(value)?.show)(value)
    }

    /// What is behind a handle of one of our types, for going back to it.
    ///
    /// # Errors
    /// It can't be copied.
    pub fn keep(&self, value: &Dynamic) -> Result<Option<Kept>> {
        self.type_of(value)
            .map_or(Ok(None), |entry| (entry.keep)(value))
    }

    /// A hash of the content behind a handle of one of our types.
    pub fn digest(&self, value: &Dynamic) -> Option<String> {
        (self.type_of(value)?.digest)(value)
    }

    /// The content in arrays and maps of a value of one of our types that is data.
    pub fn data(&self, value: &Dynamic) -> Option<Dynamic> {
        (self.type_of(value)?.data)(value)
    }

    /// Bytes of memory behind a handle of one of our types.
    pub fn bytes(&self, value: &Dynamic) -> usize {
        self.type_of(value).map_or(0, |entry| (entry.bytes)(value))
    }

    /// Makes everything known to the engine.
    pub(super) fn install(&self, engine: &mut Engine, host: &Host) {
        for entry in &self.types {
            (entry.install)(engine);
        }
        let mut module = Module::new();
        for entry in &self.types {
            if let Some(parts) = entry.parts {
                module.set_iter_result(entry.id, move |value| iterate(parts(value)));
            }
        }
        for function in &self.functions {
            for types in overloads(function) {
                install(&mut module, function, host, &types);
            }
        }
        engine.register_global_module(module.into());
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

fn parts<T: ScriptValue>(value: Dynamic) -> Result<Array> {
    match (T::PARTS, value.read_lock::<T>()) {
        (Some(parts), Some(value)) => parts(&value),
        _ => Ok(Array::new()),
    }
}

fn iterate(parts: Result<Array>) -> Box<dyn Iterator<Item = Item>> {
    match parts {
        Ok(parts) => Box::new(parts.into_iter().map(Ok)),
        Err(error) => Box::new(std::iter::once(Err(to_rhai(error)))),
    }
}

/// A value that `for` gives, or why there is none.
type Item = std::result::Result<Dynamic, Box<EvalAltResult>>;

/// The argument types under which a function is registered. Only receivers and operands are concrete:
/// we check the rest ourselves, with better words, and let a float parameter take an int.
fn overloads(function: &ScriptFn) -> Vec<Vec<TypeId>> {
    if function.form == Form::Operator {
        let mut overloads = vec![Vec::new()];
        for param in &function.params {
            let types = param.kind.operand_types();
            overloads = overloads
                .iter()
                .flat_map(|head: &Vec<TypeId>| {
                    types.iter().map(move |t| [&head[..], &[*t]].concat())
                })
                .collect();
        }
        return overloads;
    }
    let (least, most) = function.arity();
    let receiver: Vec<TypeId> = function.receiver.iter().map(|r| r.id).collect();
    let any = (least..=most).map(|count| {
        let any = std::iter::repeat_n(TypeId::of::<Dynamic>(), count);
        receiver.iter().copied().chain(any).collect()
    });
    // The engine's own `sleep(int)` would win over ours, as an exact match does.
    let exact = match function.params[..] {
        [param] if function.form == Form::Function => param.kind.operand_types(),
        _ => Vec::new(),
    };
    let exact = exact
        .into_iter()
        .filter(|id| *id != TypeId::of::<Dynamic>());
    any.chain(exact.map(|id| vec![id])).collect()
}

fn install(module: &mut Module, function: &Arc<ScriptFn>, host: &Host, types: &[TypeId]) {
    let registration = match function.form {
        Form::Property => FuncRegistration::new_getter(function.name),
        Form::Index => FuncRegistration::new_index_getter(),
        _ => FuncRegistration::new(function.name).in_global_namespace(),
    };
    let comments: Vec<String> = help_comments(function);
    let mut info: Vec<String> = Vec::new();
    info.extend(function.receiver.map(|r| format!("this: {}", r.name)));
    info.extend(function.param_texts());
    info.truncate(types.len());
    info.push(function.result.to_string());
    let (run, host) = (function.clone(), host.clone());
    let code = move |context: Option<NativeCallContext>, args: &mut [&mut Dynamic]| {
        let Some(context) = context else {
            return Err("the call has no context".into());
        };
        dispatch(&run, &host, &context, args)
    };
    registration
        .with_params_info(info)
        .with_comments(comments)
        .set_into_module_raw(
            module,
            types,
            rhai::RhaiFunc::Method {
                func: Arc::new(code),
                has_context: true,
                is_pure: true,
                is_volatile: true,
            },
        );
}

fn help_comments(function: &ScriptFn) -> Vec<String> {
    let mut lines = vec![format!("/// {}", function.summary)];
    lines.extend(
        function
            .examples
            .iter()
            .map(|e| format!("/// `{}`", e.code)),
    );
    lines
}

#[cfg(test)]
mod tests;

//! One script function: signature, sentences, examples and code in one place.

use std::any::TypeId;
use std::sync::Arc;

use rhai::Dynamic;

use super::call::Call;
use super::functions::PURE;
use super::kind::Kind;
use super::options::Key;
use super::value::{IntoScript, ScriptValue};
use crate::diag::Result;

/// How a script reaches a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `name(a, b)`
    Function,
    /// `receiver.name(a, b)`
    Method,
    /// `receiver.name`
    Property,
    /// `a + b`
    Operator,
    /// `receiver[a]`
    Index,
}

/// One parameter.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    pub name: &'static str,
    pub kind: Kind,
    /// One sentence with a full stop.
    pub summary: &'static str,
    /// May be left out, together with those after it.
    pub optional: bool,
    /// Takes any number of arguments, up to [`REPEATED`].
    pub repeated: bool,
    /// The keys of a map, where some are known.
    pub entries: Option<Entries>,
}

/// The keys that a map may have.
#[derive(Clone, Copy)]
pub struct Entries {
    /// Each with a sentence.
    pub known: &'static [(&'static str, &'static str)],
    /// What the receiver has had already.
    pub had: fn(&Dynamic) -> Vec<String>,
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.known).finish()
    }
}

/// The most arguments of a repeated parameter.
const REPEATED: usize = 12;

/// Code and the text that it shows.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    pub code: &'static str,
    pub shows: &'static str,
}

type Code = dyn Fn(&mut Call) -> Result<Dynamic> + Send + Sync;

/// A script function as the registry holds it.
#[derive(Clone)]
pub struct ScriptFn {
    pub name: &'static str,
    pub form: Form,
    /// One sentence with a full stop.
    pub summary: &'static str,
    /// Further paragraphs of the help.
    pub details: &'static str,
    /// The type that a method, property or index belongs to.
    pub receiver: Option<Receiver>,
    pub params: Vec<Param>,
    /// Keys of the option map that may be the last argument.
    pub keys: Vec<Key>,
    pub result: &'static str,
    /// The keys of the map that is the result, or of the maps in the array that is the result, each with a
    /// sentence.
    pub fields: Vec<(&'static str, &'static str)>,
    pub examples: Vec<Example>,
    /// The topic of the help it belongs to; the registry fills it in.
    pub topic: &'static str,
    pub(super) code: Arc<Code>,
}

/// The type a method belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receiver {
    pub name: &'static str,
    pub id: TypeId,
}

/// A [`ScriptFn`] that still lacks its code.
pub struct Draft(ScriptFn);

fn draft(name: &'static str, form: Form, summary: &'static str) -> Draft {
    Draft(ScriptFn {
        name,
        form,
        summary,
        details: "",
        receiver: None,
        params: Vec::new(),
        keys: Vec::new(),
        result: "()",
        fields: Vec::new(),
        examples: Vec::new(),
        topic: "",
        code: Arc::new(|_| Ok(Dynamic::UNIT)),
    })
}

/// `name(..)`; also callable as `first.name(..)`.
pub fn function(name: &'static str, summary: &'static str) -> Draft {
    draft(name, Form::Function, summary)
}

/// `receiver.name(..)` on values of type `T`.
pub fn method<T: ScriptValue>(name: &'static str, summary: &'static str) -> Draft {
    draft(name, Form::Method, summary).receiver::<T>()
}

/// `receiver.name` on values of type `T`.
pub fn property<T: ScriptValue>(name: &'static str, summary: &'static str) -> Draft {
    draft(name, Form::Property, summary).receiver::<T>()
}

/// `receiver[..]` on values of type `T`.
pub fn index<T: ScriptValue>(summary: &'static str) -> Draft {
    draft("[]", Form::Index, summary).receiver::<T>()
}

/// An operator between the two parameters that follow.
pub fn operator(name: &'static str, summary: &'static str) -> Draft {
    draft(name, Form::Operator, summary)
}

impl Draft {
    fn receiver<T: ScriptValue>(mut self) -> Self {
        self.0.receiver = Some(Receiver {
            name: T::NAME,
            id: TypeId::of::<T>(),
        });
        self
    }

    pub fn param(self, name: &'static str, kind: Kind, summary: &'static str) -> Self {
        self.push(Param {
            name,
            kind,
            summary,
            optional: false,
            repeated: false,
            entries: None,
        })
    }

    /// The keys that the last parameter may have, a map.
    pub fn entries(mut self, entries: Entries) -> Self {
        if let Some(param) = self.0.params.last_mut() {
            param.entries = Some(entries);
        }
        self
    }

    fn push(mut self, param: Param) -> Self {
        self.0.params.push(param);
        self
    }

    /// A parameter that may be left out; those after it must be optional too.
    pub fn optional(self, name: &'static str, kind: Kind, summary: &'static str) -> Self {
        self.push(Param {
            name,
            kind,
            summary,
            optional: true,
            repeated: false,
            entries: None,
        })
    }

    /// Any number of arguments, none included; the last parameter. Read them with [`Call::rest`].
    pub fn repeated(self, name: &'static str, summary: &'static str) -> Self {
        self.push(Param {
            name,
            kind: Kind::Any,
            summary,
            optional: true,
            repeated: true,
            entries: None,
        })
    }

    /// Keys of an option map as the last argument, which may be left out; more calls add keys.
    pub fn options(mut self, keys: &[Key]) -> Self {
        self.0.keys.extend_from_slice(keys);
        self
    }

    /// The type of the result, as in a signature.
    pub fn returns(mut self, result: &'static str) -> Self {
        self.0.result = result;
        self
    }

    /// The keys of the map that is the result, or of each map in the array that is; more calls add keys.
    pub fn fields(mut self, fields: &[(&'static str, &'static str)]) -> Self {
        self.0.fields.extend_from_slice(fields);
        self
    }

    pub fn details(mut self, details: &'static str) -> Self {
        self.0.details = details;
        self
    }

    /// `code` shows `shows` at the prompt (prints, then the value); the tests run it.
    pub fn example(mut self, code: &'static str, shows: &'static str) -> Self {
        self.0.examples.push(Example { code, shows });
        self
    }

    /// The code; arguments and options are checked when it runs.
    pub fn run<R: IntoScript>(
        mut self,
        code: impl Fn(&mut Call) -> Result<R> + Send + Sync + 'static,
    ) -> ScriptFn {
        self.0.code = Arc::new(move |call| code(call).map(R::into_script));
        self.0
    }
}

impl ScriptFn {
    /// Whether the last argument may be an option map.
    pub fn has_options(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether it does nothing but compute, so that a result that is not used was hardly meant.
    pub fn is_pure(&self) -> bool {
        let computed = matches!(self.form, Form::Property | Form::Index | Form::Operator);
        computed || (PURE.contains(&self.topic))
    }

    /// How many arguments must and may be given, the receiver not counted.
    pub fn arity(&self) -> (usize, usize) {
        let required = self.params.iter().filter(|p| !p.optional).count();
        let must = match self.keys.iter().any(|k| k.default_text().is_empty()) {
            true => self.params.len() + 1,
            false => required,
        };
        let more = match self.params.iter().any(|p| p.repeated) {
            true => REPEATED - 1,
            false => 0,
        };
        let options = usize::from(self.has_options());
        (must, self.params.len() + more + options)
    }

    /// As lists name it, `load` or `.top`; operators and indexing have no name.
    pub fn listed(&self) -> Option<String> {
        match self.form {
            Form::Function => Some(self.name.to_string()),
            Form::Method | Form::Property => Some(format!(".{}", self.name)),
            Form::Operator | Form::Index => None,
        }
    }

    /// `receiver.name(a: int, b?: string, #{..}) -> Result`
    pub fn signature(&self) -> String {
        let head = match self.receiver {
            Some(receiver) => format!("{}.{}", receiver.name, self.name),
            None => self.name.to_string(),
        };
        let params: Vec<String> = self.param_texts();
        match self.form {
            Form::Property => format!("{head}: {}", self.result),
            Form::Index => {
                let name = self.receiver.map_or("", |r| r.name);
                format!("{name}[{}] -> {}", params.join(", "), self.result)
            }
            Form::Operator => format!(
                "{} -> {}",
                params.join(&format!(" {} ", self.name)),
                self.result
            ),
            Form::Function | Form::Method if self.result == "()" => {
                format!("{head}({})", params.join(", "))
            }
            Form::Function | Form::Method => {
                format!("{head}({}) -> {}", params.join(", "), self.result)
            }
        }
    }

    /// Each parameter as the signature writes it.
    pub fn param_texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = self
            .params
            .iter()
            .map(|p| match (p.repeated, p.optional) {
                (true, _) => format!("{}..", p.name),
                (_, true) => format!("{}?: {}", p.name, p.kind.name()),
                _ => format!("{}: {}", p.name, p.kind.name()),
            })
            .collect();
        if self.has_options() {
            texts.push("#{..}".into());
        }
        texts
    }
}

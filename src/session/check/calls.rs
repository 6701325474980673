//! Calls: whether there is such a function or method, takes so many arguments, has such options.

use std::any::TypeId;

use rhai::{Dynamic, Expr, FnCallExpr, Position};

use super::Check;
use crate::diag::{Error, nearest};
use crate::host::builtins::Builtin;
use crate::host::function::{Form, ScriptFn};
use crate::host::options::{Default, mismatch};
use crate::session::chain::dots;
use crate::session::completeness::offset;
use crate::session::lexer::keywords;
use crate::session::outline::{Function, outline};
use crate::session::shape::Page;
use crate::session::words::{self, Words};

impl Check<'_> {
    /// `name(..)`, `alias::name(..)`
    pub(super) fn call(&mut self, call: &FnCallExpr, at: Position, page: Page) {
        let name = call.name.as_str();
        if !call.namespace.is_empty() {
            let alias = call.namespace.root().to_string();
            return self.module_call(&alias, call, at, page);
        }
        let special = call.is_operator_call()
            || name.starts_with("anon$")
            || keywords().contains(&name)
            || name.contains('$')
            || self.lost.contains(name);
        if special {
            return;
        }
        let count = call.args.len();
        if self.script_takes(name, count) {
            return;
        }
        let registry = self.session.host().registry();
        let ours: Vec<&ScriptFn> = registry.named(name).collect();
        let fits: Vec<&ScriptFn> = ours
            .iter()
            .copied()
            .filter(|f| takes(f, count, false))
            .collect();
        let builtins = self.session.builtins();
        let builtin = |b: &Builtin| b.name == name && b.arity == count && !b.property;
        if fits.is_empty() && !builtins.iter().any(builtin) {
            let words = self.no_function(name, count, &ours);
            return self.tell(at, words);
        }
        if let [function] = fits[..] {
            let receiver = usize::from(function.receiver.is_some());
            self.arguments(function, &call.args[receiver..], at);
        }
    }

    /// `receiver.name(..)`
    pub(super) fn method(&mut self, call: &FnCallExpr, at: Position, page: Page) {
        let (name, count) = (call.name.as_str(), call.args.len());
        let known = keywords().contains(&name)
            || self.lost.contains(name)
            || self.keys.contains(name)
            || self.script_takes(name, count);
        if known {
            return;
        }
        let registry = self.session.host().registry();
        let owner = self.receiver(at, page);
        let own = |f: &&ScriptFn| match (f.receiver, owner) {
            (Some(receiver), Some(id)) => receiver.id == id,
            _ => true,
        };
        let ours: Vec<&ScriptFn> = registry.named(name).filter(own).collect();
        let fits: Vec<&ScriptFn> = ours
            .iter()
            .copied()
            .filter(|f| takes(f, count, true))
            .collect();
        let any = TypeId::of::<Dynamic>();
        let fit = |b: &&Builtin| {
            let receiver = owner.is_none_or(|id| b.receiver == Some(id) || b.receiver == Some(any));
            b.name == name && b.arity == count + 1 && !b.property && receiver
        };
        if fits.is_empty() && !self.session.builtins().iter().any(|b| fit(&b)) {
            let words = self.no_method(name, count, owner, &ours);
            return self.tell(at, words);
        }
        if let [function] = fits[..]
            && function.receiver.is_some()
        {
            self.arguments(function, &call.args, at);
        }
    }

    /// `receiver.name`
    pub(super) fn property(&mut self, name: &str, at: Position, page: Page) {
        let registry = self.session.host().registry();
        let Some(id) = self.receiver(at, page) else {
            return;
        };
        let Some(entry) = registry.types.iter().find(|entry| entry.id == id) else {
            return;
        };
        let mut members = registry.members(id);
        if !members.any(|f| f.name == name && f.form == Form::Property) {
            let words = words::member(entry.name, name, &self.context());
            self.tell(at, words);
        }
    }

    /// The type of what stands before a member, if the code tells; of a variable that is given other values it
    /// is not known.
    fn receiver(&self, at: Position, page: Page) -> Option<TypeId> {
        let byte = offset(page.text, at);
        let index = page.tokens.iter().position(|token| token.start == byte)?;
        let dot = dots(page.text, page.tokens.get(..index)?);
        if dot == 0 {
            return None;
        }
        let shape = self.session.shape_before(page, index - dot);
        shape.id.filter(|_| !shape.or_other)
    }

    fn module_call(&mut self, alias: &str, call: &FnCallExpr, at: Position, page: Page) {
        let name = call.name.as_str();
        if alias == "global" {
            return;
        }
        let Some(text) = self.module(alias, at, page) else {
            return;
        };
        let (module, _) = outline(&text);
        let named: Vec<&Function> = module
            .functions
            .iter()
            .filter(|f| f.name == name && !f.private)
            .collect();
        if named.iter().any(|f| f.params.len() == call.args.len()) {
            return;
        }
        let known: Vec<&str> = module
            .functions
            .iter()
            .filter(|f| !f.private)
            .map(|f| f.name)
            .collect();
        let words = match named.first() {
            Some(function) => Words::new(
                format!(
                    "{alias}::{name} takes {}, not {}",
                    arguments(function.params.len()),
                    call.args.len()
                ),
                Some(format!("it is {}", function.signature())),
            ),
            None => Words::new(
                format!("module {alias} has no function {name}"),
                nearest(name, &known).map(|near| format!("did you mean {alias}::{near}?")),
            ),
        };
        self.tell(at, words);
    }

    fn script_takes(&self, name: &str, count: usize) -> bool {
        let earlier = self.session.functions().iter_functions();
        let mut earlier = earlier.map(|f| (f.name, f.params.len()));
        let own = self
            .functions
            .iter()
            .any(|(known, params)| known == name && *params == count);
        own || earlier.any(|(known, params)| known == name && params == count)
    }

    fn no_function(&self, name: &str, count: usize, ours: &[&ScriptFn]) -> Words {
        if let Some((_, params)) = self.functions.iter().find(|(known, _)| known == name) {
            return Words::new(
                format!("{name} takes {}, not {count}", arguments(*params)),
                None,
            );
        }
        if !ours.is_empty() {
            return wrong_count(name, count, ours);
        }
        let builtins = self.session.builtins().iter();
        let same: Vec<&str> = builtins
            .filter(|b| b.name == name)
            .map(|b| b.signature.as_str())
            .collect();
        match same.first() {
            Some(signature) => Words::new(
                format!("no {name} takes {}", arguments(count)),
                Some(format!("it is called as {signature}")),
            ),
            None => words::unknown_function(name, name, &self.context()),
        }
    }

    fn no_method(
        &self,
        name: &str,
        count: usize,
        owner: Option<TypeId>,
        ours: &[&ScriptFn],
    ) -> Words {
        if !ours.is_empty() {
            return wrong_count(name, count, ours);
        }
        let Some(id) = owner else {
            return words::unknown_function(name, name, &self.context());
        };
        let owner = self.session.type_text(id).unwrap_or("it");
        let registry = self.session.host().registry();
        let ours = registry.members(id).map(|f| f.name);
        let builtins = self.session.builtins().iter();
        let builtins = builtins
            .filter(|b| b.receiver == Some(id))
            .map(|b| b.name.as_str());
        let known: Vec<&str> = ours.chain(builtins).collect();
        match known.contains(&name) {
            true => Words::new(
                format!("no {owner}.{name} takes {}", arguments(count)),
                None,
            ),
            false => Words::new(
                format!("{owner} has no method {name}"),
                nearest(name, &known).map(|near| format!("did you mean {near}?")),
            ),
        }
    }

    /// What can be told of arguments before they have values: plain values, and the keys of an option map.
    fn arguments(&mut self, function: &ScriptFn, args: &[Expr], at: Position) {
        let required = function.params.iter().filter(|p| !p.optional).count();
        let options = args
            .last()
            .filter(|_| function.has_options() && args.len() > required);
        if let Some(Expr::Map(map, place)) = options {
            self.options(function, &map.0, *place);
        }
        for (param, arg) in function.params.iter().zip(args) {
            let is_options = matches!(arg, Expr::Map(..)) && options.is_some();
            let Some(value) = literal(arg).filter(|_| !is_options) else {
                continue;
            };
            let left_out = param.optional && value.is_unit();
            if !left_out && !param.kind.accepts(&value) {
                let error = mismatch("parameter", param.name, &param.kind, &value)
                    .or_hint(format!("it is called as {}", function.signature()))
                    .context(function.name);
                let place = arg.position();
                self.tell_error(if place.is_none() { at } else { place }, &error);
            }
        }
    }

    fn options(&mut self, function: &ScriptFn, given: &[(rhai::Ident, Expr)], at: Position) {
        for (name, value) in given {
            let known = function.keys.iter().find(|key| key.name == name.name);
            let error = match (known, literal(value)) {
                (None, _) => Error::unknown(
                    "option",
                    &name.name,
                    function.keys.iter().map(|key| key.name),
                ),
                (Some(key), Some(value)) => match key.check(&value) {
                    Ok(()) => continue,
                    Err(error) => error,
                },
                _ => continue,
            };
            self.tell_error(name.pos, &error.context(function.name));
        }
        for key in function
            .keys
            .iter()
            .filter(|key| key.default == Default::Required)
        {
            if !given.iter().any(|(name, _)| name.name == key.name) {
                let error = Error::new(format!("option \"{}\" is required", key.name));
                self.tell_error(at, &error.context(function.name));
            }
        }
    }

    fn tell_error(&mut self, at: Position, error: &Error) {
        let words = Words::new(words::of_error(error), error.hint_text().map(Into::into));
        self.tell(at, words);
    }
}

/// Whether a function of ours can be called with so many arguments, the receiver before the dot not counted.
fn takes(function: &ScriptFn, count: usize, as_method: bool) -> bool {
    let (least, most) = function.arity();
    let count = match (function.form, as_method) {
        (Form::Method, true) | (Form::Function, false) => Some(count),
        (Form::Method, false) => count.checked_sub(1),
        (Form::Function, true) => Some(count + 1),
        _ => None,
    };
    count.is_some_and(|count| (least..=most).contains(&count))
}

fn wrong_count(name: &str, count: usize, ours: &[&ScriptFn]) -> Words {
    let signatures: Vec<String> = ours.iter().map(|f| f.signature()).collect();
    Words::new(
        format!("no {name} takes {}", arguments(count)),
        Some(format!("it is called as {}", signatures.join(", or "))),
    )
}

fn arguments(count: usize) -> String {
    match count {
        0 => "no arguments".into(),
        1 => "one argument".into(),
        count => format!("{count} arguments"),
    }
}

/// The value of a plain literal.
fn literal(expr: &Expr) -> Option<Dynamic> {
    match expr {
        Expr::BoolConstant(value, _) => Some((*value).into()),
        Expr::IntegerConstant(value, _) => Some((*value).into()),
        Expr::FloatConstant(value, _) => Some((**value).into()),
        Expr::StringConstant(value, _) => Some(value.clone().into()),
        Expr::Unit(_) => Some(Dynamic::UNIT),
        Expr::Array(..) => Some(rhai::Array::new().into()),
        Expr::Map(..) => Some(rhai::Map::new().into()),
        _ => None,
    }
}

//! What is known of the value of an expression: its type, the keys of a map, what its elements are; from the
//! session's live values where there are any, else from what the code says and the registry's result types.

use std::any::TypeId;

use rhai::{Array, Dynamic, Map};

use super::Session;
use super::chain::{Chain, Root, Step, chain};
use super::cursor::open_call;
use super::lexer::{Kind, Token};
use super::outline::{From, Outline, Variable};
use crate::host::{ScriptFn, builtins};

/// How far variables are followed to where they come from.
const DEPTH: usize = 8;

/// What is known of a value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    pub id: Option<TypeId>,
    /// Whether it may be of another type too.
    pub or_other: bool,
    /// The keys of a map, with a sentence where there is one.
    pub keys: Vec<Field>,
    /// The keys of an array's elements, where those are maps.
    pub inner_keys: Vec<Field>,
    /// The value itself.
    pub value: Option<Dynamic>,
}

/// A key of a map, and a sentence, which may be empty.
pub(crate) type Field = (String, &'static str);

/// Keys of a table.
fn fields(table: &[(&str, &'static str)]) -> Vec<Field> {
    let field = |(name, summary): &(&str, &'static str)| ((*name).to_string(), *summary);
    table.iter().map(field).collect()
}

impl Shape {
    fn of_type(id: Option<TypeId>) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    fn of_value(value: Dynamic) -> Self {
        let keys = value.read_lock::<Map>().map_or(Vec::new(), |map| {
            map.keys().map(|key| (key.to_string(), "")).collect()
        });
        Self {
            id: Some(value.type_id()),
            keys,
            value: Some(value),
            ..Self::default()
        }
    }

    fn of_map(keys: Vec<Field>) -> Self {
        Self {
            keys,
            ..Self::of_type(Some(TypeId::of::<Map>()))
        }
    }

    fn is<T: 'static>(&self) -> bool {
        self.id == Some(TypeId::of::<T>())
    }
}

/// A text with what stands in it.
#[derive(Clone, Copy)]
pub(crate) struct Page<'a> {
    pub text: &'a str,
    pub tokens: &'a [Token],
    pub outline: &'a Outline<'a>,
    /// Whether only what holds in every case is asked for: a variable that is given other values later may be
    /// anything.
    pub sure: bool,
}

impl Page<'_> {
    fn word(&self, at: usize) -> &str {
        self.tokens
            .get(at)
            .map_or("", |token| &self.text[token.start..token.end])
    }

    /// The variable of that name that the first `before` tokens declare and what follows them sees.
    fn variable(&self, name: &str, before: usize) -> Option<&Variable<'_>> {
        let start = self.tokens.get(before).map(|token| token.start);
        let mut seen = self.outline.in_sight(start.unwrap_or(self.text.len()));
        seen.find(|v| v.name == name)
    }

    /// Whether the code gives the variable another value somewhere.
    fn changes(&self, variable: &Variable) -> bool {
        let mut same = self.outline.variables.iter();
        same.any(|v| !v.declared && v.name == variable.name && v.function == variable.function)
    }
}

impl Session {
    /// The shape of the expression that ends with the first `end` tokens.
    pub(crate) fn shape_before(&self, page: Page, end: usize) -> Shape {
        let chain = chain(page.text, page.tokens.get(..end).unwrap_or(page.tokens));
        self.shape(page, &chain, DEPTH)
    }

    fn shape(&self, page: Page, chain: &Chain, depth: usize) -> Shape {
        let root = self.root(page, chain, depth);
        chain
            .steps
            .iter()
            .fold(root, |shape, step| self.step(&shape, *step))
    }

    fn root(&self, page: Page, chain: &Chain, depth: usize) -> Shape {
        let named = |name| Shape::of_type(builtins::type_id(name));
        match chain.root {
            Root::Name(name) => match page.variable(name, chain.start) {
                Some(variable) if page.sure && page.changes(variable) => Shape::default(),
                Some(variable) if depth > 0 => self.origin(page, variable, depth - 1),
                Some(_) => Shape::default(),
                None => self.live(name).map_or(Shape::default(), Shape::of_value),
            },
            Root::Call(name) => self.result(name, None),
            Root::Of(..) | Root::Unknown => Shape::default(),
            Root::Text => named("string"),
            Root::Number(text) => {
                named(match text.contains(['.', 'e']) && !text.starts_with("0x") {
                    true => "float",
                    false => "int",
                })
            }
            Root::Bool => named("bool"),
            Root::Array => named("array"),
            Root::Map(open) => Shape::of_map(keys_of(page, open)),
        }
    }

    /// What a variable of the text was made of.
    pub(crate) fn origin(&self, page: Page, variable: &Variable, depth: usize) -> Shape {
        let tokens = |start: usize, end: usize| page.tokens.get(start..end);
        match variable.from {
            From::Unknown | From::Error => Shape::default(),
            From::Given(at) => self.given(page, at),
            From::Value(start, end) => {
                let Some(tokens) = tokens(start, end) else {
                    return Shape::default();
                };
                if page.word(start) == "|" {
                    return Shape::of_type(builtins::type_id("function"));
                }
                let mut found = chain(page.text, tokens);
                if found.start != 0 {
                    return Shape::default();
                }
                // A variable's value is made of what was there before it.
                found.start = start.saturating_sub(2);
                if let Root::Map(open) = &mut found.root {
                    *open += start;
                }
                self.shape(page, &found, depth)
            }
            From::Each(start, end) => {
                let mut found = chain(page.text, page.tokens.get(..end).unwrap_or(&[]));
                if start > 0 {
                    found.start = start.saturating_sub(2);
                }
                self.step(&self.shape(page, &found, depth), Step::Element)
            }
        }
    }

    /// What a function that begins at a token is called with, as the value of an option.
    fn given(&self, page: Page, at: usize) -> Shape {
        let key = || {
            let call = open_call(page.text, page.tokens.get(..at)?)?;
            let name = call.map.as_ref()?.key?;
            let keys = &self.called(&call, page)?.keys;
            keys.iter().find(|key| key.name == name)
        };
        match key() {
            Some(key) if !key.given.is_empty() => Shape::of_map(fields(key.given)),
            _ => Shape::default(),
        }
    }

    fn live(&self, name: &str) -> Option<Dynamic> {
        let mut variables = self.variables();
        let (_, value) = variables.find(|(known, _)| *known == name)?;
        Some(value.clone())
    }

    fn step(&self, shape: &Shape, step: Step) -> Shape {
        match step {
            Step::Member(name) => self.member(shape, name),
            Step::Method(name) => self.result(name, shape.id),
            Step::Element => element(shape),
        }
    }

    fn member(&self, shape: &Shape, name: &str) -> Shape {
        if let Some(map) = shape
            .value
            .as_ref()
            .and_then(|value| value.read_lock::<Map>())
        {
            return map
                .get(name)
                .cloned()
                .map_or(Shape::default(), Shape::of_value);
        }
        let Some(id) = shape.id else {
            return Shape::default();
        };
        let mut members = self.host().registry().members(id);
        members
            .find(|member| member.name == name)
            .map_or(Shape::default(), |member| self.of_result(member))
    }

    /// What a call gives, by the type of what it is called on.
    fn result(&self, name: &str, receiver: Option<TypeId>) -> Shape {
        let mut named = self.host().registry().named(name);
        let fits = |f: &&ScriptFn| match (f.receiver, receiver) {
            (Some(own), Some(id)) => own.id == id,
            _ => true,
        };
        if let Some(function) = named.find(fits) {
            return self.of_result(function);
        }
        let fits = |id: Option<TypeId>| receiver.is_none() || id == receiver;
        let results = self
            .builtins()
            .iter()
            .filter(|b| b.name == name && fits(b.receiver));
        let mut results: Vec<Option<TypeId>> = results.map(|b| b.result).collect();
        results.dedup();
        match results[..] {
            [result] => Shape::of_type(result),
            _ => Shape::default(),
        }
    }

    fn of_result(&self, function: &ScriptFn) -> Shape {
        let names = fields(&function.fields);
        let types: Vec<&str> = function.result.split(" | ").collect();
        let only = |kind| match types.contains(&kind) {
            true => names.clone(),
            false => Vec::new(),
        };
        Shape {
            id: types.first().and_then(|name| self.type_named(name)),
            or_other: types.len() > 1,
            keys: only("map"),
            inner_keys: only("array"),
            value: None,
        }
    }

    /// One of our types, or of the language's.
    pub(crate) fn type_named(&self, name: &str) -> Option<TypeId> {
        let mut ours = self.host().registry().types.iter();
        let ours = ours.find(|entry| entry.name == name);
        ours.map(|entry| entry.id)
            .or_else(|| builtins::type_id(name))
    }

    /// The name of a type, as scripts know it.
    pub(crate) fn type_text(&self, id: TypeId) -> Option<&'static str> {
        let mut ours = self.host().registry().types.iter();
        let ours = ours.find(|entry| entry.id == id);
        ours.map(|entry| entry.name)
            .or_else(|| builtins::type_name(id))
    }
}

/// One of what an array holds, of a text's characters, of a range's numbers.
fn element(shape: &Shape) -> Shape {
    let first = shape.value.as_ref().and_then(|value| {
        let items = value.read_lock::<Array>()?;
        items.first().cloned()
    });
    match first {
        Some(value) => Shape::of_value(value),
        None if shape.is::<Array>() && !shape.inner_keys.is_empty() => {
            Shape::of_map(shape.inner_keys.clone())
        }
        None => Shape::default(),
    }
}

/// The keys of the map that opens at a token.
fn keys_of(page: Page, open: usize) -> Vec<Field> {
    let mut keys = Vec::new();
    let mut depth = 0_usize;
    for at in open..page.tokens.len() {
        match page.tokens[at].kind {
            Kind::Open => depth += 1,
            Kind::Close if depth == 1 => break,
            Kind::Close => depth -= 1,
            Kind::Name | Kind::Text if depth == 1 && page.word(at + 1) == ":" => {
                keys.push((page.word(at).trim_matches('"').to_string(), ""));
            }
            _ => {}
        }
    }
    keys
}

//! Completion: what could stand at the cursor, with signature and sentence.

use std::any::TypeId;
use std::collections::BTreeSet;

use rhai::{Array, Dynamic, Map};

use super::Session;
use super::builtins;
use super::candidates::{Candidate, entries};
use super::cursor::{Before, OpenCall, before_dot, open_call};
use super::inspect::comment_line;
use super::lexer::{Kind as Piece, Token, keywords, lex};
use crate::host::function::{Form, ScriptFn};
use crate::host::{Key, Kind};

/// Names of the language that stand alone most often.
const FREE: &[&str] = &[
    "In",
    "Out",
    "debug(",
    "range(",
    "timestamp()",
    "parse_int(",
    "parse_float(",
];

/// What could replace the text from byte `start` to the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completions {
    pub start: usize,
    pub candidates: Vec<Candidate>,
}

impl Session {
    /// What could stand at byte `at` of the text.
    pub fn complete(&self, text: &str, at: usize) -> Completions {
        let text = text.get(..at).unwrap_or(text);
        if let Some(completions) = self.complete_magic(text) {
            return completions;
        }
        let all = lex(text);
        if all.last().is_some_and(|token| token.kind == Piece::Comment) {
            return Completions::default();
        }
        let open_text = all
            .last()
            .filter(|token| token.open && token.kind == Piece::Text)
            .copied();
        let tokens: Vec<Token> = all
            .into_iter()
            .filter(|t| !matches!(t.kind, Piece::Space | Piece::Comment) && Some(*t) != open_text)
            .collect();
        if let Some(open) = open_text {
            return self.inside_text(text, &tokens, open.start + 1);
        }
        let partial = tokens
            .last()
            .filter(|t| t.end == at && matches!(t.kind, Piece::Name | Piece::Keyword));
        let start = partial.map_or(at, |token| token.start);
        let head = &tokens[..tokens.len() - usize::from(partial.is_some())];
        let mut candidates = self.candidates(text, head);
        candidates.retain(|candidate| candidate.text.starts_with(&text[start..]));
        let mut seen = BTreeSet::new();
        candidates.retain(|candidate| seen.insert(candidate.text.clone()));
        Completions { start, candidates }
    }

    fn candidates(&self, text: &str, head: &[Token]) -> Vec<Candidate> {
        let word = |at: usize| {
            head.len()
                .checked_sub(at)
                .map_or("", |at| &text[head[at].start..head[at].end])
        };
        if word(1) == "." {
            return self.members(&before_dot(text, &head[..head.len() - 1]));
        }
        if word(1) == ":" && word(2) == ":" {
            return self.module_members(word(3));
        }
        let call = open_call(text, head);
        if let Some(OpenCall { map: Some(map), .. }) = call
            .as_ref()
            .filter(|call| !self.keys_of(call, text, head).is_empty())
            && map.key.is_none()
            && let Some(call) = &call
        {
            return self
                .keys_of(call, text, head)
                .iter()
                .map(Candidate::of_key)
                .collect();
        }
        self.names()
    }

    /// Paths, choices and map keys.
    fn inside_text(&self, text: &str, tokens: &[Token], start: usize) -> Completions {
        let typed = &text[start..];
        let quoted = |choices: &[&str]| {
            let fit = choices.iter().filter(|choice| choice.starts_with(typed));
            let candidate = |choice: &&str| Candidate::new(format!("{choice}\""), *choice, "");
            Completions {
                start,
                candidates: fit.map(candidate).collect(),
            }
        };
        if let [head @ .., bracket] = tokens
            && &text[bracket.start..bracket.end] == "["
            && let Before::Path(path) = before_dot(text, head)
            && let Some(shape) = self.shape(&path)
        {
            let keys: Vec<&str> = shape.keys.iter().map(String::as_str).collect();
            return quoted(&keys);
        }
        match self.kind_at(text, tokens) {
            Some(Kind::Choice(choices)) => quoted(choices),
            kind => {
                let endings = if let Some(Kind::Path(endings)) = kind {
                    endings
                } else {
                    &[]
                };
                let (folder, name) = typed
                    .rfind('/')
                    .map_or(("", typed), |at| typed.split_at(at + 1));
                Completions {
                    start: start + folder.len(),
                    candidates: entries(&self.host().resolve(folder), name, endings),
                }
            }
        }
    }

    /// What the parameter or option at the cursor accepts.
    fn kind_at(&self, text: &str, tokens: &[Token]) -> Option<Kind> {
        let call = open_call(text, tokens)?;
        let function = self.called(&call, text, tokens)?;
        match call.map {
            Some(map) => function
                .keys
                .iter()
                .find(|key| Some(key.name) == map.key)
                .map(|key| key.kind),
            None => function.params.get(call.argument).map(|param| param.kind),
        }
    }

    fn keys_of(&self, call: &OpenCall, text: &str, tokens: &[Token]) -> Vec<Key> {
        self.called(call, text, tokens)
            .map_or(Vec::new(), |function| function.keys.clone())
    }

    /// The function that a call most likely means.
    pub(super) fn called(
        &self,
        call: &OpenCall,
        text: &str,
        tokens: &[Token],
    ) -> Option<&ScriptFn> {
        let dot = tokens[..call.at]
            .last()
            .is_some_and(|token| &text[token.start..token.end] == ".");
        let owner = dot.then(|| self.type_before(&before_dot(text, &tokens[..call.at - 1])));
        let fits = |f: &&ScriptFn| match owner {
            Some(Some(id)) => f.receiver.is_none_or(|r| r.id == id),
            Some(None) => true,
            None => f.receiver.is_none(),
        };
        self.host().registry().named(call.name).find(fits)
    }

    /// Variables, the session's functions, ours, the language's.
    fn names(&self) -> Vec<Candidate> {
        let variable = |(name, value): (&str, &Dynamic)| {
            Candidate::new(name, name, self.value_line(value, 60))
        };
        let mut found: Vec<Candidate> = self.variables().map(variable).collect();
        let scripts = self
            .functions()
            .iter_functions()
            .filter(|f| !f.name.starts_with("anon$"));
        found.extend(scripts.map(|f| {
            let label = format!("{}({})", f.name, f.params.join(", "));
            Candidate::new(format!("{}(", f.name), label, comment_line(&f.comments))
        }));
        let mut ours = self.host().registry().functions.clone();
        ours.retain(|f| f.form == Form::Function);
        ours.sort_by_key(|f| f.name);
        found.extend(ours.iter().map(|f| Candidate::of_function(f)));
        found.extend(
            FREE.iter()
                .chain(keywords())
                .map(|word| Candidate::word(word)),
        );
        found
    }

    /// Keys of a map with their values, properties and methods, the language's methods.
    fn members(&self, before: &Before) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        if let Before::Path(path) = before
            && let Some(shape) = self.shape(path)
        {
            found.extend(shape.keys.iter().map(|key| Candidate::word(key)));
        }
        let id = self.type_before(before);
        let registry = self.host().registry();
        let mut ours: Vec<&ScriptFn> = registry.functions.iter().map(|f| &**f).collect();
        ours.retain(|f| matches!(f.form, Form::Method | Form::Property));
        ours.retain(|f| f.receiver.is_some_and(|r| id.is_none_or(|id| r.id == id)));
        ours.sort_by_key(|f| (f.form != Form::Property, f.name));
        found.extend(ours.into_iter().map(Candidate::of_function));
        let known = id.filter(|id| !registry.types.iter().any(|entry| entry.id == *id));
        let builtins = self
            .builtins()
            .iter()
            .filter(|b| b.receiver.is_some() && b.receiver == known);
        found.extend(builtins.map(Candidate::of_builtin));
        found
    }

    fn module_members(&self, alias: &str) -> Vec<Candidate> {
        let module = self.modules().iter().find(|(known, _)| known == alias);
        let functions = module
            .into_iter()
            .flat_map(|(_, module)| module.iter_script_fn_info());
        let candidate = |(_, _, name, arity, _): (_, _, &str, usize, _)| {
            let label = format!("{name}({})", vec!["_"; arity].join(", "));
            Candidate::new(format!("{name}("), label, "")
        };
        functions.map(candidate).collect()
    }

    /// The type of what stands before a dot, if the session or the registry knows it.
    fn type_before(&self, before: &Before) -> Option<TypeId> {
        match before {
            Before::Path(path) => Some(self.shape(path)?.id),
            Before::Element(path) => self.shape(path)?.element,
            Before::Text => builtins::type_id("string"),
            Before::Array => builtins::type_id("array"),
            Before::Map => builtins::type_id("map"),
            Before::Call(name) => {
                let result = self.host().registry().named(name).next()?.result;
                let ours = self
                    .host()
                    .registry()
                    .types
                    .iter()
                    .find(|entry| entry.name == result);
                ours.map(|entry| entry.id)
                    .or_else(|| builtins::type_id(result))
            }
            Before::Unknown => None,
        }
    }

    fn shape(&self, path: &[&str]) -> Option<Shape> {
        let (first, rest) = path.split_first()?;
        let (_, value) = self.variables().find(|(name, _)| name == first)?;
        shape_at(value, rest)
    }
}

/// What completion needs to know of a value.
struct Shape {
    id: TypeId,
    /// The keys of a map.
    keys: Vec<String>,
    /// The type of an array's first element.
    element: Option<TypeId>,
}

fn shape_at(value: &Dynamic, path: &[&str]) -> Option<Shape> {
    if let Some((first, rest)) = path.split_first() {
        let map = value.read_lock::<Map>()?;
        return shape_at(map.get(*first)?, rest);
    }
    let keys = value.read_lock::<Map>().map_or(Vec::new(), |map| {
        map.keys().map(ToString::to_string).collect()
    });
    let element = value
        .read_lock::<Array>()
        .and_then(|items| items.first().map(Dynamic::type_id));
    Some(Shape {
        id: value.type_id(),
        keys,
        element,
    })
}

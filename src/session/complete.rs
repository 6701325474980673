//! Completion: what could stand at the cursor, with signature and sentence.

use std::any::TypeId;
use std::collections::BTreeSet;

use super::Session;
use super::candidates::{Candidate, Thing};
use super::chain::dots;
use super::cursor::{InMap, OpenCall, open_bracket, open_call};
use super::lexer::{Kind as Piece, Token, lex};
use super::matching::Fit;
use super::outline::outline;
use super::place::Source;
use super::shape::Page;
use crate::host::function::ScriptFn;
use crate::host::{Key, Kind};

/// What could replace the text from byte `start` to the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completions {
    pub start: usize,
    pub candidates: Vec<Candidate>,
}

/// Where the cursor stands: the code before what is being typed.
pub(super) struct Place<'a> {
    pub page: Page<'a>,
    /// The text on both sides of the cursor.
    pub source: Source<'a>,
    /// The name that is being typed, or the part of a string before the cursor.
    pub typed: &'a str,
    /// The byte where it starts.
    pub start: usize,
}

impl Session {
    /// What could stand at byte `at` of the text.
    pub fn complete(&self, whole: &str, at: usize) -> Completions {
        let text = whole.get(..at).unwrap_or(whole);
        let magic = self.complete_magic(text);
        magic.unwrap_or_else(|| {
            let source = Source {
                file: None,
                text: whole,
            };
            self.complete_script(source, at)
        })
    }

    /// What could stand at byte `at` of a script.
    pub fn complete_script(&self, source: Source, at: usize) -> Completions {
        let text = source.text.get(..at).unwrap_or(source.text);
        let last = lex(text).last().copied();
        if last.is_some_and(|token| token.kind == Piece::Comment) {
            return Completions::default();
        }
        let string = last.filter(|token| token.open && token.kind == Piece::Text);
        let name = |kind| matches!(kind, Piece::Name | Piece::Keyword | Piece::Call);
        // The text that goes on after `${..}` begins with none.
        let quote = |string: Token| usize::from(text[string.start..].starts_with(['"', '`', '#']));
        let start = match (string, last) {
            (Some(string), _) => string.start + quote(string),
            (None, Some(token)) if name(token.kind) => token.start,
            _ => text.len(),
        };
        let head = &text[..start - string.map_or(0, quote)];
        let (outline, tokens) = outline(head);
        let place = Place {
            page: Page {
                text: head,
                tokens: &tokens,
                outline: &outline,
                sure: false,
            },
            source,
            typed: &text[start..],
            start,
        };
        let find = |fit: fn(&str) -> Fit<'_>| match string {
            Some(_) => self.inside_text(&place, fit),
            None => self.completions(&place, fit(place.typed)),
        };
        let found = find(|typed| Fit::Start(typed));
        match found.candidates.is_empty() && !place.typed.is_empty() {
            true => find(|typed| Fit::Letters(typed)),
            false => found,
        }
    }

    fn completions(&self, place: &Place, fit: Fit) -> Completions {
        let mut candidates = self.candidates(place, fit);
        let mut seen = BTreeSet::new();
        // Names of metrics may have to be quoted.
        let name = |c: &Candidate| match c.thing {
            Thing::Key => c.text.trim_start_matches('"').to_string(),
            _ => c.text.clone(),
        };
        candidates.retain(|c| fit.fits(&name(c)) && seen.insert(c.text.clone()));
        fit.sort(&mut candidates);
        Completions {
            start: place.start,
            candidates,
        }
    }

    fn candidates(&self, place: &Place, fit: Fit) -> Vec<Candidate> {
        let Page { text, tokens, .. } = place.page;
        let word = |back: usize| {
            let token = tokens.len().checked_sub(back).map(|at| tokens[at]);
            token.map_or("", |token| &text[token.start..token.end])
        };
        let dot = dots(text, tokens);
        if dot > 0 {
            return self.members(place, tokens.len() - dot);
        }
        if word(1) == ":" && word(2) == ":" {
            return self.module_members(place, word(3));
        }
        let Some(call) = open_call(text, tokens) else {
            return self.names(place, fit, None);
        };
        if let (Some(InMap { key: None, given }), Some(function)) =
            (&call.map, self.called(&call, place.page))
            && function.has_options()
        {
            let keys = function.keys.iter();
            let left = keys.filter(|key| !given.contains(&key.name));
            return left.map(Candidate::of_key).collect();
        }
        if let Some(found) = self.entries(place.page, &call) {
            return found;
        }
        let kind = self.kind_at(place);
        let mut found = kind.map_or(Vec::new(), |kind| self.values(&kind));
        found.extend(self.names(place, fit, kind));
        found
    }

    /// The keys of the map that is an argument of the call: what its receiver has had, what is known.
    pub(super) fn entries(&self, page: Page, call: &OpenCall) -> Option<Vec<Candidate>> {
        let InMap { key: None, given } = call.map.as_ref()? else {
            return None;
        };
        let param = self.called(call, page)?.params.get(call.argument)?;
        let entries = param.entries?;
        let receiver = self.shape_before(page, call.at - dots(page.text, &page.tokens[..call.at]));
        let had = receiver.value.as_ref().map_or(Vec::new(), entries.had);
        let known = |name: &str| entries.known.iter().find(|(known, _)| *known == name);
        let had = had
            .iter()
            .map(|name| (name.as_str(), known(name).map_or("", |known| known.1)));
        let mut found: Vec<(&str, &str)> = had.collect();
        found.extend(entries.known);
        found.retain(|(name, _)| !given.contains(name));
        let candidate = |(name, summary): (&str, &str)| Candidate::of_entry(name, summary);
        Some(found.into_iter().map(candidate).collect())
    }

    /// What the parameter or option at the cursor accepts, or an element of its array.
    pub(super) fn kind_at(&self, place: &Place) -> Option<Kind> {
        let Page { text, tokens, .. } = place.page;
        if let Some(kind) = self.kind_after(place, tokens.len()) {
            return Some(kind);
        }
        let open = open_bracket(tokens).filter(|at| text[tokens[*at].start..].starts_with('['))?;
        self.kind_after(place, open)?.element()
    }

    /// What the parameter or option after so many tokens accepts.
    fn kind_after(&self, place: &Place, end: usize) -> Option<Kind> {
        let page = place.page;
        let call = open_call(page.text, page.tokens.get(..end)?)?;
        let function = self.called(&call, page)?;
        match &call.map {
            Some(map) => {
                let named = |key: &&Key| Some(key.name) == map.key;
                function.keys.iter().find(named).map(|key| key.kind)
            }
            None => function.params.get(call.argument).map(|param| param.kind),
        }
    }

    /// The function of ours that a call most likely means.
    pub(super) fn called(&self, call: &OpenCall, page: Page) -> Option<&ScriptFn> {
        let before = page.tokens.get(..call.at)?;
        let dot = dots(page.text, before);
        let owner: Option<TypeId> = match dot {
            0 => None,
            _ => self.shape_before(page, call.at - dot).id,
        };
        let fits = |f: &&ScriptFn| match (dot, owner) {
            (0, _) => f.receiver.is_none(),
            (_, Some(id)) => f.receiver.is_none_or(|r| r.id == id),
            _ => true,
        };
        self.host().registry().named(call.name).find(fits)
    }

    /// Values that are known to fit, as code.
    fn values(&self, kind: &Kind) -> Vec<Candidate> {
        let words = kind.words(self.host());
        let quoted = |word: &String| Candidate::quoted(word, false, "");
        let mut found: Vec<Candidate> = words.iter().map(quoted).collect();
        if kind.parts().iter().any(|kind| matches!(kind, Kind::Bool)) {
            found.extend(["true", "false"].map(Candidate::word));
        }
        found
    }
}

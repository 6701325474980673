//! Completion inside of strings: values of options, keys of maps, models, files.

use super::Session;
use super::candidates::{Candidate, Thing, entries};
use super::complete::{Completions, Place};
use super::cursor::open_call;
use super::matching::Fit;
use super::shape::Field;
use crate::host::Kind;

impl Session {
    /// What the string at the cursor could say.
    pub(super) fn inside_text(&self, place: &Place, fit: fn(&str) -> Fit<'_>) -> Completions {
        let whole = fit(place.typed);
        let listed = |mut candidates: Vec<Candidate>| {
            candidates.retain(|candidate| whole.fits(&candidate.label));
            whole.sort(&mut candidates);
            Completions {
                start: place.start,
                candidates,
            }
        };
        if let Some(keys) = self.indexed(place) {
            let key = |(key, summary): &Field| Candidate::quoted(key, true, summary);
            return listed(keys.iter().map(key).collect());
        }
        if let Some(call) = open_call(place.page.text, place.page.tokens)
            && let Some(keys) = self.entries(place.page, &call)
        {
            let key = |key: Candidate| Candidate::quoted(&key.label, true, &key.summary);
            return listed(keys.into_iter().map(key).collect());
        }
        if self.is_import(place) {
            return self.files(place, fit, &["rhai"]);
        }
        let Some(kind) = self.kind_at(place) else {
            return self.files(place, fit, &[]);
        };
        let kinds = kind.parts();
        let known = kind.words(self.host());
        let word = |word: &String| Candidate::quoted(word, true, "");
        let mut words = listed(known.iter().map(word).collect());
        let endings = kind.endings();
        let text = kinds
            .iter()
            .all(|kind| matches!(kind, Kind::Text | Kind::Any));
        if (words.candidates.is_empty() && text) || endings.is_some() {
            let files = self.files(place, fit, endings.unwrap_or(&[]));
            if words.candidates.is_empty() {
                return files;
            }
            if files.start == words.start {
                words.candidates.extend(files.candidates);
            }
        }
        words
    }

    /// The keys of what is indexed: `map["`.
    fn indexed(&self, place: &Place) -> Option<Vec<Field>> {
        let page = place.page;
        let (bracket, head) = page.tokens.split_last()?;
        if &page.text[bracket.start..bracket.end] != "[" {
            return None;
        }
        let shape = self.shape_before(page, head.len());
        (!shape.keys.is_empty()).then_some(shape.keys)
    }

    fn is_import(&self, place: &Place) -> bool {
        let page = place.page;
        let last = page.tokens.last();
        last.is_some_and(|token| &page.text[token.start..token.end] == "import")
    }

    fn files(&self, place: &Place, fit: fn(&str) -> Fit<'_>, endings: &[&str]) -> Completions {
        let typed = place.typed;
        let (folder, name) = typed
            .rfind('/')
            .map_or(("", typed), |at| typed.split_at(at + 1));
        let path = self.host().resolve(folder);
        let mut candidates = entries(&path, fit(name), name.starts_with('.'), endings);
        if endings == ["rhai"] {
            // An import leaves the ending out.
            for file in candidates.iter_mut().filter(|c| c.thing == Thing::File) {
                file.text = file.text.replace(".rhai\"", "\"");
            }
        }
        Completions {
            start: place.start + folder.len(),
            candidates,
        }
    }
}

//! The names that can stand at a place: variables, functions, members, what a module holds.

use rhai::{Dynamic, ScriptFuncDef};

use super::Session;
use super::candidates::{Candidate, Thing};
use super::complete::Place;
use super::inspect::comment_line;
use super::lexer::keywords;
use super::matching::Fit;
use super::outline::{Function, outline};
use super::shape::Field;
use crate::host::Kind;
use crate::host::builtins::Builtin;
use crate::host::function::{Form, ScriptFn};

/// Characters of a value beside a variable's name.
const VALUE: usize = 60;

impl Session {
    /// Variables, functions of scripts, ours, the language's; what a parameter accepts comes first.
    pub(super) fn names(&self, place: &Place, fit: Fit, kind: Option<Kind>) -> Vec<Candidate> {
        let mut found = self.visible_variables(place, fit, kind);
        found.extend(self.script_functions(place));
        let aliases = place.page.outline.imports.iter().map(|import| import.alias);
        let live = self.modules().iter().map(|(alias, _)| alias.as_str());
        let module = |alias| Candidate::new(Thing::Module, format!("{alias}::"), alias, "");
        found.extend(aliases.chain(live).map(module));
        let mut ours: Vec<&ScriptFn> = self
            .host()
            .registry()
            .functions
            .iter()
            .map(|f| &**f)
            .collect();
        ours.retain(|f| f.form == Form::Function && fit.fits(f.name));
        ours.sort_by_key(|f| f.name);
        found.extend(ours.into_iter().map(Candidate::of_function));
        found.extend(keywords().iter().map(|word| Candidate::word(word)));
        // The language has hundreds of functions: they are offered once something is typed.
        if !place.typed.is_empty() {
            let fits = |builtin: &&Builtin| fit.fits(&builtin.name) && !builtin.is_method();
            found.extend(
                self.builtins()
                    .iter()
                    .filter(fits)
                    .map(Candidate::of_builtin),
            );
        }
        found
    }

    fn visible_variables(&self, place: &Place, fit: Fit, kind: Option<Kind>) -> Vec<Candidate> {
        let page = place.page;
        let in_sight = page.outline.in_sight(page.text.len());
        let written = in_sight.filter(|v| v.declared && fit.fits(v.name));
        let of_text = written.map(|variable| {
            let id = self.origin(page, variable, 4).id;
            let kind = id.and_then(|id| self.type_text(id)).unwrap_or("");
            Candidate::new(Thing::Variable, variable.name, variable.name, kind)
        });
        let mut found: Vec<Candidate> = of_text.collect();
        let fits = |(name, _): &(&str, &Dynamic)| fit.fits(name);
        let mut live: Vec<(&str, &Dynamic)> = self.variables().filter(fits).collect();
        let wanted = kind.filter(|kind| {
            kind.parts()
                .iter()
                .any(|k| matches!(k, Kind::Object { .. }))
        });
        live.sort_by_key(|(_, value)| wanted.is_some_and(|kind| !kind.accepts(value)));
        found.extend(live.into_iter().map(|(name, value)| {
            Candidate::new(Thing::Variable, name, name, self.value_line(value, VALUE))
        }));
        let history = ["In", "Out"]
            .map(|name| Candidate::new(Thing::Variable, name, name, "Cells, by number."));
        found.extend(history);
        found
    }

    /// Functions of the text itself and of earlier cells.
    fn script_functions(&self, place: &Place) -> Vec<Candidate> {
        let (outline, _) = outline(place.source.text);
        let mut found: Vec<Candidate> = outline.functions.iter().map(of_text).collect();
        let earlier = self.functions().iter_functions();
        let earlier = earlier.filter(|f| !f.name.starts_with("anon$"));
        found.extend(
            earlier.map(|f| Candidate::of_script(f.name, &f.params, &comment_line(&f.comments))),
        );
        found
    }

    /// What can follow a dot: keys of a map, properties and methods, the language's methods.
    pub(super) fn members(&self, place: &Place, end: usize) -> Vec<Candidate> {
        let shape = self.shape_before(place.page, end);
        let plain = |(key, _): &&Field| key.chars().all(|c| c.is_alphanumeric() || c == '_');
        let keys = shape
            .keys
            .iter()
            .filter(plain)
            .map(|field| self.field(shape.value.as_ref(), field));
        let mut found: Vec<Candidate> = keys.collect();
        let registry = self.host().registry();
        let mut ours: Vec<&ScriptFn> = registry.functions.iter().map(|f| &**f).collect();
        ours.retain(|f| matches!(f.form, Form::Method | Form::Property));
        ours.retain(|f| {
            f.receiver
                .is_some_and(|r| shape.id.is_none_or(|id| r.id == id))
        });
        ours.sort_by_key(|f| (f.form != Form::Property, f.name));
        found.extend(ours.into_iter().map(Candidate::of_function));
        let own = |id| registry.types.iter().any(|entry| entry.id == id);
        let known = shape.id.filter(|id| !own(*id));
        let fits = |builtin: &&Builtin| builtin.receiver.is_some() && builtin.receiver == known;
        let builtins = self.builtins().iter().filter(fits);
        found.extend(builtins.map(Candidate::of_builtin_method));
        found
    }

    /// A key of a map with its value, or else its sentence.
    fn field(&self, map: Option<&Dynamic>, (key, summary): &Field) -> Candidate {
        let map = map.and_then(|map| map.read_lock::<rhai::Map>());
        let value = map.as_ref().and_then(|map| map.get(key.as_str()));
        let value = value.map(|value| self.value_line(value, VALUE));
        Candidate::of_field(key, value.as_deref().unwrap_or(summary))
    }

    /// Functions and constants of an imported module: of its file where the text imports it, else of the session.
    pub(super) fn module_members(&self, place: &Place, alias: &str) -> Vec<Candidate> {
        let imports = &place.page.outline.imports;
        if let Some(import) = imports.iter().rev().find(|import| import.alias == alias)
            && let Some((_, text)) = self.module_text(place.source.file, import.path)
        {
            return of_module(&text);
        }
        let Some((_, module)) = self.modules().iter().find(|(known, _)| known == alias) else {
            return Vec::new();
        };
        let function = |(_, _, _, _, f): (_, _, &str, usize, &rhai::Shared<ScriptFuncDef>)| {
            let params: Vec<&str> = f.params.iter().map(|name| name.as_str()).collect();
            let docs: Vec<&str> = f.comments.iter().map(AsRef::as_ref).collect();
            Candidate::of_script(&f.name, &params, &comment_line(&docs))
        };
        let mut found: Vec<Candidate> = module.iter_script_fn_info().map(function).collect();
        found.extend(module.iter_var().map(|(name, value)| {
            Candidate::new(Thing::Variable, name, name, self.value_line(value, VALUE))
        }));
        found.sort_by(|a, b| a.label.cmp(&b.label));
        found
    }
}

fn of_text(function: &Function) -> Candidate {
    let summary = function.docs.lines().next().unwrap_or("");
    Candidate::of_script(function.name, &function.params, summary)
}

/// What a module's file offers.
fn of_module(text: &str) -> Vec<Candidate> {
    let (outline, _) = outline(text);
    let public = outline.functions.iter().filter(|f| !f.private);
    let mut found: Vec<Candidate> = public.map(of_text).collect();
    let exported = outline.variables.iter().filter(|v| v.global && v.exported);
    found.extend(exported.map(|v| Candidate::new(Thing::Variable, v.name, v.name, "")));
    found
}

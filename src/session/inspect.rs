//! `name?`, the signature under the cursor, `%who`: what the session knows about a name.

use rhai::Dynamic;

use super::Session;
use super::cursor::open_call;
use super::lexer::{Kind, Token, lex};
use super::outline::outline;
use super::shape::Page;
use crate::diag::Result;
use crate::host::builtins::Builtin;
use crate::host::help::{self, Depth};
use crate::host::show;
use crate::report::{Cell, Column, Table};

impl Session {
    /// What a call of a function, method or property needs; what a variable, type or topic is.
    ///
    /// # Errors
    /// Nothing has that name; the nearest name is the hint.
    pub fn inspect(&self, name: &str) -> Result<String> {
        self.told(name.trim(), Depth::Short)
    }

    /// All that is known of a name: details and every example, the text of a script's function.
    ///
    /// # Errors
    /// Nothing has that name; the nearest name is the hint.
    pub fn inspect_fully(&self, name: &str) -> Result<String> {
        self.told(name.trim(), Depth::Full)
    }

    fn told(&self, name: &str, depth: Depth) -> Result<String> {
        let registry = self.host().registry();
        let about = |name: &str| help::about(registry, self.builtins(), name, depth);
        let value = |name: &str| self.variables().find(|(known, _)| *known == name);
        if let Some((_, value)) = value(name) {
            let kind = show::type_name(value);
            let members = match registry.type_of(value) {
                Some(entry) => format!("\n{}", about(entry.name)?),
                None => String::new(),
            };
            let line = self.value_line(value, 200);
            return Ok(format!("{name}: {kind} = {line}{members}"));
        }
        let scripts: Vec<String> = self
            .functions()
            .iter_functions()
            .filter(|function| function.name == name)
            .map(|f| self.describe_function(name, &f.params, &f.comments, depth))
            .collect();
        if !scripts.is_empty() {
            return Ok(scripts.join("\n"));
        }
        if let Some((owner, member)) = name.rsplit_once('.')
            && let Some((_, value)) = value(owner)
        {
            return match registry.type_of(value) {
                Some(entry) => about(&format!("{}.{member}", entry.name)),
                None => self
                    .told_of_method(value, member)
                    .map_or_else(|| about(member), Ok),
            };
        }
        about(name)
    }

    /// A method of the language on a value.
    fn told_of_method(&self, value: &Dynamic, name: &str) -> Option<String> {
        let fits =
            |builtin: &&Builtin| builtin.name == name && builtin.receiver == Some(value.type_id());
        let texts = self.builtins().iter().filter(fits).map(help::builtin_text);
        let texts: Vec<String> = texts.collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }

    fn describe_function(
        &self,
        name: &str,
        params: &[&str],
        comments: &[&str],
        depth: Depth,
    ) -> String {
        let place = self.sources.functions.get(name).map_or("", String::as_str);
        let signature = format!("{name}({})  defined in {place}", params.join(", "));
        let source = match depth {
            Depth::Full => self.source_of(name, place),
            Depth::Short => String::new(),
        };
        let parts = [comment_text(comments), source];
        let parts = parts.iter().filter(|part| !part.is_empty());
        parts.fold(signature, |text, part| format!("{text}\n{part}"))
    }

    /// The text of the definition of one of the session's functions.
    pub(super) fn function_source(&self, name: &str) -> Option<String> {
        let place = self.sources.functions.get(name)?;
        Some(self.source_of(name, place)).filter(|text| !text.is_empty())
    }

    /// The text of a function's definition.
    fn source_of(&self, name: &str, place: &str) -> String {
        let text = self.sources.texts.get(place).map_or("", String::as_str);
        let tokens = lex(text);
        let word = |token: &Token| &text[token.start..token.end];
        let named = |token: &Token| token.kind == Kind::Call && word(token) == name;
        let before = tokens
            .iter()
            .rposition(named)
            .map_or(&[][..], |at| &tokens[..at]);
        let Some(start) = before.iter().rposition(|token| word(token) == "fn") else {
            return String::new();
        };
        let mut depth = 0_usize;
        for token in &tokens[start..] {
            match (token.kind, word(token)) {
                (Kind::Open, "{") => depth += 1,
                (Kind::Close, "}") if depth == 1 => {
                    return text[tokens[start].start..token.end].to_string();
                }
                (Kind::Close, "}") => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        String::new()
    }

    /// The parameters still to come of the call that the cursor, at the end of the text, is in.
    pub fn call_hint(&self, text: &str) -> Option<String> {
        let (outline, tokens) = outline(text);
        if tokens.last().is_some_and(|token| token.open) {
            return None;
        }
        let page = Page {
            text,
            tokens: &tokens,
            outline: &outline,
            sure: false,
        };
        let call = open_call(text, &tokens).filter(|call| call.map.is_none())?;
        let fresh = text.trim_end().ends_with(['(', ',']);
        let params: Vec<String> = match self.called(&call, page) {
            Some(function) => function.param_texts(),
            None => {
                let named = |name: &str| name == call.name;
                let function = self.functions().iter_functions().find(|f| named(f.name))?;
                function.params.iter().map(ToString::to_string).collect()
            }
        };
        let rest = params.get(call.argument + usize::from(!fresh)..)?;
        let rest = rest.join(", ");
        Some(match (fresh, rest.is_empty()) {
            (true, _) => format!("{rest})"),
            (false, true) => ")".into(),
            (false, false) => format!(", {rest})"),
        })
    }

    /// The session's variables: name, type, value.
    pub fn variable_table(&self) -> Result<Table> {
        let mut table = Table::new("", ["name", "type", "value"].map(Column::new));
        for (name, value) in self.variables() {
            let kind = show::type_name(value);
            table.push([name.to_string(), kind, self.value_line(value, 60)].map(Cell::from))?;
        }
        Ok(table)
    }

    /// One line for a value, cut to `width` characters.
    pub(super) fn value_line(&self, value: &Dynamic, width: usize) -> String {
        let line = show::line(self.host().registry(), value);
        match line.char_indices().nth(width) {
            Some((at, _)) => format!("{}…", &line[..at]),
            None => line,
        }
    }
}

/// A function's doc comment without its marks.
fn comment_text(comments: &[&str]) -> String {
    let lines = comments.iter().flat_map(|comment| comment.lines());
    let lines = lines.map(|line| line.trim_start_matches(['/', '*']).trim());
    lines.collect::<Vec<_>>().join("\n").trim().to_string()
}

/// The first line of a function's doc comment.
pub(super) fn comment_line(comments: &[&str]) -> String {
    let text = comment_text(comments);
    text.lines().next().unwrap_or("").to_string()
}

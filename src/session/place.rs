//! What stands at a place of a text, for editors: what is known of it, where it is defined, the call around it.

use std::path::PathBuf;

use super::Session;
use super::chain::dots;
use super::cursor::{OpenCall, open_call};
use super::lexer::{Kind, Token};
use super::manual;
use super::outline::{Function, Outline, Variable, outline};
use super::shape::Page;
use crate::host::builtins::Builtin;
use crate::host::function::ScriptFn;

/// A text as an editor has it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The file it is saved in: imports are looked up beside it.
    pub file: Option<&'a str>,
    pub text: &'a str,
}

/// What is known of what stands at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Markdown.
    pub text: String,
    /// The bytes it is about.
    pub span: (usize, usize),
}

/// Where something is defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The file, and its text; nothing where it is the text asked about.
    pub file: Option<(PathBuf, String)>,
    /// The bytes of its name.
    pub span: (usize, usize),
}

/// The call that the cursor is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub label: String,
    pub summary: String,
    /// Each as it stands in the label, with a sentence.
    pub params: Vec<(String, String)>,
    pub active: usize,
}

/// Something that a text declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    pub name: String,
    pub detail: String,
    pub is_function: bool,
    /// The bytes of the name.
    pub at: (usize, usize),
    /// The bytes of the whole.
    pub span: (usize, usize),
}

/// Functions and the variables outside of them, in the order of the text.
pub fn symbols(text: &str) -> Vec<Symbol> {
    let (outline, _) = outline(text);
    let functions = outline.functions.iter().map(|f| Symbol {
        name: f.name.into(),
        detail: f.signature(),
        is_function: true,
        at: f.at,
        span: (f.span.0, f.span.1.min(text.len())),
    });
    let globals = outline.variables.iter().filter(|v| v.global && v.declared);
    let variables = globals.map(|v| Symbol {
        name: v.name.into(),
        detail: String::new(),
        is_function: false,
        at: v.at,
        span: v.at,
    });
    let mut found: Vec<Symbol> = functions.chain(variables).collect();
    found.sort_by_key(|symbol| symbol.span.0);
    found
}

/// A name in a text.
struct Word<'a> {
    page: Page<'a>,
    token: Token,
    /// Its index.
    at: usize,
    name: &'a str,
    /// How many tokens are the dot before it.
    dot: usize,
    /// The module before its `::`.
    alias: Option<&'a str>,
}

impl<'a> Word<'a> {
    fn find(
        text: &'a str,
        tokens: &'a [Token],
        outline: &'a Outline<'a>,
        byte: usize,
    ) -> Option<Self> {
        let named = |token: &Token| matches!(token.kind, Kind::Name | Kind::Call);
        let touches = |token: &Token| token.start <= byte && byte <= token.end;
        let at = tokens
            .iter()
            .position(|token| named(token) && touches(token))?;
        let page = Page {
            text,
            tokens,
            outline,
            sure: false,
        };
        let word = |at: usize| &text[tokens[at].start..tokens[at].end];
        let colons = at >= 3 && word(at - 1) == ":" && word(at - 2) == ":";
        Some(Self {
            page,
            token: tokens[at],
            at,
            name: word(at),
            dot: dots(text, &tokens[..at]),
            alias: colons.then(|| word(at - 3)),
        })
    }

    fn function(&self) -> Option<&'a Function<'a>> {
        let mut functions = self.page.outline.functions.iter();
        functions.find(|f| f.name == self.name)
    }

    fn variable(&self) -> Option<&'a Variable<'a>> {
        let outline = self.page.outline;
        let declared = |v: &&Variable| v.declared && v.name == self.name;
        outline.in_sight(self.token.end).find(declared)
    }
}

impl Session {
    /// What is known of the name at a byte.
    pub fn hover(&self, source: Source, byte: usize) -> Option<Told> {
        let (outline, tokens) = outline(source.text);
        let word = Word::find(source.text, &tokens, &outline, byte)?;
        let text = match word.alias {
            Some(alias) => self.told_of_module(source, &word, alias)?,
            None if word.dot > 0 => self.told_of_member(&word)?,
            None => self.told_of_name(&word)?,
        };
        let span = (word.token.start, word.token.end);
        let text = modest(&text);
        Some(Told { text, span })
    }

    fn told_of_module(&self, source: Source, word: &Word, alias: &str) -> Option<String> {
        let (_, text) = self.imported(source, word.page.outline, alias)?;
        let (module, _) = outline(&text);
        let function = module.functions.iter().find(|f| f.name == word.name)?;
        Some(of_script(function))
    }

    /// A method or property of what stands before the dot.
    fn told_of_member(&self, word: &Word) -> Option<String> {
        let id = self.shape_before(word.page, word.at - word.dot).id;
        let mut named = self.host().registry().named(word.name);
        let fits = |f: &&ScriptFn| f.receiver.is_none_or(|r| id.is_none_or(|id| r.id == id));
        if let Some(function) = named.find(fits) {
            return Some(manual::markdown(function));
        }
        let fits = |b: &&Builtin| b.name == word.name && (id.is_none() || b.receiver == id);
        self.builtins().iter().find(fits).map(of_builtin)
    }

    fn told_of_name(&self, word: &Word) -> Option<String> {
        if let Some(told) = self.told_of_key(word) {
            return Some(told);
        }
        if let Some(variable) = word.variable() {
            let id = self.origin(word.page, variable, 8).id;
            let kind = id.and_then(|id| self.type_text(id));
            let kind = kind.map_or(String::new(), |kind| format!(": {kind}"));
            return Some(fenced(&format!("let {}{kind}", word.name)));
        }
        if let Some(function) = word.function() {
            return Some(of_script(function));
        }
        if let Some(function) = self.host().registry().named(word.name).next() {
            return Some(manual::markdown(function));
        }
        let mut builtins = self.builtins().iter();
        builtins.find(|b| b.name == word.name).map(of_builtin)
    }

    /// The key of an option map.
    fn told_of_key(&self, word: &Word) -> Option<String> {
        let page = word.page;
        let before = page.tokens.get(..word.at)?;
        let after = page.tokens.get(word.at + 1)?;
        if &page.text[after.start..after.end] != ":" {
            return None;
        }
        let call = open_call(page.text, before).filter(|call| call.map.is_some())?;
        let function = self.called(&call, page)?;
        let key = function.keys.iter().find(|key| key.name == word.name)?;
        Some(manual::markdown_of_key(key))
    }

    /// Where the name at a byte is defined, if in a script; the file of an import.
    pub fn definition(&self, source: Source, byte: usize) -> Option<Definition> {
        let (outline, tokens) = outline(source.text);
        let inside = |(start, end): (usize, usize)| start <= byte && byte <= end;
        if let Some(import) = outline.imports.iter().find(|import| inside(import.at)) {
            let file = self.module_text(source.file, import.path)?;
            return Some(Definition {
                file: Some(file),
                span: (0, 0),
            });
        }
        let word = Word::find(source.text, &tokens, &outline, byte)?;
        if let Some(alias) = word.alias {
            let (file, text) = self.imported(source, &outline, alias)?;
            let (module, _) = super::outline::outline(&text);
            let function = module
                .functions
                .iter()
                .find(|f| f.name == word.name)
                .map(|f| f.at);
            let variable = || {
                module
                    .variables
                    .iter()
                    .find(|v| v.name == word.name)
                    .map(|v| v.at)
            };
            let span = function.or_else(variable)?;
            return Some(Definition {
                file: Some((file, text)),
                span,
            });
        }
        if word.dot > 0 {
            return None;
        }
        let here = word.variable().map(|v| v.at);
        let span = here.or_else(|| word.function().map(|f| f.at))?;
        Some(Definition { file: None, span })
    }

    /// The file of an imported module, and its text.
    fn imported(
        &self,
        source: Source,
        outline: &Outline,
        alias: &str,
    ) -> Option<(PathBuf, String)> {
        let mut imports = outline.imports.iter().rev();
        let import = imports.find(|import| import.alias == alias)?;
        self.module_text(source.file, import.path)
    }

    /// The call that the cursor at a byte is in.
    pub fn signature(&self, source: Source, byte: usize) -> Option<Signature> {
        let text = source.text.get(..byte)?;
        let (outline, tokens) = outline(text);
        let page = Page {
            text,
            tokens: &tokens,
            outline: &outline,
            sure: false,
        };
        let call = open_call(text, &tokens)?;
        if let Some(function) = self.called(&call, page) {
            return Some(of_ours(function, &call));
        }
        let (whole, _) = super::outline::outline(source.text);
        let function = whole.functions.iter().find(|f| f.name == call.name)?;
        let params = function
            .params
            .iter()
            .map(|param| (param.to_string(), String::new()));
        Some(Signature {
            label: function.signature(),
            summary: function.docs.clone(),
            params: params.collect(),
            active: call.argument,
        })
    }
}

fn of_ours(function: &ScriptFn, call: &OpenCall) -> Signature {
    let texts = function.param_texts().into_iter().enumerate();
    let summary = |at: usize| {
        function
            .params
            .get(at)
            .map_or("Options.", |param| param.summary)
    };
    let params: Vec<_> = texts
        .map(|(at, text)| (text, summary(at).to_string()))
        .collect();
    let last = params.len().saturating_sub(1);
    Signature {
        label: function.signature(),
        summary: function.summary.into(),
        active: if call.map.is_some() {
            last
        } else {
            call.argument.min(last)
        },
        params,
    }
}

/// Headings as bold words: editors show them in a small box.
fn modest(markdown: &str) -> String {
    let lines = markdown
        .split('\n')
        .map(|line| match line.strip_prefix("# ") {
            Some(title) => format!("**{title}**"),
            None => line.to_string(),
        });
    lines.collect::<Vec<String>>().join("\n")
}

fn fenced(code: &str) -> String {
    format!("```rhai\n{code}\n```\n")
}

fn of_script(function: &Function) -> String {
    format!(
        "{}\n{}",
        fenced(&format!("fn {}", function.signature())),
        function.docs
    )
}

fn of_builtin(builtin: &Builtin) -> String {
    format!("{}\n{}", fenced(&builtin.signature), builtin.text)
}

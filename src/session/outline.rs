//! What a text declares: functions, variables in sight, imports; of finished and unfinished code alike.

use super::lexer::{Kind, Token, significant};

/// What stands in a text.
#[derive(Debug, Default)]
pub(crate) struct Outline<'a> {
    pub functions: Vec<Function<'a>>,
    pub variables: Vec<Variable<'a>>,
    pub imports: Vec<Import<'a>>,
}

/// `fn name(params) { .. }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function<'a> {
    pub name: &'a str,
    pub params: Vec<&'a str>,
    /// The doc comment without its marks.
    pub docs: String,
    /// The bytes of the name.
    pub at: (usize, usize),
    /// The bytes of the whole definition.
    pub span: (usize, usize),
    pub private: bool,
}

impl Function<'_> {
    /// `name(a, b)`
    pub fn signature(&self) -> String {
        format!("{}({})", self.name, self.params.join(", "))
    }
}

/// `let name = ..` and the other ways to a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable<'a> {
    pub name: &'a str,
    /// The bytes of the name.
    pub at: (usize, usize),
    pub from: From,
    /// The byte where its scope ends.
    pub until: usize,
    /// Whether it is declared here, rather than given another value.
    pub declared: bool,
    /// Outside of every bracket and function.
    pub global: bool,
    /// Whether a module shows it to those that import it.
    pub exported: bool,
    /// The function that it belongs to, counted from 1; 0 outside.
    pub function: usize,
}

impl Outline<'_> {
    /// The functions around a byte, the innermost counted from 1; 0 outside of all.
    pub fn function_at(&self, byte: usize) -> usize {
        let mut functions = self.functions.iter();
        let inside = |f: &Function| f.at.1 <= byte && byte < f.span.1;
        functions.rposition(inside).map_or(0, |at| at + 1)
    }

    /// The variables that are in sight at a byte, the nearest first.
    pub fn in_sight(&self, byte: usize) -> impl Iterator<Item = &Variable<'_>> {
        let function = self.function_at(byte);
        let variables = self.variables.iter().rev();
        variables.filter(move |v| v.at.1 <= byte && byte <= v.until && v.function == function)
    }
}

/// Where a variable's value comes from: indices of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    Unknown,
    /// The tokens of an expression.
    Value(usize, usize),
    /// One after the other of what an expression gives.
    Each(usize, usize),
    /// What a function is called with that begins at a token and is the value of a key.
    Given(usize),
    /// `catch (e)`
    Error,
}

/// `import "path" as alias`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Import<'a> {
    pub path: &'a str,
    pub alias: &'a str,
    /// The bytes of the path between its quotes.
    pub at: (usize, usize),
}

/// The outline of a text, and its tokens without space and comments.
pub(crate) fn outline(text: &str) -> (Outline<'_>, Vec<Token>) {
    let tokens = significant(text);
    let mut scanner = Scanner {
        text,
        tokens: &tokens,
        found: Outline::default(),
        open: Vec::new(),
        pending: Vec::new(),
        defining: None,
    };
    for at in 0..tokens.len() {
        scanner.step(at);
    }
    (scanner.found, tokens)
}

struct Scanner<'a, 't> {
    text: &'a str,
    tokens: &'t [Token],
    found: Outline<'a>,
    open: Vec<Scope>,
    /// Variables of the block that opens next: name's token and origin.
    pending: Vec<(usize, From)>,
    /// The function whose body opens next.
    defining: Option<usize>,
}

struct Scope {
    /// How many variables there were before it.
    variables: usize,
    function: usize,
    /// It ends this definition.
    ends: Option<usize>,
}

impl<'a> Scanner<'a, '_> {
    fn word(&self, at: usize) -> &'a str {
        self.tokens
            .get(at)
            .map_or("", |token| &self.text[token.start..token.end])
    }

    fn is_name(&self, at: usize) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|token| token.kind == Kind::Name)
    }

    fn function(&self) -> usize {
        self.open.last().map_or(0, |scope| scope.function)
    }

    fn step(&mut self, at: usize) {
        match (self.tokens[at].kind, self.word(at)) {
            (Kind::Open, bracket) => self.opened(bracket),
            (Kind::Close, _) => self.closed(at),
            (Kind::Keyword, "fn") => self.define(at),
            (Kind::Keyword, "let" | "const") if self.is_name(at + 1) => {
                let from = match self.word(at + 2) {
                    "=" => From::Value(at + 3, self.end_of(at + 3, ";")),
                    _ => From::Unknown,
                };
                self.declare(at + 1, from, true);
            }
            (Kind::Keyword, "for") => self.for_loop(at),
            (Kind::Keyword, "catch") if self.is_name(at + 2) => {
                self.pending.push((at + 2, From::Error));
            }
            (Kind::Keyword, "import") => self.import(at),
            (Kind::Keyword, "export") if self.is_name(at + 1) => self.export(at),
            (Kind::Operator, "|") => self.closure(at),
            (Kind::Name, _) if self.is_assigned(at) => {
                self.declare(at, From::Value(at + 2, self.end_of(at + 2, ";")), false);
            }
            _ => {}
        }
    }

    fn opened(&mut self, bracket: &str) {
        let block = bracket == "{";
        let body = block.then(|| self.defining.take()).flatten();
        self.open.push(Scope {
            variables: self.found.variables.len(),
            function: body.map_or(self.function(), |body| body + 1),
            ends: body,
        });
        if block {
            for (at, from) in std::mem::take(&mut self.pending) {
                self.declare(at, from, true);
            }
        }
    }

    fn closed(&mut self, at: usize) {
        let Some(scope) = self.open.pop() else { return };
        let end = self.tokens[at].start;
        for variable in &mut self.found.variables[scope.variables..] {
            variable.until = variable.until.min(end);
        }
        if let Some(function) = scope.ends {
            self.found.functions[function].span.1 = self.tokens[at].end;
        }
    }

    fn declare(&mut self, at: usize, from: From, declared: bool) {
        let token = self.tokens[at];
        let variable = Variable {
            name: self.word(at),
            at: (token.start, token.end),
            from,
            until: usize::MAX,
            declared,
            global: self.open.is_empty(),
            exported: at >= 2 && self.word(at - 2) == "export",
            function: self.function(),
        };
        self.found.variables.push(variable);
    }

    /// `fn name(a, b)`; the body opens later.
    fn define(&mut self, at: usize) {
        let Some(name) = self.tokens.get(at + 1).copied() else {
            return;
        };
        if !matches!(name.kind, Kind::Name | Kind::Call) {
            return;
        }
        let close = self.end_of(at + 3, ")");
        let params: Vec<usize> = (at + 3..close).filter(|at| self.is_name(*at)).collect();
        let private = at > 0 && self.word(at - 1) == "private";
        let start = self.tokens[at - usize::from(private)].start;
        self.found.functions.push(Function {
            name: self.word(at + 1),
            params: params.iter().map(|at| self.word(*at)).collect(),
            docs: docs_before(self.text, start),
            at: (name.start, name.end),
            span: (start, usize::MAX),
            private,
        });
        self.defining = Some(self.found.functions.len() - 1);
        self.pending = params.into_iter().map(|at| (at, From::Unknown)).collect();
    }

    /// `for name in ..`, `for (name, count) in ..`
    fn for_loop(&mut self, at: usize) {
        let (name, count) = match self.word(at + 1) {
            "(" => (at + 2, Some(at + 4)),
            _ => (at + 1, None),
        };
        let after = count.map_or(name + 1, |count| count + 2);
        if !self.is_name(name) || self.word(after) != "in" {
            return;
        }
        let each = From::Each(after + 1, self.end_of(after + 1, "{"));
        self.pending.push((name, each));
        let count = count.filter(|at| self.is_name(*at));
        self.pending.extend(count.map(|at| (at, From::Unknown)));
    }

    /// `export name`, `export name as other` of what is declared before.
    fn export(&mut self, at: usize) {
        if self.word(at + 2) == "as" && self.is_name(at + 3) {
            self.declare(at + 3, From::Unknown, false);
            if let Some(other) = self.found.variables.last_mut() {
                (other.exported, other.until) = (true, other.at.1);
            }
            return;
        }
        let name = self.word(at + 1);
        let mut variables = self.found.variables.iter_mut().rev();
        if let Some(variable) = variables.find(|v| v.declared && v.name == name) {
            variable.exported = true;
        }
    }

    fn import(&mut self, at: usize) {
        let Some(path) = self
            .tokens
            .get(at + 1)
            .filter(|token| token.kind == Kind::Text)
        else {
            return;
        };
        if self.word(at + 2) == "as" && self.is_name(at + 3) {
            let (start, end) = (
                path.start + 1,
                path.end.saturating_sub(1).max(path.start + 1),
            );
            self.found.imports.push(Import {
                path: self.text.get(start..end).unwrap_or(""),
                alias: self.word(at + 3),
                at: (start, end),
            });
        }
    }

    /// `|a, b|` where a value may begin; what a method is called with meets its receiver's elements.
    fn closure(&mut self, at: usize) {
        let before = at.checked_sub(1).map_or("(", |at| self.word(at));
        let begins = matches!(
            before,
            "(" | "[" | "," | "=" | ":" | ">" | "return" | "{" | ";"
        );
        let params: Vec<usize> = (at + 1..self.tokens.len())
            .take_while(|at| self.is_name(*at) || self.word(*at) == ",")
            .filter(|at| self.is_name(*at))
            .collect();
        let after = params.last().map_or(at + 1, |last| last + 1);
        if !begins || params.is_empty() || self.word(after) != "|" {
            return;
        }
        let dot = before == "(" && at >= 4 && self.word(at - 3) == ".";
        for (index, name) in params.into_iter().enumerate() {
            let from = match (dot, index) {
                (true, 0) => From::Each(0, at - 3),
                (false, 0) if before == ":" => From::Given(at),
                _ => From::Unknown,
            };
            self.declare(name, from, true);
        }
    }

    /// `name = ..` at the start of a statement.
    fn is_assigned(&self, at: usize) -> bool {
        let before = at.checked_sub(1).map_or(";", |at| self.word(at));
        matches!(before, ";" | "{" | "}")
            && self.word(at + 1) == "="
            && !matches!(self.word(at + 2), "=" | ">")
    }

    /// The first token from `at` on that is `end` or closes more than was opened.
    fn end_of(&self, at: usize, end: &str) -> usize {
        let mut depth = 0_usize;
        for index in at..self.tokens.len() {
            if depth == 0 && self.word(index) == end {
                return index;
            }
            match self.tokens[index].kind {
                Kind::Open => depth += 1,
                Kind::Close if depth == 0 => return index,
                Kind::Close => depth -= 1,
                _ => {}
            }
        }
        self.tokens.len()
    }
}

/// The `///` lines that end just before byte `at`, without their marks.
fn docs_before(text: &str, at: usize) -> String {
    let line_start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let above = text[..line_start].lines().rev();
    let mut lines: Vec<&str> = above
        .map(str::trim_start)
        .take_while(|line| line.starts_with("///"))
        .map(|line| line.trim_start_matches('/').trim())
        .collect();
    lines.reverse();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The variables in sight at the end of the text, with the text of their origins.
    fn check(text: &str, expected: &str) {
        let (outline, tokens) = outline(text);
        let part = |from: usize, to: usize| &text[tokens[from].start..tokens[to - 1].end];
        let mut seen: Vec<&Variable> = outline.in_sight(text.len()).collect();
        seen.reverse();
        let shown = seen.into_iter().map(|v| match v.from {
            From::Value(a, b) if a < b => format!("{} = {}", v.name, part(a, b)),
            From::Each(a, b) if a < b => format!("{} in {}", v.name, part(a, b)),
            _ => v.name.to_string(),
        });
        assert_eq!(shown.collect::<Vec<_>>().join("; "), expected, "{text}");
    }

    #[test]
    fn variables_in_sight() {
        check(
            "let a = load(\"x\"); const b = a.c;",
            "a = load(\"x\"); b = a.c",
        );
        check("if x { let a = 1; } let b = 2;", "b = 2");
        check("let a = 1; fn f(x, y) { let b = x; ", "x; y; b = x");
        check("let a = 1; fn f(x) { let b = x; } ", "a = 1");
        check("for (s, i) in all.list { ", "s in all.list; i");
        check("history.map(|m| m.", "m in history");
        check("history.map(|m| m.x); ", "");
        check("let f = |a, b| a", "f = |a, b| a; a; b");
        check("try { } catch (e) { e.", "e");
        check("let a = 1; a = [2]; a == 3;", "a = 1; a = [2]");
    }

    #[test]
    fn functions_and_imports() {
        let text = "import \"lib/x\" as x;\n/// One.\n/// Two.\nprivate fn f(a, b) { if a { b } }\nfn g() {}";
        let (outline, _) = outline(text);
        let import = outline.imports[0];
        assert_eq!((import.path, import.alias), ("lib/x", "x"));
        let [f, g] = &outline.functions[..] else {
            panic!("{outline:?}")
        };
        assert_eq!(
            (f.signature().as_str(), f.docs.as_str(), f.private),
            ("f(a, b)", "One.\nTwo.", true)
        );
        assert_eq!(
            &text[f.span.0..f.span.1],
            "private fn f(a, b) { if a { b } }"
        );
        assert_eq!(&text[g.span.0..g.span.1], "fn g() {}");
    }
}

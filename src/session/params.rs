//! What a script asks of its command line, known before it runs: its `param(..)` calls and its first comment.

use rhai::{ASTNode, Engine, Expr, Stmt};

use super::lexer::{Kind, lex};
use crate::diag::Error;
use crate::host::show;

/// The comment that ends a line.
fn remark(line: &str) -> &str {
    let tokens = lex(line);
    let comment = tokens.last().filter(|token| token.kind == Kind::Comment);
    comment.map_or("", |token| {
        line[token.start..token.end].trim_matches('/').trim()
    })
}

/// The parameters of a script.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params {
    /// The comment that opens the script.
    pub about: String,
    pub params: Vec<Param>,
    /// Whether the script may read arguments in other ways too: `args()`, imported modules, computed names.
    pub open: bool,
}

/// One `param("name", default, "summary")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    pub name: String,
    /// The type of the default.
    pub kind: String,
    /// The default as the script writes it, if it is a plain value.
    pub default: Option<String>,
    pub summary: String,
}

impl Params {
    /// Reads them off the code; code that does not compile has none, and is open.
    pub(super) fn read(engine: &Engine, code: &str) -> Self {
        let Ok(ast) = engine.compile(code) else {
            return Self {
                open: true,
                ..Self::default()
            };
        };
        let mut found = Self {
            about: about(code),
            ..Self::default()
        };
        ast.walk(&mut |nodes: &[ASTNode]| {
            match nodes.last() {
                Some(ASTNode::Stmt(Stmt::Import(..))) => found.open = true,
                Some(
                    ASTNode::Stmt(Stmt::FnCall(call, at)) | ASTNode::Expr(Expr::FnCall(call, at)),
                ) => {
                    let line = at.line().and_then(|line| code.lines().nth(line - 1));
                    found.note(&call.name, &call.args, remark(line.unwrap_or("")));
                }
                _ => {}
            }
            true
        });
        found
    }

    /// `remark` is the comment after the call.
    fn note(&mut self, function: &str, args: &[Expr], remark: &str) {
        match (function, args) {
            ("param", [Expr::StringConstant(name, _), rest @ ..]) => {
                let default = rest
                    .first()
                    .and_then(|default| default.get_literal_value(None));
                let summary = rest
                    .get(1)
                    .and_then(|summary| summary.get_literal_value(None));
                let summary = summary.and_then(|text| text.into_string().ok());
                self.params.push(Param {
                    name: name.to_string(),
                    kind: default.as_ref().map_or("value".into(), show::type_name),
                    default: default.map(|value| match value.as_immutable_string_ref() {
                        Ok(text) => format!("{:?}", text.as_str()),
                        Err(_) => value.to_string(),
                    }),
                    summary: summary.unwrap_or_else(|| remark.into()),
                });
            }
            ("param" | "args", _) => self.open = true,
            _ => {}
        }
    }

    /// An error for the first `--name` of the arguments that the script does not ask for.
    ///
    /// # Errors
    /// It names the nearest parameter.
    pub fn check(&self, args: &[String]) -> Result<(), Error> {
        if self.open {
            return Ok(());
        }
        let flags: Vec<String> = self
            .params
            .iter()
            .map(|param| format!("--{}", param.name))
            .collect();
        let given = args.iter().filter(|arg| arg.starts_with("--"));
        let mut names = given.map(|arg| arg.split('=').next().unwrap_or(arg));
        match names.find(|name| !flags.iter().any(|flag| flag == name)) {
            Some(name) => Err(Error::unknown(
                "parameter",
                name,
                flags.iter().map(String::as_str),
            )),
            None => Ok(()),
        }
    }

    /// What `script.rhai --help` shows; nothing of code that does not compile.
    pub fn help(&self) -> String {
        let usage = |param: &Param| format!("--{} <{}>", param.name, param.kind);
        let width = self
            .params
            .iter()
            .map(|param| usage(param).len())
            .max()
            .unwrap_or(0);
        let mut text = self.about.clone();
        if !self.params.is_empty() {
            text += if text.is_empty() {
                "Parameters:"
            } else {
                "\n\nParameters:"
            };
        }
        for param in &self.params {
            let default = param
                .default
                .as_ref()
                .map_or(String::new(), |text| format!(" (default {text})"));
            let line = format!("  {:<width$}  {}{default}", usage(param), param.summary);
            text += &format!("\n{}", line.trim_end());
        }
        match (self.open, text.is_empty()) {
            (false, true) => text += "It takes no parameters.",
            (true, false) => text += "\n\nIts modules, or args(), may take more.",
            _ => {}
        }
        text
    }
}

/// The comment lines that open the code, without their marks.
fn about(code: &str) -> String {
    let pieces = lex(code)
        .into_iter()
        .take_while(|token| matches!(token.kind, Kind::Space | Kind::Comment));
    let end = pieces.last().map_or(0, |token| token.end);
    let lines = code[..end]
        .lines()
        .skip_while(|line| line.starts_with("#!"));
    let lines = lines.take_while(|line| line.starts_with("//"));
    let texts: Vec<&str> = lines
        .map(|line| line.trim_start_matches('/').trim_start_matches('!').trim())
        .collect();
    texts.join("\n").trim().to_string()
}

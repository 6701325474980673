//! A Rust source file as tokens, without comments and literals; enough to see which paths it names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of `Cargo.toml`.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` that `wanted` accepts, in order of path; none if there is no such folder.
pub fn files(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(files(&path, wanted));
        } else if wanted(&path) {
            found.push(path);
        }
    }
    found
}

pub struct Source {
    /// Relative to the root, with `/`.
    path: String,
    code: String,
}

impl Source {
    pub fn read(path: &Path) -> Self {
        let relative = path.strip_prefix(root()).unwrap().to_str().unwrap();
        Self::new(
            &relative.replace('\\', "/"),
            &fs::read_to_string(path).unwrap(),
        )
    }

    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_string(),
            code: without_comments_and_literals(text),
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Names and keywords, `::` as one, every other character by itself.
    pub fn tokens(&self) -> Vec<&str> {
        let code = self.code.as_str();
        let mut tokens = Vec::new();
        let mut rest = code.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(&rest[..length]);
            rest = rest[length..].trim_start();
        }
        tokens
    }

    /// The segments from `src/` to this file: `["engine", "apple"]` for `src/engine/apple/mod.rs`.
    pub fn module(&self) -> Vec<&str> {
        let inner = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let inner = inner.strip_suffix(".rs").unwrap_or(inner);
        inner
            .strip_suffix("/mod")
            .unwrap_or(inner)
            .split('/')
            .collect()
    }

    /// Whether this file is `home`, a module such as `engine/apple`, or lies below it.
    pub fn is_in(&self, home: &str) -> bool {
        let home: Vec<&str> = home.split('/').collect();
        self.module().starts_with(&home)
    }

    /// Names at the root of the crate that this file reaches, by `crate::` or by enough `super::`.
    pub fn crate_names(&self) -> BTreeSet<&str> {
        let tokens = self.tokens();
        let depth = self.module().len();
        let mut names = BTreeSet::new();
        for (at, token) in tokens.iter().enumerate() {
            let after = match *token {
                "crate" if tokens.get(at + 1) == Some(&"::") => at + 2,
                "super" if at == 0 || tokens[at - 1] != "::" => {
                    let chain = tokens[at..]
                        .chunks(2)
                        .take_while(|pair| *pair == ["super", "::"]);
                    let supers = chain.count();
                    if supers < depth {
                        continue;
                    }
                    at + 2 * supers
                }
                _ => continue,
            };
            names.extend(heads(&tokens[after..]));
        }
        names
    }

    /// First segments of paths: of `rhai::Engine` and `use {rhai::Engine, a::b}`, `rhai`.
    pub fn path_roots(&self) -> BTreeSet<&str> {
        let tokens = self.tokens();
        let starts = |at: usize| at == 0 || tokens[at - 1] != "::";
        let follows = |at: usize| tokens.get(at + 1) == Some(&"::");
        (0..tokens.len())
            .filter(|at| starts(*at) && follows(*at))
            .map(|at| tokens[at])
            .collect()
    }
}

/// The first name of each path of a use tree: `a` of `a::b`; `a` and `c` of `{a::b, c::{d, e}}`.
fn heads<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    if tokens.first() != Some(&"{") {
        return tokens.first().copied().into_iter().collect();
    }
    let mut heads = Vec::new();
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "{" => depth += 1,
            "}" => depth -= 1,
            name if depth == 1 && matches!(tokens[at - 1], "{" | ",") => heads.push(name),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn without_comments_and_literals(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string_length(rest),
            'r' if !ends_in_word(&code) => raw_string_length(rest),
            '\'' => char_length(rest),
            _ => 0,
        };
        if skipped > 0 {
            code.push(' ');
            rest = &rest[skipped..];
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    code
}

fn ends_in_word(code: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    // The `b` of `br"..."` is no word of its own.
    let code = code.strip_suffix('b').unwrap_or(code);
    code.ends_with(word)
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// Of `r"..."` and `r#"..."#`; 0 if it is neither.
fn raw_string_length(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    let open = 1 + hashes;
    if !text[open..].starts_with('"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let inside = open + 1;
    text[inside..]
        .find(&close)
        .map_or(text.len(), |end| inside + end + close.len())
}

/// Of `'a'` and `'\n'`; 0 for a lifetime.
fn char_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

#[test]
fn paths_are_seen_and_words_are_not() {
    let text = r##"
        //! crate::comment
        use crate::{mil::{self, Program}, numeric::Array};
        use super::super::diag::Error;
        use super::sibling;
        fn f<'a>(x: &'a str) -> crate::weights::Blob { g("crate::text", r#"crate::raw "#, '"', '\'') }
        use rhai::Engine; // "
        type T = crate::data::Row;
    "##;
    let source = Source::new("src/engine/ops.rs", text);
    let names: Vec<&str> = source.crate_names().into_iter().collect();
    assert_eq!(names, ["data", "diag", "mil", "numeric", "weights"]);
    assert!(source.path_roots().contains("rhai"));
    assert!(!source.path_roots().contains("Engine"));
}

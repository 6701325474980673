//! A hash of a value's content, the same in every process.

use std::fmt::Write as _;

use rhai::{AST, ASTNode, Array, Blob, Dynamic, FnPtr, ImmutableString, Map};

use super::Session;
use super::completeness::offset;
use super::lexer::{Kind, lex, significant};
use crate::files::sha256;

/// How deep values may stand in each other; a closure may capture what it stands in.
const DEPTH: usize = 64;

impl Session {
    /// The hash; nothing for handles whose content can't be told, and for closures of modules.
    pub(super) fn digest(&self, value: &Dynamic) -> Option<String> {
        let mut writer = Writer {
            session: self,
            text: String::new(),
        };
        writer.write(value, DEPTH)?;
        Some(sha256(writer.text.as_bytes()))
    }
}

/// Writes values in a form that two different ones never share: every part has its kind and its length.
struct Writer<'a> {
    session: &'a Session,
    text: String,
}

impl Writer<'_> {
    fn write(&mut self, value: &Dynamic, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        if let Some(items) = value.read_lock::<Array>() {
            return self.list("[", &items, depth);
        }
        if let Some(map) = value.read_lock::<Map>() {
            let _ = write!(self.text, "#{} ", map.len());
            return map.iter().try_for_each(|(key, item)| {
                let _ = write!(self.text, "{}:{key}", key.len());
                self.write(item, depth)
            });
        }
        if let Some(pointer) = value.read_lock::<FnPtr>() {
            let code = self.session.code_of(&pointer)?;
            let _ = write!(self.text, "p{}:{code}", code.len());
            return self.list("", pointer.curry(), depth);
        }
        self.leaf(value)
    }

    fn list(&mut self, kind: &str, items: &[Dynamic], depth: usize) -> Option<()> {
        let _ = write!(self.text, "{kind}{} ", items.len());
        let mut items = items.iter();
        items.try_for_each(|item| self.write(item, depth))
    }

    fn leaf(&mut self, value: &Dynamic) -> Option<()> {
        let text = &mut self.text;
        if let Some(words) = value.read_lock::<ImmutableString>() {
            let _ = write!(text, "s{}:{}", words.len(), &**words);
            return Some(());
        }
        if let Some(bytes) = value.read_lock::<Blob>() {
            let _ = write!(text, "b{}", sha256(&bytes));
            return Some(());
        }
        let _ = match (
            value.as_int(),
            value.as_float(),
            value.as_bool(),
            value.as_char(),
        ) {
            (Ok(int), ..) => write!(text, "i{int} "),
            (_, Ok(float), ..) => write!(text, "f{:x} ", float.to_bits()),
            (_, _, Ok(truth), _) => write!(text, "t{truth} "),
            (_, _, _, Ok(letter)) => write!(text, "c{letter} "),
            _ if value.is_unit() => write!(text, "() "),
            _ => {
                let content = self.session.host.registry().digest(value)?;
                write!(text, "h{}:{content}", value.type_name().len())
            }
        };
        Some(())
    }
}

impl Session {
    /// What a function pointer runs: the code without spaces and comments.
    fn code_of(&self, pointer: &FnPtr) -> Option<String> {
        let name = pointer.fn_name();
        if !pointer.is_anonymous() {
            return Some(compact(&self.function_source(name)?, false));
        }
        let mut alone = self.functions.plain.clone_functions_only();
        alone.retain_functions(|_, _, known, _| known == name);
        let params: Vec<String> = alone
            .iter_fn_def()
            .next()?
            .params
            .iter()
            .map(ToString::to_string)
            .collect();
        let source = self.sources.texts.get(self.sources.functions.get(name)?)?;
        let body = compact(&source[body_of(&alone, source)?..], true);
        Some(format!("|{}| {body}", params.join(", ")))
    }
}

/// Where the body of a closure begins: behind the `|` before the first of its nodes.
fn body_of(closure: &AST, source: &str) -> Option<usize> {
    let mut first = source.len();
    closure.walk(&mut |path: &[ASTNode]| {
        let nodes = path.last().into_iter();
        first = nodes.fold(first, |first, node| {
            first.min(offset(source, node.position()))
        });
        true
    });
    let before = lex(&source[..first]);
    let end = before
        .iter()
        .rfind(|token| source[token.start..token.end].ends_with('|'))?;
    Some(end.end)
}

/// The tokens of a text, up to where its first expression ends if that is asked for.
fn compact(text: &str, first: bool) -> String {
    let (mut words, mut depth) = (Vec::new(), 0_usize);
    for token in significant(text) {
        let word = &text[token.start..token.end];
        let ends = first && depth == 0 && matches!(word, "," | ";" | ")" | "]" | "}");
        if ends {
            break;
        }
        words.push(word);
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        // A body in braces ends with them.
        if first && depth == 0 && word == "}" && words[0] == "{" {
            break;
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::tests::Bench;

    #[test]
    fn equal_values_alone_share_a_hash() {
        let mut bench = Bench::new();
        let mut of = |code: &str| {
            let value = bench.session.eval(code).value;
            bench.session.digest(&value)
        };
        let values = [
            "1",
            "1.0",
            "true",
            "'1'",
            "\"1\"",
            "()",
            "[1]",
            "[[1]]",
            "[1, 1]",
            "#{a: 1}",
            "#{b: 1}",
            "-0.0",
            "0.0",
            "[\"a\", \"b\"]",
            "[\"a\\\", \\\"b\"]",
            "|x| x",
            "|x| x + 1",
            "|x| 1 + 1",
            "|x| (x + 1) * 2",
            "|x| (x + 2) * 2",
            "|x| [x || true, 2]",
            "|x| [x || true, 3]",
            "|| 7",
            "let k = 1; |x| x + k",
            "let k = 2; |x| x + k",
            "|y| { y }",
            "fn f(x) { x } Fn(\"f\")",
            "load(\"embedded:student\")",
            "load(\"embedded:judge\")",
            "judge(load(\"embedded:judge\"))",
            "judge(load(\"embedded:judge\"), #{mass_min: 0.5})",
            "student(load(\"embedded:student\"), #{rank: 1})",
            "student(load(\"embedded:student\"), #{rank: 2})",
        ];
        for (at, code) in values.iter().enumerate() {
            assert!(of(code).is_some(), "{code}");
            for other in &values[at + 1..] {
                assert_ne!(of(code), of(other), "{code} {other}");
            }
        }
        assert_eq!(
            of("#{a: 1, b: [2.5]}"),
            of("let m = #{}; m.b = [2.5]; m.a = 1; m")
        );
        assert_eq!(of("[1].map(|x| x); |x| x + 1"), of("  |x|   x + 1 // more"));
        assert_eq!(
            of("let k = 2; let f = |x| x + k; f"),
            of("let k = 2; |x|  x + k")
        );
        assert_eq!(of("let a = []; for i in 0..70 { a = [a] } a"), None);
    }
}

//! `.d.rhai` files, as the engine writes its own: what language servers of the language read.

use rhai::Engine;

use super::Page;
use crate::host::function::{Form, ScriptFn};
use crate::host::{Key, Kind, Registry, help};

/// Words that the grammar keeps for itself, though they are names here.
const RESERVED: [&str; 2] = ["default", "exit"];

/// The engine's files for the language, and ours.
pub(super) fn all(registry: &Registry) -> Vec<Page> {
    let engine = Engine::new();
    let definitions = engine.definitions();
    let files = definitions.iter_files();
    let mut pages: Vec<Page> = files
        .map(|(name, text)| Page::new(name, mended(&text)))
        .collect();
    pages.push(Page::new("rlaif-repl.d.rhai", ours(registry)));
    pages
}

/// The engine's text in the words of the grammar, which knows no type `range=`, no missing type and no `exit`.
fn mended(text: &str) -> String {
    let text = text
        .replace("range=", "range_inclusive")
        .replace(" -> ;", " -> ?;");
    let blocks = text.split("\n\n").map(|block| {
        match block
            .lines()
            .last()
            .is_some_and(|line| line.starts_with("fn exit("))
        {
            true => silent(block),
            false => block.into(),
        }
    });
    blocks.collect::<Vec<String>>().join("\n\n")
}

/// As comments.
fn silent(block: &str) -> String {
    let lines = block.lines().map(|line| match line.strip_prefix("///") {
        Some(rest) => format!("//{rest}"),
        None if line.is_empty() => String::new(),
        None => format!("// {line}"),
    });
    lines.collect::<Vec<String>>().join("\n")
}

fn ours(registry: &Registry) -> String {
    let mut text = String::from("module static;\n");
    for topic in help::topics() {
        for function in help::of_topic(registry, topic.name) {
            text += &definition(function);
        }
    }
    text
}

/// A line for each number of arguments; what is longest has all of the documentation.
fn definition(function: &ScriptFn) -> String {
    let receiver = function
        .receiver
        .map(|receiver| format!("this: {}", receiver.name));
    let (least, most) = function.arity();
    let mut text = String::new();
    for count in least..=most {
        let mut params: Vec<String> = receiver.iter().cloned().collect();
        params.extend((0..count).map(|at| param(function, at, count)));
        let docs = match count == most {
            true => full(function),
            false => vec![function.summary.to_string()],
        };
        text += "\n";
        for line in docs.iter().flat_map(|block| block.lines()) {
            text += format!("/// {line}").trim_end();
            text += "\n";
        }
        text += &line(function, &params);
    }
    // The grammar has no words for these.
    match function.form == Form::Index || RESERVED.contains(&function.name) {
        true => silent(&text) + "\n",
        false => text,
    }
}

fn line(function: &ScriptFn, params: &[String]) -> String {
    let result = script_type(function.result);
    let name = function.name;
    match function.form {
        Form::Property => format!("fn get {name}({}) -> {result};\n", params.join(", ")),
        Form::Index => format!("fn index$get$({}) -> {result};\n", params.join(", ")),
        Form::Operator => {
            let types = params.iter().filter_map(|p| p.split_once(": "));
            let types: Vec<&str> = types.map(|(_, kind)| kind).collect();
            format!("op {name}({}) -> {result};\n", types.join(", "))
        }
        Form::Function | Form::Method => format!("fn {name}({}) -> {result};\n", params.join(", ")),
    }
}

/// The parameter at a place of a call with so many arguments.
fn param(function: &ScriptFn, at: usize, count: usize) -> String {
    match function.params.get(at) {
        Some(param) if RESERVED.contains(&param.name) => {
            format!("{}_: {}", param.name, kind(&param.kind))
        }
        Some(param) => format!("{}: {}", param.name, kind(&param.kind)),
        None if at + 1 == count && function.has_options() => "options: Map".into(),
        None => format!("more_{at}: ?"),
    }
}

/// Everything known of a function, as Markdown.
pub(crate) fn markdown(function: &ScriptFn) -> String {
    format!(
        "```rhai\n{}\n```\n\n{}",
        function.signature(),
        full(function).join("\n")
    )
}

/// What is known of the key of an option map, as Markdown.
pub(crate) fn markdown_of_key(key: &Key) -> String {
    format!(
        "```rhai\n{}: {}\n```\n\n{}",
        key.name,
        kind_and_default(key),
        key.summary
    )
}

fn kind_and_default(key: &Key) -> String {
    match key.default_text() {
        text if text.is_empty() => format!("{}, required", key.kind.name()),
        text if text == "()" => key.kind.name(),
        text => format!("{}, default {text}", key.kind.name()),
    }
}

/// Everything known of a function, in paragraphs.
fn full(function: &ScriptFn) -> Vec<String> {
    let mut blocks = vec![function.summary.to_string()];
    if !function.details.is_empty() {
        blocks.push(format!("\n{}", function.details));
    }
    let params = function
        .params
        .iter()
        .map(|p| (p.name, p.kind.name(), p.summary));
    blocks.extend(list("Parameters", params));
    let keys = function.keys.iter();
    let keys = keys.map(|key| (key.name, kind_and_default(key), key.summary));
    blocks.extend(list("Options", keys));
    let fields = function.fields.iter();
    blocks.extend(list(
        "Result",
        fields.map(|(name, summary)| (*name, String::new(), *summary)),
    ));
    if !function.examples.is_empty() {
        let codes: Vec<&str> = function
            .examples
            .iter()
            .map(|example| example.code)
            .collect();
        blocks.push(format!("\n# Example\n\n```rhai\n{}\n```", codes.join("\n")));
    }
    blocks
}

fn list<'a>(title: &str, rows: impl Iterator<Item = (&'a str, String, &'a str)>) -> Option<String> {
    let rows = rows.map(|(name, kind, summary)| match kind.is_empty() {
        true => format!("\n- `{name}`: {summary}"),
        false => format!("\n- `{name}` ({kind}): {summary}"),
    });
    let rows: String = rows.collect();
    (!rows.is_empty()).then(|| format!("\n# {title}\n{rows}"))
}

/// A kind in the engine's words; several kinds are any.
fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Text
        | Kind::Path(_)
        | Kind::Bundle(_)
        | Kind::Word(_)
        | Kind::HubModel
        | Kind::Choice(_) => "String".into(),
        Kind::Either(_) => "?".into(),
        kind => script_type(&kind.name()),
    }
}

fn script_type(name: &str) -> String {
    match name {
        "string" => "String".into(),
        "array" => "Array".into(),
        "map" => "Map".into(),
        "function" => "FnPtr".into(),
        "any" => "?".into(),
        name if name.contains('|') => "?".into(),
        name => name.into(),
    }
}

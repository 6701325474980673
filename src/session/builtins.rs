//! The language's own functions, out of the engine's metadata, for completion and help.

use std::any::TypeId;
use std::collections::BTreeMap;

use rhai::{Array, Engine, ImmutableString, Map};

use crate::host::Registry;
use crate::host::show::rename;

/// A function of the language.
#[derive(Debug, Clone)]
pub(super) struct Builtin {
    pub name: String,
    /// The type of its first parameter, by which it can be called as a method.
    pub receiver: Option<TypeId>,
    pub signature: String,
    /// The documentation as it stands in the engine; the first line is the summary.
    pub text: String,
}

impl Builtin {
    pub fn summary(&self) -> &str {
        self.text.lines().next().unwrap_or("")
    }
}

/// All of them, by name; of several with one receiver the first.
pub(super) fn collect(engine: &Engine, registry: &Registry) -> Vec<Builtin> {
    let infos = engine.collect_fn_metadata(
        None,
        |info| {
            let data = info.metadata;
            let comments: Vec<&str> = data.comments.iter().map(AsRef::as_ref).collect();
            Some(Builtin {
                name: data.name.to_string(),
                receiver: data.param_types.first().copied().map(plain),
                signature: signature(&data.name, &data.params_info, &data.return_type),
                text: documentation(&comments),
            })
        },
        true,
    );
    let word = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut found: BTreeMap<(String, Option<TypeId>), Builtin> = BTreeMap::new();
    for builtin in infos {
        let ours = registry.named(&builtin.name).next().is_some();
        if !word(&builtin.name) || ours {
            continue;
        }
        let key = (builtin.name.clone(), builtin.receiver);
        let known = found.entry(key).or_insert_with(|| builtin.clone());
        if known.text.is_empty() {
            *known = builtin;
        }
    }
    found.into_values().collect()
}

/// All the engine's string types are one to a script.
fn plain(id: TypeId) -> TypeId {
    match id == TypeId::of::<String>() || id == TypeId::of::<&str>() {
        true => TypeId::of::<ImmutableString>(),
        false => id,
    }
}

fn signature<S: AsRef<str>>(name: &str, params: &[S], result: &str) -> String {
    let param = |text: &S| {
        let (name, kind) = text
            .as_ref()
            .split_once(':')
            .unwrap_or((text.as_ref(), "any"));
        format!("{}: {}", name.trim(), type_text(kind))
    };
    let params: Vec<String> = params.iter().map(param).collect();
    let result = match type_text(result) {
        text if text == "()" || text.is_empty() => String::new(),
        text => format!(" -> {text}"),
    };
    format!("{name}({}){result}", params.join(", "))
}

/// A Rust type as signatures write it.
fn type_text(text: &str) -> String {
    let text = text
        .trim()
        .trim_start_matches('&')
        .trim_start_matches("mut ")
        .trim();
    let inner = text
        .strip_prefix("RhaiResultOf<")
        .or_else(|| text.strip_prefix("Result<"));
    let text = inner.map_or(text, |inner| {
        inner.split([',', '>']).next().unwrap_or(inner)
    });
    match rename(text.trim()) {
        "INT" => "int".into(),
        "FLOAT" => "float".into(),
        "Array" => "array".into(),
        "Map" => "map".into(),
        "Dynamic" | "?" | "RhaiResult" => "any".into(),
        "FnPtr" => "function".into(),
        "str" => "string".into(),
        other => other.to_string(),
    }
}

fn documentation(comments: &[&str]) -> String {
    let lines = comments.iter().flat_map(|comment| comment.lines());
    let lines: Vec<&str> = lines
        .map(|line| line.trim_start_matches("///").trim_start_matches(' '))
        .collect();
    let text = lines.join("\n");
    text.replace("```rhai\n", "")
        .replace("```", "")
        .trim()
        .to_string()
}

/// The types that have methods of the language.
pub(super) fn type_id(name: &str) -> Option<TypeId> {
    match name {
        "string" => Some(TypeId::of::<ImmutableString>()),
        "array" => Some(TypeId::of::<Array>()),
        "map" => Some(TypeId::of::<Map>()),
        "int" => Some(TypeId::of::<i64>()),
        "float" => Some(TypeId::of::<f64>()),
        _ => None,
    }
}

//! The language's own functions, out of the engine's metadata, for completion and help.

use std::any::TypeId;
use std::collections::BTreeMap;

use rhai::{Array, Blob, Engine, FnPtr, ImmutableString, Map};

use super::registry::Registry;
use super::show::rename;

/// A function of the language.
#[derive(Debug, Clone)]
pub struct Builtin {
    pub name: String,
    /// The type of its first parameter, by which it can be called as a method.
    pub receiver: Option<TypeId>,
    /// Whether it is read without brackets: `text.len`.
    pub property: bool,
    /// How many arguments it takes, the receiver counted.
    pub arity: usize,
    /// The type of its result, if that is always the same.
    pub result: Option<TypeId>,
    pub signature: String,
    /// The documentation as it stands in the engine; the first line is the summary.
    pub text: String,
}

impl Builtin {
    pub fn summary(&self) -> &str {
        self.text.lines().next().unwrap_or("")
    }

    fn is_deprecated(&self) -> bool {
        self.text.contains("# Deprecated API")
    }

    /// Whether it is one of those that scripts call on a string, array or map.
    pub fn is_method(&self) -> bool {
        let receiver = self.receiver.and_then(type_name);
        self.property || matches!(receiver, Some("string" | "array" | "map" | "char" | "blob"))
    }
}

/// All of them, by name; of several with one receiver and as many arguments the first that is documented.
pub fn collect(engine: &Engine, registry: &Registry) -> Vec<Builtin> {
    let infos = engine.collect_fn_metadata(
        None,
        |info| {
            let data = info.metadata;
            let comments: Vec<&str> = data.comments.iter().map(AsRef::as_ref).collect();
            let getter = data.name.strip_prefix("get$");
            let name = getter.unwrap_or(&data.name);
            Some(Builtin {
                name: name.to_string(),
                property: getter.is_some(),
                receiver: data.param_types.first().copied().map(plain),
                arity: data.num_params,
                result: type_id(&type_text(&data.return_type)),
                signature: signature(name, &data.params_info, &data.return_type),
                text: documentation(&comments),
            })
        },
        true,
    );
    let word = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut found: BTreeMap<(String, Option<TypeId>, usize, bool), Builtin> = BTreeMap::new();
    for builtin in infos {
        let ours = registry.named(&builtin.name).next().is_some();
        if !word(&builtin.name) || ours {
            continue;
        }
        let key = (
            builtin.name.clone(),
            builtin.receiver,
            builtin.arity,
            builtin.property,
        );
        let known = found.entry(key).or_insert_with(|| builtin.clone());
        if known.text.is_empty() || (known.is_deprecated() && !builtin.is_deprecated()) {
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

/// The types of the language that completion and checks know by name.
fn types() -> [(&'static str, TypeId); 9] {
    [
        ("string", TypeId::of::<ImmutableString>()),
        ("array", TypeId::of::<Array>()),
        ("map", TypeId::of::<Map>()),
        ("int", TypeId::of::<i64>()),
        ("float", TypeId::of::<f64>()),
        ("bool", TypeId::of::<bool>()),
        ("char", TypeId::of::<char>()),
        ("function", TypeId::of::<FnPtr>()),
        ("blob", TypeId::of::<Blob>()),
    ]
}

pub fn type_id(name: &str) -> Option<TypeId> {
    let types = types();
    let known = types.iter().find(|(known, _)| *known == name);
    known.map(|(_, id)| *id)
}

pub fn type_name(id: TypeId) -> Option<&'static str> {
    let types = types();
    let known = types.iter().find(|(_, known)| *known == id);
    known.map(|(name, _)| *name)
}
